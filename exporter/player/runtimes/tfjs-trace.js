/**
 * TF.js layers models with their layers' answers for outputs: feature maps, and the kernels that
 * make them. Shares the backend and the queue of `tfjs.js`.
 * @module
 */

import * as tf from "@tensorflow/tfjs-core";
import { loadLayersModel, model as modelOf } from "@tensorflow/tfjs-layers";
import { UnsupportedModel } from "../errors.js";
import { sizeOf } from "../tensor.js";
import { enqueue, useBackend } from "./tfjs.js";
import { readArtifacts } from "./tfjs-artifacts.js";

/**
 * @typedef {import("./index.js").Bundle} Bundle
 * @typedef {import("./index.js").Artifact} Artifact
 * @typedef {import("@tensorflow/tfjs-layers").LayersModel} LayersModel
 * @typedef {import("@tensorflow/tfjs-layers").layers.Layer} Layer Its graph is not in its types.
 *
 * @typedef {import("../maps.js").TracedLayer} TracedLayer
 * @typedef {import("../maps.js").TracedSession} TracedSession
 */

/** What their numbers are made with. */
const KERNELS = new Set(["Dense", "Conv2D", "DepthwiseConv2D"]);
/** Layers that join others number by number. */
const SUMS = new Set(["Add", "Average", "Maximum", "Minimum", "Multiply"]);
/** They change each number alone, and belong to the layer before them. */
const POINTWISE = new Set([
  "Activation", "AlphaDropout", "BatchNormalization", "Dropout", "ELU", "GaussianDropout", "GaussianNoise",
  "LayerNormalization", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU",
]);
/** They pass every number on as it is. */
const PASSING = new Set(["AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"]);

/**
 * @param {Bundle} bundle
 * @param {Artifact} artifact Of the format tfjs-layers.
 * @param {string} backend
 * @returns {Promise<TracedSession>}
 * @throws {UnsupportedModel} No layer of it can be shown.
 */
export async function openTraced(bundle, artifact, backend) {
  const artifacts = await readArtifacts(bundle.read, artifact);
  const [input] = bundle.manifest.inputs;
  const shape = /** @type {number[]} */ (input.shape.slice(1));
  if (bundle.manifest.inputs.length !== 1 || input.shape.slice(1).includes(null)) {
    throw new UnsupportedModel(`${bundle.manifest.name}: one input of a known shape expected, another found`);
  }
  return enqueue(async () => {
    await useBackend(bundle, backend);
    const model = await loadLayersModel({ load: async () => artifacts });
    const shown = model.layers.filter(isShown);
    const exit = model.outputs[0].sourceLayer;
    if (shown.length === 0) throw new UnsupportedModel(`${bundle.manifest.name}: no layer with maps or units found`);
    if (endOf(shown[shown.length - 1]) !== exit) shown.push(exit);
    const ends = shown.map((layer) => endOf(layer));
    const traced = modelOf({ inputs: model.inputs, outputs: ends.map((layer) => /** @type {any} */ (layer).output) });
    const layers = await Promise.all(shown.map((layer, i) => describe(layer, ends[i])));
    const ask = (/** @type {LayersModel} */ asked, /** @type {Float32Array} */ samples) =>
      enqueue(async () => {
        await useBackend(bundle, backend);
        const count = samples.length / sizeOf(shape);
        const given = tf.tensor(samples, [count, ...shape]);
        const found = [asked.predict(given, { batchSize: count })].flat();
        try {
          return /** @type {Float32Array[]} */ (await Promise.all(found.map((tensor) => tensor.data())));
        } finally {
          tf.dispose([given, ...found]);
        }
      });
    return {
      layers,
      look: (sample) => ask(traced, sample),
      answer: async (samples) => (await ask(model, samples))[0],
      close: () => enqueue(async () => void model.dispose()),
    };
  });
}

/** Maps (batch, height, width, maps) or units (batch, units), made by a kernel or a sum. @param {Layer} layer */
function isShown(layer) {
  const kind = layer.getClassName();
  const { inboundNodes, outputShape, dataFormat } = /** @type {any} */ (layer);
  if (inboundNodes.length !== 1 || dataFormat === "channelsFirst") return false;
  const sizes = outputShape.slice(1);
  return (KERNELS.has(kind) || SUMS.has(kind)) && (sizes.length === 1 || sizes.length === 3) && !sizes.includes(null);
}

/**
 * The last of the pointwise layers that follow it alone and change something.
 * @type {(layer: Layer, end?: Layer) => Layer}
 */
function endOf(layer, end = layer) {
  const { outboundNodes } = /** @type {any} */ (layer);
  const next = outboundNodes.length === 1 ? outboundNodes[0].outboundLayer : null;
  const belongs = next && POINTWISE.has(next.getClassName()) && next.inboundNodes.length === 1;
  if (!belongs) return end;
  return endOf(next, PASSING.has(next.getClassName()) ? end : next);
}

/** @type {(layer: Layer, end: Layer) => Promise<TracedLayer>} */
async function describe(layer, end) {
  const kind = layer.getClassName();
  const [height, width, maps] = /** @type {any} */ (layer).outputShape.slice(1);
  const size = maps === undefined ? { units: height } : { units: maps, map: { height, width } };
  if (!KERNELS.has(kind)) return { name: end.name, ...size, kernel: null };
  const [weights] = layer.getWeights();
  const values = /** @type {Float32Array} */ (await weights.data());
  const shape = kind === "Dense" ? [...readBy(layer), size.units] : weights.shape;
  return { name: end.name, ...size, kernel: { values, shape, each: kind === "DepthwiseConv2D" } };
}

/** Height, width and maps of what a Dense layer reads. @param {Layer} layer @returns {number[]} */
function readBy(layer) {
  const before = /** @type {any} */ (layer).inboundNodes[0].inboundLayers[0];
  if (PASSING.has(before.getClassName())) return readBy(before);
  const flattened = before.getClassName() === "Flatten" && before.dataFormat !== "channelsFirst" ? before.input.shape : [];
  return flattened.length === 4 ? flattened.slice(1) : [1, 1, before.outputShape.at(-1)];
}
