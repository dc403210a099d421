/**
 * Runs the player's own modules in Node for the parity runs: frames on stdin, frames on stdout.
 *
 * A frame is a length (4 bytes, little-endian), that many bytes of JSON, and the raw bytes of the
 * tensors that the JSON's `tensors` describes ({dtype, shape, size_bytes}), one after another. The
 * answer to a request that fails is {"error": …}; the process goes on, unless "trapped" is true:
 * then WebAssembly has stopped halfway, what is in its memory is anyone's guess, and the process is
 * to be ended. It ends with its stdin.
 * @module
 */

import { writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { messageOf } from "../errors.js";
import { parseManifest } from "../manifest.js";
import { RUNTIMES } from "../runtimes/index.js";
import { arrayOf, sizeOf } from "../tensor.js";

/**
 * @typedef {import("../tensor.js").Tensor} Tensor
 * @typedef {import("../runtimes/index.js").Session} Session
 * @typedef {{header: Record<string, any>, tensors: Tensor[]}} Frame
 */

const STDOUT = 1;

/** @type {Map<number, Session>} */
const sessions = new Map();
let lastSession = 0;

/** @type {Record<string, (frame: Frame) => Promise<{header?: object, tensors?: Tensor[]}>>} */
const OPERATIONS = {
  async open({ header }) {
    const { manifest: text, directory, format, precision, runtime, backend } = header;
    const manifest = parseManifest(text);
    const artifact = manifest.artifacts.find((a) => a.format === format && a.precision === precision);
    if (!artifact) throw new Error(`${format}/${precision}: not in the manifest`);
    const bundle = {
      manifest,
      read: readerOf(directory),
      readAsset: readerOf(header.assets),
    };
    const session = await (await RUNTIMES[runtime].load()).open(bundle, artifact, backend);
    sessions.set(++lastSession, session);
    return { header: { session: lastSession, backend: session.backend, ranOn: session.ranOn } };
  },

  async predict({ header, tensors }) {
    return { tensors: await find(header.session).predict(tensors) };
  },

  async close({ header }) {
    await find(header.session).close();
    sessions.delete(header.session);
    return {};
  },
};

/** @param {number} id */
function find(id) {
  const session = sessions.get(id);
  if (!session) throw new Error(`session ${id}: not open`);
  return session;
}

/**
 * @param {string} directory
 * @returns {import("../fetch.js").Reader}
 */
function readerOf(directory) {
  return async (path) => new Uint8Array(await readFile(join(directory, path)));
}

/**
 * Takes bytes as they come and hands them out in the lengths that are asked for.
 * @param {AsyncIterable<Buffer>} stream
 */
function demand(stream) {
  const chunks = stream[Symbol.asyncIterator]();
  /** @type {Uint8Array} */
  let rest = new Uint8Array(0);
  /** @type {(size: number) => Promise<Uint8Array<ArrayBuffer> | null>} */
  return async (size) => {
    const bytes = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      if (rest.length === 0) {
        const { value, done } = await chunks.next();
        if (done) return null;
        rest = value;
      }
      const taken = rest.subarray(0, size - filled);
      bytes.set(taken, filled);
      filled += taken.length;
      rest = rest.subarray(taken.length);
    }
    return bytes;
  };
}

/**
 * @param {(size: number) => Promise<Uint8Array<ArrayBuffer> | null>} take
 * @returns {Promise<Frame | null>} null at the end of the stream.
 */
async function readFrame(take) {
  const length = await take(4);
  const text = length && (await take(new DataView(length.buffer).getUint32(0, true)));
  if (!text) return null;
  const header = JSON.parse(new TextDecoder().decode(text));
  /** @type {Tensor[]} */
  const tensors = [];
  for (const { dtype, shape, size_bytes } of header.tensors ?? []) {
    const bytes = await take(size_bytes);
    if (!bytes) return null;
    tensors.push({ dtype, shape, data: new (arrayOf(dtype))(bytes.buffer) });
  }
  return { header, tensors };
}

/**
 * @param {object} header
 * @param {readonly Tensor[]} tensors
 */
function writeFrame(header, tensors) {
  const payload = tensors.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const described = tensors.map(({ dtype, shape, data }) => {
    if (sizeOf(shape) !== data.length) throw new Error(`${data.length} numbers for the shape ${shape}`);
    return { dtype, shape, size_bytes: data.byteLength };
  });
  const text = new TextEncoder().encode(JSON.stringify({ ...header, tensors: described }));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, text.length, true);
  for (const bytes of [length, text, ...payload]) writeAll(bytes);
}

/**
 * Written at once and not through `process.stdout`, which would hold it all in memory. Node may
 * have set the pipe non-blocking: then it is tried again.
 * @param {Uint8Array} bytes
 */
function writeAll(bytes) {
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += writeSync(STDOUT, bytes, offset);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EAGAIN") throw error;
    }
  }
}

/** @param {Frame} frame */
async function answer(frame) {
  try {
    const { header = {}, tensors = [] } = await OPERATIONS[frame.header.operation](frame);
    writeFrame(header, tensors);
  } catch (error) {
    const { name, stack } = error instanceof Error ? error : { name: null, stack: null };
    writeFrame({ error: messageOf(error), name, stack, trapped: hasTrapped(error) }, []);
  }
}

/**
 * Whether WebAssembly was left in the middle of its work: an access out of bounds, an abort.
 * @param {unknown} error
 * @returns {boolean}
 */
function hasTrapped(error) {
  if (error instanceof WebAssembly.RuntimeError) return true;
  return error instanceof Error && error.cause !== undefined && hasTrapped(error.cause);
}

// Whatever a library prints belongs on stderr: stdout holds frames.
console.log = console.info = console.debug = console.error;

// Not a file stream on 0: its blocked read would keep a process that failed from ending.
const take = demand(process.stdin);
for (let frame = await readFrame(take); frame; frame = await readFrame(take)) await answer(frame);
