"""The plan of one artefact on one backend: which samples, at which batch sizes, how many.

Owns what a row may cost. A plan fits its budget: a big model is given fewer samples, a GPU (in
software, where a parity run has no other) a sample of a data set, and the row says so. May import
`exporter.parity` and `exporter.gates`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter import gates
from exporter.parity import Samples

BATCHES = (1, 7, 256)
DATA_BATCH = 256
GPU_SAMPLES = 256
"""How many samples of a data set a GPU is given."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One set of samples at one batch size.

    Attributes:
        count: How many samples, from the first on and starting over where there are fewer.
        note: Why it is not all of them; empty where it is.
    """

    samples: Samples
    batch: int
    count: int
    note: str = ""


def plan(
    sample_sets: Sequence[Samples],
    precision: str,
    backend: str,
    *,
    fixed_batch: int | None,
    seconds_of: Callable[[int], float],
    budget_seconds: float,
) -> list[Turn]:
    """The turns of one artefact on one backend, within the budget.

    Args:
        sample_sets: All there are.
        precision: Of the artefact.
        backend: Of the runtime.
        fixed_batch: The only batch size that the model takes, if it is so.
        seconds_of: What one call costs at a batch size.
        budget_seconds: For all turns together.
    """
    turns = [
        turn for samples in sample_sets for turn in _turns(samples, precision, backend, fixed_batch)
    ]
    cost = sum(-(-turn.count // turn.batch) * seconds_of(turn.batch) for turn in turns)
    share = min(1.0, budget_seconds / max(cost, 1e-9))
    if len(turns) * seconds_of(fixed_batch or 1) > budget_seconds:  # not even a call of each fits
        turns, share = _one_each(turns, seconds_of, budget_seconds), 0.0
    return [_within(turn, share, fixed_batch) for turn in turns]


def _one_each(
    turns: Sequence[Turn], seconds_of: Callable[[int], float], budget_seconds: float
) -> list[Turn]:
    """One turn of each set at the smallest batch size; of the first at the next, if it fits."""
    by_set: dict[str, list[Turn]] = {}
    for turn in turns:
        by_set.setdefault(turn.samples.name, []).append(turn)
    first, *_ = by_set.values() or ([],)
    for turn in first[1:2]:
        if seconds_of(turn.batch) <= budget_seconds:
            samples = turn.samples.taken(turn.batch)
            note = f"at batch {turn.batch:,} alone: more would take too long"
            first[:] = [Turn(samples, turn.batch, turn.batch, note)]
    return [mine[0] for mine in by_set.values()]


def _turns(samples: Samples, precision: str, backend: str, fixed_batch: int | None) -> list[Turn]:
    if backend in gates.HALF_BACKENDS and samples.each_alone:
        return []  # edge inputs up to 1e30: no 16-bit float holds them
    if precision in gates.BOUNDED_PRECISIONS and samples.each_alone:
        samples = samples.within_ranges()
        if not samples.count:
            return []
    only_1 = gates.gate_for(precision, backend, pictures=samples.pictures).only_batch_1
    if samples.golden:
        batches = (fixed_batch,) if fixed_batch else (1,) if only_1 else BATCHES
        # A batch larger than the set is filled by repeating it.
        return [Turn(samples, batch, max(samples.count, batch)) for batch in batches]
    # A data set is large enough to be run once.
    batch = fixed_batch or (1 if only_1 else DATA_BATCH)
    if backend in gates.GPU_BACKENDS and samples.count > GPU_SAMPLES:
        note = f"the first {GPU_SAMPLES} of {samples.count:,}: a GPU is given a sample"
        return [Turn(samples, batch, GPU_SAMPLES, note)]
    return [Turn(samples, batch, samples.count)]


def _within(turn: Turn, share: float, fixed_batch: int | None) -> Turn:
    allowed = max(1, int(turn.count * share))
    if allowed == turn.count or turn.note.startswith("at batch"):
        return turn
    note = turn.note
    batch = fixed_batch or min(turn.batch, allowed)
    if allowed < turn.samples.count:
        note = f"the first {allowed:,} of {turn.samples.count:,}: more would take too long"
    elif batch < turn.batch:
        note = f"at batch {batch:,} instead of {turn.batch:,}: more would take too long"
    return Turn(turn.samples, batch, allowed, note)
