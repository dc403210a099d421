/**
 * Which should I ship? Times the models on this very device when it is asked to: all are loaded
 * first, then they answer in turns, so that a busy machine slows all alike.
 * @module
 */

import { load } from "../player/index.js";

/** @typedef {NonNullable<Awaited<ReturnType<typeof open>>>} Entrant */

const ROUNDS = 15;
/** A round of one model lasts at least so long: browsers tell time in steps of up to 1 ms. */
const ROUND_MS = 8;
const INPUTS = 28 * 28;

const button = /** @type {HTMLButtonElement} */ (document.querySelector("[data-measures]"));
const told = /** @type {HTMLElement} */ (document.querySelector("[data-told]"));
/** @type {HTMLElement[]} */
const cells = Array.from(document.querySelectorAll("[data-times]"));

/** @param {number} size */
function bytes(size) {
  return size < 1e6 ? `${(size / 1e3).toFixed(0)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

/** @param {number} ms */
function duration(ms) {
  return `${ms < 1 ? ms.toPrecision(2) : ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** @param {number[]} values */
function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A drawing's worth of ink: a one in the middle. */
function picture() {
  const pixels = new Float32Array(INPUTS);
  for (let row = 5; row < 23; row++) pixels.fill(1, 28 * row + 13, 28 * row + 16);
  return pixels;
}

/** @param {HTMLElement} cell */
async function open(cell) {
  const [format, precision] = (cell.dataset.times ?? "").split("/");
  const address = new URL(cell.dataset.manifest ?? "", document.baseURI).href;
  cell.textContent = "loading …";
  try {
    const model = await load(address, { format: /** @type {any} */ (format), precision });
    for (let i = 0; i < 5; i++) await model.predict(picture());
    cell.textContent = "timing …";
    return { cell, model, times: /** @type {number[]} */ ([]), failed: false };
  } catch (error) {
    fail(cell, error);
    return null;
  }
}

/** @param {{predict: (pixels: Float32Array) => Promise<unknown>}} model */
async function round(model) {
  const pixels = picture();
  const begun = performance.now();
  let calls = 0;
  do {
    await model.predict(pixels);
    calls++;
  } while (performance.now() - begun < ROUND_MS);
  return (performance.now() - begun) / calls;
}

/** One round of a model that still runs. @param {Entrant} entrant */
async function answer(entrant) {
  if (entrant.failed) return;
  try {
    entrant.times.push(await round(entrant.model));
  } catch (error) {
    entrant.failed = true;
    fail(entrant.cell, error);
  }
}

/** @type {(cell: HTMLElement, error: unknown) => void} */
function fail(cell, error) {
  cell.textContent = "failed";
  cell.title = error instanceof Error ? error.message : String(error);
}

async function measure() {
  button.disabled = true;
  /** @type {Entrant[]} */
  const entrants = [];
  try {
    await timeAll(entrants);
  } finally {
    for (const { model } of entrants) await model.close().catch(() => {}); // it has answered or failed
    button.textContent = "Time them again";
    button.disabled = false;
  }
}

/** @param {Entrant[]} entrants filled as they are opened */
async function timeAll(entrants) {
  told.textContent = "Loading the models, each checked as on any page.";
  for (const cell of cells) {
    const opened = await open(cell);
    if (opened) entrants.push(opened);
  }
  told.textContent = "They answer in turns.";
  for (let i = 0; i < ROUNDS; i++) {
    for (const entrant of entrants) await answer(entrant);
    // The page stays alive meanwhile.
    await new Promise((resolve) => setTimeout(resolve));
  }
  for (const { cell, model, times, failed } of entrants) {
    if (failed) continue;
    const { runtime, backend } = model.info;
    const where = document.createElement("span");
    where.textContent = `${runtime} ${backend}`;
    cell.replaceChildren(duration(median(times)), where);
  }
  const failed = cells.length - entrants.filter((one) => !one.failed).length;
  const rest = failed ? ` ${failed} could not be run here.` : "";
  told.textContent = `Median of ${ROUNDS} rounds on this device, all in turns.${rest}`;
}

if (button) {
  const weight = cells.reduce((sum, cell) => sum + Number(cell.dataset.bytes), 0);
  button.textContent = `Time them on this device (${bytes(weight)} and their runtimes)`;
  button.hidden = false;
  button.addEventListener("click", () => void measure());
}
