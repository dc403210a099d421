/**
 * TF.js' WebAssembly backend with all its kernels, one thread, started from verified bytes.
 *
 * TF.js' own start-up fetches by itself and, when that fails, never settles; this one hands the
 * bytes to the same Emscripten module. It needs fixed-width SIMD, which every browser has had
 * since 2023 (https://webassembly.org/features/).
 * @module
 */

import { findBackendFactory, registerBackend, removeBackend } from "@tensorflow/tfjs-core";
import { BackendWasm, setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
// The JavaScript of the plain build starts both binaries, as in TF.js' own start-up.
import startModule from "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js";
import { readVerifiedAsset } from "../assets.js";

const BINARY = "tfjs-backend-wasm-simd.wasm";

/**
 * Put our start-up in place of TF.js' own.
 * @param {import("../fetch.js").Reader} readAsset
 */
export async function register(readAsset) {
  const wasmBinary = await readVerifiedAsset(readAsset, BINARY);
  if (findBackendFactory("wasm")) removeBackend("wasm");
  setThreadsCount(1);
  // Started before it is registered: what fails in a factory, TF.js only prints.
  const module = await startModule({ wasmBinary, locateFile: (/** @type {string} */ path) => path });
  module.tfjs = bind(module);
  const backend = new BackendWasm(module);
  registerBackend("wasm", () => backend);
}

/**
 * The calls that BackendWasm makes, as in tfjs-backend-wasm 4.22.0, backend_wasm.ts, `init`.
 * @param {any} module
 */
function bind(module) {
  return {
    init: module.cwrap("init", null, []),
    initWithThreadsCount: module.cwrap("init_with_threads_count", null, ["number"]),
    getThreadsCount: module.cwrap("get_threads_count", "number", []),
    registerTensor: module.cwrap("register_tensor", null, ["number", "number", "number"]),
    disposeData: module.cwrap("dispose_data", null, ["number"]),
    dispose: module.cwrap("dispose", null, []),
  };
}
