/** Which candidate is chosen, of those that cost nothing to compare; in one process, in this order. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { load } from "../../exporter/player/dist/index.js";
import { listCandidates } from "../../exporter/player/candidates.js";
import { isClearlyFaster } from "../../exporter/player/trials.js";
import { answer, makeBundle, readAsset, readerOf } from "./handmade.js";

const URL_OF_IT = "http://nowhere.invalid/manifest.json";
const INPUT = Float32Array.of(0.5, -1, 2);

function watched(files) {
  const paths = [];
  const read = readerOf(files);
  return { paths, read: (path) => (paths.push(path), read(path)) };
}

const places = (attempts) => attempts.map(({ runtime, backend }) => `${runtime} ${backend}`);

test("on a fresh page only the player's own runner is tried, and nothing else is fetched", async () => {
  const { paths, read } = watched(makeBundle());
  const assets = [];
  const model = await load(URL_OF_IT, { read, readAsset: (name) => (assets.push(name), readAsset(name)) });
  assert.deepEqual(places(model.info.attempts), ["tiny js"]);
  assert.deepEqual(paths.sort(), ["golden.json", "manifest.json", "tfjs/layers/group1-shard1of1.bin", "tfjs/layers/model.json"]);
  assert.deepEqual(assets, []);
  assert.ok(model.info.latencyMs >= 0 && model.info.latencyMs === model.info.attempts[0].latencyMs);
  assert.match(model.info.attempts[0].reason, /first that gives the stored answers \(3 rows\)/);
});

test("what was loaded for other reasons is compared, on the same files; the rest is not", async () => {
  await load(URL_OF_IT, { read: readerOf(makeBundle()), readAsset, runtime: "tfjs", backend: "cpu" });
  const { paths, read } = watched(makeBundle());
  const model = await load(URL_OF_IT, { read, readAsset: () => assert.fail("nothing is fetched to be compared") });
  const { attempts, runtime, backend, latencyMs } = model.info;
  assert.deepEqual(places(attempts), ["tiny js", "tfjs cpu"]);
  assert.equal(paths.length, 4);
  const chosen = attempts.filter((one) => one.chosen);
  assert.deepEqual(places(chosen), [`${runtime} ${backend}`]);
  assert.equal(chosen[0].latencyMs, latencyMs);
  for (const one of attempts) {
    assert.ok(one.latencyMs > 0 && one.reason);
    assert.ok(one.chosen || !isClearlyFaster(one, chosen[0]) || runtime !== "tiny");
  }
  const found = await model.predict(INPUT);
  answer([...INPUT]).forEach((x, i) => assert.ok(Math.abs(x - found[i]) < 1e-6));
});

test("only a clear difference counts: single measurements differ by a fifth", () => {
  assert.equal(isClearlyFaster({ latencyMs: 0.7 }, { latencyMs: 1 }), true);
  assert.equal(isClearlyFaster({ latencyMs: 0.9 }, { latencyMs: 1 }), false);
});

test("float32 is the default; the smallest is taken where that is wanted, by the tiny runner only", () => {
  const artifact = (precision, size) => ({ format: "tfjs-layers", precision, path: precision, files: [{ path: precision, size_bytes: size, sha256: "" }] });
  const artifacts = [artifact("float32", 400), artifact("float16", 200), artifact("uint8", 100)];
  const first = (choice) => {
    const { runtime, backend, artifact: { precision } } = listCandidates(artifacts, choice)[0];
    return `${runtime} ${backend} ${precision}`;
  };
  assert.equal(first({}), "tiny js float32");
  assert.equal(first({ precision: "auto" }), "tiny js float32");
  assert.equal(first({ precision: "smallest" }), "tiny js uint8");
  assert.equal(first({ precision: "float16" }), "tiny js float16");
  assert.equal(first({ precision: "smallest", runtime: "tfjs" }), "tfjs wasm float32");
  const order = listCandidates(artifacts, { precision: "smallest", runtime: "tiny" }).map((one) => one.artifact.precision);
  assert.deepEqual(order, ["uint8", "float16", "float32"]);
});

test("files come along with each other, none twice, and each is told of", async (context) => {
  const files = makeBundle();
  const asked = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname.slice(1);
    asked.push(path);
    response.writeHead(files.has(path) ? 200 : 404).end(files.get(path));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => server.close());
  const told = new Set();
  const onProgress = ({ path, loadedBytes, totalBytes }) => {
    assert.ok(loadedBytes > 0 && (totalBytes === null || loadedBytes <= totalBytes));
    told.add(path);
  };
  await load(`http://127.0.0.1:${server.address().port}/manifest.json`, { onProgress, readAsset });
  assert.deepEqual(asked.slice(0, 2).sort(), ["golden.json", "manifest.json"]);
  assert.equal(asked.length, new Set(asked).size);
  assert.deepEqual([...told].sort(), ["golden.json", "tfjs/layers/group1-shard1of1.bin", "tfjs/layers/model.json"]);
});

for (const stuck of ["manifest.json", "golden.json", "tfjs/layers/group1-shard1of1.bin"]) {
  test(`loading can be ended while it waits for ${stuck}`, async (context) => {
    const files = makeBundle();
    const controller = new AbortController();
    const server = createServer((request, response) => {
      const path = new URL(request.url, "http://x").pathname.slice(1);
      if (path === stuck) setTimeout(() => controller.abort(), 20);
      else response.writeHead(200).end(files.get(path));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    context.after(() => (server.closeAllConnections(), server.close()));
    const loading = load(`http://127.0.0.1:${server.address().port}/manifest.json`, { signal: controller.signal, readAsset });
    await assert.rejects(loading, { name: "AbortError" });
  });
}
