/**
 * The page: what is chosen, what is drawn and what is seen of it, kept in the address.
 * @module
 */

import { fromHash, toHash } from "./permalink.js";

/**
 * @typedef {{format: string, precision: string, size_bytes: number, files?: string[]}} Artifact
 * @typedef {{manifest: string, artifacts: Artifact[], has_report: boolean}} Bundle
 */

const FORMATS = /** @type {const} */ ({ tiny: ["tfjs-layers"], tfjs: ["tfjs-layers", "tfjs-graph"], onnx: ["onnx"] });
const NAMES = /** @type {const} */ ({ tiny: "tiny", tfjs: "TensorFlow.js", onnx: "ONNX Runtime" });
const REST_MS = 350;

const find = (/** @type {string} */ selector) => /** @type {any} */ (document.querySelector(selector));
const pad = find("digit-pad");
const form = find("form");
const told = find(".told");
/** @type {Record<string, Bundle>} */
const bundles = JSON.parse(find("#bundles").textContent);
/** @type {import("./layers.js").Layers | null} There once the model is: nobody waits for it. */
let layers = null;
/** Likewise. @type {typeof import("./parity.js").tellParity | null} */
let tellParity = null;
/** @type {any} The last prediction's detail. */
let last = null;
/** What the link says was answered where it was made. @type {string | null} */
let promised = null;
/** Of the model that answers. @type {readonly string[] | null} */
let labels = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resting;

/** @type {(name: string, text: string) => void} */
function tell(name, text) {
  find(`[data-fact=${name}]`).textContent = text;
}

/** @param {number} size */
function bytes(size) {
  if (size < 1e3) return `${size} B`;
  if (size < 1e6) return `${(size / 1e3).toFixed(size < 1e4 ? 1 : 0)} kB`;
  return `${(size / 1e6).toFixed(1)} MB`;
}

/** @type {(value: string, text: string) => HTMLOptionElement} */
function option(value, text) {
  return new Option(text, value);
}

/** The runtimes with what they weigh on their way here, known before anything of them is fetched. */
function offerRuntimes() {
  /** @type {Record<keyof typeof NAMES, Record<string, {gzip_bytes: number}>>} */
  const sizes = JSON.parse(find("#runtimes").textContent);
  for (const [runtime, backends] of Object.entries(sizes)) {
    const name = NAMES[/** @type {keyof typeof NAMES} */ (runtime)];
    const group = document.createElement("optgroup");
    group.label = name;
    for (const [backend, { gzip_bytes: size }] of Object.entries(backends)) {
      group.append(option(`${runtime} ${backend}`, `${name} ${backend}, ${bytes(size)}`));
    }
    form.runtime.append(group);
  }
}

/** The precisions that the model has for the runtime. */
function offerPrecisions() {
  const runtime = form.runtime.value.split(" ")[0];
  const formats = runtime === "auto" ? Object.values(FORMATS).flat() : FORMATS[/** @type {keyof typeof FORMATS} */ (runtime)];
  const wanted = form.precision.value;
  /** @type {Map<string, number>} */
  const found = new Map();
  for (const { format, precision, size_bytes: size } of bundles[form.model.value]?.artifacts ?? []) {
    if (formats.some((one) => one === format)) found.set(precision, Math.min(size, found.get(precision) ?? Infinity));
  }
  form.precision.replaceChildren(option("auto", "automatic"), ...[...found].map(([name, size]) => option(name, `${name}, ${bytes(size)}`)));
  form.precision.value = found.has(wanted) ? wanted : "auto";
}

/** @returns {Record<string, string>} */
function chosen() {
  const [runtime, backend = "auto"] = form.runtime.value.split(" ");
  return { model: form.model.value, runtime, backend, precision: form.precision.value };
}

/**
 * Ask for the weights that the tiny runner will want while the manifest is still on its way. What
 * it is that will be wanted, the player decides; this only saves the first visit one journey. Later
 * a choice may be taken back at once, and browsers complain of what was asked for and not used.
 */
function hint() {
  const { model, runtime, precision } = chosen();
  if (!model || (runtime !== "auto" && runtime !== "tiny")) return;
  const { manifest, artifacts } = bundles[model];
  const [wanted] = artifacts
    .filter((one) => one.format === "tfjs-layers" && (precision === "auto" || precision === one.precision))
    .sort((a, b) => a.size_bytes - b.size_bytes);
  const base = new URL(manifest, document.baseURI);
  for (const path of wanted?.files ?? []) {
    const { href } = Object.assign(new URL(path, base), { search: base.search });
    document.head.append(Object.assign(document.createElement("link"), { rel: "preload", as: "fetch", crossOrigin: "anonymous", href }));
  }
}

/** Hand the choice to the element. */
function apply() {
  const { model, runtime, backend, precision } = chosen();
  if (!model) return;
  told.textContent = "";
  const { manifest, has_report: hasReport } = bundles[model];
  Object.assign(pad, { runtime, backend, precision, src: manifest });
  for (const link of document.querySelectorAll("[data-link]")) {
    const anchor = /** @type {HTMLAnchorElement} */ (link);
    anchor.href = new URL(anchor.dataset.link ?? "", new URL(manifest, document.baseURI)).href;
    if (anchor.dataset.link?.startsWith("report")) anchor.hidden = !hasReport;
  }
  for (const link of document.querySelectorAll("[data-embeds]")) {
    /** @type {HTMLAnchorElement} */ (link).hash = new URLSearchParams({ model }).toString();
  }
  remember();
}

/** The address says what is shown, once the hand rests. */
function remember() {
  clearTimeout(resting);
  resting = setTimeout(() => {
    history.replaceState(null, "", `#${shown()}`);
  }, REST_MS);
}

/** What a link to all of this holds. */
function shown() {
  return toHash({ choice: chosen(), strokes: shares(pad.strokes, 1 / side()), answer: last?.label ?? null });
}

function side() {
  return pad.shadowRoot.querySelector("canvas").clientWidth || 1;
}

/** @type {(strokes: number[][][], factor: number) => number[][][]} */
function shares(strokes, factor) {
  return strokes.map((stroke) => stroke.map((point) => point.map((value) => value * factor)));
}

/** Show what the address says. */
function recall() {
  const { choice, strokes, answer } = fromHash(location.hash);
  promised = answer ?? null;
  const isHere = choice.model === undefined || Object.hasOwn(bundles, choice.model);
  if (choice.model && isHere) form.model.value = choice.model;
  const runtime = choice.runtime ? `${choice.runtime} ${choice.backend ?? ""}` : "auto";
  const options = [...form.runtime.querySelectorAll("option")].map((one) => one.value);
  form.runtime.value = options.find((value) => value === runtime || value.startsWith(runtime)) ?? "auto";
  offerPrecisions();
  if ([...form.precision.options].some((one) => one.value === choice.precision)) form.precision.value = choice.precision;
  apply();
  if (!isHere) told.textContent = "The link's model is not here: this one answers instead.";
  if (strokes.length > 0) pad.strokes = shares(strokes, side());
}

/** Not how much is left in caches: what these files are. */
function fetchedBytes() {
  const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"));
  const sizes = new Map(entries.map((entry) => [entry.name, entry.encodedBodySize]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

/**
 * Whether this is what the one who made the link has seen; asked once. A link may say anything:
 * only what the model could have answered is repeated.
 * @param {string} label
 * @param {readonly string[]} known
 */
function keepPromise(label, known) {
  if (promised !== null && promised !== label && known.includes(promised)) told.textContent = `Where the link was made, the answer was ${promised}.`;
  promised = null;
}

/** @param {any} info Of the model that answers now. */
function open(info) {
  tellParity?.(info, tell);
  void layers?.open(pad.src, info);
}

pad.addEventListener("load", (/** @type {CustomEvent} */ { detail: info }) => {
  tell("runtime", `${NAMES[/** @type {keyof typeof NAMES} */ (info.runtime)]} ${info.backend}`);
  tell("model", `${bytes(info.sizeBytes)}, ${info.precision}`);
  labels = info.labels;
  tell("fetched", bytes(fetchedBytes()));
  open(info);
});
pad.addEventListener("error", () => {
  // What another model did is not told as this one's.
  last = null;
  for (const name of ["runtime", "latency", "model", "parity"]) tell(name, "–");
  layers?.close();
});
pad.addEventListener("prediction", (/** @type {CustomEvent} */ { detail }) => {
  last = detail;
  if (detail.label !== null) {
    keepPromise(detail.label, labels ?? detail.probabilities.map((/** @type {number} */ _, /** @type {number} */ i) => String(i)));
    tell("latency", `${detail.latencyMs.toFixed(detail.latencyMs < 10 ? 1 : 0)} ms`);
  }
  layers?.show(detail.input, detail.label);
  tell("fetched", bytes(fetchedBytes()));
  remember();
});
form.addEventListener("change", () => {
  offerPrecisions();
  apply();
});
form.addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
find("[data-copies]").addEventListener("click", async () => {
  history.replaceState(null, "", `#${shown()}`);
  try {
    await navigator.clipboard.writeText(location.href);
    told.textContent = "Copied.";
  } catch {
    told.textContent = "The link is in the address bar: the browser does not let the page copy it.";
  }
});
addEventListener("hashchange", () => {
  pad.clear();
  recall();
});

await customElements.whenDefined("digit-pad");
offerRuntimes();
recall();
hint();
pad.addEventListener("load", (/** @type {CustomEvent} */ { detail }) => void addTheRest(detail), { once: true });

/**
 * What can wait until the model is there.
 * @param {any} info
 */
async function addTheRest(info) {
  const [{ Layers }, parity, { readPictures }, { keepOffline }] = await Promise.all([
    import("./layers.js"), import("./parity.js"), import("./pictures.js"), import("./offline.js"),
    // The element fetches it for the first picture, which may come when there is no network.
    import("../player/picture.js"),
  ]);
  ({ tellParity } = parity);
  layers = new Layers(find(".inside"));
  if (last) layers.show(last.input, last.label);
  open(info);
  readPictures(find("input[type=file]"), pad, told);
  // What the model fetched is part of what is kept.
  document.body.dataset.offline = String(await keepOffline());
}
