"""Wrong exports are noticed, all of them, and the tracked table says what is measured."""

from __future__ import annotations

import numpy as np
import pytest

from tests.mutations import __main__ as table
from tests.mutations import mutants
from tests.mutations.peers import PEERS, Peer
from tests.mutations.scores import BY_ANSWERS, BY_FILES, PRODUCT
from tests.mutations.subjects import Subject

SPREAD = 30


def test_there_are_200_mutants_and_each_was_judged() -> None:
    every = [*table.controls(), *mutants.all_mutants()]
    assert len(mutants.all_mutants()) >= 200
    assert set(table.tracked()) == {mutant.id for mutant in every}


def test_the_product_noticed_every_mutant_and_no_right_export() -> None:
    found = table.tracked()
    for control in table.controls():
        assert not any(found[control.id].values()), control.id
    missed = [mutant.id for mutant in mutants.all_mutants() if not found[mutant.id][PRODUCT]]
    assert missed == []


def test_neither_answers_nor_files_alone_would_do() -> None:
    found = table.tracked()
    for gates in (BY_ANSWERS, BY_FILES):
        assert not all(found[mutant.id][gates] for mutant in mutants.all_mutants())


def test_the_table_of_the_docs_is_that_of_the_tracked_scores() -> None:
    assert table.page_table() == table.table(table.tracked())


def test_a_spread_of_mutants_is_judged_as_the_table_says() -> None:
    chosen = mutants.spread(SPREAD)
    assert len({mutant.kind for mutant in chosen}) >= 20
    chosen += [table.controls()[i] for i in (0, 4, 8)]
    expected = table.tracked()
    assert table.measure(chosen) == {mutant.id: expected[mutant.id] for mutant in chosen}


@pytest.mark.slow
def test_every_mutant_is_judged_as_the_table_says() -> None:
    assert table.measure([*table.controls(), *mutants.all_mutants()]) == table.tracked()


@pytest.mark.parametrize(
    ("peer", "accepted", "refused"),
    [
        (PEERS[0], 1.5e-6, 2.5e-6),
        (PEERS[1], 1.5e-5, 2.5e-5),
        (PEERS[2], 1.5e-5, 2.5e-5),
        (PEERS[3], 0.9e-5, 1.2e-5),
        (PEERS[4], 0.9e-3, 1.1e-3),
    ],
    ids=[peer.name for peer in PEERS],
)
def test_a_peers_tolerance_is_its_published_one(
    peer: Peer, accepted: float, refused: float
) -> None:
    subject = object.__new__(Subject)
    object.__setattr__(subject, "name", "mlp")
    expected = [np.ones((2, 3))]
    assert peer.accepts(subject, expected, [expected[0] + accepted])
    assert not peer.accepts(subject, expected, [expected[0] + refused])
    assert not peer.accepts(subject, expected, [np.ones((2, 4))])
