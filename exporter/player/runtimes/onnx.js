/**
 * ONNX Runtime Web on WebAssembly, one thread, started from verified bytes.
 * @module
 */

import * as ort from "onnxruntime-web/wasm";
import { readVerifiedAsset } from "../assets.js";
import { RuntimeFailed } from "../errors.js";
import { readVerified } from "../fetch.js";
import { fileAt } from "../manifest.js";
import { castTo } from "../tensor.js";

/**
 * @typedef {import("./index.js").Bundle} Bundle
 * @typedef {import("./index.js").Session} Session
 * @typedef {import("../tensor.js").Tensor} Tensor
 */

const BINARY = "ort-wasm-simd-threaded.wasm";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/**
 * @param {Bundle} bundle
 * @param {import("./index.js").Artifact} artifact
 * @param {string} backend "wasm"
 * @returns {Promise<Session>}
 */
export async function open(bundle, artifact, backend) {
  if (backend !== "wasm") throw new RuntimeFailed(`onnx: backend ${backend}: unknown; known: wasm`);
  const [binary, model] = await Promise.all([
    ort.env.wasm.wasmBinary ?? readVerifiedAsset(bundle.readAsset, BINARY),
    readVerified(bundle.read, fileAt(bundle.manifest, artifact.path)),
  ]);
  ort.env.wasm.wasmBinary = binary;
  // This build of ONNX Runtime holds no other backend, so none can take its place unseen.
  const session = await ort.InferenceSession.create(model, { executionProviders: [backend] });
  const { inputs, outputs } = bundle.manifest;
  checkNames("inputs", inputs, session.inputNames);
  checkNames("outputs", outputs, session.outputNames);
  return {
    backend,
    ranOn: `onnxruntime-web ${ort.env.versions.web} ${backend}`,
    predict: (tensors) => run(session, bundle.manifest, tensors),
    close: () => session.release(),
  };
}

/**
 * @param {string} what
 * @param {readonly {name: string}[]} expected
 * @param {readonly string[]} found
 */
function checkNames(what, expected, found) {
  const names = expected.map((spec) => spec.name);
  if (names.length !== found.length || names.some((name) => !found.includes(name))) {
    throw new RuntimeFailed(`onnx: ${what} ${names.join(", ")} expected, ${found.join(", ")} found`);
  }
}

/**
 * @param {ort.InferenceSession} session
 * @param {import("../manifest.js").Manifest} manifest
 * @param {readonly Tensor[]} tensors
 * @returns {Promise<Tensor[]>}
 */
async function run(session, manifest, tensors) {
  const wanted = new Map(session.inputMetadata.map((meta) => [meta.name, meta.isTensor ? meta.type : "float32"]));
  const feeds = manifest.inputs.map(({ name }, i) => {
    const { dtype, shape, data } = castTo(tensors[i], /** @type {string} */ (wanted.get(name)));
    return [name, new ort.Tensor(/** @type {any} */ (dtype), /** @type {any} */ (data), [...shape])];
  });
  const results = await session.run(Object.fromEntries(feeds));
  return manifest.outputs.map(({ name }) => {
    const { type, dims, data } = results[name];
    return { dtype: type, shape: dims, data: /** @type {any} */ (data) };
  });
}
