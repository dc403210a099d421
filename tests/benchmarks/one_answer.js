/**
 * One answer at a time, warm, in turns: the player's tiny runner, TF.js, ORT-web, and the same
 * product written out by hand over typed arrays, as the limit.
 */

import * as ort from "./ort.wasm.bundle.min.mjs";
import { load } from "/player/index.js";

const BUNDLE = "/models/mlp-128-64/";
const WARM_UP = 100;

/** The weights of the layers, float32, kernel and bias in turn. */
async function readWeights() {
  const document = await (await fetch(`${BUNDLE}tfjs/layers/model.json`)).json();
  const [{ paths, weights }] = document.weightsManifest;
  const bytes = await (await fetch(`${BUNDLE}tfjs/layers/${paths[0]}`)).arrayBuffer();
  let offset = 0;
  return weights.map(({ shape }) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = new Float32Array(bytes, offset, count);
    offset += 4 * count;
    return values;
  });
}

/** Flatten, two layers with relu, softmax: nothing else, and every number multiplied. */
function bareProduct(weights) {
  const outputs = [1, 3, 5].map((index) => new Float32Array(weights[index].length));
  const dense = (input, kernel, bias, output, relu) => {
    const units = output.length;
    output.set(bias);
    for (let i = 0, at = 0; i < input.length; i++, at += units) {
      const x = input[i];
      for (let j = 0; j < units; j++) output[j] += x * kernel[at + j];
    }
    if (relu) for (let j = 0; j < units; j++) if (output[j] < 0) output[j] = 0;
    return output;
  };
  return async (pixels) => {
    const [k1, b1, k2, b2, k3, b3] = weights;
    const first = dense(pixels, k1, b1, outputs[0], true);
    const logits = dense(dense(first, k2, b2, outputs[1], true), k3, b3, outputs[2], false);
    const most = Math.max(...logits);
    const powers = logits.map((x) => Math.exp(x - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((x) => x / sum);
  };
}

async function ofPlayer(runtime, backend) {
  const model = await load(`${BUNDLE}manifest.json`, { runtime, backend, format: "tfjs-layers" });
  if (model.info.backend !== backend) throw new Error(`${backend} expected, ${model.info.backend} found`);
  return (pixels) => model.predict(pixels);
}

/** In a frame: two TF.js in one page share their tensors. */
async function openStock() {
  const frame = document.createElement("iframe");
  const loaded = new Promise((done) => frame.addEventListener("load", done));
  frame.src = "frame";
  document.body.append(frame);
  await loaded;
  const { tf, Float32Array: Numbers } = frame.contentWindow;
  await tf.ready();
  const model = await tf.loadLayersModel(`${BUNDLE}tfjs/layers/model.json`);
  const answer = async (pixels) => {
    const input = tf.tensor(new Numbers(pixels), [1, 28, 28]);
    const output = model.predict(input);
    const numbers = await output.data();
    tf.dispose([input, output]);
    return numbers;
  };
  return { answer, backend: tf.getBackend() };
}

async function ofOrt() {
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(`${BUNDLE}onnx/model.onnx`);
  const [inputName, outputName] = [session.inputNames[0], session.outputNames[0]];
  return async (pixels) => {
    const outputs = await session.run({ [inputName]: new ort.Tensor("float32", pixels, [1, 28, 28]) });
    return outputs[outputName].data;
  };
}

/**
 * @param {number[][]} pictures
 * @param {number} rounds
 * @param {number} each Answers of one contender in one round.
 * @returns {Promise<Record<string, number[]>>} Milliseconds of every answer.
 */
export async function measure(pictures, rounds, each) {
  const inputs = pictures.map((numbers) => Float32Array.from(numbers));
  const stock = await openStock();
  const contenders = {
    tiny: await ofPlayer("tiny", "js"),
    bare: bareProduct(await readWeights()),
    stock: stock.answer,
    cpu: await ofPlayer("tfjs", "cpu"),
    wasm: await ofPlayer("tfjs", "wasm"),
    ort: await ofOrt(),
  };
  const names = Object.keys(contenders);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  const expected = await contenders.bare(inputs[0]);
  for (const name of names) {
    const found = await contenders[name](inputs[0]);
    const off = Math.max(...expected.map((x, i) => Math.abs(x - found[i])));
    if (!(off < 1e-4)) throw new Error(`${name}: the same answer expected, ${off} off`);
    for (let i = 0; i < WARM_UP; i++) await contenders[name](inputs[i % inputs.length]);
  }
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length];
      for (let i = 0; i < each; i++) {
        const begun = performance.now();
        await contenders[name](inputs[(round * each + i) % inputs.length]);
        times[name].push(performance.now() - begun);
      }
    }
  }
  return { times, stock: stock.backend };
}

globalThis.measure = measure;
