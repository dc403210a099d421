"""Everything that this package raises, in one tree.

    ExporterError
    ├── AnswerIsNo             exit 1  the question was answered, and the answer is no
    │   ├── ParityFailed               an artefact leaves Keras, or could not be run under --strict
    │   ├── VerificationFailed         files missing, extra or changed against the manifest
    │   └── UnsupportedModel           a format asked for by name cannot take the model
    ├── BadInput               exit 2  what was given is wrong
    │   ├── BadUsage                   an argument's value
    │   ├── BadRecipe                  unknown or malformed recipe: which key, which line
    │   ├── BadModel                   no Keras model, or not one that may be loaded safely
    │   ├── BadData                    a data set that is not what it says it is
    │   ├── BadBundle                  no bundle there, or a malformed manifest
    │   └── BadPicture                 no picture, or an empty one
    ├── SomethingMissing       exit 3  something needed is not on this machine
    │   ├── DataMissing
    │   ├── PackageMissing
    │   └── BrowserMissing
    └── MachineFailed          exit 4  disk full, no permission, a process that died
        ├── PublishFailed
        └── RuntimeCrashed

A message is one line that names the thing, what was expected, what was found, and what to do.
May import nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar


class ExporterError(Exception):
    """Root of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 4


class AnswerIsNo(ExporterError):
    """The question was understood and answered: no."""

    exit_code = 1


class ParityFailed(AnswerIsNo):
    """At least one row of a parity report failed, or was not run where it had to be."""


class VerificationFailed(AnswerIsNo):
    """A bundle's files are not those of its manifest.

    Attributes:
        findings: "missing", "extra", "changed" -> paths, each with what is wrong with it.
    """

    def __init__(self, message: str, findings: Mapping[str, Sequence[str]] | None = None) -> None:
        super().__init__(message)
        self.findings = dict(findings or {})


class UnsupportedModel(AnswerIsNo):
    """A format cannot take the model; the message names the layers and who can."""


class BadInput(ExporterError):
    """What the caller gave is wrong."""

    exit_code = 2


class BadUsage(BadInput):
    """An argument has a value that cannot be used."""


class BadRecipe(BadInput):
    """A recipe is unknown or malformed."""


class BadModel(BadInput):
    """A file is no Keras model, or none that may be loaded safely."""


class BadData(BadInput):
    """A data set is not what it says it is."""


class BadBundle(BadInput):
    """A folder is no bundle, or its manifest is malformed."""


class BadPicture(BadInput):
    """A file is no picture, or shows nothing."""


class SomethingMissing(ExporterError):
    """Something that the job needs is not on this machine."""

    exit_code = 3


class DataMissing(SomethingMissing):
    """A data set could not be found or fetched."""


class PackageMissing(SomethingMissing):
    """A Python or JavaScript package is not installed."""


class BrowserMissing(SomethingMissing):
    """No browser was found."""


class MachineFailed(ExporterError):
    """The machine could not do it: disk full, no permission, a process that died."""

    exit_code = 4


class PublishFailed(MachineFailed):
    """A bundle could not be written; what was published before is untouched."""


class RuntimeCrashed(MachineFailed):
    """A runtime's process ended, or answered what cannot be read."""
