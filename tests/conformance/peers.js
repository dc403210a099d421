/**
 * Runs what other converters wrote in plain TF.js: one request of JSON per line, one answer each.
 *
 * A request is {path, kind: "layers" | "graph", backend, calls: [[{dtype, shape, values}]]}; values
 * are base64. The answer is {outputs: [[{dtype, shape, values}]]}, or {stage: "load" | "run", error}.
 * @module
 */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";

const player = join(import.meta.dirname, "../../exporter/player");
const require = createRequire(join(player, "package.json"));
// What the libraries print belongs on stderr: stdout holds answers.
console.log = console.info = console.debug = console.warn = console.error;
const tf = require("@tensorflow/tfjs-core");
const { loadLayersModel } = require("@tensorflow/tfjs-layers");
const { loadGraphModel } = require("@tensorflow/tfjs-converter");
require("@tensorflow/tfjs-backend-cpu");
const wasm = require("@tensorflow/tfjs-backend-wasm");
wasm.setWasmPaths(join(player, "node_modules/@tensorflow/tfjs-backend-wasm/dist/"));

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

/** @param {string} path */
function handlerOf(path) {
  return {
    async load() {
      const document = JSON.parse(await readFile(path, "utf8"));
      const specs = document.weightsManifest.flatMap((/** @type {any} */ group) => group.weights);
      const files = document.weightsManifest.flatMap((/** @type {any} */ group) => group.paths);
      const parts = await Promise.all(
        files.map((/** @type {string} */ file) => readFile(join(dirname(path), file))),
      );
      const bytes = Buffer.concat(parts);
      const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
      const { weightsManifest, ...rest } = document;
      return { ...rest, weightSpecs: specs, weightData };
    },
  };
}

/** @param {any} tensor */
function decode({ dtype, shape, values }) {
  const bytes = new Uint8Array(Buffer.from(values, "base64"));
  return tf.tensor(new ARRAYS[dtype](bytes.buffer), shape, dtype);
}

/** @param {any} tensor */
async function encode(tensor) {
  const data = await tensor.data();
  const values = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
  return { dtype: tensor.dtype, shape: tensor.shape, values };
}

/** @param {any} model @param {any[]} inputs */
async function predict(model, inputs) {
  const given = inputs.length === 1 ? inputs[0] : inputs;
  try {
    return model.predict(given);
  } catch (error) {
    // Graphs with control flow: TF.js asks for the other call by name.
    if (!String(error).includes("executeAsync")) throw error;
    return model.executeAsync(given);
  }
}

/** @param {any} request */
async function answer({ path, kind, backend, calls }) {
  let stage = "load";
  try {
    await tf.setBackend(backend);
    const model = await (kind === "layers" ? loadLayersModel : loadGraphModel)(handlerOf(path));
    stage = "run";
    const outputs = [];
    for (const call of calls) {
      const result = await predict(model, call.map(decode));
      const list = Array.isArray(result) ? result : result.dataSync ? [result] : Object.values(result);
      outputs.push(await Promise.all(list.map(encode)));
    }
    model.dispose();
    return { outputs };
  } catch (error) {
    return { stage, error: String(error instanceof Error ? error.message : error).split("\n")[0] };
  }
}

// TF.js lets some errors of its own loops go; the answer to the request says what came of it.
process.on("unhandledRejection", (error) => console.error(error));
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
