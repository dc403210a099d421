"""The runtimes in a real Chromium: what they answer, what they admit, and that they always end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter import runtimes
from exporter.browser import FLAGS
from exporter.errors import RuntimeCrashed, UnsupportedModel
from exporter.manifest import Artifact, Manifest, measure
from exporter.runtimes import chromium
from exporter.runtimes.chromium import HALF, ChromiumEngine, ChromiumSession
from tests.runtimes import handmade

pytestmark = pytest.mark.browser

ROWS = [
    *(("tfjs-browser", backend, format)
      for format in ("tfjs-layers", "tfjs-graph")
      for backend in ("cpu", "wasm", "webgl", HALF, "webgpu")),
    ("onnxruntime-web-browser", "wasm", "onnx"),
    ("onnxruntime-web-browser", "webgpu", "onnx"),
]  # fmt: skip
RAN_ON = {
    ("tfjs-browser", "cpu"): "tfjs 4.22.0 cpu",
    ("tfjs-browser", "wasm"): "tfjs 4.22.0 wasm",
    ("tfjs-browser", "webgl"): "tfjs 4.22.0 webgl on SwiftShader, in software",
    ("tfjs-browser", HALF): "tfjs 4.22.0 webgl with 16-bit textures on SwiftShader, in software",
    ("tfjs-browser", "webgpu"): "tfjs 4.22.0 webgpu on SwiftShader, in software",
    ("onnxruntime-web-browser", "wasm"): "onnxruntime-web 1.30.0 wasm",
    ("onnxruntime-web-browser", "webgpu"): (
        "onnxruntime-web 1.30.0 webgpu on SwiftShader, in software"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def _one_browser(chromium_here: None) -> Iterator[None]:
    """One browser for this module's tests; those that end one start their own."""
    with chromium._SHARED.used():
        yield


def _open(
    directory: Path, runtime: str, backend: str, format: str
) -> tuple[ChromiumEngine, ChromiumSession, Manifest, Artifact]:
    manifest, artifact = handmade.write(directory, format)
    engine = ChromiumEngine(chromium._SHARED, runtimes.get(runtime).player_runtime)
    return engine, engine.open(directory, manifest, artifact, backend), manifest, artifact


@pytest.mark.parametrize(("runtime", "backend", "format"), ROWS)
def test_outputs_come_in_the_manifest_order_and_are_right(
    runtime: str, backend: str, format: str, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, format)
    with runtimes.get(runtime).start() as engine:
        session = engine.open(tmp_path, manifest, artifact, backend)
        found = session.predict([handmade.X])
        session.close()
    assert [array.dtype for array in found] == [np.float32, np.float32]
    for answer, array in zip(handmade.answers(handmade.X), found, strict=True):
        np.testing.assert_allclose(array, answer, atol=1e-6)
    assert session.ran_on == RAN_ON[runtime, backend]


def test_calls_that_travel_together_are_answered_one_by_one_and_in_order(tmp_path: Path) -> None:
    _, session, _, _ = _open(tmp_path, "tfjs-browser", "wasm", "tfjs-layers")
    calls = [[handmade.X[:1]], [handmade.X], [handmade.X[1:3]]]
    answers = list(session.predict_each(calls))
    session.close()
    for (x,), (found, time_ms) in zip(calls, answers, strict=True):
        for answer, array in zip(handmade.answers(x), found, strict=True):
            np.testing.assert_array_equal(array, answer)
        assert 0 < time_ms < 60_000


def test_more_than_a_frame_of_calls_is_sent_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "FRAME_BYTES", 2 * handmade.X.nbytes)
    _, session, _, _ = _open(tmp_path, "tfjs-browser", "cpu", "tfjs-graph")
    answers = list(session.predict_each([[handmade.X + i] for i in range(5)]))
    session.close()
    for i, (found, _) in enumerate(answers):
        np.testing.assert_allclose(found[0], handmade.answers(handmade.X + i)[0], rtol=1e-6)
    assert len(answers) == 5


def test_half_float_textures_really_round_to_sixteen_bits(tmp_path: Path) -> None:
    """1 + 2**-12 is a float32 and no float16."""
    x = np.full((1, 3), 1 + 2.0**-12, np.float32)
    exact = handmade.answers(x)[0]
    errors = {}
    for backend in ("webgl", HALF):
        _, session, _, _ = _open(tmp_path / backend, "tfjs-browser", backend, "tfjs-graph")
        errors[backend] = float(np.abs(session.predict([x])[0] - exact).max())
        session.close()
    assert errors["webgl"] < 1e-6
    assert 1e-5 < errors[HALF] < 1e-2


def test_bytes_fetched_are_code_and_wasm_and_model(tmp_path: Path) -> None:
    _, session, _, artifact = _open(tmp_path, "onnxruntime-web-browser", "wasm", "onnx")
    assert session.bytes_fetched is None
    session.predict([handmade.X])
    first = session.bytes_fetched
    session.predict([handmade.X])
    session.close()
    wasm = (chromium.DIST / "ort-wasm-simd-threaded.wasm").stat().st_size
    assert first == session.bytes_fetched
    assert wasm + artifact.size_bytes < first < wasm + artifact.size_bytes + 500_000


def test_a_wrong_weight_in_the_file_gives_a_wrong_answer(tmp_path: Path) -> None:
    """The page computes with the file's numbers, not with any that it has kept."""
    _, session, _, artifact = _open(tmp_path, "tfjs-browser", "wasm", "tfjs-layers")
    session.close()
    shard = tmp_path / "tfjs/layers/group1-shard1of2.bin"
    data = bytearray(shard.read_bytes())
    data[3] ^= 0x80  # the sign of the first weight
    shard.write_bytes(data)
    changed = replace(artifact, files=measure(tmp_path, [file.path for file in artifact.files]))
    engine = ChromiumEngine(chromium._SHARED, "tfjs")
    session = engine.open(tmp_path, handmade.manifest(tmp_path, changed), changed, "wasm")
    found = session.predict([handmade.X])[0]
    session.close()
    expected = handmade.answers(handmade.X)[0].copy()
    expected[:, 0] -= 2 * handmade.X[:, 0] * handmade.W[0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_file_that_is_not_the_manifests_is_refused_by_name(tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    (tmp_path / "tfjs/layers/group1-shard2of2.bin").write_bytes(b"\0" * 22)
    engine = ChromiumEngine(chromium._SHARED, "tfjs")
    with pytest.raises(RuntimeCrashed, match=r"group1-shard2of2\.bin: sha256 \w+ expected"):
        engine.open(tmp_path, manifest, artifact, "wasm")


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "onnx")
    (tmp_path / "onnx/model.onnx").unlink()
    engine = ChromiumEngine(chromium._SHARED, "onnx")
    with pytest.raises(RuntimeCrashed, match=r"onnx/model\.onnx"):
        engine.open(tmp_path, manifest, artifact, "wasm")


def test_a_backend_that_is_not_there_is_refused(tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    engine = ChromiumEngine(chromium._SHARED, "tfjs")
    with pytest.raises(RuntimeCrashed, match="backend abacus: unknown"):
        engine.open(tmp_path, manifest, artifact, "abacus")


def test_a_backend_that_became_another_is_a_failure(tmp_path: Path) -> None:
    """The page says what ran, and it is compared with what was asked for at every answer."""
    _, session, _, _ = _open(tmp_path, "tfjs-browser", "cpu", "tfjs-layers")
    session._backend = "wasm"
    with pytest.raises(RuntimeCrashed, match="backend wasm expected, cpu found"):
        session.predict([handmade.X])
    session.close()


def test_thirty_two_bit_textures_are_no_half_float_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(chromium._FLAGS, HALF, "WEBGL_CPU_FORWARD:false")
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    engine = ChromiumEngine(chromium._SHARED, "tfjs")
    with pytest.raises(RuntimeCrashed, match="backend webgl-half expected"):
        engine.open(tmp_path, manifest, artifact, HALF)


def test_nodes_that_webgpu_gave_to_wasm_are_told(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Det", ["r"], ["y"])],
        "determinant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "onnx").mkdir()
    save(model, tmp_path / "onnx" / "model.onnx")
    artifact = Artifact(
        "onnx", "float32", "onnx/model.onnx", measure(tmp_path, ["onnx/model.onnx"])
    )
    manifest = Manifest(
        name="determinant", created_by={}, source={}, artifacts=(artifact,), files=(),
        inputs=(replace(handmade.INPUTS[0], shape=(None, 2, 2)),),
        outputs=(replace(handmade.OUTPUTS[0], name="y", shape=(None,)),),
    )  # fmt: skip
    session = ChromiumEngine(chromium._SHARED, "onnx").open(tmp_path, manifest, artifact, "webgpu")
    found = session.predict([np.array([[[2, 1], [1, 3]]], np.float32)])
    session.close()
    assert session.ran_on.startswith("onnxruntime-web 1.30.0 webgpu, in part wasm")
    np.testing.assert_allclose(found[0], [5.0], rtol=1e-6)


def test_a_model_that_a_runtime_does_not_take_is_no_crash(tmp_path: Path) -> None:
    """The player's own runner takes chains of layers; this model has two outputs."""
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    engine = ChromiumEngine(chromium._SHARED, "tiny")
    with pytest.raises(UnsupportedModel):
        engine.open(tmp_path, manifest, artifact, "js")


def test_wrong_input_is_told_in_the_runtimes_own_words(tmp_path: Path) -> None:
    _, session, _, _ = _open(tmp_path, "tfjs-browser", "wasm", "tfjs-layers")
    with pytest.raises(RuntimeCrashed, match="shape"):
        session.predict([np.zeros((1, 5), np.float32)])
    found = session.predict([handmade.X])  # and the page goes on
    session.close()
    np.testing.assert_array_equal(found[0], handmade.answers(handmade.X)[0])


def test_what_the_page_printed_stands_in_the_error(tmp_path: Path) -> None:
    _, session, _, _ = _open(tmp_path, "tfjs-browser", "cpu", "tfjs-layers")
    page = session._page
    page._browser.run(page._page.evaluate("() => { console.error('the cable is loose'); }"))
    page._browser.run(page._page.evaluate("() => { setTimeout(() => { missing(); }); }"))
    page._browser.run(asyncio.sleep(0.2))
    with pytest.raises(RuntimeCrashed, match=r"page printed: the cable is loose .*missing"):
        session.predict([np.zeros((1, 5), np.float32)])
    session.close()


def test_a_page_that_hangs_is_ended_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, session, manifest, artifact = _open(tmp_path, "tfjs-browser", "cpu", "tfjs-layers")
    page = session._page
    page._browser.run(page._page.evaluate("() => { setTimeout(() => { for (;;); }); }"))
    monkeypatch.setattr(chromium, "REQUEST_SECONDS", 1.0)
    with pytest.raises(RuntimeCrashed, match="predict took more than 1 s"):
        session.predict([handmade.X])
    session.close()
    monkeypatch.undo()
    second = engine.open(tmp_path, manifest, artifact, "cpu")
    np.testing.assert_array_equal(second.predict([handmade.X])[1], handmade.answers(handmade.X)[1])
    second.close()


def test_a_page_that_crashes_is_told_and_the_next_one_works(tmp_path: Path) -> None:
    engine, session, manifest, artifact = _open(tmp_path, "tfjs-browser", "cpu", "tfjs-layers")
    page = session._page

    async def crash() -> None:
        protocol = await page._page.context.new_cdp_session(page._page)
        answer = asyncio.ensure_future(protocol.send("Page.crash"))
        await asyncio.wait({answer}, timeout=2)
        answer.cancel()

    page._browser.run(crash())
    with pytest.raises(RuntimeCrashed, match=r"chromium: predict: .*[Cc]rash"):
        session.predict([handmade.X])
    session.close()
    second = engine.open(tmp_path, manifest, artifact, "cpu")
    np.testing.assert_array_equal(second.predict([handmade.X])[1], handmade.answers(handmade.X)[1])
    second.close()


def _children(pid: int) -> set[int]:
    """All processes below `pid`."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        if parent == pid:
            found |= {int(entry.name)} | _children(int(entry.name))
    return found


ALONE = """
import asyncio, sys, json
from pathlib import Path
sys.path.insert(0, {root!r})
from exporter import runtimes
from tests.runtimes import handmade
directory = Path({directory!r})
manifest, artifact = handmade.write(directory, "tfjs-layers")
def run():
    with runtimes.get("tfjs-browser").start() as engine, \\
            runtimes.get("onnxruntime-web-browser").start() as other:
        session = engine.open(directory, manifest, artifact, "wasm")
        assert engine._shared.at_work() == other._shared.at_work()
        found = session.predict([handmade.X])
        {extra}
        return found[0].tolist()
{call}
"""


def _alone(tmp_path: Path, call: str, extra: str = "") -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parent.parent.parent)
    code = ALONE.format(root=root, directory=str(tmp_path), call=call, extra=extra or "pass")
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip


def test_both_runtimes_share_one_browser_that_leaves_nothing_behind(tmp_path: Path) -> None:
    done = _alone(tmp_path, "print(json.dumps(run()))")
    assert done.stderr == ""
    assert json.loads(done.stdout) == handmade.answers(handmade.X)[0].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["tfjs"]


def test_a_session_that_nobody_closed_does_not_keep_python_from_ending(tmp_path: Path) -> None:
    call = """
runtime = runtimes.get("tfjs-browser").start()
session = runtime.__enter__().open(directory, manifest, artifact, "cpu")
print(session.predict([handmade.X])[0].tolist())
"""
    done = _alone(tmp_path, call)
    assert done.returncode == 0
    assert done.stderr == ""
    assert json.loads(done.stdout) == handmade.answers(handmade.X)[0].tolist()


def test_it_works_while_the_callers_own_event_loop_runs(tmp_path: Path) -> None:
    """As in a notebook."""
    code = "async def main(): print(json.dumps(run()))\nasyncio.run(main())"
    done = _alone(tmp_path, code)
    assert done.stderr == ""
    assert json.loads(done.stdout) == handmade.answers(handmade.X)[0].tolist()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_the_browser_ends_with_its_block_when_the_block_fails(tmp_path: Path) -> None:
    code = "try:\n    run()\nexcept KeyError:\n    print('gone on')\n"
    code += f"import os; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "from tests.runtimes.test_chromium import _children\nprint(_children(os.getpid()))"
    done = _alone(tmp_path, code, extra="raise KeyError")
    assert done.stdout.splitlines() == ["gone on", "set()"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_the_browser_ends_with_a_caller_that_was_killed(tmp_path: Path) -> None:
    root = str(Path(__file__).parent.parent.parent)
    extra = "print('up', flush=True); import time; time.sleep(60)"
    code = ALONE.format(root=root, directory=str(tmp_path), call="run()", extra=extra)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "up\n"
        children = _children(caller.pid)
        caller.send_signal(signal.SIGKILL)
    assert len(children) > 3
    for _ in range(100):
        left = {pid for pid in children if _alive(pid)}
        if not left:
            break
        chromium._SHARED.at_work()[0].run(asyncio.sleep(0.1))
    assert left == set()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_browser_that_has_died_is_replaced_for_the_next_artefact(tmp_path: Path) -> None:
    engine, session, manifest, artifact = _open(tmp_path, "tfjs-browser", "cpu", "tfjs-layers")
    browser, _ = chromium._SHARED.at_work()

    async def end() -> None:
        await browser._browser.close()

    browser.run(end())
    with pytest.raises(RuntimeCrashed, match=r"chromium: predict: .*closed"):
        session.predict([handmade.X])
    session.close()
    second = engine.open(tmp_path, manifest, artifact, "cpu")
    np.testing.assert_array_equal(second.predict([handmade.X])[1], handmade.answers(handmade.X)[1])
    second.close()
    assert chromium._SHARED.at_work()[0] is not browser


def test_the_server_gives_only_what_the_manifest_lists(tmp_path: Path) -> None:
    manifest, _ = handmade.write(tmp_path, "onnx")
    (tmp_path / "secret.txt").write_text("no")
    _, server = chromium._SHARED.at_work()
    site = server.add(tmp_path, manifest)
    with urllib.request.urlopen(site.url + "bundle/onnx/model.onnx") as response:
        assert response.read() == (tmp_path / "onnx/model.onnx").read_bytes()
    refused = ["bundle/secret.txt", "bundle/../secret.txt", "player/../../errors.py", "player/"]
    for path in [*refused, "other", "../"]:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(site.url + path)
    server.remove(site)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(site.url)


def test_a_browser_without_a_gpu_is_missing_only_the_gpus_backends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [flag for flag in FLAGS if "swiftshader" not in flag and "webgpu" not in flag]
    monkeypatch.setattr("exporter.runtimes.chromium.browser.FLAGS", [*flags, "--disable-gpu",
                        "--disable-software-rasterizer", "--disable-3d-apis"])  # fmt: skip
    wrapper = tmp_path / "chromium-of-its-own"
    wrapper.write_text(f'#!/bin/sh\nexec {chromium._executable()} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("EXPORTER_BROWSER", str(wrapper))
    # The browser that is up already has a GPU.
    monkeypatch.setattr(chromium, "_SHARED", chromium._Shared())
    runtime = runtimes.get("tfjs-browser")
    assert runtime.missing("wasm") is None
    for backend, api in (("webgl", "webgl"), (HALF, "webgl"), ("webgpu", "webgpu")):
        reason = runtime.missing(backend)
        assert reason is not None
        assert f"has no {api} on this machine" in reason
        assert "EXPORTER_BROWSER" in reason


def test_a_browser_that_does_not_start_is_missing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken-chromium"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("EXPORTER_BROWSER", str(broken))
    monkeypatch.setattr(chromium, "_SHARED", chromium._Shared())
    reason = runtimes.get("onnxruntime-web-browser").missing("wasm")
    assert reason is not None
    assert "broken-chromium: does not start" in reason
