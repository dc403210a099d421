/**
 * Runs the player's own modules in a page for the parity runs. The parity run serves this file, calls
 * the functions of `globalThis.host` and exchanges tensors as frames at the address `exchange`;
 * each page holds one artefact on one backend.
 * @module
 */

import { messageOf } from "../errors.js";
import { readerFrom } from "../fetch.js";
import { parseManifest } from "../manifest.js";
import { RUNTIMES } from "../runtimes/index.js";
import { parseFrame, makeFrame } from "./frames.js";

/**
 * @typedef {import("../runtimes/index.js").Session} Session
 * @typedef {{manifest: string, format: string, precision: string, runtime: string, backend: string}} Request
 */

const BUNDLE = new URL("bundle/", location.href);
const PLAYER = new URL("player/", location.href);
const EXCHANGE = new URL("exchange", location.href);

/** @type {Session | null} */
let session = null;

const OPERATIONS = {
  /** @param {Request} request */
  async open({ manifest: text, format, precision, runtime, backend }) {
    const manifest = parseManifest(text);
    const artifact = manifest.artifacts.find((a) => a.format === format && a.precision === precision);
    if (!artifact) throw new Error(`${format}/${precision}: not in the manifest`);
    const bundle = { manifest, read: readerFrom(BUNDLE), readAsset: readerFrom(PLAYER) };
    session = await (await RUNTIMES[runtime].load()).open(bundle, artifact, backend);
    return describe(session);
  },

  /** Fetch the calls that wait at the exchange, make them, and leave the answers there. */
  async predict() {
    if (!session) throw new Error("nothing is open");
    const response = await fetch(EXCHANGE);
    if (!response.ok) throw new Error(`the exchange: status 200 expected, ${response.status} found`);
    const { header, tensors } = parseFrame(await response.arrayBuffer());
    const answers = [];
    const times = [];
    for (let first = 0; first < tensors.length; first += header.inputs) {
      const begun = performance.now();
      answers.push(await session.predict(tensors.slice(first, first + header.inputs)));
      times.push(performance.now() - begun);
    }
    const body = makeFrame({ times }, answers.flat());
    await fetch(EXCHANGE, { method: "POST", body });
    return describe(session);
  },

  /** What this page's browser computes with, where it says so. */
  async gpu() {
    const context = new OffscreenCanvas(1, 1).getContext("webgl2");
    const renderer = context?.getExtension("WEBGL_debug_renderer_info");
    const gpu = /** @type {any} */ (navigator).gpu;
    const adapter = gpu ? await gpu.requestAdapter() : null;
    return {
      webgl: context ? String(context.getParameter(renderer?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER)) : null,
      webgpu: adapter ? [adapter.info.vendor, adapter.info.architecture, adapter.info.description].filter(Boolean).join(" ") : null,
    };
  },
};

/** @param {Session} session */
function describe({ backend, ranOn }) {
  return { backend, ranOn };
}

/**
 * @param {keyof typeof OPERATIONS} operation
 * @param {any} request
 * @returns {Promise<object>} An answer, or {error}: what a page throws loses its text on the way out.
 */
async function answer(operation, request) {
  try {
    return await OPERATIONS[operation](request);
  } catch (error) {
    return { error: messageOf(error), name: error instanceof Error ? error.name : null };
  }
}

Object.assign(globalThis, { host: answer });
