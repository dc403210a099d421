/**
 * Builds the player: ES modules into dist/, or the folder given, the WebAssembly files beside them.
 *
 * What a page names itself is one file each: nothing is discovered only when another file is there,
 * and an integrity hash covers all of it. What such a file loads when it is first wanted (runtimes,
 * pictures) is built in parts, which share what they have in common.
 * @module
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { build, transform } from "esbuild";
import { measureRuntimes } from "./build-sizes.js";

const run = promisify(execFile);
const HERE = import.meta.dirname;
const OUT = process.argv[2] ?? join(HERE, "dist");
const MODULES = join(HERE, "node_modules");

const ASSETS = [
  "@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm",
  "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
  "onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm",
];

/** Loaded when they are first wanted. */
const LATER = ["runtimes/tfjs.js", "runtimes/tfjs-trace.js", "runtimes/onnx.js", "picture.js"];

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

/**
 * Nothing is trained in a page: gradients and optimizers stay out, as in TF.js' own custom modules
 * (tfjs/tools/custom_module), which put `dist/base` in the place of the whole core. What it leaves
 * to others comes back with `dist/base_side_effects`: without it no tensor can be cloned, and a
 * layer that passes its input on does just that.
 * @type {import("esbuild").Plugin}
 */
const leaveOutTraining = {
  name: "leave-out-training",
  setup(builder) {
    const core = join(MODULES, "@tensorflow", "tfjs-core", "dist");
    builder.onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, () => ({ path: core, namespace: "tfjs-core" }));
    builder.onLoad({ filter: /.*/, namespace: "tfjs-core" }, () => ({
      contents: 'export * from "./base.js"; import "./base_side_effects.js";',
      resolveDir: core,
    }));
    builder.onLoad({ filter: /tfjs-core[\\/]dist[\\/]register_all_gradients\.js$/ }, () => ({ contents: "" }));
  },
};

const described = await Promise.all(
  ASSETS.map(async (path) => {
    const bytes = await readFile(join(MODULES, path));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return [basename(path), { size_bytes: bytes.length, sha256 }];
  }),
);

/**
 * In the one-file builds: what is loaded later is a file of the build in parts, of the same name.
 * @type {import("esbuild").Plugin}
 */
const loadLater = {
  name: "load-later",
  setup(builder) {
    builder.onResolve({ filter: /^\./ }, ({ path, kind }) =>
      kind === "dynamic-import" ? { path: `./${basename(path)}`, external: true } : undefined,
    );
  },
};

/** The element's style sheet lies in a template literal, which esbuild leaves as it is. */
const shortenStyle = {
  name: "shorten-style",
  /** @param {import("esbuild").PluginBuild} builder */
  setup(builder) {
    builder.onLoad({ filter: /element[\\/]style\.js$/ }, async ({ path }) => {
      const parts = (await readFile(path, "utf8")).split("`");
      if (parts.length !== 3) throw new Error(`${path}: one template literal expected`);
      const { code } = await transform(parts[1], { loader: "css", minify: true });
      return { contents: [parts[0], code.trim(), parts[2]].join("`") };
    });
  },
};

/** @type {import("esbuild").BuildOptions} */
const COMMON = {
  absWorkingDir: HERE,
  outdir: OUT,
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  minify: true,
  legalComments: "linked",
  external: ["node:*", "module", "worker_threads", "fs"],
  define: { PLAYER_ASSETS: JSON.stringify(Object.fromEntries(described)) },
  logLevel: "warning",
};

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
await build({
  ...COMMON,
  entryPoints: [
    { in: "index.js", out: "index" },
    // A page names it in its one script tag: its address is short.
    { in: "element/digit-pad.js", out: "digit-pad" },
    { in: "inspector.js", out: "inspector" },
  ],
  plugins: [loadLater, shortenStyle],
});
const { metafile } = await build({
  ...COMMON,
  entryPoints: [
    ...LATER.map((path) => ({ in: path, out: basename(path, ".js") })),
    { in: "node/host.js", out: "node/host" },
    { in: "browser/host.js", out: "browser/host" },
  ],
  splitting: true,
  chunkNames: "[name]-[hash]",
  plugins: [leaveOutThreads, leaveOutTraining, hideNode],
  metafile: true,
});
const { outputFiles: [tiny] } = await build({
  ...COMMON,
  entryPoints: ["runtimes/tiny.js"],
  // What the rest of the player has anyway.
  external: ["../errors.js", "../fetch.js", "../manifest.js"],
  write: false,
  legalComments: "none",
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
await run(process.execPath, [join(MODULES, "typescript", "bin", "tsc"), "--project", join(HERE, "tsconfig.types.json"), "--outDir", join(OUT, "types")]);
// Of what is not reached from there: the libraries' own types.
await Promise.all(["tfjs", "tfjs-artifacts", "tfjs-cpu", "tfjs-graph", "tfjs-layers", "tfjs-trace", "tfjs-wasm", "tfjs-webgl", "tfjs-webgpu", "onnx"].map((name) => rm(join(OUT, "types", "runtimes", `${name}.d.ts`))));
await Promise.all(
  ["index", "digit-pad", "inspector"].map((name) => {
    const source = name === "digit-pad" ? "element/digit-pad" : name;
    return writeFile(join(OUT, `${name}.d.ts`), `export * from "./types/${source}.js";\n`);
  }),
);
await copyFile(join(HERE, "element", "custom-elements.json"), join(OUT, "custom-elements.json"));
await writeFile(join(OUT, "runtimes.json"), `${JSON.stringify(await measureRuntimes(metafile, OUT, tiny.contents), null, 2)}\n`);
