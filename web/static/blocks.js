/**
 * A layer's block on the page: its title and a grid of its units or maps. Makes elements, and keeps
 * nothing of them.
 * @module
 */

/** @typedef {import("../player/inspector.js").MapLayer} MapLayer */

/** Units of a row, so that a layer's block is about twice as wide as high. */
const COLUMNS = 16;
/** Maps want to be larger: a row holds fewer, so that a layer's rows are as many as fit a screen. */
const MOST_ROWS = 4;
const MAP_COLUMNS = [8, 12, COLUMNS];

/** @param {MapLayer} layer */
export function columnsOf({ units, map }) {
  return map ? (MAP_COLUMNS.find((columns) => units <= MOST_ROWS * columns) ?? COLUMNS) : COLUMNS;
}

/**
 * @param {MapLayer} layer
 * @param {string | HTMLElement} title
 * @param {readonly HTMLElement[]} cells
 * @param {boolean} isOutput
 * @returns {{block: HTMLElement, count: HTMLElement}} `count` stands beside the title.
 */
export function blockOf(layer, title, cells, isOutput) {
  const { name, map } = layer;
  const head = document.createElement("p");
  const count = document.createElement("span");
  head.append(title, count);
  const grid = document.createElement("div");
  grid.className = isOutput ? "units output" : map ? "units maps" : "units";
  if (map) grid.style.setProperty("--columns", String(columnsOf(layer)));
  grid.setAttribute("role", "group");
  grid.setAttribute("aria-label", `${map ? "Maps" : "Units"} of ${name}`);
  grid.append(...cells);
  const block = document.createElement("div");
  block.append(head, grid);
  return { block, count };
}

/** @type {(layer: MapLayer, place: number, unit: number, own: string) => HTMLButtonElement} */
export function cellOf({ name, map }, place, unit, own) {
  const cell = document.createElement("button");
  cell.type = "button";
  cell.dataset.layer = String(place);
  cell.dataset.unit = String(unit);
  // One stop for the tab key in each layer; the arrow keys go on from there.
  cell.tabIndex = unit === 0 ? 0 : -1;
  cell.textContent = own;
  if (map) cell.append(Object.assign(document.createElement("canvas"), map));
  cell.setAttribute("aria-label", own ? `Output ${own}` : `${map ? "Map" : "Unit"} ${unit + 1} of ${name}`);
  return cell;
}

/** Which of the layers is shown. @type {(layers: readonly MapLayer[], chosen: number, take: (layer: number) => void) => HTMLElement} */
export function chooserOf(layers, chosen, take) {
  const select = document.createElement("select");
  select.setAttribute("aria-label", "Layer");
  layers.forEach(({ name, units, map }, layer) => {
    const size = map ? `${units} maps of ${map.height} × ${map.width}` : `${units} units`;
    select.append(new Option(`${name}, ${size}`, String(layer), false, layer === chosen));
  });
  select.addEventListener("change", () => take(Number(select.value)));
  return select;
}
