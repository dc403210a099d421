"""A tiny model written by hand in each format, so that runtimes are tested without the formats.

`dense = x @ W + b` and `clipped = relu(dense)`, outputs in this order.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from exporter.manifest import Artifact, Manifest, TensorSpec, measure

W = np.array([[1.5, -2.0], [0.25, 3.0], [-1.0, 0.5]], np.float32)
B = np.array([0.125, -0.75], np.float32)
X = np.array([[1, 2, 3], [-1, 0.5, 0], [0, 0, 0], [4, -4, 4]], np.float32)

INPUTS = (TensorSpec("x", (None, 3), "float32", (-4.0, 4.0)),)
OUTPUTS = (
    TensorSpec("dense", (None, 2), "float32", meaning="values"),
    TensorSpec("clipped", (None, 2), "float32", meaning="values"),
)


def answers(x: np.ndarray) -> list[np.ndarray]:
    """What the model says, by NumPy."""
    dense = x @ W + B
    return [dense, np.maximum(dense, 0)]


def manifest(directory: Path, artifact: Artifact) -> Manifest:
    return Manifest(
        name="handmade", created_by={}, source={}, inputs=INPUTS, outputs=OUTPUTS,
        artifacts=(artifact,), files=(),
    )  # fmt: skip


def write(directory: Path, format: str, **options: str) -> tuple[Manifest, Artifact]:
    """Write the model below `directory`; returns its manifest and its one artefact.

    Options of "tfjs-graph": `product`, the op that multiplies, "MatMul" or "Einsum"; `last`, the op
    that passes the sum on; "GatherNd" looks the input up at the sum, unchecked on wasm.
    """
    path, others = _WRITERS[format](directory, **options)
    artifact = Artifact(format, "float32", path, measure(directory, [path, *others]))
    return manifest(directory, artifact), artifact


def _write_weights(folder: Path) -> list[dict]:
    folder.mkdir(parents=True)
    # Two shards, cut inside a weight, as TF.js cuts large models.
    data = W.tobytes() + B.tobytes()
    (folder / "group1-shard1of2.bin").write_bytes(data[:10])
    (folder / "group1-shard2of2.bin").write_bytes(data[10:])
    return [
        {
            "paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"],
            "weights": [
                {"name": "dense/kernel", "shape": [3, 2], "dtype": "float32"},
                {"name": "dense/bias", "shape": [2], "dtype": "float32"},
            ],
        }
    ]


def _layers(directory: Path) -> tuple[str, list[str]]:
    folder = directory / "tfjs" / "layers"
    weights = _write_weights(folder)

    def layer(kind: str, name: str, inbound: str | None, **config: object) -> dict:
        nodes = [] if inbound is None else [[[inbound, 0, 0, {}]]]
        return {
            "class_name": kind,
            "name": name,
            "config": {"name": name, **config},
            "inbound_nodes": nodes,
        }

    config = {
        "name": "handmade",
        "layers": [
            layer("InputLayer", "x", None, batch_input_shape=[None, 3], dtype="float32"),
            layer("Dense", "dense", "x", units=2, activation="linear", use_bias=True),
            layer("ReLU", "clipped", "dense"),
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["dense", 0, 0], ["clipped", 0, 0]],
    }
    document = {
        "format": "layers-model",
        "modelTopology": {
            "keras_version": "2.15.0",
            "backend": "tensorflow",
            "model_config": {"class_name": "Functional", "config": config},
        },
        "weightsManifest": weights,
    }
    (folder / "model.json").write_text(json.dumps(document))
    return "tfjs/layers/model.json", [f"tfjs/layers/group1-shard{i}of2.bin" for i in (1, 2)]


def _graph(
    directory: Path, product: str = "MatMul", last: str = "Identity"
) -> tuple[str, list[str]]:
    folder = directory / "tfjs" / "graph"
    weights = _write_weights(folder)
    number = {"T": {"type": "DT_FLOAT"}}

    def node(name: str, op: str, *inputs: str, **attributes: object) -> dict:
        return {"name": name, "op": op, "input": list(inputs), "attr": attributes}

    def constant(name: str, *shape: int) -> dict:
        sizes = {"dim": [{"size": str(size)} for size in shape]}
        tensor = {"dtype": "DT_FLOAT", "tensorShape": sizes}
        return node(name, "Const", dtype={"type": "DT_FLOAT"}, value={"tensor": tensor})

    sizes = {"dim": [{"size": "-1"}, {"size": "3"}]}
    # "ij,jk->ik" in base64, as texts stand in TF.js' graphs.
    equation = {"s": "aWosamstPmlr"}
    einsum = {"equation": equation, "N": {"i": "2"}} if product == "Einsum" else {}
    nodes = [
        node("x", "Placeholder", dtype={"type": "DT_FLOAT"}, shape={"shape": sizes}),
        constant("dense/kernel", 3, 2),
        constant("dense/bias", 2),
        node("product", product, "x", "dense/kernel", **number, **einsum),
        node("sum", "BiasAdd", "product", "dense/bias", **number),
        node("Identity", "Relu", "sum", **number),
        node("Identity_1", last, "sum", **number),
    ]
    if last == "GatherNd":
        nodes[-1]["input"] = ["x", "places"]
        whole = {"SrcT": {"type": "DT_FLOAT"}, "DstT": {"type": "DT_INT32"}}
        nodes.append(node("places", "Cast", "sum", **whole))
    document = {
        "format": "graph-model",
        "modelTopology": {"node": nodes, "library": {}, "versions": {"producer": 1987}},
        # The signature's order is not the manifest's: outputs must be found by name.
        "signature": {
            "inputs": {"x": {"name": "x:0", "dtype": "DT_FLOAT", "tensorShape": sizes}},
            "outputs": {
                "clipped": {"name": "Identity:0", "dtype": "DT_FLOAT"},
                "dense": {"name": "Identity_1:0", "dtype": "DT_FLOAT"},
            },
        },
        "weightsManifest": weights,
    }
    (folder / "model.json").write_text(json.dumps(document))
    return "tfjs/graph/model.json", [f"tfjs/graph/group1-shard{i}of2.bin" for i in (1, 2)]


def _onnx(directory: Path) -> tuple[str, list[str]]:
    from onnx import TensorProto, helper, numpy_helper, save

    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "W", "B"], ["dense"]),
            helper.make_node("Relu", ["dense"], ["clipped"]),
        ],
        "handmade",
        [helper.make_tensor_value_info("x", float32, ["batch", 3])],
        [
            # Not the manifest's order.
            helper.make_tensor_value_info("clipped", float32, ["batch", 2]),
            helper.make_tensor_value_info("dense", float32, ["batch", 2]),
        ],
        [numpy_helper.from_array(W, "W"), numpy_helper.from_array(B, "B")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (directory / "onnx").mkdir(parents=True)
    save(model, directory / "onnx" / "model.onnx")
    return "onnx/model.onnx", []


_WRITERS = {"tfjs-layers": _layers, "tfjs-graph": _graph, "onnx": _onnx}
