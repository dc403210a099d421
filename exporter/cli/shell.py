"""What every command shares: failures as one line and an exit code, progress, JSON, options.

Exit codes: 0 done, 1 the answer is no, 2 bad input or usage, 3 something needed is missing, 4 the
machine failed. One clear line on stderr for each; a traceback only with --debug. Only here are
exceptions caught broadly.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from exporter.errors import BadUsage, ExporterError

if TYPE_CHECKING:
    from exporter.pipeline import Progress


class Commands(click.Group):
    """Turns every failure into one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and exit with the code of what happened."""
        try:
            super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Exit as leave:
            sys.exit(leave.exit_code)
        except click.exceptions.NoArgsIsHelpError as asked:
            asked.show()
            sys.exit(2)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "exporter"
            _fail(f"{error.format_message()} See {command} --help", 2)
        except click.ClickException as error:
            _fail(error.format_message(), 2)
        except (click.Abort, KeyboardInterrupt):
            _fail("interrupted; what was not finished is not published", 130)
        except ExporterError as error:
            _fail(str(error), error.exit_code)
        except BrokenPipeError:
            # Whoever read our output has left; Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            _fail(f"{place}{error.strerror or error}", 4)
        except MemoryError:
            _fail("out of memory; close other programs or use a smaller model", 4)
        except Exception as error:
            kind = type(error).__name__
            first = (str(error).strip().splitlines() or [""])[0]
            _fail(f"unexpected {kind}: {first}; run again with --debug and report it", 4)
        sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    if sys.exc_info()[0] is not None and os.environ.get("EXPORTER_DEBUG"):
        import traceback

        traceback.print_exc()
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    # A stranger's file may have put escape sequences of a terminal into a name.
    line = "".join(
        letter if letter.isprintable() else f"\\x{ord(letter):02x}"
        for letter in " ".join(message.split())
    )
    click.echo(line, err=True)
    sys.exit(code)


@contextmanager
def progress(title: str, quiet: bool = False) -> Iterator[Progress]:
    """A live line on a terminal; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(title) as status:
        yield lambda text: status.update(f"{title}: {text}")


def print_json(document: Any) -> None:
    """Strict JSON, indented, on stdout."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def tables() -> Any:
    """What draws tables, imported when there is something to draw."""
    return import_module("exporter.tables")


def listed(value: str | None) -> tuple[str, ...] | None:
    """A comma-separated option's parts."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if value else None


def custom_objects_of(names: tuple[str, ...]) -> dict[str, Any]:
    """MODULE:ATTRIBUTE to the objects, by the attribute's name."""
    found = {}
    if names and "" not in sys.path:
        sys.path.insert(0, "")  # a module beside the user, as `python -m` would find it
    for name in names:
        module, _, attribute = name.partition(":")
        if not module or not attribute or module.startswith("."):
            raise BadUsage(f"--custom-objects {name!r}: MODULE:ATTRIBUTE expected")
        try:
            found[attribute.rsplit(".", 1)[-1]] = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise BadUsage(f"--custom-objects {name}: {error}") from error
    return found


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
custom_objects_option = click.option(
    "--custom-objects", multiple=True, metavar="MODULE:ATTR",
    help="A class or function that the model needs; may be given several times.",
)  # fmt: skip
unsafe_option = click.option(
    "--unsafe", is_flag=True, help="Run code that the model's file brings (Lambda)."
)
data_option = click.option(
    "--data",
    metavar="PATH|mnist|digits",
    help="A data set: a known name, an mnist.npz, or (not to train) an .npz of the model's inputs.",
)
