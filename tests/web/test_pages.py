"""The list of bundles and the page for what is not there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

import pytest
from flask.testing import FlaskClient

from exporter import recipe
from exporter.manifest import Artifact, TensorSpec
from tests.web.conftest import write_bundle, write_report
from web import create_app

HOSTILE = "<script>alert(1)</script>"


def words(client: FlaskClient, path: str = "/models/") -> str:
    text = re.sub(r"<[^>]*>", " ", client.get(path).text)
    return " ".join(text.split())


def test_a_bundle_is_listed_with_its_figures_and_artefacts(client: FlaskClient) -> None:
    text = words(client)
    assert "tiny" in text
    assert "test accuracy 99.12 %" in text
    assert "test loss 0.031" in text
    assert "tfjs-layers float32 2.2 kB" in text
    assert recipe.load("mlp-128-64").description.split(",")[0] in text


def test_the_links_of_a_bundle_lead_somewhere(client: FlaskClient, root: Path) -> None:
    write_report(root / "tiny", 3, 0, 0)
    page = client.get("/models/").text
    links = [urljoin("/models/", link) for link in re.findall(r'<a href="([^"]*)"', page)]
    assert "/models/tiny/manifest.json" in links
    assert "/models/tiny/report/report.html" in links
    assert "/models/tiny/README.md" in links
    assert {client.get(link).status_code for link in links} == {200}


def test_what_is_not_there_is_not_linked(client: FlaskClient) -> None:
    assert "report.html" not in client.get("/models/").text


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((42, 0, 0), "parity passed: 42 of 42 rows"),
        ((40, 2, 0), "parity failed: 2 of 42 rows"),
        ((40, 0, 2), "parity passed: 40 of 40 rows, 2 not run"),
        ((0, 0, 5), "parity proves nothing"),
    ],
)
def test_the_verdict_is_that_of_the_last_report(
    client: FlaskClient, root: Path, counts: tuple[int, int, int], said: str
) -> None:
    write_report(root / "tiny", *counts)
    assert said in words(client)


def test_without_a_report_the_manifest_speaks(client: FlaskClient, root: Path) -> None:
    assert "parity passed in 1 comparison when published" in words(client)
    write_bundle(root / "tiny", parity=())
    assert "parity is not known" in words(client)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"passed": "<b>"}', "[" * 100_000])
def test_a_report_that_is_none_is_not_believed(client: FlaskClient, root: Path, text: str) -> None:
    write_report(root / "tiny", 1, 0, 0)
    (root / "tiny" / "report" / "parity.json").write_text(text)
    assert "when published" in words(client)


@pytest.mark.parametrize(
    "text", ["", "{}", json.dumps({"schema": 2}), "\ud800", json.dumps([HOSTILE])]
)
def test_a_bundle_that_cannot_be_read_is_shown_as_such_beside_the_others(
    client: FlaskClient, root: Path, text: str
) -> None:
    (root / "broken").mkdir()
    raw = text.encode("utf-8", "surrogatepass")
    (root / "broken" / "manifest.json").write_bytes(raw)
    page = words(client)
    assert "broken" in page
    assert "This bundle cannot be used: its manifest is malformed" in page
    assert "tfjs-layers" in page
    assert str(root) not in client.get("/models/").text


ONE_NUMBER = (TensorSpec("price", (None, 1), "float32"),)


def test_a_model_that_reads_no_drawings_is_not_offered_for_them(
    client: FlaskClient, root: Path
) -> None:
    write_bundle(root / "another", outputs=ONE_NUMBER)
    page = client.get("/").text
    assert '<option value="another" disabled>another: reads no drawings' in page
    assert re.search(r'<option value="tiny">tiny', page)
    listed = client.get("/models/").text
    assert 'href="../#model=tiny"' in listed
    assert 'href="../#model=another"' not in listed
    texts = json.loads(
        re.findall(r'id="texts">(.*?)</script>', client.get("/embed/").text, re.DOTALL)[0]
    )
    assert {"element", "frame"} <= set(texts["tiny"])
    assert set(texts["another"]) == {"player", "tfjs-layers", "onnx"}


def test_with_models_that_read_no_drawings_alone_the_page_lists_them(
    client: FlaskClient, root: Path
) -> None:
    write_bundle(root / "tiny", outputs=ONE_NUMBER)
    assert "<h1>Models for the web</h1>" in client.get("/").text


def test_hostile_manifests_stay_text(client: FlaskClient, root: Path) -> None:
    write_bundle(
        root / 'a"b<i>',
        artifacts=(Artifact(HOSTILE, HOSTILE, '"><script>', ()),),
        metrics={"test": {"accuracy": HOSTILE, "loss": True}},
        source={"recipe": "../../secret.toml"},
    )
    page = client.get("/models/").text
    assert "<script" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page


def test_staging_folders_are_not_listed(client: FlaskClient, root: Path) -> None:
    write_bundle(root / ".tiny.staging-abc")
    assert "staging" not in client.get("/models/").text
    assert client.get("/models/.tiny.staging-abc/manifest.json").status_code == 404


def test_a_folder_that_is_not_there_holds_no_bundles(tmp_path: Path) -> None:
    client = create_app({"BUNDLES": tmp_path / "nowhere"}).test_client()
    assert "There are no bundles yet." in words(client)
    assert "There are no bundles yet." in words(client, "/")


def test_the_environment_names_the_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORTER_MODELS", str(root))
    assert create_app().config["BUNDLES"] == root
    monkeypatch.delenv("EXPORTER_MODELS")
    monkeypatch.chdir(root.parent)
    assert create_app().config["BUNDLES"] == root


@pytest.mark.parametrize("path", ["/models/", "/nothing", "/models/tiny/nothing"])
def test_pages_may_load_nothing_but_their_own_style(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize("path", ["/models/", "/nothing"])
def test_pages_break_no_policy_of_their_own(client: FlaskClient, path: str) -> None:
    page = client.get(path).text
    assert not re.search(r"\sstyle=|<style|<script|\son\w+=", page)


def test_the_page_to_draw_on_runs_scripts_of_its_own_only(client: FlaskClient) -> None:
    response = client.get("/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe-inline" not in policy
    assert not re.search(r"\sstyle=|<style|\son\w+=", response.text)
    scripts = re.findall(r"<script([^>]*)>", response.text)
    assert all("src=" in script or "application/json" in script for script in scripts)


def test_the_page_to_draw_on_knows_what_each_bundle_holds(client: FlaskClient, root: Path) -> None:
    (root / "broken").mkdir()
    (root / "broken" / "manifest.json").write_text("{")
    write_bundle(root / "a'b&c")
    page = client.get("/").text
    (text,) = re.findall(r'<script type="application/json" id="bundles">(.*?)</script>', page)
    known = json.loads(text)
    assert sorted(known) == ["a'b&c", "tiny"]
    early = {artifact["format"]: "files" in artifact for artifact in known["tiny"]["artifacts"]}
    assert early == {"tfjs-layers": True, "onnx": False}, "what a browser opens, and asks for early"
    assert "broken" not in page


def test_the_bare_element_may_be_framed_by_any_site(client: FlaskClient) -> None:
    response = client.get("/embed/tiny")
    assert 'src="../models/tiny/manifest.json"' in response.text
    assert 'src="../../models/tiny/manifest.json"' in client.get("/embed/tiny/").text
    assert "frame-ancestors *" in response.headers["Content-Security-Policy"]
    assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert client.get("/embed/no-bundle").status_code == 404


def test_a_page_that_is_not_there_says_so_and_leads_home(client: FlaskClient) -> None:
    response = client.get("/nothing")
    assert response.status_code == 404
    assert "Not Found" in response.text
    assert 'href="./"' in response.text
    assert 'href="../../"' in client.get("/nothing/at/all").text


def test_without_the_player_the_page_says_how_to_build_it(root: Path, tmp_path: Path) -> None:
    client = create_app({"BUNDLES": root, "PLAYER": tmp_path / "nowhere"}).test_client()
    response = client.get("/")
    assert response.status_code == 503
    assert "make player" in response.text


def test_importing_the_app_loads_no_framework() -> None:
    code = (
        "import sys, web; web.create_app(); heavy = {'tensorflow', 'keras', 'onnx', 'onnxruntime',"
        " 'tensorflowjs', 'matplotlib'}; print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
