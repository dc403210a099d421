"""Publishing: the old bundle whole or the new one whole, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter import publish
from exporter.errors import PublishFailed


def write(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    (folder / "part").mkdir(exist_ok=True)
    (folder / "part" / "file").write_text(text)


def test_a_block_that_ends_well_publishes_and_leaves_nothing_else(tmp_path: Path) -> None:
    with publish.staged(tmp_path / "bundle") as staging:
        write(staging, "one")
    assert (tmp_path / "bundle" / "part" / "file").read_text() == "one"
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_second_publication_replaces_the_first_wholly(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with publish.staged(target) as staging:
        write(staging, "one")
        (staging / "only-in-one").write_text("")
    with publish.staged(target) as staging:
        write(staging, "two")
    assert sorted(os.listdir(target)) == ["manifest.json", "part"]
    assert (target / "manifest.json").read_text() == "two"
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_block_that_raises_leaves_the_old_bundle_and_no_staging(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with publish.staged(target) as staging:
        write(staging, "one")
    with pytest.raises(ZeroDivisionError), publish.staged(target) as staging:
        write(staging, "two")
        raise ZeroDivisionError
    assert (target / "manifest.json").read_text() == "one"
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(PublishFailed, match="no bundle"), publish.staged(precious):
        pass
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_a_web_apps_folder_is_no_bundle_though_it_has_a_manifest(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "manifest.json").write_text('{"name": "my app", "icons": []}')
    with pytest.raises(PublishFailed, match="no bundle"), publish.staged(app):
        pass
    assert (app / "manifest.json").exists()


def test_a_name_with_brackets_is_swept_too(tmp_path: Path) -> None:
    leftover = tmp_path / ".m[1].staging-x"
    leftover.mkdir()
    assert publish.sweep(tmp_path / "m[1]") == [leftover]


def test_what_others_put_there_during_an_export_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    with pytest.raises(PublishFailed, match="no bundle"), publish.staged(target) as staging:
        write(staging, "one")
        target.mkdir()
        (target / "thesis.txt").write_text("years of work")
    assert (target / "thesis.txt").read_text() == "years of work"
    other, link = tmp_path / "other", tmp_path / "link"
    other.mkdir()
    with pytest.raises(PublishFailed, match="link"), publish.staged(link) as staging:
        write(staging, "one")
        link.symlink_to(other)
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "other", "precious"]


def test_what_is_no_folder_is_not_swept(tmp_path: Path) -> None:
    names = [".bundle.staging-file", ".bundle.staging-link"]
    (tmp_path / names[0]).write_text("mine")
    (tmp_path / names[1]).symlink_to(tmp_path)
    assert publish.sweep(tmp_path / "bundle") == []
    with publish.staged(tmp_path / "bundle") as staging:
        write(staging, "one")
    assert sorted(os.listdir(tmp_path)) == [*names, "bundle"]


def test_dates_are_given_before_files_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: dict[str, int] = {}
    flush = publish._flush

    def noted(path: Path) -> None:
        flush(path)
        flushed[path.name] = path.stat().st_mtime_ns

    for text in ("one", "two"):
        monkeypatch.setattr(publish, "_flush", noted)
        with publish.staged(tmp_path / "bundle") as staging:
            write(staging, text)
        found = (tmp_path / "bundle" / "manifest.json").stat().st_mtime_ns
        assert flushed["manifest.json"] == found


def test_a_link_or_a_file_as_target_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(PublishFailed, match="a folder expected"):
            with publish.staged(tmp_path / name):
                pass


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishFailed, match="file"), publish.staged(tmp_path / "file" / "bundle"):
        pass


CHILD = """
import sys, time
from pathlib import Path
from exporter import publish
with publish.staged(Path(sys.argv[1])) as staging:
    (staging / "manifest.json").write_text("two")
    print("staged", flush=True)
    time.sleep(60)
"""


def _spawn(target: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "staged\n"
    return child


def test_what_a_killed_export_left_is_swept_by_the_next_one(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with publish.staged(target) as staging:
        write(staging, "one")
    with _spawn(target) as child:
        child.send_signal(signal.SIGKILL)
    assert (target / "manifest.json").read_text() == "one"
    assert len(os.listdir(tmp_path)) == 2
    with publish.staged(target) as staging:
        write(staging, "three")
    assert os.listdir(tmp_path) == ["bundle"]
    assert (target / "manifest.json").read_text() == "three"


def test_the_staging_folder_of_a_living_export_is_not_swept(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with _spawn(target) as child:
        try:
            assert publish.sweep(target) == []
            assert len(list(tmp_path.glob(".bundle.staging-*"))) == 1
        finally:
            child.kill()
    deadline = time.monotonic() + 5
    while not (removed := publish.sweep(target)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(removed) == 1


def test_readers_see_one_bundle_or_the_other_while_it_is_republished(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with publish.staged(target) as staging:
        write(staging, "0")
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(target)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    for number in range(1, 40):
        with publish.staged(target) as staging:
            write(staging, str(number))
    output, _ = reader.communicate("stop", timeout=20)
    reads, mixed = map(int, output.split())
    assert reads > 20
    assert mixed == 0


READER = """
import os, select, sys
target = sys.argv[1]
print("reading", flush=True)
reads = mixed = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    folder = os.open(target, os.O_RDONLY)   # one bundle, whatever is published meanwhile
    try:
        texts = []
        for name in ("manifest.json", "part/file"):
            with open(os.open(name, os.O_RDONLY, dir_fd=folder)) as stream:
                texts.append(stream.read())
    except FileNotFoundError:
        continue                            # the old bundle, being deleted
    finally:
        os.close(folder)
    reads += 1
    mixed += len(set(texts)) != 1
print(reads, mixed)
"""


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without an atomic exchange of two folders."""
    monkeypatch.setattr(publish, "_exchange", lambda first, second: False)


@pytest.mark.usefixtures("no_exchange")
def test_without_an_atomic_exchange_a_bundle_is_replaced_in_two_steps(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    for text in ("one", "two"):
        with publish.staged(target) as staging:
            write(staging, text)
    assert (target / "part" / "file").read_text() == "two"
    assert os.listdir(tmp_path) == ["bundle"]


def test_what_was_killed_between_the_two_steps_is_put_back(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with publish.staged(target) as staging:
        write(staging, "one")
    target.rename(tmp_path / ".bundle.previous")
    with pytest.raises(ZeroDivisionError), publish.staged(target):
        raise ZeroDivisionError
    assert (target / "part" / "file").read_text() == "one"
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_strangers_folder_of_the_same_names_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "work" / "keras").mkdir(parents=True)
    (tmp_path / "work" / "keras" / "thesis.txt").write_text("years of work")
    with pytest.raises(PublishFailed, match="no bundle"), publish.staged(tmp_path / "work"):
        pass


def test_hosts_that_tell_files_by_size_and_second_can_tell_two_releases(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    dates: dict[str, list[int]] = {"manifest.json": [], "part/file": [], "same": []}
    for text in ("1", "2", "3"):
        with publish.staged(target) as staging:
            write(staging, text)
            (staging / "same").write_text("same")
        for path, seconds in dates.items():
            seconds.append(int((target / path).stat().st_mtime))
    for path in ("manifest.json", "part/file"):
        assert sorted(set(dates[path])) == dates[path], "a second apart, and in order"
    assert len(set(dates["same"])) == 1


def test_who_holds_the_folder_for_ever_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_PATIENCE_S", 0.05)
    with publish._alone(tmp_path):
        with pytest.raises(PublishFailed, match="locked by another process"):
            with publish.staged(tmp_path / "bundle") as staging:
                write(staging, "one")
    assert os.listdir(tmp_path) == []
