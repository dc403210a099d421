"""`exporter sign`: whoever publishes a bundle puts their name to it, offline."""

from __future__ import annotations

import os
from pathlib import Path

import click

from exporter.cli.shell import json_option, print_json


@click.command(
    epilog="Example: exporter sign models/mlp-128-64 --key private.pem; a pair of keys: "
    "openssl ecparam -name prime256v1 -genkey -noout -out private.pem && "
    "openssl ec -in private.pem -pubout -out public.pem"
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key", required=True, type=click.Path(path_type=Path),
    help="The private EC key, PEM; the password of an encrypted one in EXPORTER_KEY_PASSWORD.",
)  # fmt: skip
@json_option
def sign(bundle: Path, key: Path, as_json: bool) -> None:
    """Sign BUNDLE with a key of your own; `exporter verify BUNDLE --key` checks it."""
    from exporter import signing

    written = signing.sign(bundle, key, os.environ.get(signing.PASSWORD_VARIABLE))
    if as_json:
        print_json({"name": bundle.name, "signature": written.name})
    else:
        click.echo(f"{bundle}: signed; {written.name} goes with it, the private key with nobody")
