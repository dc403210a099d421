// Shows the difference between an artefact and Keras: node reproduce.mjs
// Needs, from npm: @tensorflow/tfjs 4 (and @tensorflow/tfjs-backend-wasm for that backend), or
// onnxruntime-web. Exit code 1 while the difference is there, 0 when it is gone.
import { readFile } from "node:fs/promises";
import process from "node:process";

const HERE = new URL("./", import.meta.url);
const read = (path) => readFile(new URL(path, HERE));
const ARRAYS = { "<f4": Float32Array, "<f8": Float64Array, "<i4": Int32Array, "<i8": BigInt64Array, "|b1": Uint8Array, "|u1": Uint8Array };
const DTYPES = { "<f4": "float32", "<f8": "float32", "<i4": "int32", "<i8": "int64", "|b1": "bool", "|u1": "int32" };

// A .npy file: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
async function npy(path) {
  const bytes = await read(path);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, start);
  const descr = /'descr': '([^']+)'/.exec(header)[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)[1].split(",").filter((size) => size.trim()).map(Number);
  const data = new ARRAYS[descr](new Uint8Array(bytes.subarray(start)).buffer);
  return { dtype: DTYPES[descr], shape, data };
}

async function loadTfjs({ format, path, backend }) {
  const tf = await import("@tensorflow/tfjs");
  if (backend === "wasm") await import("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend(backend);
  await tf.ready();
  if (tf.getBackend() !== backend) throw new Error(`backend ${backend} expected, ${tf.getBackend()} found`);
  const document = JSON.parse(await read(path));
  const [{ paths, weights }] = document.weightsManifest;
  const shards = await Promise.all(paths.map((name) => read(path.replace("model.json", name))));
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const handler = {
    load: async () => ({ ...document, weightSpecs: weights, weightData }),
  };
  console.log(`TensorFlow.js ${tf.version_core} on ${backend}`);
  const model = format === "tfjs-layers" ? await tf.loadLayersModel(handler) : await tf.loadGraphModel(handler);
  return async (inputs, names, output) => {
    const tensors = inputs.map(({ data, shape, dtype }) => tf.tensor(data, shape, dtype));
    if (format === "tfjs-layers") return model.predict(tensors.length === 1 ? tensors[0] : tensors).data();
    const node = (name) => document.signature.inputs[name].name.replace(/:0$/, "");
    const feeds = Object.fromEntries(names.map((name, i) => [node(name), tensors[i]]));
    return (await model.executeAsync(feeds, output)).data();
  };
}

async function loadOnnx({ path }) {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(new Uint8Array(await read(path)), { executionProviders: ["wasm"] });
  console.log(`ONNX Runtime Web ${ort.env.versions.web} on wasm`);
  return async (inputs, names, output) => {
    const feeds = names.map((name, i) => [name, new ort.Tensor(inputs[i].dtype, inputs[i].data, inputs[i].shape)]);
    return (await session.run(Object.fromEntries(feeds)))[output].data;
  };
}

const testCase = JSON.parse(await read("case.json"));
const run = await (testCase.format === "onnx" ? loadOnnx : loadTfjs)(testCase);
const inputs = await Promise.all(testCase.inputs.map(({ file }) => npy(file)));
const got = await run(inputs, testCase.inputs.map(({ name }) => name), testCase.output);
const { data: expected } = await npy("expected.npy");
let place = 0;
const errorAt = (i) => (Number.isFinite(got[i]) ? Math.abs(got[i] - expected[i]) : Infinity);
for (let i = 0; i < expected.length; i++) if (errorAt(i) > errorAt(place)) place = i;
console.log(`largest difference ${errorAt(place)} at ${place} of ${expected.length} numbers`);
console.log(`expected ${expected[place]}, got ${got[place]}, ${testCase.allowed} allowed`);
process.exitCode = got.length === expected.length && errorAt(place) <= testCase.allowed ? 0 : 1;
