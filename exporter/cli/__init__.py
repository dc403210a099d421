"""The command line: arguments, progress, tables and exit codes, nothing else.

One module per kind of command; what they share is in `shell`. Heavy modules are imported inside
the commands.
"""

from __future__ import annotations

import os

import click

from exporter import __version__
from exporter.cli import bundle, check, learning, sign, site, trace, tuning
from exporter.cli.shell import Commands


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


for command in (
    learning.recipes,
    learning.train,
    learning.evaluate,
    tuning.tune,
    bundle.export,
    bundle.parity,
    bundle.verify,
    sign.sign,
    bundle.predict,
    site.site,
    check.check,
    trace.trace,
):
    main.add_command(command)
