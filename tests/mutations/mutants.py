"""The wrong exports: which there are, and how each is made from a right one.

Owns the list. A mutant changes a copy of a subject's folder as a faulty exporter would have written
it: the manifest's hashes are taken after the change, so that no hash gives it away.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from exporter.manifest import Artifact, Manifest, measure
from tests.mutations import topology, weights
from tests.mutations.subjects import RECIPE, WEB_FORMATS, Subject
from tests.mutations.weights import Held

LAST = {RECIPE: "probabilities", "convolutional": "classes", "recurrent": "classes",
        "regression": "rent"}  # fmt: skip
FIRST = {RECIPE: "hidden_1", "convolutional": "first", "recurrent": "lstm", "regression": "left"}
HIDDEN = {RECIPE: "hidden_2", "convolutional": "second", "recurrent": "square",
          "regression": "square"}  # fmt: skip
BITS_PER_ARTIFACT = 5


@dataclass
class Workshop:
    """A copy of a subject, to be spoilt."""

    subject: Subject
    folder: Path
    manifest: Manifest

    def artifact(self, format: str) -> Artifact:
        """As the manifest has it."""
        return self.manifest.artifact(format)

    def path(self, format: str) -> Path:
        """The file that a runtime opens."""
        return self.folder / self.artifact(format).path

    def remeasure(self) -> None:
        """Take all sizes and hashes anew."""
        artifacts = tuple(
            replace(a, files=measure(self.folder, [file.path for file in a.files]))
            for a in self.manifest.artifacts
        )
        files = measure(self.folder, [file.path for file in self.manifest.files])
        self.manifest = replace(self.manifest, artifacts=artifacts, files=files)


Change = Callable[[Workshop], None]


@dataclass(frozen=True)
class Mutant:
    """One wrong export.

    Attributes:
        format: Whose file is wrong; None: the manifest or the golden answers.
    """

    kind: str
    subject: str
    format: str | None
    detail: str
    change: Change

    @property
    def id(self) -> str:
        """Unique."""
        return " · ".join(filter(None, (self.kind, self.subject, self.format, self.detail)))

    def make(self, subject: Subject, folder: Path) -> Workshop:
        """The wrong export in `folder`."""
        shutil.copytree(subject.directory, folder)
        workshop = Workshop(subject, folder, subject.manifest)
        self.change(workshop)
        workshop.remeasure()
        return workshop


def control(subject: str, format: str) -> Mutant:
    """The right export, which nothing may call wrong."""
    return Mutant("control", subject, format, "", lambda _: None)


def all_mutants() -> list[Mutant]:
    """Every mutant, the same ones each time."""
    found = [*_weight_mutants(), *_file_mutants(), *_graph_mutants(), *_described_mutants()]
    assert len({mutant.id for mutant in found}) == len(found), "two mutants with one name"
    return found


def spread(count: int) -> list[Mutant]:
    """`count` mutants, over all kinds before any kind has two."""
    by_kind: dict[str, list[Mutant]] = {}
    for mutant in all_mutants():
        by_kind.setdefault(mutant.kind, []).append(mutant)
    # Another place in each kind, so that all subjects and formats have their turn.
    turned = [kind[i * 7 % len(kind):] + kind[: i * 7 % len(kind)]
              for i, kind in enumerate(by_kind.values())]  # fmt: skip
    rounds = itertools.zip_longest(*turned)
    return [mutant for row in rounds for mutant in row if mutant is not None][:count]


# ---- weights -----------------------------------------------------------------------------


def _weight_mutants() -> Iterator[Mutant]:
    for number, (subject, format) in enumerate(itertools.product(LAST, WEB_FORMATS)):

        def mutant(kind: str, detail: str, change: Callable[[Held, Subject], None],
                   subject: str = subject, format: str = format) -> Mutant:  # fmt: skip
            return Mutant(kind, subject, format, detail, _on_weights(format, change))

        for layer in (FIRST[subject], LAST[subject]):
            yield mutant("bias off by 1e-4", layer, _bias_off(layer, number))
        yield mutant("two units swapped", HIDDEN[subject], _units_swapped(HIDDEN[subject]))
        yield mutant("kernel transposed", HIDDEN[subject], _transposed(HIDDEN[subject]))
        for bit in _bits(number):
            yield mutant("weight bit flipped", f"bit {bit}", _bit_flipped(bit, number))
        yield mutant("another model's weights", "", _of_twin)
        yield mutant("input scale", "1/255", _scaled(FIRST[subject], 1 / 255))
        yield mutant("weights rounded to float16", "", _rounded)
        yield mutant("NaN in a weight", HIDDEN[subject], _nan(HIDDEN[subject]))
    for format in WEB_FORMATS:
        for layer, order in (("lstm", (0, 2, 1, 3)), ("gru", (1, 0, 2))):
            yield Mutant("gates of a recurrent layer in another order", "recurrent", format, layer,
                         _on_weights(format, _gates(layer, order)))  # fmt: skip
        yield Mutant("channels in another order", "convolutional", format, "BGR",
                     _on_weights(format, _channels))  # fmt: skip
        yield Mutant("wrong epsilon", "convolutional", format, "1e-5 for 1e-3",
                     _on_layers_or_constants(format))  # fmt: skip


def _on_weights(format: str, change: Callable[[Held, Subject], None]) -> Change:
    def apply(workshop: Workshop) -> None:
        with weights.opened(workshop.path(format)) as held:
            change(held, workshop.subject)

    return apply


def _find(held: Held, layer: str, name: str) -> np.ndarray:
    """The one weight of that layer that is called so."""
    (found,) = [
        array for path, array in held.items()
        if path.split("/")[0] == layer and path.split("/")[-1] == name
    ]  # fmt: skip
    return found


def _bits(number: int) -> list[int]:
    """The lowest, and others that are different ones for each artefact."""
    return [0, *sorted({(7 * number + 1 + 8 * i) % 31 + 1 for i in range(BITS_PER_ARTIFACT - 1)})]


def _bias_off(layer: str, number: int) -> Callable[[Held, Subject], None]:
    def change(held: Held, _: Subject) -> None:
        bias = _find(held, layer, "bias")
        bias[number % bias.size] += np.float32(1e-4)

    return change


def _units_swapped(layer: str) -> Callable[[Held, Subject], None]:
    def change(held: Held, _: Subject) -> None:
        for name in ("kernel", "bias"):
            array = _find(held, layer, name)
            array[..., [0, 1]] = array[..., [1, 0]]

    return change


def _transposed(layer: str) -> Callable[[Held, Subject], None]:
    def change(held: Held, _: Subject) -> None:
        kernel = _find(held, layer, "kernel")
        if kernel.ndim == 4:
            kernel[...] = kernel.transpose(1, 0, 2, 3).copy()  # height for width
        else:
            kernel[...] = kernel.T.reshape(kernel.shape).copy()

    return change


def _bit_flipped(bit: int, number: int) -> Callable[[Held, Subject], None]:
    def change(held: Held, subject: Subject) -> None:
        generator = np.random.default_rng([number, bit])
        own = {variable.path for variable in subject.source.model.variables}
        path = generator.choice(sorted(own & set(held)))
        place = tuple(int(generator.integers(size)) for size in held[path].shape)
        value = np.array(held[path][place])
        held[path][place] = (value.view(np.uint32) ^ np.uint32(1 << bit)).view(np.float32)

    return change


def _of_twin(held: Held, subject: Subject) -> None:
    for variable, other in zip(
        subject.source.model.variables, subject.twin.model.variables, strict=True
    ):
        if variable.path in held:
            held[variable.path][...] = np.asarray(other)


def _scaled(layer: str, factor: float) -> Callable[[Held, Subject], None]:
    def change(held: Held, _: Subject) -> None:
        _find(held, layer, "kernel")[...] *= np.float32(factor)

    return change


def _rounded(held: Held, _: Subject) -> None:
    for array in held.values():
        array[...] = array.astype(np.float16)


def _nan(layer: str) -> Callable[[Held, Subject], None]:
    def change(held: Held, _: Subject) -> None:
        kernel = _find(held, layer, "kernel")
        kernel[tuple(size // 2 for size in kernel.shape)] = np.nan

    return change


def _gates(layer: str, order: tuple[int, ...]) -> Callable[[Held, Subject], None]:
    def change(held: Held, _: Subject) -> None:
        kernel = _find(held, layer, "kernel")
        blocks = np.split(kernel.copy(), len(order), axis=-1)
        kernel[...] = np.concatenate([blocks[i] for i in order], axis=-1)

    return change


def _channels(held: Held, _: Subject) -> None:
    kernel = _find(held, "first", "kernel")
    kernel[...] = kernel[:, :, ::-1].copy()


def _on_layers_or_constants(format: str) -> Change:
    """Batch normalisation is a layer in TF.js layers; elsewhere a product and a sum."""
    if format == "tfjs-layers":
        return lambda workshop: topology.configure(
            workshop.path(format), "normalised", {"epsilon": 1e-5}
        )

    def change(held: Held, subject: Subject) -> None:
        layer = subject.source.model.get_layer("normalised")
        gamma, beta, mean, variance = (np.asarray(w) for w in layer.weights)
        right = (gamma / np.sqrt(variance + 1e-3)).astype(np.float32)
        wrong = (gamma / np.sqrt(variance + 1e-5)).astype(np.float32)
        (factor,) = [a for a in held.values() if a.shape == right.shape and np.allclose(a, right)]
        (offset,) = [
            a for a in held.values()
            if a.shape == right.shape and np.allclose(a, beta - mean * right, atol=1e-6)
        ]  # fmt: skip
        factor[...], offset[...] = wrong, beta - mean * wrong

    return _on_weights(format, change)


# ---- files -------------------------------------------------------------------------------


def _file_mutants() -> Iterator[Mutant]:
    for subject, format in itertools.product(LAST, WEB_FORMATS):
        yield Mutant("shard cut", subject, format, "4 bytes", _on_bytes(format, lambda b: b[:-4]))
        yield Mutant(
            "shard padded", subject, format, "4 bytes", _on_bytes(format, lambda b: b + bytes(4))
        )


def _on_bytes(format: str, change: Callable[[bytes], bytes]) -> Change:
    def apply(workshop: Workshop) -> None:
        files = [workshop.folder / file.path for file in workshop.artifact(format).files]
        file = next(f for f in files if f.suffix in (".bin", ".onnx"))
        file.write_bytes(change(file.read_bytes()))

    return apply


# ---- the graph ---------------------------------------------------------------------------


def _graph_mutants() -> Iterator[Mutant]:
    for format in WEB_FORMATS:

        def mutant(kind: str, subject: str, detail: str, change: Callable[..., None],
                   *arguments: Any, format: str = format) -> Mutant:  # fmt: skip
            return Mutant(kind, subject, format, detail,
                          lambda w: change(w.path(format), *arguments))  # fmt: skip

        activations = {
            RECIPE: ("hidden_2", "relu", "elu"),
            "convolutional": ("first", "relu", "relu6"),
            "recurrent": ("square", "tanh", "sigmoid"),
            "regression": ("left", "tanh", "sigmoid"),
        }
        for subject, (layer, _right, wrong) in activations.items():
            yield mutant("wrong activation", subject, f"{layer}: {wrong}",
                         topology.activate, layer, wrong)  # fmt: skip
        for subject, layer in (
            (RECIPE, "hidden_2"), ("convolutional", "rectified"), ("recurrent", "square"),
            ("regression", "left"),
        ):  # fmt: skip
            yield mutant("dropped activation", subject, layer, topology.activate, layer, None)
        for subject, layer in (
            ("convolutional", "normalised"), ("recurrent", "square"), ("regression", "square"),
            ("regression", "normalised"),
        ):  # fmt: skip
            yield mutant("dropped layer", subject, layer, topology.bypass, layer)
        yield mutant("other pooling", "convolutional", "average", topology.average_pooling)
        yield mutant("outputs swapped", "regression", "", topology.swap_ends, "outputs")
        yield mutant("inputs swapped", "regression", "", topology.swap_ends, "inputs")


# ---- what is said of the model --------------------------------------------------------------


def _described_mutants() -> Iterator[Mutant]:
    def mutant(kind: str, detail: str, **changes: Callable[[Manifest], Any]) -> Mutant:
        def apply(workshop: Workshop) -> None:
            made = {key: make(workshop.manifest) for key, make in changes.items()}
            workshop.manifest = replace(workshop.manifest, **made)

        return Mutant(kind, RECIPE, None, detail, apply)

    def labelled(order: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Callable[[Manifest], Any]:
        return lambda manifest: order(manifest.labels or ())

    yield mutant("labels in another order", "reversed", labels=labelled(lambda x: x[::-1]))
    yield mutant("labels in another order", "two swapped",
                 labels=labelled(lambda x: (*x[:3], x[4], x[3], *x[5:])))  # fmt: skip
    yield mutant(
        "labels in another order", "turned by one", labels=labelled(lambda x: x[1:] + x[:1])
    )
    yield mutant(
        "labels in another order", "sorted from 1", labels=labelled(lambda x: (*x[1:], "0"))
    )
    for key, wrong in (("box", 24), ("centre_of_mass", 13.5), ("side", 32), ("pen", 0.2)):
        yield mutant("wrong preprocessing", f"{key} {wrong}", preprocessing=_parameter(key, wrong))
    yield mutant("wrong preprocessing", "none", preprocessing=lambda _: None)
    for detail, changes in (
        ("range 0 to 255", {"value_range": (0.0, 255.0)}),
        ("black ink", {"polarity": "black on white"}),
        ("width first", {"layout": "NWH"}),
    ):
        yield mutant("input described wrongly", detail, inputs=_input_with(**changes))
    for subject in LAST:
        yield Mutant("golden answers of another model", subject, None, "", _golden_of_twin)


def _parameter(key: str, wrong: float) -> Callable[[Manifest], Any]:
    def make(manifest: Manifest) -> Any:
        contract = json.loads(json.dumps(dict(manifest.preprocessing or {})))
        assert contract["parameters"][key] != wrong
        contract["parameters"][key] = wrong
        return contract

    return make


def _input_with(**changes: Any) -> Callable[[Manifest], Any]:
    return lambda manifest: (replace(manifest.inputs[0], **changes), *manifest.inputs[1:])


def _golden_of_twin(workshop: Workshop) -> None:
    """The rows of this model with the answers of its twin."""
    path = workshop.folder / "golden.json"
    subject = workshop.subject
    rows = tuple(
        row if row.outputs is None else replace(
            row,
            outputs=tuple(
                np.asarray(answer, np.float32).ravel()[::stride]
                for answer, stride in zip(
                    subject.twin.call(subject.golden.inputs_for([row.recipe])),
                    subject.golden.strides or (1,) * len(subject.golden.output_specs), strict=True,
                )
            ),
        )
        for row in subject.golden.rows
    )  # fmt: skip
    path.write_text(replace(subject.golden, rows=rows).to_json(), encoding="utf-8")
