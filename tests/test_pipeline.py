"""The main job: proven and published, or nothing at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import exporter
from exporter import formats, runtimes
from exporter.errors import BadBundle, BadUsage, ParityFailed, UnsupportedModel
from exporter.manifest import Manifest
from tests.conftest import tiny_classifier


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "report" not in path.relative_to(directory).parts
    }


def test_every_format_is_published_and_proven_in_every_runtime_of_this_machine(
    tiny_bundle: Path,
) -> None:
    manifest = exporter.verify(tiny_bundle)
    assert [a.format for a in manifest.artifacts] == list(formats.NAMES)
    assert manifest.skipped == ()
    proven = {(row["artifact"].split("/")[0], row["runtime"]) for row in manifest.parity}
    for name in runtimes.NAMES:
        runtime = runtimes.get(name)
        if runtime.everywhere:
            for format in runtime.formats & set(formats.NAMES):
                if not runtime.missing(runtime.backends[0]):
                    assert (format, name) in proven


def test_names_shapes_and_dtypes_are_keras_own(tiny_bundle: Path) -> None:
    manifest = exporter.verify(tiny_bundle)
    (pixels,), (probabilities,) = manifest.inputs, manifest.outputs
    assert (pixels.name, pixels.shape, pixels.dtype) == ("pixels", (None, 28, 28), "float32")
    assert (probabilities.name, probabilities.shape) == ("probabilities", (None, 10))
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tiny_bundle / "onnx" / "model.onnx"))
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("pixels", ["batch", 28, 28])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("probabilities", ["batch", 10])]


def test_the_same_model_gives_the_same_bytes_in_one_process_and_across(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    first = contents(tiny_bundle)
    source = tiny_bundle / "keras" / "model.keras"
    exporter.export(source, tmp_path / "here" / "tiny")
    code = "import sys, exporter; exporter.export(sys.argv[1], sys.argv[2])"
    there = tmp_path / "there" / "tiny"
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, source, there], check=True, env=environment)
    assert contents(tmp_path / "here" / "tiny") == first
    assert contents(there) == first


def test_a_bundle_holds_no_path_user_host_or_date_of_this_machine(tiny_bundle: Path) -> None:
    import datetime
    import getpass
    import socket

    today = datetime.date.today()
    forbidden = [
        str(tiny_bundle.parent), str(Path.home()) + "/", sys.prefix, f"{socket.gethostname()}.",
        today.isoformat(), f"/{getpass.getuser()}/",
    ]  # fmt: skip
    for path, data in contents(tiny_bundle).items():
        for text in forbidden:
            assert text.encode() not in data, (path, text)


def test_a_format_asked_for_by_name_and_refused_publishes_nothing(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.cumsum(inputs, axis=1))
    with pytest.raises(UnsupportedModel, match=r"tfjs-layers.*Cumsum"):
        exporter.export(model, tmp_path / "m", formats=["tfjs-layers"])
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_cannot_take_the_model_is_left_out_by_default_and_named(
    tmp_path: Path,
) -> None:
    import keras

    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.cumsum(inputs, axis=1))
    manifest = exporter.export(model, tmp_path / "m")
    (skipped,) = manifest.skipped
    assert skipped.format == "tfjs-layers"
    assert "Cumsum" in skipped.reason
    assert "onnx" in {artifact.format for artifact in manifest.artifacts}


class LyingFormat(formats.Format):
    """Writes an ONNX file whose last bias is off by `delta`."""

    name = "onnx"
    precisions = ("float32",)
    delta = 1e-4

    def refusals(self, source: object, precision: str) -> tuple[()]:
        return ()

    def export(self, source: object, precision: str, directory: Path) -> formats.Exported:
        import onnx

        from exporter.formats.onnx import OnnxFormat

        exported = OnnxFormat().export(source, precision, directory)  # type: ignore[arg-type]
        model = onnx.load(directory / exported.path)
        (bias,) = (t for t in model.graph.initializer if t.name.endswith("probabilities/bias"))
        values = onnx.numpy_helper.to_array(bias).copy()
        values[3] += np.float32(self.delta)
        bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
        onnx.save(model, directory / exported.path)
        return exported

    def read_weights(self, directory: Path, path: str) -> Iterator[tuple[str, np.ndarray]]:
        return iter(())


@pytest.fixture
def lying_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format like any other, in the table like any other, that writes a wrong number."""
    table = {**formats._TABLE, "onnx": "tests.test_pipeline:LyingFormat"}
    monkeypatch.setattr(formats, "_TABLE", table)


@pytest.mark.usefixtures("lying_onnx")
def test_a_wrong_bias_of_1e_4_is_never_published_when_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ParityFailed, match="onnx/float32 on onnxruntime"):
        exporter.export(tiny_classifier(), tmp_path / "m", formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("lying_onnx")
def test_a_wrong_artefact_leaves_the_old_bundle_as_it_was(own_bundle: Path) -> None:
    before = contents(own_bundle)
    with pytest.raises(ParityFailed):
        exporter.export(tiny_classifier(), own_bundle, formats=["onnx"])
    assert contents(own_bundle) == before


@pytest.mark.usefixtures("lying_onnx")
def test_a_wrong_artefact_is_left_out_and_named_where_it_was_not_asked_for(
    tmp_path: Path,
) -> None:
    manifest = exporter.export(tiny_classifier(), tmp_path / "m")
    (skipped,) = manifest.skipped
    assert (skipped.format, skipped.precision) == ("onnx", "float32")
    assert "off by" in skipped.reason
    assert not (tmp_path / "m" / "onnx").exists()
    assert exporter.verify(tmp_path / "m") == manifest


def test_a_model_whose_answers_depend_on_the_batch_is_told_so(tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((4,))
    model = keras.Model(inputs, inputs - keras.ops.max(keras.layers.Dense(4)(inputs)))
    with pytest.raises(ParityFailed, match=r"off by .*; Keras itself answers a sample alone other"):
        exporter.export(model, tmp_path / "m", formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_a_big_model_makes_room_for_the_runtimes_and_comes_out_the_same(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exporter import comparison, jobs, pipeline, source

    monkeypatch.setattr(source, "BORROWING", 1000)
    monkeypatch.setattr(comparison, "BIG_BYTES", 1000)
    monkeypatch.setattr(comparison, "BUDGET_OF_BIG_SECONDS", 1e-6)
    job = jobs.of_model(tiny_bundle / "keras" / "model.keras", tmp_path / "m", name="tiny")
    report = pipeline.run(job).report
    assert job.source.model is None
    ran = [row for row in report.rows if row.samples_name.startswith("golden/")]
    assert {(row.batch, row.samples) for row in ran} == {(1, 1)}
    assert all("more would take too long" in row.note for row in ran)
    assert contents(tmp_path / "m") == contents(tiny_bundle)


def test_a_changed_weight_bit_in_a_published_bundle_is_found_by_compare(own_bundle: Path) -> None:
    import hashlib

    path = own_bundle / "onnx" / "model.onnx"
    data = bytearray(path.read_bytes())
    import onnx

    kernel = next(t for t in onnx.load(path).graph.initializer if t.name.endswith("hidden/kernel"))
    place = bytes(data).index(kernel.raw_data)
    data[place] ^= 1  # the lowest bit of the first number: far below any numeric gate
    path.write_bytes(data)
    # A forger also mends the manifest.
    text = (own_bundle / "manifest.json").read_text()
    old = exporter_hash(own_bundle, "onnx/model.onnx")
    text = text.replace(old, hashlib.sha256(data).hexdigest())
    (own_bundle / "manifest.json").write_text(text)
    report = exporter.compare(own_bundle, runtimes=["onnxruntime"])
    (row,) = report.failed
    assert (row.runtime, row.artifact) == ("weights", "onnx/float32")
    assert "hidden/kernel" in row.reason


def exporter_hash(bundle: Path, path: str) -> str:
    files = Manifest.read(bundle).all_files()
    return next(file.sha256 for file in files if file.path == path)


def test_compare_takes_the_callers_own_inputs(tiny_bundle: Path) -> None:
    inputs = np.linspace(0, 1, 5 * 784, dtype=np.float32).reshape(5, 28, 28)
    report = exporter.compare(tiny_bundle, runtimes=["onnxruntime"], inputs=inputs)
    (row,) = (row for row in report.rows if row.samples_name == "given" and row.format == "onnx")
    assert (row.status, row.samples) == ("passed", 5)
    with pytest.raises(BadUsage, match="shape"):
        exporter.compare(tiny_bundle, runtimes=["onnxruntime"], inputs=inputs[:, :27])


def test_a_changed_answer_in_golden_json_is_found(own_bundle: Path) -> None:
    import hashlib

    path = own_bundle / "golden.json"
    document = json.loads(path.read_text())
    row = next(row for row in document["rows"] if row["kind"] == "noise")
    row["outputs"][0][0] += 0.01
    path.write_text(json.dumps(document))
    text = (own_bundle / "manifest.json").read_text()
    entry = next(f for f in json.loads(text)["files"] if f["path"] == "golden.json")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = text.replace(entry["sha256"], digest)
    text = text.replace(
        f'"size_bytes": {entry["size_bytes"]}', f'"size_bytes": {path.stat().st_size}'
    )
    (own_bundle / "manifest.json").write_text(text)
    report = exporter.compare(own_bundle, runtimes=["onnxruntime"])
    assert [row.runtime for row in report.failed] == ["golden.json"]


@pytest.mark.parametrize("runtime", [n for n in runtimes.NAMES if "browser" not in n])
def test_load_predicts_what_keras_predicts(tiny_bundle: Path, runtime: str) -> None:
    inputs = np.random.default_rng(1).random((3, 28, 28), np.float32)
    expected = np.asarray(tiny_classifier()(inputs))
    with exporter.load(tiny_bundle, runtime) as predictor:
        found = predictor.predict(inputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)


def test_load_refuses_wrong_input_and_unknown_places(tiny_bundle: Path) -> None:
    with exporter.load(tiny_bundle) as predictor:
        with pytest.raises(BadUsage, match="the batch comes first"):
            predictor.predict(np.zeros((28, 28), np.float32))
        with pytest.raises(BadUsage, match="finite"):
            predictor.predict(np.full((1, 28, 28), np.nan, np.float32))
        assert predictor.predict(np.zeros((0, 28, 28), np.float32)).shape == (0, 10)
    with pytest.raises(BadUsage, match="no backend"):
        exporter.load(tiny_bundle, "onnxruntime", "webgl")
    with pytest.raises(BadUsage, match="unknown"):
        exporter.load(tiny_bundle, "abacus")
    with pytest.raises(BadBundle):
        exporter.load(tiny_bundle.parent)


def test_unknown_formats_and_precisions_are_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match="'tflite': unknown"):
        exporter.export("nothing.keras", tmp_path / "m", formats=["tflite"])
    with pytest.raises(BadUsage, match="'int4': unknown"):
        exporter.export("nothing.keras", tmp_path / "m", precisions=["int4"])
    assert list(tmp_path.iterdir()) == []
