/**
 * The Embed page: what to copy for the chosen model, and the frame as a live example. The server
 * writes the texts; only this site's address, which a folder of files cannot know, is filled in here.
 * @module
 */

const PLACE = "{base}";

const find = (/** @type {string} */ selector) => /** @type {any} */ (document.querySelector(selector));
/** @type {Record<string, Record<string, string>>} */
const texts = JSON.parse(find("#texts").textContent);
const select = find("select[name=model]");
const told = find(".told");
const base = new URL("../", location.href).href;

/** Show what is to be copied for the model that is chosen. */
function show() {
  const model = select.value;
  for (const section of document.querySelectorAll("[data-way]")) {
    const way = /** @type {HTMLElement} */ (section);
    const text = texts[model]?.[way.dataset.way ?? ""];
    way.hidden = text === undefined;
    const code = way.querySelector("code[data-snippet]");
    if (code) code.textContent = text?.replaceAll(PLACE, base) ?? "";
  }
  const frame = document.createElement("iframe");
  frame.src = new URL(`embed/${encodeURIComponent(model)}/`, base).href;
  frame.title = `${model}, embedded`;
  find(".example").replaceChildren(frame);
}

/** The address names the model. */
function recall() {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("model");
  if (wanted !== null && Object.hasOwn(texts, wanted)) select.value = wanted;
  show();
}

select.addEventListener("change", () => {
  history.replaceState(null, "", `#${new URLSearchParams({ model: select.value })}`);
  show();
});
addEventListener("hashchange", recall);
document.addEventListener("click", async ({ target }) => {
  const button = /** @type {HTMLElement} */ (target);
  const way = button.dataset?.copies;
  if (!way) return;
  told.textContent = "";
  try {
    await navigator.clipboard.writeText(find(`[data-snippet=${way}]`).textContent);
    for (const other of document.querySelectorAll("[data-copies]")) other.textContent = other === button ? "Copied" : "Copy";
  } catch {
    told.textContent = "The browser does not let the page copy it: select the text instead.";
  }
});
recall();
