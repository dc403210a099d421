"""Write the example of docs/trace.md: a fault planted in a copy of the shipped bundle, and traced.

`python -m tests.trace`
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from click.testing import CliRunner

from exporter.cli import main
from tests.mutations import weights

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "trace.md"
BUNDLE = "mlp-128-64"
_EXAMPLE = re.compile(r"(?<=python -m tests.trace -->\n).*(?=<!-- /example -->)", re.DOTALL)


def run() -> tuple[str, str]:
    """What the command prints, and the picture that it leaves."""
    command = ["trace", BUNDLE, "--format", "tfjs-graph", "-o", "out"]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copytree(ROOT / "models" / BUNDLE, BUNDLE)
        with weights.opened(Path(BUNDLE) / "tfjs" / "graph" / "model.json") as held:
            held["hidden_2/bias"][0] += 0.01
        result = CliRunner().invoke(main, command)
        picture = (Path("out") / "tfjs-graph-float32.svg").read_text(encoding="utf-8")
    lines = [line.rstrip() for line in result.output.splitlines()]
    return "\n".join([f"$ exporter {' '.join(command)}", *lines]).rstrip(), picture


if __name__ == "__main__":
    printed, picture = run()
    (ROOT / "docs" / "trace.svg").write_text(picture, encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_EXAMPLE.sub(lambda _: f"\n```\n{printed}\n```\n\n", text), encoding="utf-8")
