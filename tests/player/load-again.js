/**
 * Loads a bundle once for every line on stdin, and prints what became of it as a line of JSON:
 * node load-again.js URL
 */

import { createInterface } from "node:readline";
import { load } from "../../exporter/player/dist/index.js";
import { readAsset } from "./handmade.js";

const url = process.argv[2];
const fetchPlainly = globalThis.fetch;
let manifests = 0;
globalThis.fetch = (address, options) => {
  if (String(address).endsWith("manifest.json")) manifests++;
  return fetchPlainly(address, options);
};
for await (const _ of createInterface({ input: process.stdin })) {
  manifests = 0;
  let found;
  try {
    const model = await load(url, { runtime: "tiny", readAsset });
    const answers = await model.predict(new Float32Array(784).fill(0.5));
    found = { name: model.info.name, answers: Array.from(answers) };
    await model.close();
  } catch (error) {
    found = { error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify({ ...found, manifests }));
}
