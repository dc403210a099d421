"""The model card, `README.md` of a bundle: only what the manifest holds.

The card is tracked and must come out the same on every machine, so nothing that was measured here
enters it. May import `exporter.manifest` and `exporter.shipping`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from exporter import shipping
from exporter.manifest import Artifact, Manifest, TensorSpec

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~<>&$^=@:])")
# TF.js has no other dtypes; ONNX Runtime Web wants BigInt64Array for int64.
_TFJS_DTYPES = {"float32": "float32", "bool": "bool", "string": "string", "complex64": "complex64"}


def model_card(manifest: Manifest, summary: str = "") -> str:
    """The card's Markdown.

    Args:
        manifest: Of the bundle, complete but for the card itself.
        summary: The model in one or two sentences, its architecture first.
    """
    from exporter.report.page import environment

    made = environment()
    made.filters.update(md=escape, shape=_shape, meaning=_meaning)
    parity = list(_parity_rows(manifest))
    text = made.get_template("card.md.jinja").render(
        manifest=manifest,
        summary=summary,
        metrics=list(_flat(manifest.metrics)),
        preprocessing=", ".join(
            f"{escape(key)} {escape(value)}" for key, value in _flat(manifest.preprocessing or {})
        ),
        parity=parity,
        gates=list(dict.fromkeys(gate for *_, gate in parity)),
        recommendation=shipping.why(manifest),
        snippets=list(_snippets(manifest)),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def escape(value: Any) -> str:
    """Any text as one line of Markdown that shows it and does nothing else."""
    line = " ".join(str(value).split())
    line = "".join(ch for ch in line if ch.isprintable())
    return _SPECIAL.sub(_entity, line)


def _entity(match: re.Match[str]) -> str:
    # A backslash does not escape `<` or `&` in all renderers, and `:` or `@` not at all; harmless
    # punctuation stays readable in the source.
    character = match.group()
    if character in "<>&":
        return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[character]
    return character if character in ":()=+@" else "\\" + character


def _shape(spec: TensorSpec) -> str:
    sizes = [
        ("batch" if axis == 0 else "any") if size is None else str(size)
        for axis, size in enumerate(spec.shape)
    ]
    return "(" + ", ".join(sizes) + ")"


def _meaning(spec: TensorSpec) -> str:
    parts = []
    if spec.value_range is not None:
        parts.append("{:g} to {:g}".format(*spec.value_range))
    parts += [part for part in (spec.polarity, spec.layout, spec.meaning) if part]
    return escape(", ".join(parts))


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Scalars of a nested document with the path of their keys; lists are left to the manifest."""
    for key, value in document.items():
        path = f"{prefix}, {key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        elif isinstance(value, float):
            yield path, f"{value:.6g}" if math.isfinite(value) else str(value)
        elif isinstance(value, (str, int)) and value != "":
            yield path, str(value)


def _parity_rows(manifest: Manifest) -> Iterator[tuple[str, str, str, str]]:
    """Artefact, where it ran, on which samples, under which gate: one row per gate."""
    for row in manifest.parity:
        gates: dict[str, list[str]] = {}
        for samples_name, gate in row["passed"].items():
            gates.setdefault(str(gate), []).append(str(samples_name))
        for gate, names in gates.items():
            yield row["artifact"], f"{row['runtime']} {row['backend']}", ", ".join(names), gate


def _snippets(manifest: Manifest) -> Iterator[tuple[str, str, list[str]]]:
    """Title, language and three lines for each format that is there, in float32 where it is."""
    first: dict[str, Artifact] = {}
    for artifact in manifest.artifacts:
        if artifact.format not in first or artifact.precision == "float32":
            first[artifact.format] = artifact
    makers = {"tfjs-layers": _layers, "tfjs-graph": _graph, "onnx": _onnx, "keras": _keras}
    for format, artifact in first.items():
        if format in makers:
            yield from makers[format](manifest, artifact)
    yield (
        "With the project's player, which checks hashes and golden vectors first",
        "js",
        [
            'import { load } from "/player/index.js";',
            'const model = await load("manifest.json");',
            "const answer = await model.predict(data);",
        ],
    )


def _layers(manifest: Manifest, artifact: Artifact) -> Iterator[tuple[str, str, list[str]]]:
    tensors = ", ".join(_tfjs_tensor(spec) for spec in manifest.inputs)
    argument = tensors if len(manifest.inputs) == 1 else f"[{tensors}]"
    yield (
        "TensorFlow.js, layers model",
        "js",
        [
            'import * as tf from "@tensorflow/tfjs";',
            f"const model = await tf.loadLayersModel({_quoted(artifact.path)});",
            f"const answer = model.predict({argument});",
        ],
    )


def _graph(manifest: Manifest, artifact: Artifact) -> Iterator[tuple[str, str, list[str]]]:
    # `predict` gives several outputs in another order than Keras: they are asked for by name.
    feeds = ", ".join(f"{_quoted(s.name)}: {_tfjs_tensor(s)}" for s in manifest.inputs)
    names = ", ".join(_quoted(spec.name) for spec in manifest.outputs)
    yield (
        "TensorFlow.js, graph model",
        "js",
        [
            'import * as tf from "@tensorflow/tfjs";',
            f"const model = await tf.loadGraphModel({_quoted(artifact.path)});",
            f"const answer = await model.executeAsync({{{feeds}}}, [{names}]);",
        ],
    )


def _onnx(manifest: Manifest, artifact: Artifact) -> Iterator[tuple[str, str, list[str]]]:
    feeds = ", ".join(
        f"{_quoted(s.name)}: new ort.Tensor({_quoted(s.dtype)}, data, {_sizes(s)})"
        for s in manifest.inputs
    )
    yield (
        "ONNX Runtime Web",
        "js",
        [
            'import * as ort from "onnxruntime-web";',
            f"const session = await ort.InferenceSession.create({_quoted(artifact.path)});",
            f"const answer = await session.run({{{feeds}}});",
        ],
    )
    feeds = ", ".join(f"{_quoted(spec.name)}: x" for spec in manifest.inputs)
    yield (
        "Python, ONNX Runtime",
        "python",
        [
            "import onnxruntime",
            f"session = onnxruntime.InferenceSession({_quoted(artifact.path)})",
            f"answer = session.run(None, {{{feeds}}})",
        ],
    )


def _keras(manifest: Manifest, artifact: Artifact) -> Iterator[tuple[str, str, list[str]]]:
    argument = "x" if len(manifest.inputs) == 1 else f"[{', '.join('x' for _ in manifest.inputs)}]"
    yield (
        "Python, Keras",
        "python",
        [
            "import keras",
            f"model = keras.saving.load_model({_quoted(artifact.path)})",
            f"answer = model.predict({argument})",
        ],
    )


def _tfjs_tensor(spec: TensorSpec) -> str:
    dtype = _TFJS_DTYPES.get(spec.dtype, "int32" if "int" in spec.dtype else "float32")
    return f'tf.tensor(data, {_sizes(spec)}, "{dtype}")'


def _sizes(spec: TensorSpec) -> str:
    """The shape of one sample in a batch of one; other free dimensions as 1."""
    return "[" + ", ".join("1" if size is None else str(size) for size in spec.shape) + "]"


def _quoted(text: str) -> str:
    """A string that JavaScript and Python read alike, and that cannot end a fenced block."""
    return json.dumps(text).replace("`", "\\u0060").replace("<", "\\u003c")
