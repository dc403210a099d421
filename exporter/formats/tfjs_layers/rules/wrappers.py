"""TimeDistributed: each of the layers that stand for the inner one is distributed by itself.

TimeDistributed(f(g(x))) is TimeDistributed(f)(TimeDistributed(g)(x)); so the inner layer may be a
model, or need several layers of TF.js.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.formats.tfjs_layers.graph import LayerWeight, Shape, Tensor
from exporter.formats.tfjs_layers.masks import MERGING
from exporter.formats.tfjs_layers.writer import Writer


@dataclass(eq=False)
class StepTensor(Tensor):
    """One step of a tensor that has steps.

    Attributes:
        whole: The tensor with its steps on axis 1.
    """

    whole: Tensor | None = None


def step_of(whole: Tensor) -> StepTensor:
    """What the inner layer sees of `whole`."""
    shape = (whole.shape[0], *whole.shape[2:])
    return StepTensor(shape, whole.dtype, whole.call, whole.index, whole=whole)


def whole_of(step: Tensor) -> Tensor:
    """The tensor with steps."""
    assert isinstance(step, StepTensor)
    assert step.whole is not None
    return step.whole


class StepWriter(Writer):
    """Writes for one step; what it writes is distributed over the steps by `outer`."""

    def __init__(self, outer: Writer, keras_layer: Any, path: str, steps: int | None) -> None:
        super().__init__(outer._book, keras_layer, path)
        self._outer = outer
        self._steps = steps

    def emit_many(
        self,
        class_name: str,
        inputs: Sequence[Tensor],
        config: Mapping[str, Any],
        shapes: Sequence[Shape],
        weights: Sequence[LayerWeight] = (),
        role: str = "",
        dtype: str = "float32",
    ) -> list[Tensor]:
        """Emit the layer inside TimeDistributed; merges of equal ranks need none."""
        if len(shapes) > 1:
            self.refuse("several outputs, which TF.js' TimeDistributed cannot")
        wholes = [whole_of(step) for step in inputs]
        shape = (shapes[0][0], self._steps, *shapes[0][1:])
        outer_role = self._role(role)
        if len(wholes) > 1:
            if class_name not in MERGING or len({len(x.shape) for x in wholes}) > 1:
                self.refuse(f"{class_name} of several tensors, which TF.js cannot distribute")
            options = {"axis": config["axis"] + 1} if "axis" in config else {}
            outputs = self._outer.emit_many(class_name, wholes, options, [shape], (), outer_role)
        else:
            inner = {"class_name": class_name, "config": {"name": "step", **config}}
            outputs = self._outer.emit_many(
                "TimeDistributed", wholes, {"layer": inner}, [shape], weights, outer_role, dtype
            )
        return [step_of(outputs[0])]

    def _role(self, role: str) -> str:
        """The role as the outer layer counts them: "" for the innermost main layer only."""
        inner = self.path.removeprefix(self._outer.path).strip("/")
        inner = inner.split("/", 1)[1] if "/" in inner else ""
        return "/".join(part for part in (inner, role) if part)

    def part(self, keras_layer: Any, path: str) -> Writer:
        """A writer for another layer within the same step."""
        return StepWriter(self._outer, keras_layer, path, self._steps)


def write_time_distributed(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """TimeDistributed over a layer or a model of one input and one output."""
    inner = layer.layer
    if w.mask is not None and getattr(inner, "_call_has_mask_arg", False):
        w.refuse(f"a mask that reaches {type(inner).__name__} inside, which TF.js gets wrong")
    writer = StepWriter(w, inner, f"{w.path}/{inner.name}", x.shape[1])
    return whole_of(w.write_layer(writer, step_of(x)))
