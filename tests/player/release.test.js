/** A bundle that is published anew while it is read, over real HTTP; caches that hold an older one. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { BadBundle, SelfTestFailed, load } from "../../exporter/player/dist/index.js";
import { openInspector } from "../../exporter/player/inspector.js";
import { B, W, answer, goldenRows, makeBundle, readAsset } from "./handmade.js";

const MODEL = "tfjs/layers/model.json";
const SHARD = "tfjs/layers/group1-shard1of1.bin";

/** The other release: the same names and sizes, another answer everywhere. */
const NEW_B = [B[2], B[0], B[1]];
function newBundle() {
  const rows = goldenRows().map((row) => (row.checked === false ? row : { ...row, outputs: [newAnswer(row)] }));
  return makeBundle({ weights: [...W, ...NEW_B], rows });
}

/** softmax(x · W + the new b), by hand. */
function newAnswer({ fill = null, picture }) {
  const x = picture ? picture.map((level) => (level / 255) * 2 - 1) : [fill, fill, fill];
  const powers = NEW_B.map((bias, k) => Math.exp(bias + x.reduce((sum, value, i) => sum + value * W[i * 3 + k], 0)));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Serves what `choose(path, request)` gives; tells what was asked for, and how. */
async function host(context, choose) {
  const asked = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://x").pathname.slice(1);
    asked.push([path, request.headers["cache-control"] ?? ""]);
    const bytes = choose(path, request, asked).get(path);
    response.writeHead(bytes ? 200 : 404).end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => (server.closeAllConnections(), server.close()));
  return { asked, url: `http://127.0.0.1:${server.address().port}/manifest.json` };
}

/** What a model answers is that of the one release or of the other; which? */
async function releaseOf(model) {
  const found = await model.predict(Float32Array.of(0, 0, 0));
  const is = (expected) => expected.every((x, i) => Math.abs(found[i] - x) < 1e-6);
  return is(newAnswer({ fill: 0 })) ? "new" : is(answer([0, 0, 0])) ? "old" : "neither";
}

for (const first of ["manifest.json", "golden.json", MODEL, SHARD]) {
  test(`published anew when ${first} was read: one release answers, after one fresh read at most`, async (context) => {
    const [older, newer] = [makeBundle(), newBundle()];
    let published = false;
    const { asked, url } = await host(context, (path) => {
      const files = published ? newer : older;
      if (path === first) published = true;
      return files;
    });
    const model = await load(url, { runtime: "tiny", readAsset });
    const manifests = asked.filter(([path]) => path === "manifest.json").length;
    // The last that is asked for may be of the old release with all the others.
    const expected = { new: first === "golden.json" ? [1, 2] : [2], old: [1] }[await releaseOf(model)];
    assert.ok(expected.includes(manifests), `${manifests} manifests`);
    assert.equal(model.info.attempts.length, 1);
  });
}

test("a cache that holds older files is passed by", async (context) => {
  const [older, newer] = [makeBundle(), newBundle()];
  const { asked, url } = await host(context, (path, request) =>
    path === SHARD && request.headers["cache-control"] !== "no-cache" ? older : newer);
  const model = await load(url, { runtime: "tiny", readAsset });
  assert.equal(await releaseOf(model), "new");
  assert.deepEqual(asked.filter(([path]) => path === "manifest.json"), [["manifest.json", ""], ["manifest.json", "no-cache"]]);
});

test("a file that is missing for a moment is asked for again", async (context) => {
  const newer = newBundle();
  let gone = true;
  const { url } = await host(context, (path) => {
    if (path !== SHARD || !gone) return newer;
    gone = false;
    return new Map();
  });
  assert.equal(await releaseOf(await load(url, { runtime: "tiny", readAsset })), "new");
});

test("what stays wrong is wrong after one fresh read: the manifest is read twice, not more", async (context) => {
  for (const [path, kind] of [["golden.json", BadBundle], [SHARD, SelfTestFailed]]) {
    const mixed = newBundle().set(path, makeBundle().get(path));
    const { asked, url } = await host(context, () => mixed);
    await assert.rejects(load(url, { runtime: "tiny", readAsset }), (e) => e instanceof kind && e.message.includes(`${path}: `));
    assert.equal(asked.filter(([name]) => name === "manifest.json").length, 2);
  }
});

test("a bundle in order is read once", async (context) => {
  const files = newBundle();
  const { asked, url } = await host(context, () => files);
  await load(url, { runtime: "tiny", readAsset });
  assert.deepEqual(asked.map(([path]) => path).sort(), [...files.keys()].sort());
});

test("who looks inside a model gets one release, too", async (context) => {
  const [older, newer] = [makeBundle(), newBundle()];
  const { asked, url } = await host(context, (path, request, all) =>
    all.filter(([name]) => name === "manifest.json").length > 1 || path === SHARD ? newer : older);
  const inspector = await openInspector(url);
  assert.deepEqual(inspector.layers, [{ name: "classes", units: 3 }]);
  assert.equal(asked.filter(([path]) => path === "manifest.json").length, 2);
});

test("its own reader is told to read afresh", async () => {
  const [older, newer] = [makeBundle(), newBundle()];
  const told = [];
  const read = async (path, sizeBytes, fresh) => {
    told.push(fresh);
    return new Uint8Array((fresh || path === "golden.json" ? newer : older).get(path));
  };
  const model = await load("http://nowhere.invalid/manifest.json", { runtime: "tiny", read, readAsset });
  assert.equal(await releaseOf(model), "new");
  assert.ok(told.includes(false) && told.includes(true));
});
