"""The checks of other tools, as their published defaults have them.

Each is its tool's rule on its tool's kind of input, applied to the same artefacts in the same
runtimes as ours; what a check never looks at (labels, preprocessing, golden answers, the bits of
weights) it cannot notice. Read on 2026-11-20:

- Keras: keras/src/export/onnx_test.py: normal(size=3 samples), `assertAllClose` with rtol and atol
  1e-6 (1e-5 for a recurrent model) on the first output; twice the batch must run.
- Optimum: optimum-onnx, exporters/onnx/convert.py, `validate_model_outputs`: one dummy batch of 2,
  uniform in 0..1; `np.allclose(atol=ATOL_FOR_VALIDATION)`, 1e-5, NumPy's rtol of 1e-5; shapes.
- Polygraphy: `Comparator.compare_accuracy` with `CompareFunc.simple()`: rtol and atol 1e-5,
  elementwise; the `DataLoader` gives one iteration, free dimensions 1, uniform in 0..1.
- tf2onnx: tests/backend_test_base.py, `run_test_case`: rtol 1e-7, atol 1e-5, dtypes and shapes; one
  input of the test's own, here a uniform one of batch 1.
- TF.js: tfjs-core/src/test_util.ts, `expectArraysClose`: 1e-3, absolute; two values that are not
  finite are equal; an input of the test's own, here a uniform one of batch 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.mutations.subjects import Subject, uniform

Outputs = Sequence[np.ndarray]


@dataclass(frozen=True)
class Peer:
    """One tool's check.

    Attributes:
        inputs: What it feeds, per subject.
        accepts: Whether it takes `found` (second) for `expected` (first).
        doubled: It also runs a batch twice as large, whatever comes out.
    """

    name: str
    inputs: Callable[[Subject], list[np.ndarray]]
    accepts: Callable[[Subject, Outputs, Outputs], bool]
    doubled: bool = False


def _normal(subject: Subject) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [
        generator.normal(size=(3, *shape[1:])).astype(np.float32)  # type: ignore[misc]
        for shape in subject.source.shapes
    ]


def _close(expected: np.ndarray, found: np.ndarray, rtol: float, atol: float) -> bool:
    return expected.shape == found.shape and np.allclose(found, expected, rtol=rtol, atol=atol)


def _keras(subject: Subject, expected: Outputs, found: Outputs) -> bool:
    tolerance = 1e-5 if subject.name == "recurrent" else 1e-6
    # assert_allclose takes NaN at the same place for equal; Keras gives none here.
    return _close(expected[0], found[0], tolerance, tolerance)


def _every(rtol: float, atol: float) -> Callable[[Subject, Outputs, Outputs], bool]:
    def accepts(_: Subject, expected: Outputs, found: Outputs) -> bool:
        return all(_close(e, f, rtol, atol) for e, f in zip(expected, found, strict=True))

    return accepts


def _tfjs(_: Subject, expected: Outputs, found: Outputs) -> bool:
    for e, f in zip(expected, found, strict=True):
        if e.size != f.size:
            return False
        e, f = e.ravel(), f.ravel()
        neither = ~np.isfinite(e) & ~np.isfinite(f)
        if not (neither | (np.abs(e - f) <= 1e-3)).all():
            return False
    return True


PEERS = (
    Peer("Keras", _normal, _keras, doubled=True),
    Peer("Optimum", lambda s: uniform(s, 2, 0), _every(1e-5, 1e-5)),
    Peer("Polygraphy", lambda s: uniform(s, 1, 1), _every(1e-5, 1e-5)),
    Peer("tf2onnx", lambda s: uniform(s, 1, 2), _every(1e-7, 1e-5)),
    Peer("TF.js", lambda s: uniform(s, 1, 3), _tfjs),
)
