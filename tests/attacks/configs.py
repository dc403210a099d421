"""Hostile configs: code, modules to import, files and addresses to read, terabytes to build.

The weaknesses are those of Keras' published advisories, by number where there is one; only what
they are about was taken from there. Whatever would run touches the canary of `sandbox`.
"""

from __future__ import annotations

import base64
import marshal
from collections.abc import Iterator
from typing import Any

from tests.attacks.archives import good_config
from tests.attacks.sandbox import CANARY

ELSEWHERE = (
    "os.system", "posix.system", "subprocess.run", "subprocess.Popen", "builtins.eval",
    "builtins.exec", "importlib.import_module", "shutil.rmtree", "pickle.loads", "runpy.run_path",
    f"{CANARY}.sing", "webbrowser.open",
)  # fmt: skip
"""CVE-2025-1550: any function of any module, by its name."""
IN_KERAS = (
    "keras.utils.get_file", "keras.utils.load_img", "keras.utils.save_img",
    "keras.utils.clear_session", "keras.models.load_model", "keras.saving.load_model",
    "keras.config.enable_unsafe_deserialization", "keras.config.set_floatx",
    "keras.datasets.mnist.load_data", "keras.applications.ResNet50",
    "keras.preprocessing.image.save_img", "keras.src.utils.file_utils.get_file",
    "keras.src.backend.common.global_state.set_global_attribute",
    "keras.src.saving.serialization_lib.enable_unsafe_deserialization",
)  # fmt: skip
"""CVE-2025-8747, -9906, -12060 and -12638: what Keras itself brings and no model needs."""

BESIDE_LAYERS = (
    "keras.src.applications.convnext.ConvNeXtTiny", "keras.src.applications.convnext.file_utils",
    "keras.src.applications.convnext.LayerScale.call", "keras.src.applications.nowhere.LayerScale",
    "keras.src.applications.imagenet_utils.file_utils.get_file",
    "keras.src.utils.torch_utils.TorchModuleWrapper", "keras.src.utils.jax_layer.JaxLayer",
    "keras.src.layers.preprocessing.feature_space.saving_lib", "keras.applications.convnext.x",
)  # fmt: skip
"""In the modules of Keras that hold layers without a public name, or layers that run code."""


def _advisory(path: str) -> str:
    """The number of what the function is an instance of."""
    if path in ELSEWHERE:
        return "CVE-2025-1550"
    settings = ("config", "global_state", "enable_unsafe")
    return "CVE-2025-9906" if any(part in path for part in settings) else "CVE-2025-8747"


def _code() -> str:
    made = eval(f"lambda x: (__import__('{CANARY}'), x)[1]")
    return base64.b64encode(marshal.dumps(made.__code__)).decode()


def function(path: str) -> dict[str, Any]:
    """A function as a config names it."""
    module, _, name = path.rpartition(".")
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def code() -> dict[str, Any]:
    """A lambda as a config carries it: marshalled Python code."""
    value = {"code": _code(), "defaults": None, "closure": None}
    return {"class_name": "__lambda__", "config": {"value": value, **value}}


def with_layer(class_name: str, config: dict[str, Any], module: str = "keras.layers") -> Any:
    """The good model with its second layer replaced."""
    document = good_config()
    layer = document["config"]["layers"][1]
    layer.update(module=module, class_name=class_name, registered_name=None)
    layer["config"] = {"name": "hidden", "trainable": True, "dtype": "float32", **config}
    layer.pop("build_config", None)
    return document


def with_argument(name: str, value: Any, index: int = 1) -> Any:
    """The good model with an argument of a layer replaced."""
    document = good_config()
    document["config"]["layers"][index]["config"][name] = value
    document["config"]["layers"][index].pop("build_config", None)
    return document


def attacks() -> Iterator[tuple[str, Any]]:
    """(what is wrong, the document)."""
    yield from _code_attacks()
    yield from _file_attacks()
    yield from _large_attacks()
    yield from _broken_attacks()


def _code_attacks() -> Iterator[tuple[str, Any]]:
    lambdas = {"function": code(), "output_shape": code(), "mask": code()}
    for key, value in lambdas.items():
        given = {"function": function("keras.ops.abs"), key: value}
        yield f"CVE-2024-3660: code in a Lambda's {key}", with_layer("Lambda", given)
    yield "code in an activation", with_argument("activation", code())
    yield "code in an initializer", with_argument("kernel_initializer", code())
    yield (
        "code of the older kind",
        with_layer("Lambda", {"function": [_code(), None, None], "function_type": "lambda"}),
    )
    for path in (*ELSEWHERE, *IN_KERAS):
        found = function(path)
        number = f"{_advisory(path)}: "
        given = {"function": found, "arguments": {"fname": "x", "origin": "http://127.0.0.1:9/x"}}
        yield f"{number}Lambda of {path}", with_layer("Lambda", given)
        yield f"{number}activation {path}", with_argument("activation", found)
        module, _, name = path.rpartition(".")
        yield f"{number}layer {path}", with_layer(name, {}, module)
    archive = {"fname": "x.tar", "origin": "http://127.0.0.1:9/x.tar"}
    for number, given in {
        "CVE-2025-12060": {**archive, "untar": True},
        "CVE-2025-12638": {**archive, "extract": True, "archive_format": "tar"},
    }.items():
        document = {"function": function("keras.utils.get_file"), "arguments": given}
        yield f"{number}: an archive fetched and unpacked", with_layer("Lambda", document)
    for path in ELSEWHERE[:4]:
        yield f"initializer {path}", with_argument("kernel_initializer", function(path))
        yield f"regularizer {path}", with_argument("kernel_regularizer", function(path))
    for path in BESIDE_LAYERS:
        module, _, name = path.rpartition(".")
        yield f"layer {path}", with_layer(name, {}, module)
        yield f"activation {path}", with_argument("activation", function(path))
    wrapped = {"module": base64.b64encode(b"\x80\x04.").decode()}
    yield "TorchModuleWrapper with a pickle", with_layer("TorchModuleWrapper", wrapped)
    for name in ("FlaxLayer", "JaxLayer"):
        yield f"{name} with code", with_layer(name, {"call_fn": code(), "module": code()})


def _file_attacks() -> Iterator[tuple[str, Any]]:
    for place in ("/etc/passwd", "http://127.0.0.1:9/words", "file:///etc/passwd"):
        for name in ("StringLookup", "IntegerLookup", "TextVectorization"):
            given = {"vocabulary": place, "max_tokens": None}
            yield f"CVE-2025-12058: {name} of {place}", with_layer(name, given)
        given = {"vocabulary": place, "max_tokens": None, "num_oov_indices": 1, "mask_token": None,
                 "oov_token": "[UNK]", "vocabulary_dtype": "string"}  # fmt: skip
        module = "keras.src.layers.preprocessing.index_lookup"
        yield f"CVE-2025-12058: IndexLookup of {place}", with_layer("IndexLookup", given, module)
    for place in ("/tmp/model", "http://127.0.0.1:9/model", "gs://bucket/model"):
        given = {"filepath": place, "call_endpoint": "serve"}
        yield f"CVE-2026-1462: TFSMLayer of {place}", with_layer("TFSMLayer", given)
        module = "keras.src.export.tfsm_layer"
        what = f"CVE-2026-1462: TFSMLayer of {place}, by its module"
        yield what, with_layer("TFSMLayer", given, module)


def _large_attacks() -> Iterator[tuple[str, Any]]:
    for power in (8, 9, 10, 12, 15):
        yield f"Dense of 10^{power} units", with_argument("units", 10**power)
    yield "Dense of 4,000 digits of units", with_argument("units", int("9" * 4000))
    for shape in ([int("9" * 4000)], [int("9" * 4000)] * 3):
        given = {"target_shape": shape}
        yield f"Reshape to {len(shape)} axes of 4,000 digits", with_layer("Reshape", given)
    layers: tuple[tuple[str, dict[str, Any]], ...] = (
        ("Embedding", {"input_dim": 2**40, "output_dim": 4}),
        ("Embedding", {"input_dim": 10, "output_dim": 2**40}),
        ("Normalization", {"axis": -1, "mean": None, "variance": None, "input_mean": [0] * 10}),
        ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": [10**12]}),
    )
    for name, config in layers:
        yield f"{name} of {config}"[:60], with_layer(name, config)
    for count in (10**10, 10**12, 2**62):
        document = with_layer("RepeatVector", {"n": count})
        document["config"]["layers"].pop()
        document["config"]["output_layers"] = [["hidden", 0, 0]]
        yield f"an answer of {count} rows", document
    for width in (10**9, 10**12, 2**62):
        document = good_config()
        document["config"]["layers"][0]["config"]["batch_shape"] = [None, width]
        document["config"]["layers"][1].pop("build_config", None)
        yield f"an input of {width} numbers", document
        document = good_config()
        document["config"]["layers"][1]["build_config"] = {"input_shape": [None, width]}
        yield f"build_config of {width} numbers", document


def _broken_attacks() -> Iterator[tuple[str, Any]]:
    for value in (-1, 0, 2**63, "128", None, [3], 1.5, {"a": 1}, -(2**70)):
        yield f"units {value!r}", with_argument("units", value)
    for value in ("float7", {"class_name": "DTypePolicy", "config": {"name": "float7"}}, 5):
        yield f"dtype {value!r}", with_argument("dtype", value)
    for value in ("no_such", {"class_name": "Nothing", "config": {}}, 7):
        yield f"activation {value!r}", with_argument("activation", value)
    document = good_config()
    document["config"]["layers"] = []
    yield "no layers", document
    document = good_config()
    document["config"]["layers"][1]["name"] = "answer"
    yield "layers by the wrong name", document
    document = good_config()
    document["config"]["output_layers"] = [["nowhere", 0, 0]]
    yield "an output that is not there", document
    document = good_config()
    document["config"]["layers"][1]["inbound_nodes"] = document["config"]["layers"][2][
        "inbound_nodes"
    ]
    yield "layers in a circle", document
    document = good_config()
    document["config"] = {"name": "good", "layers": good_config()}
    yield "layers that are a model", document
