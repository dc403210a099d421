/**
 * The element's shadow tree: builds it node by node (never from markup, so that Trusted Types have
 * nothing to say) and shows answers in it. Knows no model and no pointer. Imports nothing.
 * @module
 */

/**
 * @typedef {import("./classifier.js").Answer} Answer
 *
 * @typedef {object} Commands What the buttons do.
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {() => void} clear
 * @property {(digit: number) => void} sample
 */

const SVG = "http://www.w3.org/2000/svg";
const INPUT_SIDE = 28;
/** The second most likely class is named from here on. */
const WORTH_NAMING = 0.1;

/** Stroked paths on a 24 x 24 grid. */
const ICONS = Object.freeze({
  undo: "M9 14 4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3",
  redo: "m15 14 5-5-5-5M20 9H10a6 6 0 0 0 0 12h3",
  clear: "M5 7h14M10 7V4.5h4V7M7 7l.9 12.5h8.2L17 7M10.5 10.5v6M13.5 10.5v6",
});
const BUTTONS = /** @type {const} */ ([
  ["undo", "Undo (Ctrl+Z)"],
  ["redo", "Redo (Ctrl+Y)"],
  ["clear", "Clear (Escape)"],
]);

/**
 * A node with attributes and children.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[K]}
 */
function make(tag, attributes = {}, children = []) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** What is seen and heard of a digit pad. */
export class View {
  canvas = make("canvas", {
    part: "canvas", tabindex: "0", role: "application", "aria-label": "Drawing area", "aria-describedby": "help",
  });
  #hint = make("p", { class: "hint", part: "hint" }, ["Draw a digit"]);
  #answer = make("output", { class: "answer empty", part: "answer", "aria-live": "off" }, ["–"]);
  #confidence = make("p", { class: "confidence", part: "confidence" });
  #input = make("canvas", {
    part: "input", width: String(INPUT_SIDE), height: String(INPUT_SIDE), role: "img", "aria-label": "What the model sees",
  });
  #bars = make("ol", { class: "bars", part: "bars", "aria-label": "Probability of each class" });
  #status = make("p", { class: "status", part: "status" });
  #heard = make("p", { class: "heard", "aria-live": "polite" });
  /** @type {Map<string, HTMLButtonElement>} */
  #buttons = new Map();
  /** @type {string[]} */
  #labels = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #saying;

  /**
   * @param {ShadowRoot} root
   * @param {Commands} commands
   * @param {number} sampleCount
   */
  constructor(root, commands, sampleCount) {
    const help = make("p", { class: "heard", id: "help" }, [
      "Draw with mouse, finger or pen. With the keyboard: arrow keys move, the space bar puts the pen down and lifts it. ",
      "Control Z undoes, Control Y does again, Escape clears.",
    ]);
    const tools = make("div", { class: "tools", part: "tools", role: "group", "aria-label": "Drawing" });
    for (const [name, title] of BUTTONS) tools.append(this.#button(name, title, commands[name]));
    const seen = make("figure", { class: "seen" }, [this.#input, make("figcaption", {}, ["what it sees"])]);
    root.append(
      make("div", { class: "pad", part: "pad" }, [
        make("div", { class: "side" }, [
          make("div", { class: "board", part: "board" }, [this.canvas, this.#hint, tools, help]),
          samplesOf(sampleCount, commands.sample),
        ]),
        make("div", { class: "panel", part: "panel" }, [
          make("div", { class: "verdict" }, [this.#answer, this.#confidence, seen]),
          this.#bars,
          this.#status,
        ]),
      ]),
      this.#heard,
    );
    this.setLabels(Array.from({ length: sampleCount }, (_, i) => String(i)));
    this.#paint(null);
  }

  /** How many bars there are. */
  get classes() {
    return this.#labels.length;
  }

  /**
   * One bar per class.
   * @param {readonly string[]} labels
   */
  setLabels(labels) {
    if (`${labels}` === `${this.#labels}`) return;
    this.#labels = [...labels];
    this.#bars.replaceChildren(
      ...labels.map((label) =>
        make("li", { class: "bar", part: "bar" }, [
          make("span", {}, [label]),
          make("span", { class: "track" }, [make("div", { class: "fill", part: "fill" })]),
          make("span", {}, ["–"]),
        ]),
      ),
    );
  }

  /**
   * @param {{isEmpty: boolean, canUndo: boolean, canRedo: boolean}} drawing
   */
  showDrawing({ isEmpty, canUndo, canRedo }) {
    this.#hint.hidden = !isEmpty;
    const enabled = { undo: canUndo, redo: canRedo, clear: !isEmpty };
    for (const [name, button] of this.#buttons) button.disabled = !enabled[/** @type {keyof typeof enabled} */ (name)];
  }

  /**
   * @param {Answer} answer
   * @param {boolean} isEmpty Whether there is no ink at all.
   */
  showAnswer({ label, probabilities, input }, isEmpty) {
    const order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
    const second = order[1];
    this.#answer.textContent = label ?? "–";
    this.#answer.classList.toggle("empty", label === null);
    const sure = label === null ? "" : `${percent(probabilities[order[0]])} sure`;
    const other = label !== null && probabilities[second] >= WORTH_NAMING ? `or ${this.#labels[second]}: ${percent(probabilities[second])}` : "";
    const asks = isEmpty ? "" : "Too little ink: draw a larger digit";
    this.#confidence.replaceChildren(...(sure ? [make("strong", {}, [sure]), other] : [asks]));
    [...this.#bars.children].forEach((bar, i) => {
      const [, track, number] = /** @type {HTMLElement[]} */ ([...bar.children]);
      bar.classList.toggle("best", label !== null && i === order[0]);
      /** @type {HTMLElement} */ (track.firstElementChild).style.setProperty("--p", String(probabilities[i]));
      number.textContent = label === null ? "–" : percent(probabilities[i]);
    });
    this.#paint(label === null ? null : input);
    this.say(label === null ? asks : `${label}, ${sure}${other ? `, ${other}` : ""}`);
  }

  /**
   * @param {string} text
   * @param {boolean} [isError]
   */
  showStatus(text, isError = false) {
    this.#status.textContent = text;
    this.#status.classList.toggle("error", isError);
    if (isError) this.say(text);
  }

  /**
   * What answers, and how fast it was.
   * @param {{runtime: string, backend: string, precision: string, label?: string | null, latencyMs?: number}} run
   */
  showRun({ runtime, backend, precision, label = null, latencyMs = 0 }) {
    const time = label === null ? "ready" : `${latencyMs.toFixed(latencyMs < 10 ? 1 : 0)} ms`;
    this.showStatus(`${runtime} ${backend}, ${precision}: ${time}`);
  }

  /**
   * For those who listen, once the hand rests: not every stroke's every change.
   * @param {string} text
   * @param {number} [afterMs]
   */
  say(text, afterMs = 600) {
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => {
      if (this.#heard.textContent !== text) this.#heard.textContent = text;
    }, afterMs);
  }

  /** @param {Float32Array | null} input */
  #paint(input) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#input.getContext("2d"));
    const image = context.createImageData(INPUT_SIDE, INPUT_SIDE);
    const most = input ? Math.max(1, ...input) : 1;
    for (let i = 0; i < INPUT_SIDE * INPUT_SIDE; i++) {
      image.data.fill(input ? (255 * input[i]) / most : 0, 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  /** @type {(name: keyof typeof ICONS, title: string, run: () => void) => HTMLButtonElement} */
  #button(name, title, run) {
    const icon = document.createElementNS(SVG, "svg");
    icon.setAttribute("viewBox", "0 0 24 24");
    icon.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", ICONS[name]);
    icon.append(path);
    const button = make("button", { type: "button", part: `button ${name}`, title, "aria-label": title }, [icon]);
    button.addEventListener("click", run);
    this.#buttons.set(name, button);
    return button;
  }
}

/** @type {(count: number, run: (digit: number) => void) => HTMLElement} */
function samplesOf(count, run) {
  const buttons = Array.from({ length: count }, (_, digit) => {
    const button = make("button", { type: "button", part: "sample", "aria-label": `Draw a sample ${digit}` }, [String(digit)]);
    button.addEventListener("click", () => run(digit));
    return button;
  });
  return make("div", { class: "samples", part: "samples", role: "group", "aria-label": "Sample digits" }, [
    make("span", { "aria-hidden": "true" }, ["Samples"]),
    ...buttons,
  ]);
}

/**
 * Never more than was answered: 0.9996 is 99.9%, and only 1 is 100%.
 * @param {number} share
 */
function percent(share) {
  const rounded = Math.floor(share * 1000) / 10;
  return (rounded >= 99.9 && rounded < 100) || rounded < 10 ? `${rounded.toFixed(1)}%` : `${Math.floor(rounded)}%`;
}
