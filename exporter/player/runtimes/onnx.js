/**
 * ONNX Runtime Web on WebAssembly, one thread, and on WebGPU; started from verified bytes.
 * @module
 */

import { readVerifiedAsset } from "../assets.js";
import { RuntimeFailed, messageOf } from "../errors.js";
import { readVerified } from "../fetch.js";
import { fileAt } from "../manifest.js";
import { castTo } from "../tensor.js";

/**
 * @typedef {import("./index.js").Bundle} Bundle
 * @typedef {import("./index.js").Session} Session
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {typeof import("onnxruntime-web")} Ort
 */

/**
 * Each backend has a build of its own, so none can take the other's place unseen. Of the two that
 * hold WebGPU this one runs in every browser that has it; the smaller one wants a Chromium.
 */
const BUILDS = Object.freeze({
  wasm: { load: () => import("onnxruntime-web/wasm"), binary: "ort-wasm-simd-threaded.wasm" },
  webgpu: { load: () => import("onnxruntime-web/webgpu"), binary: "ort-wasm-simd-threaded.asyncify.wasm" },
});

/** Builds that are here, with their binaries. @type {Set<string>} */
const started = new Set();

/** @param {string} backend */
export function isReady(backend) {
  return started.has(backend);
}

/**
 * @param {Bundle} bundle
 * @param {import("./index.js").Artifact} artifact
 * @param {string} backend A key of BUILDS.
 * @returns {Promise<Session>}
 */
export async function open(bundle, artifact, backend) {
  const build = BUILDS[/** @type {keyof typeof BUILDS} */ (backend)];
  if (!build) throw new RuntimeFailed(`onnx: backend ${backend}: unknown; known: ${Object.keys(BUILDS).join(", ")}`);
  const ort = /** @type {Ort} */ (await build.load());
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const [binary, model] = await Promise.all([
    ort.env.wasm.wasmBinary ?? readVerifiedAsset(bundle.readAsset, build.binary),
    readVerified(bundle.read, fileAt(bundle.manifest, artifact.path)),
  ]);
  ort.env.wasm.wasmBinary = binary;
  const { session, places } = await create(ort, model, backend);
  started.add(backend);
  const { inputs, outputs } = bundle.manifest;
  checkNames("inputs", inputs, session.inputNames);
  checkNames("outputs", outputs, session.outputNames);
  return {
    backend,
    ranOn: `onnxruntime-web ${ort.env.versions.web} ${places}`,
    predict: (tensors) => run(ort, session, bundle.manifest, tensors),
    close: () => session.release(),
  };
}

/**
 * A session, and where its nodes run: what WebGPU has no kernel for, ONNX Runtime gives to wasm and
 * tells nobody. Only when that is forbidden does it say so.
 * @param {Ort} ort
 * @param {Uint8Array<ArrayBuffer>} model
 * @param {string} backend
 * @returns {Promise<{session: import("onnxruntime-web").InferenceSession, places: string}>}
 */
async function create(ort, model, backend) {
  const options = { executionProviders: [backend] };
  if (backend === "wasm") return { session: await ort.InferenceSession.create(model, options), places: backend };
  const strict = { ...options, extra: { session: { disable_cpu_ep_fallback: "1" } } };
  try {
    return { session: await ort.InferenceSession.create(model, strict), places: backend };
  } catch (error) {
    if (!messageOf(error).includes("CPU EP")) throw error;
    return { session: await ort.InferenceSession.create(model, options), places: `${backend}, in part wasm` };
  }
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
 * @param {Ort} ort
 * @param {import("onnxruntime-web").InferenceSession} session
 * @param {import("../manifest.js").Manifest} manifest
 * @param {readonly Tensor[]} tensors
 * @returns {Promise<Tensor[]>}
 */
async function run(ort, session, manifest, tensors) {
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
