/** `load` as it is built, on a bundle written by hand; with TF.js, which every bundle can have. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { BadBundle, BadInput, RuntimeFailed, SelfTestFailed, load } from "../../exporter/player/dist/index.js";
import { B, W, answer, goldenRows, makeBundle, readAsset, readerOf } from "./handmade.js";

const URL_OF_IT = "http://nowhere.invalid/models/handmade/manifest.json";

function open(files, options = {}) {
  return load(URL_OF_IT, { runtime: "tfjs", read: readerOf(files), readAsset, ...options });
}

function close(found, expected) {
  assert.equal(found.length, expected.length);
  for (const [i, x] of expected.entries()) assert.ok(Math.abs(found[i] - x) < 1e-6, `${found} for ${expected}`);
}

test("the best candidate is taken, tested, and answers any number of samples", async () => {
  const model = await open(makeBundle());
  assert.equal(model.info.runtime, "tfjs");
  assert.equal(model.info.backend, "wasm");
  assert.equal(model.info.ranOn, "tfjs 4.22.0 wasm");
  assert.deepEqual(model.info.labels, ["a", "b", "c"]);
  assert.equal(model.info.selfTest.rows, 3);
  assert.ok(model.info.selfTest.maxError < 1e-6);
  assert.deepEqual(model.info.attempts.map((one) => one.chosen), [true]);
  close(await model.predict(Float32Array.of(0.5, -1, 2)), answer([0.5, -1, 2]));
  close(await model.predict(Float32Array.of(1, 0, 0, 0, 1, 0)), [...answer([1, 0, 0]), ...answer([0, 1, 0])]);
  const byName = await model.predict({ x: { data: Float32Array.of(1, 0, 0), shape: [1, 3] } });
  close(byName.classes.data, answer([1, 0, 0]));
  assert.deepEqual([...byName.classes.shape], [1, 3]);
  await model.close();
});

test("an empty batch is answered with nothing", async () => {
  const model = await open(makeBundle(), { backend: "cpu" });
  const none = await model.predict(new Float32Array(0));
  assert.ok(none instanceof Float32Array);
  assert.equal(none.length, 0);
  assert.deepEqual([...(await model.predict({ x: new Float32Array(0) })).classes.shape], [0, 3]);
});

test("what is not finite or has another shape is refused, and named", async () => {
  const model = await open(makeBundle(), { backend: "cpu" });
  const refused = (input, message) =>
    assert.rejects(model.predict(input), (error) => error instanceof BadInput && message.test(error.message));
  await refused(Float32Array.of(1, NaN, 0), /input x: finite numbers expected, NaN found at 1/);
  await refused(Float32Array.of(1, 2, -Infinity), /-Infinity found at 2/);
  await refused(Float32Array.of(1, 2), /input x: shape \(batch, 3\) expected, 2 numbers found/);
  await refused({ x: { data: new Float32Array(6), shape: [3, 2] } }, /shape \(batch, 3\) expected/);
  await refused({ y: new Float32Array(3) }, /input y: the model has none of that name/);
  await refused({}, /input x: a typed array expected, nothing found/);
  await refused([1, 2, 3], /input 0/);
  await refused(undefined, /input x: a typed array expected/);
});

test("the next candidate is taken when the player's wasm file was changed, and info says why", async () => {
  const changed = async (name) => {
    const bytes = await readAsset(name);
    bytes[100] ^= 1;
    return bytes;
  };
  // Another worker: the wasm backend of this one runs already.
  const { Worker } = await import("node:worker_threads");
  const source = `
    import { parentPort } from "node:worker_threads";
    import { load } from ${JSON.stringify(new URL("../../exporter/player/dist/index.js", import.meta.url).href)};
    import { makeBundle, readAsset, readerOf } from ${JSON.stringify(new URL("./handmade.js", import.meta.url).href)};
    const changed = ${changed};
    const model = await load("${URL_OF_IT}", { runtime: "tfjs", read: readerOf(makeBundle()), readAsset: changed });
    parentPort.postMessage(model.info.attempts);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
  const attempts = await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  await worker.terminate();
  assert.deepEqual(attempts.map((one) => [one.backend, one.chosen]), [["wasm", false], ["cpu", true]]);
  assert.match(attempts[0].reason, /tfjs-backend-wasm-simd\.wasm: sha256 \w+ expected, \w+ found/);
});

test("a wrong bias is caught, and no candidate is left", async () => {
  const bias = B.map((x, i) => (i === 1 ? x + 2e-3 : x));
  await assert.rejects(
    open(makeBundle({ weights: [...W, ...bias] })),
    (error) => error.name === "SelfTestFailed" && error instanceof SelfTestFailed && /tfjs wasm .*golden row .* off by .*tfjs cpu/.test(error.message),
  );
});

test("a swapped class is caught though nothing is far off", async () => {
  const rows = [{ name: "tie", kind: "tie", blend: ["noise 0", "noise 0"], t: 0, outputs: [[0.35, 0.34, 0.31]] }];
  const near = await open(makeBundle({ weights: Array(12).fill(0), rows: rows.map((row) => ({ ...row, outputs: [[1 / 3, 1 / 3, 1 / 3]] })) }));
  assert.equal(near.info.selfTest.rows, 1);
  const log = (x) => Math.log(x);
  const right = [...Array(9).fill(0), log(0.35), log(0.34), log(0.31)];
  await open(makeBundle({ weights: right, rows }));
  const swapped = [...Array(9).fill(0), log(0.34), log(0.35), log(0.31)];
  await assert.rejects(open(makeBundle({ weights: swapped, rows })), SelfTestFailed);
});

test("drawn pictures are told apart from noise, ties and edges", async () => {
  const third = 1 / 3;
  const picture = (name, outputs) => ({ name, kind: "picture", picture: [0, 255, 255], outputs: [outputs] });
  const rows = [
    picture("same", [third + 2e-5, third - 1e-5, third - 1e-5]),
    // Too near a tie to be called wrong, but another answer.
    picture("other", [third - 1e-5, third + 2e-5, third - 1e-5]),
    { name: "all 1", kind: "edge", fill: 1, outputs: [[third + 6e-5, third - 3e-5, third - 3e-5]] },
  ];
  const { selfTest } = (await open(makeBundle({ weights: Array(12).fill(0), rows }))).info;
  assert.deepEqual([selfTest.pictures.rows, selfTest.pictures.sameAnswers, selfTest.rows], [2, 1, 3]);
  assert.ok(Math.abs(selfTest.pictures.maxError - 2e-5) < 1e-6);
  assert.ok(Math.abs(selfTest.maxError - 6e-5) < 1e-6);
});

test("a self-test without rows proves nothing", async () => {
  const rows = goldenRows().map((row) => ({ ...row, checked: false }));
  await assert.rejects(open(makeBundle({ rows })), /no golden rows to compare/);
});

for (const path of ["tfjs/layers/model.json", "tfjs/layers/group1-shard1of1.bin", "golden.json"]) {
  test(`a changed, a cut and a missing file are found: ${path}`, async () => {
    const kind = path === "golden.json" ? BadBundle : SelfTestFailed;
    const changed = makeBundle();
    const bytes = new Uint8Array(changed.get(path));
    bytes[5] ^= 1;
    changed.set(path, bytes);
    await assert.rejects(open(changed), (e) => e instanceof kind && e.message.includes(`${path}: sha256`));
    const cut = makeBundle();
    cut.set(path, cut.get(path).subarray(1));
    await assert.rejects(open(cut), (e) => e instanceof kind && /bytes expected/.test(e.message));
    const missing = makeBundle();
    missing.delete(path);
    await assert.rejects(open(missing), /not there/);
  });
}

test("golden vectors of another model are refused", async () => {
  const files = makeBundle();
  const manifest = JSON.parse(new TextDecoder().decode(files.get("manifest.json")));
  manifest.outputs[0].name = "others";
  files.set("manifest.json", new TextEncoder().encode(JSON.stringify(manifest)));
  await assert.rejects(open(files), (e) => e instanceof BadBundle && /outputs others expected, classes found/.test(e.message));
});

test("what the bundle does not have is named", async () => {
  const refused = (options, message) =>
    assert.rejects(open(makeBundle(), options), (e) => e instanceof BadInput && message.test(e.message));
  await refused({ runtime: "onnx" }, /the bundle has tfjs-layers\/float32/);
  await refused({ runtime: "coffee" }, /runtime coffee: unknown; known: auto, /);
  await refused({ runtime: "constructor" }, /unknown/);
  await refused({ backend: "steam" }, /nothing here runs with/);
  await refused({ precision: "uint8" }, /nothing here runs with/);
});

test("two models on two backends answer in turn without mixing them up", async () => {
  const [wasm, cpu] = await Promise.all([open(makeBundle(), { backend: "wasm" }), open(makeBundle(), { backend: "cpu" })]);
  assert.deepEqual([wasm.info.ranOn, cpu.info.ranOn], ["tfjs 4.22.0 wasm", "tfjs 4.22.0 cpu"]);
  const inputs = Array.from({ length: 20 }, (_, i) => [i / 10, -1, 1]);
  const found = await Promise.all(inputs.map((x, i) => (i % 2 ? wasm : cpu).predict(Float32Array.from(x))));
  found.forEach((numbers, i) => close(numbers, answer(inputs[i])));
});

test("a runtime's own error comes through", async () => {
  const model = await open(makeBundle(), { backend: "cpu" });
  await model.close();
  await assert.rejects(model.predict(Float32Array.of(1, 2, 3)), (e) => e instanceof RuntimeFailed && /^tfjs 4.22.0 cpu: /.test(e.message));
});

test("over http, and a status that is not 200 is named", async (context) => {
  const files = makeBundle();
  const server = createServer((request, response) => {
    const bytes = files.get(new URL(request.url, "http://x").pathname.replace("/deep/", ""));
    response.writeHead(bytes ? 200 : 404).end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const base = `http://127.0.0.1:${server.address().port}/deep/`;
  const model = await load(`${base}manifest.json?v=3`, { runtime: "tfjs", readAsset });
  close(await model.predict(Float32Array.of(0, 0, 1)), answer([0, 0, 1]));
  await assert.rejects(load(`${base}other.json`, { readAsset }), (e) => e instanceof BadBundle && /status 200 expected, 404 found/.test(e.message));
});
