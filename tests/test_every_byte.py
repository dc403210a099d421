"""Flipped bytes of a published bundle are found: a spread of them here, each in `make torture`."""

from __future__ import annotations

from pathlib import Path

from exporter.manifest import MANIFEST_NAME, Manifest, verify
from tests.torture import every_byte


def test_a_spread_of_flipped_bytes_is_found_by_verification(own_bundle: Path) -> None:
    manifest = Manifest.read(own_bundle)
    for file in manifest.all_files():
        step = max(1, file.size_bytes // 12)
        count, missed = every_byte.missed_by_verify(own_bundle, [file.path], step)
        assert count >= 12
        assert missed == []
    verify(own_bundle)


def test_a_byte_of_the_manifest_that_says_nothing_is_told_apart(own_bundle: Path) -> None:
    path = own_bundle / MANIFEST_NAME
    path.write_text(path.read_text().replace('"name": "tiny"', '"name": "tinz"'))
    verify(own_bundle)


def test_a_spread_of_flipped_bytes_is_found_by_the_player(own_bundle: Path) -> None:
    found = every_byte.by_player_in_node(own_bundle, 997)
    fetched = {path for path, one in found.items() if one["fetched"]}
    assert {MANIFEST_NAME, "golden.json", "tfjs/layers/model.json"} < fetched
    assert not any(path.startswith(("keras/", "README")) for path in fetched)
    for path in fetched - {MANIFEST_NAME}:
        assert found[path]["bytes"] > 0
        assert found[path]["missed"] == []
