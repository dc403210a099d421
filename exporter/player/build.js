/**
 * Builds the player: ES modules into dist/, or the folder given, the WebAssembly files beside them.
 * @module
 */

import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { measureRuntimes } from "./build-sizes.js";

const HERE = import.meta.dirname;
const OUT = process.argv[2] ?? join(HERE, "dist");
const MODULES = join(HERE, "node_modules");

const ASSETS = [
  "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm",
  "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
  "onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm",
];

/**
 * TF.js and Emscripten look for Node by `process` and then want CommonJS' `require` and
 * `__dirname`, which ES modules lack: with `process` hidden they take the browser's way, in Node
 * too, so that a parity run goes through the code that a page runs.
 * @type {import("esbuild").Plugin}
 */
const hideNode = {
  name: "hide-node",
  setup(builder) {
    builder.onLoad({ filter: /@tensorflow[\\/].*\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      if (!/\bprocess\b/.test(source)) return undefined;
      return { contents: `var process;\n${source}`, loader: "js" };
    });
  },
};

/**
 * Threads are never used: the threaded half of TF.js' wasm backend stays out.
 * @type {import("esbuild").Plugin}
 */
const leaveOutThreads = {
  name: "leave-out-threads",
  setup(builder) {
    builder.onLoad({ filter: /tfjs-backend-wasm-threaded-simd(\.worker)?\.js$/ }, () => ({
      contents: "export default null; export const wasmWorkerContents = '';",
    }));
  },
};

const described = await Promise.all(
  ASSETS.map(async (path) => {
    const bytes = await readFile(join(MODULES, path));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return [basename(path), { size_bytes: bytes.length, sha256 }];
  }),
);

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
const { metafile } = await build({
  absWorkingDir: HERE,
  entryPoints: [
    { in: "index.js", out: "index" },
    // A page names it in its one script tag: its address is short.
    { in: "element/digit-pad.js", out: "digit-pad" },
    { in: "inspector.js", out: "inspector" },
    { in: "node/host.js", out: "node/host" },
    { in: "browser/host.js", out: "browser/host" },
  ],
  outdir: OUT,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  minify: true,
  legalComments: "linked",
  chunkNames: "[name]-[hash]",
  external: ["node:*", "module", "worker_threads", "fs"],
  define: { PLAYER_ASSETS: JSON.stringify(Object.fromEntries(described)) },
  plugins: [leaveOutThreads, hideNode],
  logLevel: "warning",
  metafile: true,
});
await Promise.all(ASSETS.map((path) => copyFile(join(MODULES, path), join(OUT, basename(path)))));
// What other sites name in a script tag is pinned there.
const pinned = await Promise.all(
  ["index.js", "digit-pad.js"].map(async (name) => {
    const digest = createHash("sha384").update(await readFile(join(OUT, name))).digest("base64");
    return [name, `sha384-${digest}`];
  }),
);
await writeFile(join(OUT, "integrity.json"), `${JSON.stringify(Object.fromEntries(pinned), null, 2)}\n`);
await copyFile(join(HERE, "element", "custom-elements.json"), join(OUT, "custom-elements.json"));
await writeFile(join(OUT, "runtimes.json"), `${JSON.stringify(await measureRuntimes(metafile, OUT), null, 2)}\n`);
