"""tensorflowjs 4.22, imported beside current TensorFlow without what its converter never uses.

Owns the only import of `tensorflowjs`. Its package imports every converter it has, and with them
three packages that cannot be installed beside TensorFlow >= 2.21, and Keras 2; a module of the same
name stands in for each while it is imported. May import `exporter.errors` only.

=============================== ================================================================
stands in for                   why
=============================== ================================================================
tensorflow_decision_forests     its ydf brings protobuf code of another major version and crashes
                                on import: github.com/tensorflow/tfjs/issues/8496; needed for
                                SavedModels of decision forests only
tensorflow_hub                  imports pkg_resources, which setuptools 82 no longer has:
                                github.com/tensorflow/hub/issues/905; needed for TF-Hub modules only
tensorflowjs.converters         imports jax, jaxlib and flax, and jax.experimental.jax2tf:
.jax_conversion                 github.com/tensorflow/tfjs/issues/8315; needed for JAX only
tf_keras                        takes a second to import; needed for models of Keras 2 only
=============================== ================================================================

Seen with tensorflowjs 4.22.0 and TensorFlow 2.21.0 on 2026-11-20.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

from exporter.errors import PackageMissing

REMEDY = "pip install --no-deps tensorflowjs==4.22.0"
STAND_INS = (
    "tensorflow_decision_forests",
    "tensorflow_hub",
    "tensorflowjs.converters.jax_conversion",
)
SLOW = ("tf_keras",)
"""Would import, and take their time."""


def missing() -> str | None:
    """Why tensorflowjs cannot be used, with the remedy; None if it can."""
    try:
        version("tensorflowjs")
    except PackageNotFoundError:
        return f"the package tensorflowjs is not installed; {REMEDY}"
    return None


def converter() -> ModuleType:
    """The module of tensorflowjs that converts TensorFlow graphs.

    Raises:
        PackageMissing: tensorflowjs is not installed.
    """
    reason = missing()
    if reason is not None:
        raise PackageMissing(f"format tfjs-graph: {reason}")
    with _stand_ins():
        from tensorflowjs.converters import tf_saved_model_conversion_v2
    return tf_saved_model_conversion_v2


def optimize(graph: Any, signature: Any) -> Any:
    """The GraphDef after the optimiser's passes that tensorflowjs runs first.

    Not after all of `optimize_graph`: its later passes fuse what TF.js then refuses ("tanh
    activation not yet supported", `_FusedHardSwish`) or gets wrong on wasm (biases of rank 4,
    PReLU with shared axes). `exporter.graphs.fusion` does that.
    """
    module = converter()
    for info in signature.outputs.values():
        operation = graph.get_operation_by_name(info.name.split(":")[0])
        graph.add_to_collection("train_op", operation)  # how the optimiser learns of outputs
    config = module.config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers[:] = [
        "pruning", "constfold", "arithmetic", "dependency"
    ] * 2  # fmt: skip
    return module._run_grappler(config, graph.as_graph_def(), graph, signature)


def supported_operations() -> frozenset[str]:
    """The TensorFlow operations that TF.js' graph executor knows, by tensorflowjs' own list."""
    import json

    converter()
    from tensorflowjs import resource_loader

    names = set()
    for filename in resource_loader.list_dir("op_list"):
        if filename.endswith(".json"):
            with resource_loader.open_file(f"op_list/{filename}") as stream:
                names |= {entry["tfOpName"] for entry in json.load(stream)}
    return frozenset(names)


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Empty modules while tensorflowjs is imported; nothing of them is left afterwards."""
    placed = {}
    for name in (*STAND_INS, *SLOW):
        if name not in sys.modules:
            placed[name] = sys.modules[name] = _Empty(name)
    try:
        yield
    finally:
        for name, module in placed.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Empty(ModuleType):
    """A module whose public attributes are all None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None
