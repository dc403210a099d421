/**
 * Trying candidates on this very device: opened, tested on the golden vectors, timed. Owns the
 * choice among them, and what is told of it. Knows no address: it reads what it is given.
 * @module
 */

import { messageOf } from "./errors.js";
import { makeInputs } from "./golden.js";
import { isReady, loadRuntime } from "./runtimes/index.js";
import { selfTest } from "./selftest.js";

/**
 * @typedef {import("./candidates.js").Candidate} Candidate
 * @typedef {import("./golden.js").Golden} Golden
 * @typedef {import("./runtimes/index.js").Bundle} Bundle
 * @typedef {import("./runtimes/index.js").Session} Session
 *
 * @typedef {object} Attempt One candidate that was tried.
 * @property {string} runtime
 * @property {string} backend
 * @property {string} format
 * @property {string} precision
 * @property {boolean} chosen
 * @property {string} reason Why, or why not.
 * @property {number | null} latencyMs Median of one sample's predictions on this device; null where
 *   it does not work here.
 *
 * @typedef {object} Trial A candidate that gives the stored answers.
 * @property {Candidate} candidate
 * @property {Session} session
 * @property {import("./selftest.js").SelfTest} result
 * @property {number} latencyMs
 */

/** Timing must not be felt: no longer than this, or one prediction. */
const BUDGET_MS = 25;
const MOST_RUNS = 31;
/** Less than this is not told from nothing. */
const CLOCK_MS = 2;
const MOST_TOGETHER = 256;
/** A later candidate must be clearly faster: single measurements differ by about so much. */
const CLEARLY = 0.8;

/**
 * The first candidate that is right on this device, or a faster one of those that cost nothing:
 * whose code this page holds, and whose files are those of the first. A GPU is timed like the rest.
 * @param {Bundle} bundle
 * @param {Golden} golden
 * @param {readonly Candidate[]} candidates The best for a page first.
 * @param {AbortSignal} [signal]
 * @returns {Promise<{best: Trial | null, attempts: Attempt[]}>} `attempts` in the order of trying.
 * @throws {import("./fetch.js").WrongFile} One that says that the bundle is mixed.
 */
export async function choose(bundle, golden, candidates, signal) {
  /** @type {Attempt[]} */
  const attempts = [];
  /** @type {Trial | null} */
  let best = null;
  /** @type {Trial[]} */
  const others = [];
  try {
    for (const candidate of candidates) {
      signal?.throwIfAborted();
      if (best && !costsNothing(candidate, best.candidate)) continue;
      const trial = await attempt(bundle, golden, candidate, attempts);
      if (!trial) continue;
      if (best && !isClearlyFaster(trial, best)) {
        others.push(trial);
      } else {
        if (best) others.push(best);
        best = trial;
      }
    }
    signal?.throwIfAborted();
  } catch (error) {
    await best?.session.close();
    throw error;
  } finally {
    await Promise.all(others.map(({ session }) => session.close()));
  }
  return { best, attempts: best ? attempts.map((one) => tell(one, attempts, best)) : attempts };
}

/** @type {(one: {latencyMs: number}, other: {latencyMs: number}) => boolean} */
export function isClearlyFaster(one, other) {
  return one.latencyMs < CLEARLY * other.latencyMs;
}

/** @type {(candidate: Candidate, best: Candidate) => boolean} */
function costsNothing({ runtime, backend, artifact }, best) {
  return artifact === best.artifact && isReady(runtime, backend, artifact.format);
}

/**
 * @param {Bundle} bundle
 * @param {Golden} golden
 * @param {Candidate} candidate
 * @param {Attempt[]} attempts Grows by one.
 * @returns {Promise<Trial | null>}
 */
async function attempt(bundle, golden, candidate, attempts) {
  const { runtime, backend, artifact } = candidate;
  const { format, precision } = artifact;
  const record = (/** @type {string} */ reason, /** @type {number | null} */ latencyMs) =>
    void attempts.push({ runtime, backend, format, precision, chosen: false, reason, latencyMs });
  let session;
  try {
    const module = await loadRuntime(runtime);
    session = await module.open(bundle, artifact, backend);
    const result = await selfTest(session, golden, bundle.manifest, precision);
    if (result.passed) {
      const latencyMs = await medianMs(session, golden, bundle.manifest);
      record("", latencyMs);
      return { candidate, session, result, latencyMs };
    }
    record(result.reason, null);
  } catch (error) {
    if (bundle.isMixed?.(error)) throw error;
    record(messageOf(error), null);
  }
  await session?.close();
  return null;
}

/**
 * What one sample takes: the median of real predictions, the inputs those of a golden row. Browsers
 * give clocks in steps of up to a millisecond, so fast ones are timed several at a time.
 * @param {Session} session
 * @param {Golden} golden
 * @param {import("./manifest.js").Manifest} manifest
 * @returns {Promise<number>}
 */
async function medianMs(session, golden, manifest) {
  const row = golden.rows.find(({ checked, outputs }) => checked && outputs);
  const inputs = makeInputs(golden, Array(manifest.inputs[0]?.shape[0] ?? 1).fill(row));
  const times = [];
  let together = 1;
  const begun = performance.now();
  do {
    const start = performance.now();
    for (let i = 0; i < together; i++) await session.predict(inputs);
    const taken = performance.now() - start;
    if (taken < CLOCK_MS && together < MOST_TOGETHER) together *= 2;
    else times.push(taken / together);
  } while (times.length === 0 || (times.length < MOST_RUNS && performance.now() - begun < BUDGET_MS));
  return times.sort((a, b) => a - b)[times.length >> 1];
}

/** Who was chosen, and why. @type {(one: Attempt, all: readonly Attempt[], best: Trial) => Attempt} */
function tell(one, all, { candidate: { runtime, backend, artifact }, result }) {
  if (one.latencyMs === null) return one;
  const chosen = one.runtime === runtime && one.backend === backend && one.format === artifact.format && one.precision === artifact.precision;
  const right = all.filter(({ latencyMs }) => latencyMs !== null);
  const first = right[0] === one;
  if (!chosen) return { ...one, reason: first ? "right, but another one is clearly faster here" : "right, but not clearly faster here" };
  const why = first ? "first that gives the stored answers" : "gives the stored answers, and clearly the fastest here";
  return { ...one, chosen, reason: `${why} (${result.rows} rows)` };
}
