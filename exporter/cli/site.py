"""Put bundles and the page that runs them into a folder, or into one file, for any host."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from exporter.cli.shell import json_option, print_json


@click.command(
    epilog="Examples: exporter site models/* -o site; "
    "exporter site models/mlp-128-64 -o digits.html --single-file"
)
@click.argument("bundles", metavar="BUNDLE…", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder; with --single-file the folder or the .html file.",
)
@click.option(
    "--single-file", is_flag=True, help="One HTML file that works from disk, with all inside."
)
@json_option
def site(
    bundles: tuple[Path, ...], output: Path, single_file: bool, as_json: bool
) -> None:  # fmt: skip
    """Freeze the page with the BUNDLEs into files for GitHub Pages or any other static host."""
    from exporter.manifest import examine

    for bundle in bundles:
        examine(bundle)
    # By name, when it is asked for: the page stands above the toolkit, which needs no Flask.
    module, function = ("web.single", "write") if single_file else ("web.freeze", "freeze")
    written = getattr(import_module(module), function)(bundles, output)
    if as_json:
        print_json(
            {
                "path": str(written.directory), "bundles": list(written.bundles),
                "files": written.files, "size_bytes": written.size_bytes,
            }
        )  # fmt: skip
    else:
        count = "1 file" if written.files == 1 else f"{written.files} files"
        names = ", ".join(written.bundles)
        click.echo(f"{written.directory}: {count}, {written.size_bytes:,} bytes, with {names}")
