"""Bundles: publish them, compare them with Keras, check them, ask them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter import formats, runtimes
from exporter.cli.shell import (
    custom_objects_of,
    custom_objects_option,
    data_option,
    json_option,
    listed,
    print_json,
    progress,
    tables,
    unsafe_option,
)
from exporter.errors import (
    BadUsage,
    ExporterError,
    ParityFailed,
    SomethingMissing,
    VerificationFailed,
)

if TYPE_CHECKING:
    from exporter.parity import ParityReport


@click.command(
    epilog="Examples: exporter export mlp-128-64; exporter export my.keras -o models/mine "
    "--formats tfjs-layers,onnx --precisions float32,uint8"
)
@click.argument("subject", metavar="RECIPE|MODEL", required=False)
@click.option("--all", "every", is_flag=True, help="Every recipe, into models/.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The bundle; models/NAME by default."
)
@click.option("--formats", "format_names", help=f"Of {', '.join(formats.NAMES[1:])}.")
@click.option(
    "--precisions", help=f"Of {', '.join(formats.PRECISIONS)}, or all that pass; float32."
)
@click.option("--name", help="The bundle's name; the folder's by default.")
@custom_objects_option
@click.option("--strict", is_flag=True, help="A runtime that cannot run here is a failure.")
@unsafe_option
@data_option
@json_option
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
        with progress(item, as_json) as tell:
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
                    formats=listed(format_names),
                    precisions=listed(precisions) or ("float32",),
                    custom_objects=custom_objects_of(custom_objects), strict=strict, unsafe=unsafe,
                    data=data, on_progress=tell,
                )  # fmt: skip
            try:
                results.append((run(job), job.directory))
            except ExporterError as error:
                # The table still says what was published before; the first failure ends it.
                failure = error
                break
    if as_json:
        print_json([tables().export_row(*pair) for pair in results])
    elif results:
        tables().show_exports(results)
    if failure is not None:
        raise failure


@click.command(epilog="Example: exporter parity models/mlp-128-64 --runtimes onnxruntime,tfjs-node")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--runtimes", "runtime_names", help=f"Of {', '.join(runtimes.NAMES)}; all by default."
)
@click.option("--strict", is_flag=True, help="A runtime that cannot run here is a failure.")
@custom_objects_option
@unsafe_option
@data_option
@json_option
def parity(
    bundle: Path, runtime_names: str | None, strict: bool, custom_objects: tuple[str, ...],
    unsafe: bool, data: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare BUNDLE with Keras again, on this machine, and write its report/ anew."""
    from exporter.api import compare_and_report

    strict = strict or os.environ.get("CI", "").lower() == "true"
    with progress(str(bundle), as_json) as tell:
        compared = compare_and_report(
            bundle, listed(runtime_names), data=data, on_progress=tell,
            custom_objects=custom_objects_of(custom_objects), unsafe=unsafe,
        )  # fmt: skip
    report = compared.report
    if as_json:
        print_json(compared.document)
    else:
        tables().show_parity(report)
    if compared.unwritten is not None:
        click.secho(f"warning: {compared.unwritten}", fg="yellow", err=True)
    if not report.failed:
        _say_if_nothing_ran(bundle, report, listed(runtime_names) or (), strict)
    if verdict := report.verdict(strict=strict):
        raise ParityFailed(verdict)


def _say_if_nothing_ran(
    bundle: Path, report: ParityReport, asked: Sequence[str], strict: bool
) -> None:
    """Runtimes that were asked for by name, and did nothing; one that is missing, not if strict."""
    named = [row for row in report.rows if row.runtime in asked]
    if asked and not named:
        raise ParityFailed(f"{bundle}: holds nothing that {', '.join(asked)} runs; no proof")
    if not strict and named and all(row.status == "not_run" for row in named):
        raise SomethingMissing(f"{bundle}: nothing was run: {named[0].reason}")


@click.command(epilog="Examples: exporter verify models/mlp-128-64; "
    "exporter verify models/mlp-128-64 --key public.pem")  # fmt: skip
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path),
    help="The public key, PEM, of whoever must have signed it; without one, hashes alone.",
)  # fmt: skip
@json_option
def verify(bundle: Path, key: Path | None, as_json: bool) -> None:
    """Check BUNDLE's manifest and hashes; names all that is missing, extra or changed at once."""
    from exporter import signing
    from exporter.manifest import examine as check

    try:
        manifest = signing.verify(bundle, key) if key else check(bundle)
    except VerificationFailed as error:
        if as_json:
            print_json({"name": bundle.name, "verified": False, "findings": error.findings})
        raise
    files = manifest.all_files()
    unchecked = "not checked" if signing.is_signed(bundle) else "none"
    signature = "verified" if key else unchecked
    if as_json:
        print_json(
            {"name": manifest.name, "files": len(files), "verified": True, "signature": signature}
        )
    else:
        size = sum(file.size_bytes for file in files)
        told = {
            "verified": f"; signed with the private key of {key}",
            "not checked": "; its signature was not checked: that takes --key",
            "none": "",
        }
        click.echo(
            f"{manifest.name}: {len(files)} files, {size:,} bytes, all as published"
            + told[signature]
        )


@click.command(epilog="Example: exporter predict models/mlp-128-64 photo.jpg --runtime tfjs-node")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--runtime", default="onnxruntime", show_default=True)
@json_option
def predict(bundle: Path, images: tuple[Path, ...], runtime: str, as_json: bool) -> None:
    """Predict your own pictures with BUNDLE."""
    from exporter.api import predict_images

    with progress(str(bundle), as_json) as tell:
        answers = predict_images(bundle, images, runtime, tell)
    if as_json:
        print_json([answer.to_json() for answer in answers])
    else:
        tables().show_answers(answers)
