"""Where an artefact leaves Keras, layer by layer."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter import runtimes
from exporter.cli.shell import (
    custom_objects_of,
    custom_objects_option,
    json_option,
    print_json,
    progress,
    tables,
    unsafe_option,
)
from exporter.errors import ParityFailed

if TYPE_CHECKING:
    from exporter.pipeline import Progress
    from exporter.trace.tracing import Wish


@click.command(
    epilog="Examples: exporter trace models/mlp-128-64; exporter trace my.keras --runtime "
    "tfjs-node:wasm --format tfjs-graph --input digit.png -o out/trace --shrink out/report"
)
@click.argument("subject", metavar="BUNDLE|MODEL", type=click.Path(path_type=Path))
@click.option(
    "--runtime", metavar="NAME[:BACKEND]",
    help=f"Of {', '.join(runtimes.NAMES[1:])}; for each format one that runs everywhere by "
    "default.",
)  # fmt: skip
@click.option("--format", "format_name", help="tfjs-layers, tfjs-graph or onnx; all by default.")
@click.option("--precision", default="float32", show_default=True)
@click.option(
    "--input", "input_name", metavar="ROW|FILE",
    help="A golden row's name, a picture, or an .npz; by default the golden row that shows most.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A folder for trace.json and pictures."
)
@click.option(
    "--shrink", "shrink_to", type=click.Path(path_type=Path),
    help="A folder for the smallest part that shows the first fault, to attach to a report.",
)  # fmt: skip
@custom_objects_option
@unsafe_option
@json_option
def trace(
    subject: Path, runtime: str | None, format_name: str | None, precision: str,
    input_name: str | None, output: Path | None, shrink_to: Path | None,
    custom_objects: tuple[str, ...], unsafe: bool, as_json: bool,
) -> None:  # fmt: skip
    """Compare BUNDLE with Keras layer by layer; names the first layer that leaves the gate.

    Of a MODEL whose export was refused for its answers, what would have been published is traced.
    """
    from exporter.trace.picture import draw
    from exporter.trace.tracing import Wish, trace_bundle

    name, _, backend = (runtime or "").partition(":")
    wish = Wish(name or None, backend or None, format_name, precision, input_name)
    objects = custom_objects_of(custom_objects)
    with progress(str(subject), as_json) as tell, ExitStack() as stack:
        bundle = subject
        if subject.is_file():
            bundle = Path(stack.enter_context(tempfile.TemporaryDirectory())) / subject.stem
            _write_unproven(subject, bundle, wish, objects, unsafe, tell)
        traces = trace_bundle(
            bundle, wish, shrink_to=shrink_to, custom_objects=objects, unsafe=unsafe,
            on_progress=tell,
        )  # fmt: skip
    cut_out = shrink_to if any(found.first for found in traces) else None
    documents = [found.to_document() for found in traces]
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(documents, indent=2, ensure_ascii=False, allow_nan=False)
        (output / "trace.json").write_text(text + "\n", encoding="utf-8")
        for found in traces:
            draw(found, output / f"{found.artifact.replace('/', '-')}.svg")
    if as_json:
        print_json(documents)
    else:
        tables().show_traces(traces, output, cut_out)
    if verdicts := [found.verdict for found in traces if found.verdict]:
        more = f"; {shrink_to} was not made, for want of such a layer" if shrink_to else ""
        raise ParityFailed(verdicts[0] + ("" if cut_out else more))


def _write_unproven(
    model: Path, bundle: Path, wish: Wish, objects: dict[str, Any], unsafe: bool, tell: Progress
) -> None:
    """What an export of the model would judge."""
    from exporter import jobs, pipeline

    job = jobs.of_model(
        model, bundle, formats=(wish.format,) if wish.format else None,
        precisions=(wish.precision,), custom_objects=objects, unsafe=unsafe, on_progress=tell,
    )  # fmt: skip
    bundle.mkdir()
    pipeline.write_unproven(job, bundle)
