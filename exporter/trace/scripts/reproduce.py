"""Show the difference between an ONNX file and Keras: `python reproduce.py`.

Needs numpy and onnxruntime; with `--keras` also keras and tensorflow, to compute what is expected
anew from model.keras. Exit code 1 while the difference is there, 0 when it is gone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def expected_of(case: dict[str, Any], inputs: list[np.ndarray], shape: tuple[int, ...]) -> Any:
    """What Keras answers, in the axes of the ONNX file."""
    import keras

    turned = [x.transpose(item["keras_axes"]) for x, item in zip(inputs, case["inputs"])]  # noqa: B905
    model = keras.saving.load_model(HERE / "model.keras")
    answer = np.asarray(model(turned if len(turned) > 1 else turned[0], training=False))
    return answer if answer.shape == shape else None


def main() -> int:
    """Run, compare, tell."""
    import onnxruntime

    case = json.loads((HERE / "case.json").read_text(encoding="utf-8"))
    inputs = [np.load(HERE / item["file"]) for item in case["inputs"]]
    session = onnxruntime.InferenceSession(str(HERE / case["path"]))
    names = [item["name"] for item in case["inputs"]]
    (got,) = session.run([case["output"]], dict(zip(names, inputs)))  # noqa: B905
    expected = np.load(HERE / "expected.npy")
    if "--keras" in sys.argv:
        anew = expected_of(case, inputs, expected.shape)
        if anew is None:
            print("Keras has its axes in another order here: see case.json")
        else:
            expected = anew
    error = np.abs(got.astype(np.float64) - expected)
    place = tuple(int(i) for i in np.unravel_index(int(error.argmax()), error.shape))
    print(
        f"onnxruntime {onnxruntime.__version__}: largest difference {error[place]:.6g} at {place}"
    )
    print(f"expected {expected[place]}, got {got[place]}, {case['allowed']:.3g} allowed")
    return int(not error[place] <= case["allowed"])


if __name__ == "__main__":
    sys.exit(main())
