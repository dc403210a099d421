"""The production server: nothing outside its tables, and HTTP as its standards say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import slow_sockets
from tests.web import rfc9110, traversal
from tests.web.conftest import FILES, write_bundle
from tests.web.production import SETTINGS, Server, production

SHARD = "tfjs/layers/group1-shard1of1.bin"


def write_models(folder: Path) -> Path:
    """A bundle, secrets around it, and links out of it."""
    models = folder / "models"
    write_bundle(models / "tiny")
    write_bundle(models / ".hidden")
    (models / "no-bundle").mkdir()
    for place in (folder, models, models / "no-bundle"):
        (place / "secret.txt").write_text("top secret")
    tiny = models / "tiny"
    (tiny / "report").mkdir()
    (tiny / "linked.txt").symlink_to(folder / "secret.txt")
    (tiny / "report" / "linked.html").symlink_to(folder / "secret.txt")
    (tiny / "linked").symlink_to(folder)
    (models / "linked").symlink_to(folder)
    os.mkfifo(tiny / "pipe")
    return models


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with production(write_models(tmp_path_factory.mktemp("served"))) as running:
        yield running


def given_away(server: Server) -> tuple[list[str], int]:
    """Every address that was not refused in order, and how many were tried."""
    found, tried = [], 0
    for target in traversal.targets():
        tried += 1
        answer = server.ask(target)
        secret = any(secret in answer.body for secret in traversal.SECRETS)
        if secret or answer.status not in (400, 404):
            found.append(f"{answer.status} {target}")
    return found, tried


def test_no_address_leads_out_of_what_is_offered(server: Server) -> None:
    found, tried = given_away(server)
    assert found == []
    assert tried >= 500


def test_every_case_is_as_the_standards_say(server: Server) -> None:
    found, tried = rfc9110.faults(server, f"/models/tiny/{SHARD}", FILES[SHARD])
    assert found == []
    assert tried >= 100


def test_whoever_is_trusted_to_end_tls_is_believed_and_nobody_else(
    server: Server, tmp_path: Path
) -> None:
    name = "Strict-Transport-Security"
    assert server.ask("/", X_Forwarded_Proto="https")[name] == "max-age=31536000"
    assert server.ask("/")[name] == ""
    write_bundle(tmp_path / "models" / "tiny")
    strangers = ("--forwarded-allow-ips", "192.0.2.1")
    with production(tmp_path / "models", *strangers) as other:
        assert other.ask("/", X_Forwarded_Proto="https")[name] == ""


def test_a_redirect_leads_nowhere_else(server: Server) -> None:
    answer = server.ask("/models", Host="evil.example")
    assert answer.status == 308
    assert answer["Location"] == "/models/"
    for target in (
        "//evil.example/",
        "//evil.example/models",
        "/\\evil.example",
        "/%2fevil.example",
    ):
        assert server.ask(target).status in (400, 404)


def test_sockets_that_send_and_read_nothing_hold_nobody_up(server: Server) -> None:
    held = [slow_sockets.start(slow_sockets.KINDS[n % 4], server.address) for n in range(400)]
    try:
        for one in held:
            one.step()
        assert server.ask(f"/models/tiny/{SHARD}").body == FILES[SHARD]
        assert server.ask("/").status == 200
    finally:
        for one in held:
            one.connection.close()


def test_the_server_allows_itself_as_many_open_files_as_it_may_have_sockets() -> None:
    code = (
        "import resource as r; from web import production; hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; "
        "r.setrlimit(r.RLIMIT_NOFILE, (64, hard)); production.on_starting(None); "
        "print(r.getrlimit(r.RLIMIT_NOFILE)[0] == min(2 * production.worker_connections, hard))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_the_readme_names_the_command_that_is_tested_here() -> None:
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    assert f"gunicorn -c {SETTINGS}" in readme
