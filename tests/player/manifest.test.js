import assert from "node:assert/strict";
import { test } from "node:test";
import { BadBundle } from "../../exporter/player/errors.js";
import { parseManifest } from "../../exporter/player/manifest.js";
import { makeBundle } from "./handmade.js";

const good = () => JSON.parse(new TextDecoder().decode(makeBundle().get("manifest.json")));

test("a good manifest is read, and cannot be changed", () => {
  const manifest = parseManifest(JSON.stringify(good()));
  assert.equal(manifest.name, "handmade");
  assert.equal(manifest.artifacts[0].files.length, 2);
  assert.throws(() => manifest.artifacts[0].files.push(null), TypeError);
});

const attacks = [
  ["another schema", (m) => (m.schema = 2), "schema"],
  ["no name", (m) => delete m.name, "name"],
  ["inputs no list", (m) => (m.inputs = "x"), "inputs"],
  ["a shape of texts", (m) => (m.inputs[0].shape[1] = "3"), "inputs[0].shape[1]"],
  ["a negative size", (m) => (m.inputs[0].shape[1] = -3), "inputs[0].shape[1]"],
  ["a range turned round", (m) => (m.inputs[0].range = [1, 0]), "inputs[0].range"],
  ["a size that is no number", (m) => (m.files[0].size_bytes = "1"), "files[0].size_bytes"],
  ["a digest in capitals", (m) => (m.files[0].sha256 = "A".repeat(64)), "files[0].sha256"],
  ["a digest too short", (m) => (m.files[0].sha256 = "ab"), "files[0].sha256"],
  ["an artefact whose path is not its file", (m) => (m.artifacts[0].path = "other.json"), "artifacts[0].path"],
  ["labels that are numbers", (m) => (m.labels = [1]), "labels[0]"],
  ...["../up", "/root", "a//b", "a/./b", "http://evil/x", "a\\b", "a%2e", "a?b", "a#b", "", "a/"].map((path) => [
    `the path ${JSON.stringify(path)}`, (m) => (m.files[0].path = path), "files[0].path",
  ]),
];

for (const [name, change, place] of attacks) {
  test(`refused: ${name}`, () => {
    const document = good();
    change(document);
    assert.throws(
      () => parseManifest(JSON.stringify(document)),
      (error) => error instanceof BadBundle && error.message.includes(place),
    );
  });
}

test("what is no JSON is refused", () => {
  for (const text of ["", "{", "null", "[]", "<!doctype html>"]) assert.throws(() => parseManifest(text), BadBundle);
});
