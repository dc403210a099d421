"""The types that are shipped beside the player: a consumer in TypeScript can lean on them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from exporter.runtimes import node

PLAYER = Path(__file__).parent.parent.parent / "exporter" / "player"
CONSUMER = """
import { load, BadBundle, type Info, type Attempt } from "DIST/index.js";
import { DigitPad } from "DIST/digit-pad.js";
import { openInspector } from "DIST/inspector.js";

const stop = new AbortController();
const model = await load("models/x/manifest.json", {
  runtime: "auto", precision: "smallest", signal: stop.signal,
  onProgress: ({ path, loadedBytes, totalBytes }) => console.log(path, loadedBytes, totalBytes),
});
const info: Readonly<Info> = model.info;
const tried: readonly Attempt[] = info.attempts;
const slowest: number = Math.max(...tried.map((one) => one.latencyMs ?? 0));
const found: Float32Array = await model.predict(new Float32Array(784));
const pad = document.querySelector("digit-pad") as DigitPad;
pad.draw([[[1, 2], [3, 4]]]);
const label: string | null = (await pad.predict()).label;
const units: number = (await openInspector("manifest.json")).layers[0].units;
if (new Error() instanceof BadBundle) console.log(slowest, found, label, units);
await model.close();
"""
WRONG = {
    'load(42, {});': "Argument of type 'number'",
    "const size: string = model.info.sizeBytes;": "Type 'number' is not assignable to",
    'model.info.runtim;': "Did you mean 'runtime'",
    'load("x", { onProgress: ({ bytes }) => bytes });': "Property 'bytes' does not exist",
    'pad.draw("strokes");': "Argument of type 'string'",
}  # fmt: skip


def _check(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "page.ts").write_text(text.replace("DIST", (PLAYER / "dist").as_posix()))
    options = {
        "strict": True, "noEmit": True, "target": "es2022", "module": "esnext",
        "moduleResolution": "bundler", "lib": ["es2023", "dom", "dom.iterable"], "types": [],
    }  # fmt: skip
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["page.ts"]})
    )
    return subprocess.run(
        [node.node_executable(), str(PLAYER / "node_modules" / "typescript" / "bin" / "tsc"),
         "--project", str(folder)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_the_example_in_the_docs_is_right(tmp_path: Path) -> None:
    page = (PLAYER.parent.parent / "docs" / "player.md").read_text(encoding="utf-8")
    example = page.split("```js\n")[1].split("```")[0]
    done = _check(tmp_path, example.replace("/player/", "DIST/"))
    assert (done.returncode, done.stdout) == (0, "")


def test_a_page_in_typescript_is_checked_against_them(tmp_path: Path) -> None:
    done = _check(tmp_path, CONSUMER)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("line", WRONG)
def test_what_is_used_wrongly_is_found(tmp_path: Path, line: str) -> None:
    done = _check(tmp_path, CONSUMER + line)
    assert done.returncode != 0
    assert WRONG[line] in done.stdout
    assert done.stdout.count("error TS") == 1
