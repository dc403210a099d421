/**
 * A bundle in memory, written by hand: softmax(x · W + b) as a TF.js layers model, with golden
 * vectors whose answers are computed here.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

export const W = [1.5, -2, 0.25, 0.5, 3, -1, -1, 0.5, 0.75]; // 3 inputs × 3 classes
export const B = [0.125, -0.75, 0.25];
const DIST = new URL("../../exporter/player/dist/", import.meta.url);

/** @param {number[]} x */
export function answer(x) {
  const logits = B.map((bias, k) => bias + x.reduce((sum, value, i) => sum + value * W[i * 3 + k], 0));
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** The player's own files, which Node's fetch cannot read from disk. */
export async function readAsset(name) {
  return new Uint8Array(await readFile(new URL(name, DIST)));
}

/** @returns {Map<string, Uint8Array>} path -> bytes, the manifest too. */
export function makeBundle({ weights = [...W, ...B], rows = goldenRows() } = {}) {
  const files = new Map([
    ["tfjs/layers/model.json", text(topology())],
    ["tfjs/layers/group1-shard1of1.bin", new Uint8Array(Float32Array.from(weights).buffer)],
    ["golden.json", text(golden(rows))],
  ]);
  const paths = [...files.keys()];
  const [artifact, rest] = [paths.slice(0, 2), paths.slice(2)].map((some) => some.map((path) => describe(path, files.get(path))));
  files.set("manifest.json", text({
    schema: 1,
    name: "handmade",
    inputs: [{ name: "x", shape: [null, 3], dtype: "float32", range: [-1, 1] }],
    outputs: [{ name: "classes", shape: [null, 3], dtype: "float32", meaning: "probabilities" }],
    labels: ["a", "b", "c"],
    artifacts: [{ format: "tfjs-layers", precision: "float32", path: paths[0], files: artifact }],
    files: rest,
  }));
  return files;
}

/** @param {Map<string, Uint8Array>} files */
export function readerOf(files) {
  return async (path) => {
    const bytes = files.get(path);
    if (!bytes) throw new Error(`${path}: not there`);
    return new Uint8Array(bytes);
  };
}

export function goldenRows() {
  return [
    { name: "all 0", kind: "edge", fill: 0, outputs: [answer([0, 0, 0])] },
    { name: "all 1", kind: "edge", fill: 1, outputs: [answer([1, 1, 1])] },
    { name: "drawn", kind: "picture", picture: [0, 255, 255], outputs: [answer([-1, 1, 1])] },
    // What nobody can answer is no part of the self-test.
    { name: "all NaN", kind: "nonfinite", fill: "NaN", checked: false, outputs: [[0, 0, 0]] },
  ];
}

function golden(rows) {
  return {
    schema: 1, seed: 1, tolerance: 1e-4, rows,
    inputs: [{ name: "x", shape: [3], dtype: "float32", range: [-1, 1] }],
    outputs: [{ name: "classes", dtype: "float32", meaning: "probabilities" }],
  };
}

function topology() {
  const layer = (class_name, name, inbound, config) => ({
    class_name, name, config: { name, ...config }, inbound_nodes: inbound ? [[[inbound, 0, 0, {}]]] : [],
  });
  const layers = [
    layer("InputLayer", "x", null, { batch_input_shape: [null, 3], dtype: "float32" }),
    layer("Dense", "classes", "x", { units: 3, activation: "softmax", use_bias: true }),
  ];
  return {
    format: "layers-model",
    modelTopology: {
      keras_version: "2.15.0",
      backend: "tensorflow",
      model_config: {
        class_name: "Functional",
        config: { name: "handmade", layers, input_layers: [["x", 0, 0]], output_layers: [["classes", 0, 0]] },
      },
    },
    weightsManifest: [{
      paths: ["group1-shard1of1.bin"],
      weights: [
        { name: "classes/kernel", shape: [3, 3], dtype: "float32" },
        { name: "classes/bias", shape: [3], dtype: "float32" },
      ],
    }],
  };
}

function describe(path, bytes) {
  return { path, size_bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

function text(document) {
  return new TextEncoder().encode(JSON.stringify(document));
}
