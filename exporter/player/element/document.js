/**
 * Writes docs/element.md from custom-elements.json; `node document.js --check` says whether it is
 * up to date. Part of the build, not of the player.
 * @module
 */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** @typedef {Record<string, any>} Item */

const HERE = import.meta.dirname;
const TARGET = join(HERE, "..", "..", "..", "docs", "element.md");
const KEYS = [
  ["mouse, finger, pen", "draw; one pointer at a time, also outside of the canvas"],
  ["arrow keys", "move over a grid of 12 x 12, when the canvas has the focus"],
  ["space bar, Enter", "put the pen down, lift it"],
  ["Ctrl+Z, Ctrl+Y or Ctrl+Shift+Z", "undo, redo (Cmd on a Mac)"],
  ["Escape", "clear"],
];

/** A cell of a table. @param {unknown} text */
const cell = (text) => String(text ?? "").replaceAll("|", "\\|");
/** @param {unknown} text */
const code = (text) => (text ? `\`${cell(text)}\`` : "");

/** @type {(head: string[], rows: string[][]) => string} */
function table(head, rows) {
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

/** @param {Item} method */
function signature({ name, parameters = [], return: result }) {
  const given = parameters.map((/** @type {Item} */ one) => `${one.name}: ${one.type.text}`).join(", ");
  return `${name}(${given})${result ? `: ${result.type.text}` : ""}`;
}

/** @param {Item} element */
function write(element) {
  const fields = element.members.filter((/** @type {Item} */ one) => one.kind === "field" && !one.attribute);
  const methods = element.members.filter((/** @type {Item} */ one) => one.kind === "method");
  const described = (/** @type {Item[]} */ items) => items.map(({ name, description }) => [code(name), cell(description)]);
  return `<!-- Written by exporter/player/element/document.js from custom-elements.json. -->
# \`<${element.tagName}>\`

${element.summary} ${element.description}

\`\`\`html
<script type="module" src="/player/digit-pad.js"></script>
<digit-pad src="/models/mlp-128-64/manifest.json"></digit-pad>
\`\`\`

A page with a Content-Security-Policy needs the player's origin in \`script-src\` and the bundle's in
\`connect-src\`; the runtimes \`tfjs\` and \`onnx\` on \`wasm\` also need \`'wasm-unsafe-eval'\`. No inline style or
script is used, and Trusted Types may be required.

## Attributes

Each is a property of the same name, too. Changing one loads the model anew; the drawing stays.

${table(["attribute", "type", "default", ""], element.attributes.map((/** @type {Item} */ one) => [code(one.name), code(one.type.text), code(one.default), cell(one.description)]))}

## Properties

${table(["property", "type", ""], fields.map((/** @type {Item} */ one) => [code(one.name), code(one.type.text), cell(one.description)]))}

## Methods

${table(["method", ""], methods.map((/** @type {Item} */ one) => [code(signature(one)), cell(one.description)]))}

## Events

${table(["event", "type", ""], element.events.map((/** @type {Item} */ one) => [code(one.name), code(one.type.text), cell(one.description)]))}

## Pens and keys

${table(["with", ""], KEYS)}

## Custom properties

Colours follow the page's \`color-scheme\`, and the system's in high contrast.

${table(["property", "default", ""], element.cssProperties.map((/** @type {Item} */ one) => [code(one.name), code(one.default), cell(one.description)]))}

## Parts

For \`::part(name)\`.

${table(["part", ""], described(element.cssParts))}
`;
}

const manifest = JSON.parse(await readFile(join(HERE, "custom-elements.json"), "utf8"));
const text = write(manifest.modules[0].declarations[0]);
if (process.argv.includes("--check")) {
  const found = await readFile(TARGET, "utf8").catch(() => "");
  if (found !== text) {
    console.error("docs/element.md: not what custom-elements.json says; run `node exporter/player/element/document.js`");
    process.exitCode = 1;
  }
} else {
  await writeFile(TARGET, text);
}
