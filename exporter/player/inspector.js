/**
 * Looks inside a model while another runtime answers: what its units say to one sample, and what
 * each unit looks for. Chains of plain layers are looked into by the tiny runner, every other
 * layers model, one with feature maps say, by TF.js. Imports the tiny runner; TF.js when wanted.
 * @module
 */

import { BadBundle, UnsupportedModel } from "./errors.js";
import { readerFrom } from "./fetch.js";
import { MapInspector } from "./maps.js";
import { inOneRelease } from "./release.js";
import { open } from "./runtimes/tiny.js";

export { MapInspector } from "./maps.js";

/**
 * @typedef {import("./maps.js").Kernels} Kernels
 * @typedef {import("./maps.js").MapLayer} MapLayer
 *
 * @typedef {object} DenseLayer
 * @property {string} name
 * @property {number} units
 * @property {undefined} [map] A feature map's size, where a unit has more than one number.
 */

const FORMAT = "tfjs-layers";

/**
 * @param {string | URL} manifestUrl
 * @param {{precision?: string, backend?: string, signal?: AbortSignal}} [options] The precision
 *   whose files are probably at hand; another one is taken where the bundle has it not. The
 *   backend of TF.js that looks where the tiny runner cannot.
 * @returns {Promise<Inspector | MapInspector>}
 * @throws {UnsupportedModel} Nothing in it can be shown; the message says what is in the way.
 */
export async function openInspector(manifestUrl, { precision = "float32", backend = "cpu", signal } = {}) {
  return inOneRelease(readerFrom(manifestUrl, { signal }), signal, async ({ readManifest, read }) => {
    const manifest = await readManifest();
    const layered = manifest.artifacts.filter(({ format }) => format === FORMAT);
    const artifact = layered.find((one) => one.precision === precision) ?? layered[0];
    if (!artifact) throw new UnsupportedModel(`${manifest.name}: an artefact ${FORMAT} expected, none found`);
    try {
      return new Inspector(await open({ manifest, read, readAsset: read }, artifact, "js"));
    } catch (error) {
      if (!(error instanceof UnsupportedModel)) throw error;
    }
    const { openTraced } = await import("./runtimes/tfjs-trace.js");
    const readAsset = readerFrom(import.meta.url, { signal });
    return new MapInspector(await openTraced({ manifest, read, readAsset }, artifact, backend));
  });
}

/** The Dense layers of a model, from its input to its output. */
export class Inspector {
  #session;
  /** @type {number[]} Places in the chain. */
  #places;

  /** @param {import("./runtimes/tiny.js").TinySession} session */
  constructor(session) {
    const { layers } = session;
    this.#session = session;
    this.#places = layers.flatMap(({ kernel }, i) => (kernel ? [i] : []));
    if (this.#places.length === 0) throw new BadBundle("model: a Dense layer expected, none found");
    /** @type {readonly DenseLayer[]} */
    this.layers = this.#places.map((place) => ({ name: layers[place].name, units: layers[place].shape.at(-1) ?? 0 }));
  }

  /**
   * What the units of each Dense layer say to one sample, activation included.
   * @param {Float32Array} sample
   * @returns {Float32Array[]} One array for each of `layers`.
   */
  look(sample) {
    const trace = this.#session.trace(sample);
    return this.#places.map((place, i) => {
      // An activation, a dropout or a normalisation after it belongs to it.
      const next = this.#places[i + 1] ?? trace.length;
      return trace[next - 1];
    });
  }

  /**
   * What one unit looks for: by how much each input number moves it before its own activation. Of
   * a unit above the first layer, through those units below it that are active in `answers`.
   * @param {number} layer Of `layers`.
   * @param {number} unit
   * @param {readonly Float32Array[]} answers What `look` gave.
   * @returns {Float32Array} As many numbers as the input has.
   */
  weightsOf(layer, unit, answers) {
    let weights = this.#column(layer, unit);
    for (let below = layer - 1; below >= 0; below--) {
      const active = answers[below];
      const kernel = this.#kernel(below);
      const units = active.length;
      const through = weights;
      const inputs = kernel.length / units;
      weights = Float32Array.from({ length: inputs }, (_, i) => {
        let sum = 0;
        for (let j = 0; j < units; j++) if (active[j] > 0) sum += kernel[i * units + j] * through[j];
        return sum;
      });
    }
    return weights;
  }

  /** @type {(layer: number, unit: number) => Float32Array} */
  #column(layer, unit) {
    const { units } = this.layers[layer];
    return this.#kernel(layer).filter((_, i) => i % units === unit);
  }

  /** @type {(layer: number) => Float32Array} */
  #kernel(layer) {
    return /** @type {Float32Array} */ (this.#session.layers[this.#places[layer]].kernel);
  }
}
