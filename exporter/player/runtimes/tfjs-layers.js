/**
 * TF.js layers models.
 * @module
 */

import { loadLayersModel } from "@tensorflow/tfjs-layers";
import { RuntimeFailed } from "../errors.js";

/**
 * @typedef {import("@tensorflow/tfjs-core").Tensor} Tensor
 */

/**
 * @param {import("@tensorflow/tfjs-core").io.ModelArtifacts} artifacts
 * @param {import("../manifest.js").Manifest} manifest
 * @returns {Promise<import("./tfjs.js").TfjsModel>}
 */
export async function load(artifacts, manifest) {
  const model = await loadLayersModel({ load: async () => artifacts });
  check("inputs", manifest.inputs.length, model.inputs.length);
  check("outputs", manifest.outputs.length, model.outputs.length);
  return {
    // Inputs and outputs of a layers model stand in the order of the Keras model.
    predict: (inputs) => {
      const result = model.predict(inputs.length === 1 ? inputs[0] : inputs, {
        batchSize: Math.max(1, inputs[0].shape[0]),
      });
      return Array.isArray(result) ? result : [result];
    },
    dispose: () => void model.dispose(),
  };
}

/**
 * @param {string} what
 * @param {number} expected
 * @param {number} found
 */
function check(what, expected, found) {
  if (expected !== found) {
    throw new RuntimeFailed(`tfjs-layers: ${expected} ${what} expected, ${found} found`);
  }
}
