"""Compressed answers: the same bytes once they are unpacked, and caches never mix them up."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import FILES, write_bundle
from web import encoding

ACCEPTS = {"Accept-Encoding": "br, gzip;q=0.8"}


@pytest.mark.parametrize("path", ["/", "/player/digit-pad.js", "/models/tiny/manifest.json"])
def test_text_is_compressed_for_who_accepts_it(client: FlaskClient, path: str) -> None:
    plain = client.get(path)
    packed = client.get(path, headers=ACCEPTS)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < 0.6 * len(plain.data)
    for response in (plain, packed):
        assert "Accept-Encoding" in response.headers["Vary"]


@pytest.mark.parametrize("refused", ["identity", "gzip;q=0"])
def test_who_refuses_gets_it_plain(client: FlaskClient, refused: str) -> None:
    answer = client.get("/player/digit-pad.js", headers={"Accept-Encoding": refused})
    assert "Content-Encoding" not in answer.headers


def test_weights_are_compressed_where_it_pays(client: FlaskClient, root: Path) -> None:
    shard = "tfjs/layers/group1-shard1of1.bin"
    packed = client.get(f"/models/tiny/{shard}", headers=ACCEPTS)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == FILES[shard]
    noise = random.Random(1).randbytes(5000)
    write_bundle(root / "tiny", FILES | {shard: noise})
    answer = client.get(f"/models/tiny/{shard}", headers=ACCEPTS)
    assert "Content-Encoding" not in answer.headers
    assert answer.data == noise
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_what_takes_long_to_compress_is_not(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "/models/tiny/tfjs/layers/group1-shard1of1.bin"
    monkeypatch.setattr(encoding, "LARGEST_BYTES", 2000)
    assert "Content-Encoding" not in client.get(address, headers=ACCEPTS).headers


def test_parts_stay_as_they_are(client: FlaskClient) -> None:
    part = client.get("/player/digit-pad.js", headers={**ACCEPTS, "Range": "bytes=5-9"})
    assert part.status_code == 206
    assert "Content-Encoding" not in part.headers
    assert part.data == client.get("/player/digit-pad.js").data[5:10]


def test_what_is_in_a_cache_is_confirmed_in_either_form(client: FlaskClient) -> None:
    packed = client.get("/player/digit-pad.js", headers=ACCEPTS)
    plain = client.get("/player/digit-pad.js")
    assert packed.headers["ETag"] == f"W/{plain.headers['ETag']}"
    for tag in (packed.headers["ETag"], plain.headers["ETag"]):
        again = client.get("/player/digit-pad.js", headers={**ACCEPTS, "If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
