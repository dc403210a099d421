/**
 * The runtimes that the player knows, in one table. To add one: write a module that exports `open`
 * and `isReady`, add a line to `RUNTIMES`. The tiny runner is part of the player; each of the others
 * is loaded when it is first wanted, never before.
 * @module
 */

import { isReady as tinyIsReady, open as openTiny } from "./tiny.js";

/**
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("../manifest.js").Manifest} Manifest
 * @typedef {import("../manifest.js").Artifact} Artifact
 * @typedef {import("../fetch.js").Reader} Reader
 *
 * @typedef {object} Bundle What a runtime may read.
 * @property {Manifest} manifest
 * @property {Reader} read Paths of the bundle.
 * @property {Reader} readAsset Names of the player's own files, the WebAssembly ones.
 * @property {(error: unknown) => boolean} [isMixed] Whether an error says that its files are perhaps
 *   of two releases: then no other artefact is tried, but all is read anew.
 *
 * @typedef {object} Session One opened artefact. It checks nothing: `predict` answers or throws
 *   as the runtime does.
 * @property {string} backend What really runs, as the runtime says.
 * @property {string} ranOn The same for people: "tfjs 4.22.0 wasm".
 * @property {(inputs: readonly Tensor[]) => Promise<Tensor[]>} predict Both in the manifest's order.
 * @property {() => Promise<void>} close
 *
 * @typedef {object} RuntimeModule
 * @property {(bundle: Bundle, artifact: Artifact, backend: string) => Promise<Session>} open
 * @property {(backend: string, format: string) => boolean} isReady Whether `open` would fetch no
 *   code: not the backend's, not the format's.
 *
 * @typedef {object} Runtime
 * @property {readonly string[]} formats
 * @property {readonly string[]} backends The best one for a page first.
 * @property {() => Promise<RuntimeModule>} load
 */

/** @type {Readonly<Record<string, Runtime>>} */
export const RUNTIMES = Object.freeze({
  tiny: {
    formats: ["tfjs-layers"],
    backends: ["js"],
    load: async () => ({ open: openTiny, isReady: tinyIsReady }),
  },
  tfjs: {
    formats: ["tfjs-layers", "tfjs-graph"],
    backends: ["wasm", "cpu", "webgl", "webgpu"],
    load: () => import("./tfjs.js"),
  },
  onnx: {
    formats: ["onnx"],
    backends: ["wasm", "webgpu"],
    load: () => import("./onnx.js"),
  },
});

/** @type {Map<string, RuntimeModule>} */
const loaded = new Map();

/**
 * @param {string} name A key of RUNTIMES.
 * @returns {Promise<RuntimeModule>}
 */
export async function loadRuntime(name) {
  const module = await RUNTIMES[name].load();
  loaded.set(name, module);
  return module;
}

/**
 * Whether this page holds all of the code already, because it was wanted before.
 * @param {string} name A key of RUNTIMES.
 * @param {string} backend
 * @param {string} format
 */
export function isReady(name, backend, format) {
  return loaded.get(name)?.isReady(backend, format) ?? false;
}
