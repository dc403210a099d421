/**
 * What each runtime weighs beside the player itself, known when it is built: so that a page can
 * tell before anything is fetched. Part of the build, not of the player.
 * @module
 */

import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const TFJS = ["runtimes/tfjs.js", "runtimes/tfjs-layers.js"];
const TFJS_WASM = "tfjs-backend-wasm-simd.wasm";
const ORT = "node_modules/onnxruntime-web/dist";

/** Modules that are imported when first wanted, and WebAssembly files, by runtime and backend. */
const PARTS = Object.freeze({
  tfjs: {
    cpu: [...TFJS, "runtimes/tfjs-cpu.js"],
    wasm: [...TFJS, "runtimes/tfjs-wasm.js", TFJS_WASM],
    webgl: [...TFJS, "runtimes/tfjs-webgl.js"],
    webgpu: [...TFJS, "runtimes/tfjs-webgpu.js"],
  },
  onnx: {
    wasm: ["runtimes/onnx.js", `${ORT}/ort.wasm.bundle.min.mjs`, "ort-wasm-simd-threaded.wasm"],
    webgpu: ["runtimes/onnx.js", `${ORT}/ort.webgpu.bundle.min.mjs`, "ort-wasm-simd-threaded.asyncify.wasm"],
  },
});

/**
 * @typedef {{size_bytes: number, gzip_bytes: number}} Size
 * @typedef {import("esbuild").Metafile["outputs"][string]} Output
 */

/**
 * @param {import("esbuild").Metafile} metafile Of the build in parts.
 * @param {string} directory Where the files were built.
 * @param {Uint8Array} tiny The tiny runner alone, as built: it is a part of the player's own file.
 * @returns {Promise<Record<string, Record<string, Size>>>}
 */
export async function measureRuntimes(metafile, directory, tiny) {
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  /** @type {Record<string, Record<string, Size>>} */
  const sizes = { tiny: { js: sizeOf([tiny]) } };
  for (const [runtime, backends] of Object.entries(PARTS)) {
    sizes[runtime] = {};
    for (const [backend, parts] of Object.entries(backends)) {
      const names = closure(outputs, parts.map((part) => (part.endsWith(".wasm") ? part : nameOf(outputs, part))));
      sizes[runtime][backend] = sizeOf(await Promise.all([...names].map((name) => readFile(join(directory, name)))));
    }
  }
  return sizes;
}

/** @param {readonly Uint8Array[]} files @returns {Size} */
function sizeOf(files) {
  return {
    size_bytes: files.reduce((sum, content) => sum + content.length, 0),
    gzip_bytes: files.reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0),
  };
}

/** The built file of a source. @type {(outputs: Map<string, Output>, source: string) => string} */
function nameOf(outputs, source) {
  for (const [name, { entryPoint }] of outputs) if (entryPoint === source) return name;
  throw new Error(`${source}: built into a file of its own expected, none found`);
}

/** Files and all that they import at once. @type {(outputs: Map<string, Output>, names: string[]) => Set<string>} */
function closure(outputs, names) {
  const found = new Set(names);
  for (const name of found) {
    for (const { path, kind } of outputs.get(name)?.imports ?? []) {
      if (kind === "import-statement") found.add(basename(path));
    }
  }
  return found;
}
