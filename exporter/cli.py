"""The command line: arguments, progress, tables and exit codes, nothing else.

Exit codes: 0 done, 1 the answer is no, 2 bad input or usage, 3 something needed is missing, 4 the
machine failed. One clear line on stderr for each; a traceback only with --debug. Only here are
exceptions caught broadly. Heavy modules are imported inside the commands.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from exporter import __version__, formats, runtimes
from exporter.errors import BadUsage, ExporterError, ParityFailed, SomethingMissing

if TYPE_CHECKING:
    from exporter.pipeline import Progress

_DEBUG = "debug"


class Commands(click.Group):
    """Turns every failure into one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run, and exit with the code of what happened."""
        try:
            super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Exit as leave:
            sys.exit(leave.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(2)
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
    click.echo(" ".join(message.split()), err=True)
    sys.exit(code)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: exporter export my-model.keras -o models/mine",
)
@click.version_option(__version__, "--version", prog_name="exporter")
@click.option("--debug", is_flag=True, help="Show tracebacks and TensorFlow's own messages.")
def main(debug: bool) -> None:
    """Put a Keras 3 model in a web page, and prove that it answers what Keras answers."""
    if debug:
        os.environ["EXPORTER_DEBUG"] = "1"
    else:
        # TensorFlow tells of missing GPUs and of oneDNN before anything is asked of it.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _progress(title: str, quiet: bool = False) -> Iterator[Progress]:
    """A live line on a terminal; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(title) as status:
        yield lambda text: status.update(f"{title}: {text}")


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def _tables() -> Any:
    return import_module("exporter.tables")


def _list(value: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if value else None


def _custom_objects(names: tuple[str, ...]) -> dict[str, Any]:
    """MODULE:ATTRIBUTE to the objects, by the attribute's name."""
    found = {}
    if names and "" not in sys.path:
        sys.path.insert(0, "")  # a module beside the user, as `python -m` would find it
    for name in names:
        module, _, attribute = name.partition(":")
        if not module or not attribute:
            raise BadUsage(f"--custom-objects {name!r}: MODULE:ATTRIBUTE expected")
        try:
            found[attribute.rsplit(".", 1)[-1]] = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise BadUsage(f"--custom-objects {name}: {error}") from error
    return found


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_custom_objects_option = click.option(
    "--custom-objects", multiple=True, metavar="MODULE:ATTR",
    help="A class or function that the model needs; may be given several times.",
)  # fmt: skip
_unsafe_option = click.option(
    "--unsafe", is_flag=True, help="Run code that the model's file brings (Lambda)."
)
_data_option = click.option(
    "--data", metavar="PATH|mnist|digits", help="A data set: an mnist.npz, or a known name."
)


@main.command(epilog="Example: exporter recipes --json")
@click.option(
    "--models", default="models", show_default=True, type=click.Path(path_type=Path),
    help="Where the bundles lie.",
)  # fmt: skip
@_json_option
def recipes(models: Path, as_json: bool) -> None:
    """List the recipes, their architecture and the figures of their shipped model."""
    from exporter import recipe

    known = [recipe.load(name) for name in recipe.names()]
    rows = [_tables().recipe_row(item, models / item.name) for item in known]
    if as_json:
        _print_json(rows)
    else:
        _tables().show_recipes(rows)


@main.command(epilog="Example: exporter train mlp-128-64 --epochs 5 --data digits -o out/mine")
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--epochs", type=click.IntRange(1), help="Instead of the recipe's.")
@click.option("--batch-size", type=click.IntRange(1), help="Instead of the recipe's.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the recipe's.")
@click.option(
    "--published", is_flag=True, help="The schedule of the published text: no augmentation."
)
@click.option(
    "--held-out", is_flag=True,
    help="Train on 80 % and measure on the other 20 %: how a schedule is chosen.",
)  # fmt: skip
@_data_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; out/RECIPE by default."
)
@_json_option
def train(
    recipe_name: str, epochs: int | None, batch_size: int | None, seed: int | None,
    published: bool, held_out: bool, data: str | None, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Train RECIPE, evaluate it, and write the Keras model, its metrics and pictures."""
    from exporter import data as datasets
    from exporter import recipe as recipes_module

    recipe = recipes_module.load(recipe_name)
    directory = output or Path("out") / recipe.name
    dataset = datasets.load(data or recipe.training.data)
    from exporter import evaluate as evaluation
    from exporter import train as training
    from exporter import trained

    trained.refuse_bundle(directory)
    with _tables().training_progress(recipe.name, sys.stderr.isatty() and not as_json) as tell:
        result = training.fit(
            recipe, dataset, epochs=epochs, batch_size=batch_size, seed=seed,
            published=published, held_out=held_out, on_epoch=tell,
        )  # fmt: skip
    model = trained.record_of(result)
    trained.save(model, directory)
    measured = evaluation.evaluate(result.model, dataset, labels=recipe.labels)
    evaluation.write_pictures(measured, result.history, directory / "report")
    if as_json:
        _print_json({**model.record, "evaluation": measured.to_json()})
    else:
        _tables().show_evaluations([(recipe.name, measured)])
        if held := result.metrics.get("validation"):
            click.echo(f"held out: accuracy {held['accuracy']:.2%}, loss {held['loss']:.4f}")
        click.echo(f"model:    {directory / trained.MODEL_PATH}")
        click.echo(f"pictures: {directory / 'report' / 'evaluation.html'}")


@main.command(epilog="Example: exporter evaluate models/mlp-128-64 --data mnist --json")
@click.argument(
    "paths", metavar="BUNDLE|MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@_data_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="Folder for the pictures; out/evaluation/NAME by default.",
)  # fmt: skip
@_json_option
def evaluate(paths: tuple[Path, ...], data: str | None, output: Path | None, as_json: bool) -> None:
    """Accuracy, loss, precision/recall/F1 per class, confusion matrix and worst mistakes."""
    from exporter import api

    with _progress("evaluating", as_json) as tell:
        results = api.evaluate(paths, data or "mnist", output, tell)
    if as_json:
        _print_json({result.name: result.evaluation.to_json() for result in results})
        return
    _tables().show_evaluations([(result.name, result.evaluation) for result in results])
    for result in results:
        click.echo(f"pictures: {result.page}")


@main.command(
    epilog="Examples: exporter export mlp-128-64; exporter export my.keras -o models/mine "
    "--formats tfjs-layers,onnx --precisions float32,uint8"
)
@click.argument("subject", metavar="RECIPE|MODEL", required=False)
@click.option("--all", "every", is_flag=True, help="Every recipe, into models/.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The bundle; models/NAME by default."
)
@click.option("--formats", "format_names", help=f"Of {', '.join(formats.NAMES[1:])}.")
@click.option("--precisions", help=f"Of {', '.join(formats.PRECISIONS)}; float32 by default.")
@click.option("--name", help="The bundle's name; the folder's by default.")
@_custom_objects_option
@click.option("--strict", is_flag=True, help="A runtime that cannot run here is a failure.")
@_unsafe_option
@_data_option
@_json_option
def export(
    subject: str | None, every: bool, output: Path | None, format_names: str | None,
    precisions: str | None, name: str | None, custom_objects: tuple[str, ...], strict: bool,
    unsafe: bool, data: str | None, as_json: bool,
) -> None:  # fmt: skip
    """The main job: export, run everywhere, compare with Keras, publish."""
    from exporter import jobs, recipe
    from exporter.pipeline import run

    if every == bool(subject):
        raise BadUsage("export: give one RECIPE or MODEL, or --all")
    if every and output:
        raise BadUsage("export: --all writes into models/; -o goes with one RECIPE or MODEL")
    strict = strict or os.environ.get("CI", "").lower() == "true"
    subjects = recipe.names() if every else (str(subject),)
    results = []
    failure: ExporterError | None = None
    for item in subjects:
        with _progress(item, as_json) as tell:
            if jobs.is_recipe(item):
                if format_names or precisions or custom_objects or unsafe or name:
                    raise BadUsage(
                        f"{item}: a recipe says itself what it ships; --formats, --precisions, "
                        "--name, --custom-objects and --unsafe go with a MODEL"
                    )
                job = jobs.of_recipe(item, output, data=data, strict=strict, on_progress=tell)
            else:
                job = jobs.of_model(
                    Path(item), output or Path("models") / (name or Path(item).stem), name=name,
                    formats=_list(format_names),
                    precisions=_list(precisions) or ("float32",),
                    custom_objects=_custom_objects(custom_objects), strict=strict, unsafe=unsafe,
                    data=data, on_progress=tell,
                )  # fmt: skip
            try:
                results.append((run(job), job.directory))
            except ExporterError as error:
                # The table still says what was published before; the first failure ends it.
                failure = error
                break
    if as_json:
        _print_json([_tables().export_row(*pair) for pair in results])
    elif results:
        _tables().show_exports(results)
    if failure is not None:
        raise failure


@main.command(epilog="Example: exporter parity models/mlp-128-64 --runtimes onnxruntime,tfjs-node")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--runtimes", "runtime_names", help=f"Of {', '.join(runtimes.NAMES)}; all by default."
)
@click.option("--strict", is_flag=True, help="A runtime that cannot run here is a failure.")
@_custom_objects_option
@_unsafe_option
@_data_option
@_json_option
def parity(
    bundle: Path, runtime_names: str | None, strict: bool, custom_objects: tuple[str, ...],
    unsafe: bool, data: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare BUNDLE with Keras again, on this machine, and write its report/ anew."""
    from exporter.api import compare_and_report

    strict = strict or os.environ.get("CI", "").lower() == "true"
    with _progress(str(bundle), as_json) as tell:
        report = compare_and_report(
            bundle, _list(runtime_names), data=data, on_progress=tell,
            custom_objects=_custom_objects(custom_objects), unsafe=unsafe,
        )  # fmt: skip
    if as_json:
        click.echo((bundle / "report" / "parity.json").read_text(encoding="utf-8"), nl=False)
    else:
        _tables().show_parity(report)
    if verdict := report.verdict(strict=strict):
        raise ParityFailed(verdict)
    asked = _list(runtime_names) or ()
    named = [row for row in report.rows if row.runtime in asked]
    if asked and not named:
        raise ParityFailed(f"{bundle}: holds nothing that {', '.join(asked)} runs; no proof")
    if named and all(row.status == "not_run" for row in named):
        raise SomethingMissing(f"{bundle}: nothing was run: {named[0].reason}")


@main.command(epilog="Example: exporter verify models/mlp-128-64")
@click.argument("bundle", type=click.Path(path_type=Path))
@_json_option
def verify(bundle: Path, as_json: bool) -> None:
    """Check BUNDLE's manifest and hashes; names all that is missing, extra or changed at once."""
    from exporter.manifest import verify as check

    manifest = check(bundle)
    files = manifest.all_files()
    if as_json:
        _print_json({"name": manifest.name, "files": len(files), "verified": True})
    else:
        size = sum(file.size_bytes for file in files)
        click.echo(f"{manifest.name}: {len(files)} files, {size:,} bytes, all as published")


@main.command(epilog="Example: exporter predict models/mlp-128-64 photo.jpg --runtime tfjs-node")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--runtime", default="onnxruntime", show_default=True)
@_json_option
def predict(bundle: Path, images: tuple[Path, ...], runtime: str, as_json: bool) -> None:
    """Predict your own pictures with BUNDLE."""
    from exporter.api import predict_images

    with _progress(str(bundle), as_json) as tell:
        answers = predict_images(bundle, images, runtime, tell)
    if as_json:
        _print_json([answer.to_json() for answer in answers])
    else:
        _tables().show_answers(answers)
