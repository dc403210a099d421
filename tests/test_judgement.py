"""The judge: what is right passes, what is wrong fails, and nothing passes on no evidence."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.gates import Gate, gate_for
from exporter.judgement import Judgement, judge
from exporter.parity import ParityReport, Row, Samples

RNG = np.random.default_rng(7)
FLOAT32 = gate_for("float32", "cpu", pictures=False)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def classifier(rows: int = 40, **details: object) -> Samples:
    oracle = softmax(RNG.normal(size=(rows, 10)) * 3)
    reference = oracle.astype(np.float32)
    inputs = (RNG.normal(size=(rows, 4)).astype(np.float32),)
    return Samples("some", inputs, (reference,), (oracle,), **details)  # type: ignore[arg-type]


def regression(rows: int = 40, scale: float = 1.0) -> Samples:
    oracle = RNG.normal(size=(rows, 3)) * scale
    inputs = (RNG.normal(size=(rows, 4)).astype(np.float32),)
    return Samples("some", inputs, (oracle.astype(np.float32),), (oracle,))


def judge_found(samples: Samples, found: np.ndarray, gate: Gate = FLOAT32) -> Judgement:
    meaning = "probabilities" if samples.reference[0].shape[1] == 10 else "values"
    return judge(samples, [found], [meaning], gate)


def test_the_same_answers_pass() -> None:
    samples = classifier()
    judgement = judge_found(samples, samples.reference[0].copy())
    assert (judgement.status, judgement.max_abs, judgement.samples) == ("passed", 0.0, 40)
    assert judgement.top1_agreement == 1.0


def test_errors_are_told_against_keras_and_against_the_oracle() -> None:
    oracle = np.array([[0.25, 0.75], [0.5, 0.5]])
    reference = oracle + np.array([[0.0, 0.25], [0.0, 0.0]])
    found = oracle + np.array([[0.5, 0.0], [0.0, 0.0]])
    samples = Samples("some", (np.zeros((2, 1)),), (reference,), (oracle,))
    judgement = judge(samples, [found], ["values"], FLOAT32)
    assert (judgement.max_abs, judgement.mean_abs) == (0.5, 0.1875)
    assert (judgement.oracle_max_abs, judgement.oracle_mean_abs) == (0.5, 0.125)


@pytest.mark.parametrize(("delta", "status"), [(4e-6, "passed"), (7e-6, "failed")])
def test_float32_probabilities_are_gated_at_5e_6(delta: float, status: str) -> None:
    samples = classifier()
    found = samples.reference[0].copy()
    found[3, 4] += np.float32(delta)
    assert judge_found(samples, found).status == status


def test_four_times_keras_own_error_is_allowed() -> None:
    samples = classifier()
    oracle = samples.oracle[0].copy()
    oracle[0, 0] += 1e-5  # Keras itself is off by 1e-5 somewhere
    worse = Samples("some", samples.inputs, samples.reference, (oracle,))
    found = samples.reference[0].copy()
    found[3, 4] += np.float32(3e-5)
    assert judge_found(samples, found).status == "failed"
    assert judge_found(worse, found).status == "passed"
    found[3, 4] += np.float32(3e-5)
    assert judge_found(worse, found).status == "failed"


def test_keras_own_error_on_one_edge_input_does_not_excuse_another_sample() -> None:
    reference = np.array([[0.5, 1.0], [4e30, 1e30]], np.float32)
    oracle = reference.astype(np.float64)
    oracle[1, 0] *= 1.01
    inputs = (np.zeros((2, 1), np.float32),)
    found = reference + np.array([[0.01, 0], [0, 0]], np.float32)
    alone = Samples("edge", inputs, (reference,), (oracle,), each_alone=True)
    assert judge(alone, [found], ["values"], FLOAT32).status == "failed"
    assert judge(alone, [reference], ["values"], FLOAT32).status == "passed"


@pytest.mark.parametrize(
    ("moved", "delta", "status"),
    [(1e-4, 2e-4, "passed"), (1e-4, 5e-4, "failed"), (1.0, 2e-3, "passed"), (1.0, 1e-2, "failed")],
)
def test_a_sample_alone_may_be_off_as_keras_alone_is_within_a_bound(
    moved: float, delta: float, status: str
) -> None:
    """Four times what Keras itself is off alone, which counts up to 1e-5 of 100."""
    oracle = np.array([[100.0, 1.0, -3.0]])
    alone = oracle + moved * np.array([[0.0, 1.0, 0.0]])
    inputs = (np.zeros((1, 4), np.float32),)
    samples = Samples("edge", inputs, (oracle,), (oracle,), each_alone=True, alone=(alone,))
    found = oracle + delta * np.array([[0.0, 0.0, 1.0]])
    assert judge(samples, [found], ["values"], FLOAT32).status == status
    without = Samples("edge", inputs, (oracle,), (oracle,), each_alone=True)
    assert judge(without, [found], ["values"], FLOAT32).status == "failed"


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_values_are_gated_relative_to_their_magnitude(scale: float) -> None:
    samples = regression(scale=scale)
    largest = float(np.abs(samples.reference[0]).max())
    near, far = samples.reference[0].copy(), samples.reference[0].copy()
    place = np.unravel_index(np.abs(near).argmax(), near.shape)
    near[place] += np.float32(min(1.5e-6 * largest, 1e-5))
    far[place] += np.float32(max(4e-6 * largest, 1e-8))
    assert judge_found(samples, near).status == "passed"
    assert judge_found(samples, far).status == "failed"


def test_a_runtime_may_take_subnormal_numbers_as_zero_but_no_larger_ones() -> None:
    for magnitude, status in ((4e-40, "passed"), (4e-20, "failed")):
        reference = np.full((3, 2), magnitude, np.float32)
        samples = Samples("edge", (np.zeros((3, 1)),), (reference,), (reference,))
        judgement = judge(samples, [np.zeros_like(reference)], ["values"], FLOAT32)
        assert judgement.status == status


@pytest.mark.parametrize("width", [1, 3])
def test_to_answer_as_keras_does_is_right_where_keras_leaves_the_oracle(width: int) -> None:
    oracle = np.array([[0.1, 0.5, 0.9][:width]], np.float64)
    reference = np.array([[0.9, 0.5, 0.1][:width]], np.float32)
    samples = Samples("edge", (np.zeros((1, 1), np.float32),), (reference,), (oracle,))
    like_keras = judge(samples, [reference.copy()], ["probabilities"], FLOAT32)
    assert (like_keras.status, like_keras.top1_agreement) == ("passed", 1.0)
    neither = np.array([[0.2, 0.9, 0.1]], np.float32)
    if width == 3:
        assert judge(samples, [neither], ["probabilities"], FLOAT32).flips


def test_two_swapped_units_fail() -> None:
    samples = classifier()
    found = samples.reference[0][:, [1, 0, *range(2, 10)]]
    judgement = judge_found(samples, found)
    assert judgement.status == "failed"
    assert judgement.flips


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", ["float32", "float16", "uint8", "int8"])
def test_what_is_not_finite_never_equals_a_number(bad: float, precision: str) -> None:
    samples = classifier()
    found = samples.reference[0].copy()
    found[5, int(found[5].argmin())] = bad
    judgement = judge_found(samples, found, gate_for(precision, "cpu", pictures=False))
    assert judgement.status == "failed"
    assert "sample 5" in judgement.reason


def test_a_report_of_files_that_were_read_is_no_proof() -> None:
    rows = tuple(
        Row("onnx", "float32", reader, "file", reader, 1, "passed", samples=3)
        for reader in ("weights", "manifest", "golden.json")
    )
    unrun = Row("onnx", "float32", "tfjs-browser", "wasm", "all", 1, "not_run", "no browser")
    assert "nothing was compared" in str(ParityReport("some", (*rows, unrun)).verdict())
    ran = Row("onnx", "float32", "onnxruntime", "cpu", "golden/noise", 1, "passed", samples=8)
    assert ParityReport("some", (*rows, unrun, ran)).verdict() is None


def test_nan_in_both_is_no_agreement() -> None:
    nothing = np.full((3, 10), np.nan, np.float32)
    samples = Samples("some", (np.zeros((3, 1)),), (nothing,), (nothing,))
    judgement = judge_found(samples, nothing)
    assert judgement.status == "failed"
    assert "nothing was compared" in judgement.reason


def test_no_samples_fail() -> None:
    judgement = judge_found(classifier(rows=0), np.zeros((0, 10), np.float32))
    assert (judgement.status, judgement.samples) == ("failed", 0)


def test_a_wrong_shape_count_or_kind_fails() -> None:
    samples = classifier()
    right = samples.reference[0]
    assert "shape" in judge_found(samples, right[:, :9]).reason
    assert "shape" in judge_found(samples, right[:39]).reason
    assert "expected" in judge_found(samples, right.astype(np.int32)).reason
    two = judge(samples, [right, right], ["probabilities", "probabilities"], FLOAT32)
    assert "1 outputs expected, 2 found" in two.reason


def test_integer_outputs_must_be_equal() -> None:
    numbers = np.arange(12, dtype=np.int64).reshape(4, 3)
    samples = Samples("some", (np.zeros((4, 1)),), (numbers,), (numbers,))
    assert judge(samples, [numbers.astype(np.int32)], ["values"], FLOAT32).status == "passed"
    assert judge(samples, [numbers.astype(np.int32) + 1], ["values"], FLOAT32).status == "failed"


def test_a_flip_on_a_wide_margin_fails_where_the_numbers_are_not_gated() -> None:
    oracle = np.tile(softmax(np.array([2.0, 1, 0, 0, 0, 0, 0, 0, 0, 0])), (30, 1))
    reference = oracle.astype(np.float32)
    samples = Samples("noise", (np.zeros((30, 1)),), (reference,), (oracle,))
    found = reference.copy()
    found[7, :2] = found[7, 1::-1]
    judgement = judge_found(samples, found, gate_for("uint8", "cpu", pictures=False))
    assert judgement.status == "failed"
    assert [(f.sample, f.expected, f.found) for f in judgement.flips] == [(7, 0, 1)]


@pytest.mark.parametrize(("flipped", "status"), [(2, "passed"), (3, "failed")])
def test_8_bit_precisions_agree_on_99_8_percent_of_pictures(flipped: int, status: str) -> None:
    samples = classifier(rows=1000, pictures=True)
    found = samples.reference[0].copy()
    for row in range(flipped):
        found[row] = np.roll(found[row], 1)
    gate = gate_for("uint8", "cpu", pictures=True)
    judgement = judge_found(samples, found, gate)
    assert judgement.status == status
    assert judgement.top1_agreement == 1 - flipped / 1000


def test_lost_accuracy_fails_even_where_agreement_holds() -> None:
    samples = classifier(rows=1000, pictures=True)
    right = samples.oracle[0].argmax(-1)
    labelled = Samples(
        "digits", samples.inputs, samples.reference, samples.oracle, True, right
    )  # fmt: skip
    found = samples.reference[0].copy()
    for row in range(2):
        found[row] = np.roll(found[row], 1)
    judgement = judge_found(labelled, found, gate_for("uint8", "cpu", pictures=True))
    assert judgement.status == "failed"
    assert "accuracy" in judgement.reason


@pytest.mark.parametrize(("near_ties", "status"), [(True, "passed"), (False, "failed")])
def test_float16_may_flip_what_was_made_to_be_nearly_a_tie(near_ties: bool, status: str) -> None:
    oracle = np.tile([0.505, 0.495, *[0.0] * 8], (30, 1))
    reference = oracle.astype(np.float32)
    samples = Samples("tie", (np.zeros((30, 1)),), (reference,), (oracle,), near_ties=near_ties)
    found = reference.copy()
    found[7, :2] = found[7, 1::-1]
    gate = gate_for("float16", "cpu", pictures=False, near_ties=near_ties)
    assert judge_found(samples, found, gate).status == status


def test_gpu_backends_have_their_own_gate_with_a_ceiling() -> None:
    gate = gate_for("float32", "webgl", pictures=False)
    samples = classifier()
    found = samples.reference[0].copy()
    found[3, 4] += np.float32(5e-5)
    assert judge_found(samples, found, gate).status == "passed"
    oracle = samples.oracle[0].copy()
    oracle[0, 0] += 0.1  # Keras off by far: the ceiling still holds
    worse = Samples("some", samples.inputs, samples.reference, (oracle,))
    found[3, 4] += np.float32(2e-3)
    assert judge_found(worse, found, gate).status == "failed"


def test_the_histogram_counts_every_value() -> None:
    samples = classifier()
    found = samples.reference[0].copy()
    found[0, 0] = np.nan
    assert sum(judge_found(samples, found).histogram) == found.size


ROW = Row("onnx", "float32", "onnxruntime", "cpu", "golden/noise", 1, "passed", samples=3)
FAILED = Row("onnx", "float32", "onnxruntime", "cpu", "golden/noise", 1, "failed", "off by 1")
NOT_RUN = Row("onnx", "float32", "x", "cpu", "golden/noise", 1, "not_run", "no x; install x")


def test_a_report_without_a_row_that_ran_is_no_proof() -> None:
    for rows in ((), (NOT_RUN,)):
        verdict = ParityReport("m", rows).verdict()
        assert verdict is not None
        assert "no proof" in verdict


def test_one_failed_row_is_a_failure_that_names_it() -> None:
    verdict = ParityReport("m", (ROW, FAILED)).verdict()
    assert verdict is not None
    assert "onnx/float32 on onnxruntime cpu" in verdict
    assert "off by 1" in verdict


def test_a_row_that_was_not_run_fails_only_when_strict() -> None:
    report = ParityReport("m", (ROW, NOT_RUN))
    assert report.verdict() is None
    assert "install x" in (report.verdict(strict=True) or "")


def test_a_saturated_tie_is_no_flip_for_a_share_and_a_clear_answer_is() -> None:
    oracle = np.array([[1e-30, 2e-30, 0], [0.9, 0.05, 0.05]])
    samples = Samples("noise", (np.zeros((2, 1)),), (oracle.astype(np.float32),), (oracle,))
    gate = gate_for("float16", "cpu", pictures=False)
    found = np.array([[1e-30, 0, 0], [0.9, 0.05, 0.05]], np.float32)
    assert judge(samples, [found], ["probabilities"], gate).status == "passed"
    clear = np.array([[0.5, 0.498, 0.002]])
    samples = Samples("noise", (np.zeros((1, 1)),), (clear.astype(np.float32),), (clear,))
    judgement = judge(samples, [clear[:, [1, 0, 2]].astype(np.float32)], ["probabilities"], gate)
    assert "top-1 agrees on 0.000%" in judgement.reason


@pytest.mark.parametrize(
    ("count", "margin", "golden", "status"),
    [
        (256, 0.05, False, "passed"),
        (256, 0.2, False, "failed"),
        (256, 0.05, True, "failed"),
        (2000, 0.2, False, "passed"),
    ],
)
def test_of_few_samples_of_a_data_set_one_narrow_answer_may_differ(
    count: int, margin: float, golden: bool, status: str
) -> None:
    oracle = np.tile([0.9, 0.1], (count, 1))
    oracle[3] = [0.5 + margin / 2, 0.5 - margin / 2]
    found = oracle.astype(np.float32)
    found[3] = found[3, ::-1]
    samples = Samples(
        "own-test", (np.zeros((count, 1)),), (oracle.astype(np.float32),), (oracle,),
        pictures=True, labels=np.zeros(count, np.int64), golden=golden,
    )  # fmt: skip
    gate = gate_for("uint8", "cpu", pictures=True)
    assert judge(samples, [found], ["probabilities"], gate).status == status
    found[7] = found[7, ::-1]
    if count < 500:
        assert judge(samples, [found], ["probabilities"], gate).status == "failed"
