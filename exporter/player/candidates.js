/**
 * Which artefact in which runtime on which backend to try, the best for a page first.
 * @module
 */

import { BadInput } from "./errors.js";
import { RUNTIMES } from "./runtimes/index.js";

/**
 * @typedef {import("./manifest.js").Artifact} Artifact
 *
 * @typedef {object} Candidate
 * @property {string} runtime
 * @property {string} backend
 * @property {Artifact} artifact
 *
 * @typedef {object} Choice What the caller asks for; "auto" or nothing leaves it to the player.
 * @property {string} [runtime]
 * @property {string} [backend]
 * @property {string} [format]
 * @property {string} [precision] Also "smallest": whatever is the fewest bytes, in the tiny runner,
 *   which weighs next to nothing itself; in the other runtimes the same as "auto", float32.
 */

const SMALLEST = "smallest";
const SMALL_RUNTIME = "tiny";

/**
 * @param {readonly Artifact[]} artifacts
 * @param {Choice} choice
 * @returns {Candidate[]} Never empty.
 * @throws {BadInput} Nothing in the bundle is what was asked for.
 */
export function listCandidates(artifacts, choice) {
  const runtime = asked(choice.runtime);
  const backend = asked(choice.backend);
  if (runtime !== null && !Object.hasOwn(RUNTIMES, runtime)) {
    throw new BadInput(`runtime ${runtime}: unknown; known: auto, ${Object.keys(RUNTIMES).join(", ")}`);
  }
  const names = runtime === null ? Object.keys(RUNTIMES) : [runtime];
  const precision = asked(choice.precision);
  const offered = artifacts.filter((artifact) => matches(asked(choice.format), artifact.format));
  const found = names.flatMap((name) => {
    const { backends, formats } = RUNTIMES[name];
    return backends
      .filter((one) => matches(backend, one))
      .flatMap((one) =>
        formats.flatMap((format) =>
          ofPrecision(offered.filter((artifact) => artifact.format === format), precision, name)
            .map((artifact) => ({ runtime: name, backend: one, artifact })),
        ),
      );
  });
  if (found.length === 0) {
    const here = artifacts.map((artifact) => `${artifact.format}/${artifact.precision}`).join(", ");
    throw new BadInput(`nothing here runs with ${JSON.stringify(choice)}; the bundle has ${here || "no artefacts"}`);
  }
  return found;
}

/**
 * Without a wish: float32, or whatever there is.
 * @param {readonly Artifact[]} artifacts Of one format.
 * @param {string | null} precision
 * @param {string} runtime
 */
function ofPrecision(artifacts, precision, runtime) {
  const exact = artifacts.filter((artifact) => artifact.precision === "float32");
  if (precision === SMALLEST && runtime === SMALL_RUNTIME) return [...artifacts].sort((a, b) => sizeOf(a) - sizeOf(b));
  if (precision === null || precision === SMALLEST) return exact.length > 0 ? exact : artifacts;
  return artifacts.filter((artifact) => artifact.precision === precision);
}

/** @param {Artifact} artifact */
function sizeOf({ files }) {
  return files.reduce((sum, file) => sum + file.size_bytes, 0);
}

/** @param {string | undefined} wish */
function asked(wish) {
  return wish === undefined || wish === "auto" ? null : wish;
}

/** @type {(wish: string | null, value: string) => boolean} */
function matches(wish, value) {
  return wish === null || wish === value;
}
