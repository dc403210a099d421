"""From which size on something is big. May import nothing of the project."""

from __future__ import annotations

BIG_BYTES = 64_000_000
"""A file or artefact of more is never held twice: it is opened in place, runs by itself, and in a
process of its own. Below it, speed counts more than memory."""
