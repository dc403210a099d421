/**
 * Loads every artefact of a bundle with every runtime of the player that takes it, and prints what
 * became of it as JSON: node load-bundle.js FOLDER
 */

import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { load } from "../../exporter/player/dist/index.js";
import { readAsset } from "./handmade.js";

const WAYS = [["tiny", "js"], ["tfjs", "wasm"], ["tfjs", "cpu"], ["onnx", "wasm"]];

const folder = pathToFileURL(`${process.argv[2]}/`);
const read = async (path) => new Uint8Array(await readFile(new URL(path, folder)));
const { artifacts } = JSON.parse(new TextDecoder().decode(await read("manifest.json")));
const results = [];
for (const { format, precision } of artifacts) {
  for (const [runtime, backend] of WAYS) {
    const result = { artifact: `${format}/${precision}`, runtime, backend };
    try {
      const model = await load("http://nowhere.invalid/manifest.json", { read, readAsset, runtime, backend, format, precision });
      results.push({ ...result, ranOn: model.info.ranOn, ...model.info.selfTest });
      await model.close();
    } catch (error) {
      results.push({ ...result, error: `${error.name}: ${error.message}` });
    }
  }
}
console.log(JSON.stringify(results));
