"""Writes the README's section for other sites: `python -m web.snippets [README.md]`."""

from __future__ import annotations

import sys
from pathlib import Path

from web.files import PLAYER
from web.snippets import SNIPPETS, render

BASE = "https://models.example.org/"
NAME = "mlp-128-64"
BEGIN = "<!-- Written by `python -m web.snippets` from web/snippets/. -->"
END = "<!-- End of what web.snippets writes. -->"


def section(player: Path = PLAYER) -> str:
    """The text between the two marks of the README."""
    parts = []
    for one in SNIPPETS:
        needs = f" (`{one.needs.replace(': ', '`: `')}`)" if one.needs else ""
        code = render(one, BASE, NAME, [1, 28, 28], player)
        parts.append(f"{one.title}{needs}:\n\n```html\n{code}\n```\n")
    return "\n".join(parts)


def rewritten(readme: str, player: Path = PLAYER) -> str:
    """The README with its section as the source has it."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{section(player)}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
