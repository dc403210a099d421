import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { UnsupportedModel } from "../../exporter/player/errors.js";
import { open } from "../../exporter/player/runtimes/tiny.js";

const KERNEL = Float32Array.of(1.5, -2, 0.25, 3, -1, 0.5);
const BIAS = Float32Array.of(0.125, -0.75);
const DENSE = { name: "d", units: 2, activation: "linear", use_bias: true };
const FLOATS = [
  { name: "d/kernel", shape: [3, 2], dtype: "float32" },
  { name: "d/bias", shape: [2], dtype: "float32" },
];

function layer(class_name, config, before) {
  return { class_name, name: config.name, config, inbound_nodes: before ? [[[before, 0, 0, {}]]] : [] };
}

function chain(...layers) {
  const input = layer("InputLayer", { name: "x", batch_input_shape: [null, 3], dtype: "float32" });
  return [input, ...layers.map(([kind, config], i) => layer(kind, config, i ? layers[i - 1][1].name : "x"))];
}

/** A bundle in memory that holds one layers model; counts what is read. */
function bundleOf(layers, weights = FLOATS, bytes = new Uint8Array([...new Uint8Array(KERNEL.buffer), ...new Uint8Array(BIAS.buffer)])) {
  const document = {
    modelTopology: {
      model_config: {
        class_name: "Functional",
        config: { layers, output_layers: [[layers.at(-1).config.name, 0, 0]] },
      },
    },
    weightsManifest: [{ paths: ["w.bin"], weights }],
  };
  const files = { "m/model.json": new TextEncoder().encode(JSON.stringify(document)), "m/w.bin": bytes };
  const read = [];
  const artifact = {
    format: "tfjs-layers", precision: "float32", path: "m/model.json",
    files: Object.entries(files).map(([path, content]) => ({
      path, size_bytes: content.length, sha256: createHash("sha256").update(content).digest("hex"),
    })),
  };
  return { artifact, read, bundle: { read: async (path) => (read.push(path), files[path]) } };
}

async function answer({ bundle, artifact }, numbers) {
  const session = await open(bundle, artifact, "js");
  const data = Float32Array.from(numbers);
  const [output] = await session.predict([{ dtype: "float32", shape: [data.length / 3, 3], data }]);
  return output;
}

test("a Dense layer multiplies and adds, for each sample", async () => {
  const output = await answer(bundleOf(chain(["Dense", DENSE])), [1, 2, 3, 0, 0, 0, -1, 0.5, 0]);
  assert.deepEqual(output.shape, [3, 2]);
  // x @ W + b by hand.
  assert.deepEqual(Array.from(output.data), [-0.875, 4.75, 0.125, -0.75, -1.25, 2.75]);
});

test("dropout, reshaping and rescaling stand between input and Dense", async () => {
  const layers = chain(
    ["Rescaling", { name: "r", scale: 2, offset: 1 }],
    ["Reshape", { name: "s", target_shape: [1, -1] }],
    ["Flatten", { name: "f", data_format: "channels_last" }],
    ["Dropout", { name: "o", rate: 0.5 }],
    ["Dense", DENSE],
  );
  // The input of the first test, [1, 2, 3], undone.
  assert.deepEqual(Array.from((await answer(bundleOf(layers), [0, 0.5, 1])).data), [-0.875, 4.75]);
});

test("softmax holds for large logits and adds up to one", async () => {
  const output = await answer(bundleOf(chain(["Dense", { ...DENSE, activation: "softmax" }])), [1000, 0, 0]);
  assert.deepEqual(Array.from(output.data), [1, 0]);
});

test("each layer's answers can be looked at", async () => {
  const { bundle, artifact } = bundleOf(chain(["Dense", DENSE], ["Activation", { name: "a", activation: "relu" }]));
  const session = await open(bundle, artifact, "js");
  assert.deepEqual(session.trace(Float32Array.of(1, 2, 3)).map((x) => Array.from(x)), [[-0.875, 4.75], [0, 4.75]]);
  assert.deepEqual(Array.from(session.layers[0].kernel), Array.from(KERNEL));
});

test("quantised weights are q * scale + min", async () => {
  const weights = [
    { name: "d/kernel", shape: [3, 2], dtype: "float32", quantization: { dtype: "uint8", scale: 0.5, min: -1 } },
    { name: "d/bias", shape: [2], dtype: "float32", quantization: { dtype: "uint16", scale: 0.25, min: 0 } },
  ];
  const bytes = Uint8Array.of(0, 1, 2, 3, 4, 255, 4, 0, 0, 1);
  const output = await answer(bundleOf(chain(["Dense", DENSE]), weights, bytes), [1, 1, 1]);
  assert.deepEqual(Array.from(output.data), [-1 + 0 + 1 + 1, -0.5 + 0.5 + 126.5 + 64]);
});

test("float16 weights are read with their subnormals", async () => {
  const half = { quantization: { dtype: "float16" } };
  // 1, -2, 0.5, 65504, 2^-24, 2^-14 and a bias of 0, 1: bits by the IEEE 754 table.
  const bits = Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x7bff, 0x0001, 0x0400, 0x0000, 0x3c00);
  const weights = FLOATS.map((weight) => ({ ...weight, ...half }));
  const output = await answer(bundleOf(chain(["Dense", DENSE]), weights, new Uint8Array(bits.buffer)), [0, 0, 1]);
  assert.deepEqual(Array.from(output.data), [2 ** -24, Math.fround(1 + 2 ** -14)]);
});

const REFUSED = {
  "a layer that it does not know": [chain(["LSTM", { name: "l" }], ["Dense", DENSE]), /layer l: LSTM/],
  "an activation that it does not know": [chain(["Dense", { ...DENSE, activation: "gelu" }]), /layer d: activation gelu/],
  "a branch": [
    [...chain(["Dense", DENSE]), layer("Activation", { name: "b", activation: "relu" }, "x")],
    /layer b: another call than one on the layer before it/,
  ],
  "an unknown size": [
    [layer("InputLayer", { name: "x", batch_input_shape: [null, null] }), layer("Dense", DENSE, "x")],
    /input x/,
  ],
};
for (const [what, [layers, message]] of Object.entries(REFUSED)) {
  test(`${what} is refused`, async () => {
    const { bundle, artifact } = bundleOf(layers);
    await assert.rejects(open(bundle, artifact, "js"), (error) => error instanceof UnsupportedModel && message.test(error.message));
  });
}

test("a model that is refused for its layers costs no weights", async () => {
  const { bundle, artifact, read } = bundleOf(chain(["LSTM", { name: "l" }]));
  await assert.rejects(open(bundle, artifact, "js"));
  assert.deepEqual(read, ["m/model.json"]);
});

test("a file that was changed is refused", async () => {
  const { bundle, artifact } = bundleOf(chain(["Dense", DENSE]));
  artifact.files[1].sha256 = "0".repeat(64);
  await assert.rejects(open(bundle, artifact, "js"), /w\.bin: sha256/);
});
