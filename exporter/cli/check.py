"""Look at what was deployed, as a browser would."""

from __future__ import annotations

import click

from exporter.cli.shell import json_option, print_json, progress
from exporter.errors import VerificationFailed

SERVERS = {"flask": "Flask", "nginx": "nginx", "static": "static hosts"}


@click.command(
    epilog="Examples: exporter check https://models.example.org/models/mlp-128-64/; "
    "exporter check https://me.example.org/digits/ --origin https://other.example.org"
)
@click.argument("url")
@click.option(
    "--origin", help="The site whose pages load it: any other by default; for a page, its own."
)
@click.option("--page", metavar="URL", help="The page that shows the model: its CSP and COEP.")
@click.option(
    "--also",
    multiple=True,
    metavar="URL",
    help="Another file that the page needs (.mjs, .wasm); may be given several times.",
)
@json_option
def check(
    url: str, origin: str | None, page: str | None, also: tuple[str, ...], as_json: bool
) -> None:  # fmt: skip
    """Fetch a deployed bundle, or a page with models, and say what is wrong with it.

    URL is that of a manifest.json, of the folder that holds one, or of a page.
    """
    from exporter.check import check as look
    from exporter.report.wording import count

    with progress(url, as_json) as tell:
        report = look(url, origin=origin, page=page, also=also, tell=tell)
    if as_json:
        print_json(report.to_json())
    else:
        for finding in report.findings:
            click.echo(f"{finding.severity}: {finding.code}: {finding.url}\n  {finding.message}")
        for code in dict.fromkeys(finding.code for finding in report.findings):
            click.echo(f"what to do about {code}:")
            remedies = next(one.remedies for one in report.findings if one.code == code)
            for server, remedy in remedies.items():
                click.echo(f"  {SERVERS[server] + ':':<13} {remedy}")
        warned = len(report.findings) - len(report.errors)
        rest = f", {count(warned, 'warning')}" if warned else ""
        fetched = count(len(report.fetched), "file")
        click.echo(f"{url}: {fetched} fetched, {count(len(report.errors), 'error')}{rest}")
    if report.errors:
        codes = ", ".join(dict.fromkeys(one.code for one in report.errors))
        raise VerificationFailed(
            f"{url}: nothing wrong expected, {len(report.errors)} found ({codes}); "
            "what to do stands above"
        )
