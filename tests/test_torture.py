"""The page on reliability says what was measured, and what was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import __main__ as torture
from tests.torture import table
from tests.torture.table import ROWS, Measured

ROWS_OF_THE_PROMISE = {
    "hostile model files", "fuzzing", "every byte counts", "dying", "republishing under load",
    "the server", "headers", "supply chain",
}  # fmt: skip


@pytest.fixture
def own_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page and results of the test's own, both empty."""
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text("before\n<!-- table -->\nold\n<!-- /table -->\nafter\n")
    results.write_text("{}\n")
    monkeypatch.setattr(table, "PAGE", page)
    monkeypatch.setattr(table, "RESULTS", results)
    (tmp_path / "fuzzing.py").touch()
    return page


def test_every_row_stands_on_the_page_measured_or_named_as_not_measured() -> None:
    assert {row.name for row in ROWS} == ROWS_OF_THE_PROMISE
    lines = table.page_table().splitlines()[2:]
    assert len(lines) == len(ROWS)
    for row, line in zip(ROWS, lines, strict=True):
        assert line.startswith(f"| **{row.name}** |")
        assert (row.module in table.tracked()) != ("| not measured |" in line)


def test_the_table_of_the_page_is_that_of_the_tracked_results() -> None:
    assert table.page_table() == table.markdown(table.tracked())
    assert set(table.tracked()) <= {row.module for row in ROWS}


def test_a_row_is_written_as_it_was_measured(own_page: Path) -> None:
    found = Measured({"mutations": 100_000, "crashes": 0})
    assert torture.run(["fuzzing"], lambda _: found) == 0
    assert table.tracked() == {"fuzzing": found}
    assert "| mutations: 100,000; crashes: 0 |" in own_page.read_text()
    assert own_page.read_text().count("| not measured |") == len(ROWS) - 1


def test_a_goal_that_is_missed_is_said_and_fails_the_run(own_page: Path) -> None:
    found = Measured({"crashes": 2}, ("2 mutations crashed",))
    assert torture.run(["fuzzing"], lambda _: found) == 1
    assert "crashes: 2. **Falls short:** 2 mutations crashed |" in own_page.read_text()


@pytest.mark.parametrize(("name", "said"), [("wishing", "no row wishing"), ("dying", "nothing")])
def test_a_row_that_is_unknown_or_has_no_module_is_an_error(
    own_page: Path, name: str, said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        torture.run([name], lambda _: Measured({}))
