/**
 * TF.js graph models. `GraphModel.predict` gives several outputs in an order of its own, so inputs
 * and outputs are always named.
 * @module
 */

import { loadGraphModel } from "@tensorflow/tfjs-converter";
import { RuntimeFailed, messageOf } from "../errors.js";

/**
 * @typedef {import("@tensorflow/tfjs-core").Tensor} Tensor
 * @typedef {import("@tensorflow/tfjs-converter").GraphModel} GraphModel
 */

/**
 * @param {import("@tensorflow/tfjs-core").io.ModelArtifacts} artifacts
 * @param {import("../manifest.js").Manifest} manifest
 * @returns {Promise<import("./tfjs.js").TfjsModel>}
 */
export async function load(artifacts, manifest) {
  const model = await loadGraphModel({ load: async () => artifacts });
  const inputs = resolve(artifacts, "inputs", manifest.inputs, model.inputNodes);
  const outputs = resolve(artifacts, "outputs", manifest.outputs, model.outputNodes);
  return {
    predict: (tensors) => execute(model, Object.fromEntries(inputs.map((name, i) => [name, tensors[i]])), outputs),
    dispose: () => model.dispose(),
  };
}

/**
 * The graph's node for each name of the manifest, by the signature where the graph has one.
 * @param {import("@tensorflow/tfjs-core").io.ModelArtifacts} artifacts
 * @param {"inputs" | "outputs"} what
 * @param {readonly import("../manifest.js").TensorSpec[]} specs
 * @param {string[]} nodes
 * @returns {string[]}
 */
function resolve(artifacts, what, specs, nodes) {
  const metadata = /** @type {any} */ (artifacts.userDefinedMetadata);
  const signature = (metadata?.signature ?? /** @type {any} */ (artifacts.signature))?.[what] ?? {};
  return specs.map(({ name }) => {
    const node = Object.hasOwn(signature, name) ? signature[name].name : name;
    // A node and its first output are the same to TF.js.
    const bare = node.endsWith(":0") ? node.slice(0, -2) : node;
    const found = [name, node, bare].find((candidate) => nodes.includes(candidate));
    if (found === undefined) {
      throw new RuntimeFailed(`tfjs-graph: ${what} ${name} expected, ${nodes.join(", ")} found`);
    }
    return found;
  });
}

/**
 * @param {GraphModel} model
 * @param {Record<string, Tensor>} inputs
 * @param {string[]} outputs
 * @returns {Promise<Tensor[]>}
 */
async function execute(model, inputs, outputs) {
  let result;
  try {
    result = model.execute(inputs, outputs);
  } catch (error) {
    // Control flow and ops of unknown output shape: TF.js asks for the other call by name.
    if (!messageOf(error).includes("executeAsync")) throw error;
    result = await model.executeAsync(inputs, outputs);
  }
  return Array.isArray(result) ? result : [result];
}
