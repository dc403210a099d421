"""Export Keras 3 models to the browser, and prove that the numbers still match.

    >>> import exporter
    >>> manifest = exporter.export("model.keras", "models/mine")     # doctest: +SKIP
    >>> exporter.load("models/mine").predict(x)                      # doctest: +SKIP

Importing this package loads no TensorFlow, onnx or onnxruntime (that costs seconds); the
functions below import what they need when they are called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from exporter.errors import ExporterError

if TYPE_CHECKING:
    from exporter.api import compare, export, load, verify

__version__ = "0.1.0"
__all__ = ["ExporterError", "__version__", "compare", "export", "load", "verify"]


def __getattr__(name: str) -> Any:
    if name in {"compare", "export", "load", "verify"}:
        return getattr(import_module("exporter.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
