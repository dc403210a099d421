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
  tiny: { js: ["runtimes/tiny.js"] },
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
 * @param {import("esbuild").Metafile} metafile
 * @param {string} directory Where the files were built.
 * @returns {Promise<Record<string, Record<string, {size_bytes: number, gzip_bytes: number}>>>}
 */
export async function measureRuntimes(metafile, directory) {
  const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));
  const own = closure(outputs, [nameOf(outputs, "index.js")]);
  /** @type {Record<string, any>} */
  const sizes = {};
  for (const [runtime, backends] of Object.entries(PARTS)) {
    sizes[runtime] = {};
    for (const [backend, parts] of Object.entries(backends)) {
      const names = closure(outputs, parts.map((part) => (part.endsWith(".wasm") ? part : nameOf(outputs, part))));
      const files = [...names].filter((name) => !own.has(name)).map((name) => readFile(join(directory, name)));
      const bytes = await Promise.all(files);
      sizes[runtime][backend] = {
        size_bytes: bytes.reduce((sum, content) => sum + content.length, 0),
        gzip_bytes: bytes.reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0),
      };
    }
  }
  return sizes;
}

/** @typedef {import("esbuild").Metafile["outputs"][string]} Output */

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
