// Texts that are kept in this browser and asked again of any model.

import { complete } from "../completion.js";
import { button, empty, faultPlace, fill, h, say, table } from "../dom.js";
import { percent } from "../words.js";

const TEXTS = "finetone.texts";

function kept() {
  try {
    return JSON.parse(localStorage.getItem(TEXTS) ?? "[]").filter((text) => typeof text === "string");
  } catch {
    // Whatever stands there is not ours.
    return [];
  }
}

/** The list below the panes. `question` makes a question of a text, `use` takes one up into the form. */
export function savedTexts(panes, question, use) {
  const [fault, list, answers] = [faultPlace(), h("div"), h("div")];
  const keep = (texts) => {
    localStorage.setItem(TEXTS, JSON.stringify(texts));
    draw();
  };
  const draw = () => fill(list, kept().length ? [items(use, keep), replay()] : nothing());
  const replay = () => h("p", { class: "actions" },
    button("Ask both models all of them", () => ask(panes, question, answers), fault, { id: "replay" }));
  draw();
  const add = (text) => keep([...new Set([...kept(), text])]);
  const element = h("section", { "aria-labelledby": "texts-title" },
    h("h2", { id: "texts-title" }, "Saved texts"), list, fault.element, answers);
  return { element, add };
}

function nothing() {
  return empty("None yet. “Save the text” keeps one in this browser, so that every new model can be asked the same.");
}

function items(use, keep) {
  const fault = faultPlace();
  const item = (text, index) => h("li", {}, h("p", {}, text), h("div", {},
    button("Use", () => use(text), fault, { id: `use-${index}` }),
    button("Remove", () => keep(kept().filter((other) => other !== text)), fault, { id: `remove-${index}` })));
  return h("ul", { class: "texts" }, kept().map(item));
}

/** Asks both models every text and shows each answer as it comes. */
async function ask(panes, question, place) {
  const models = panes.map((pane) => pane.model());
  const rows = kept().map((text) => ({ text, cells: models.map((name) => h("td", { "data-name": name }, "…")) }));
  const row = ({ text, cells }) => h("tr", {}, h("th", { scope: "row" }, text), cells);
  fill(place, table(["Text", ...models], rows.map(row), { class: "stacked" }));
  for (const { text, cells } of rows) {
    await Promise.all(cells.map(async (cell, index) => fill(cell, await answer(models[index], question(text)))));
  }
  say(`Both models have answered ${rows.length} texts`);
}

async function answer(model, question) {
  try {
    const [{ content, likely }] = await complete(model, question);
    const found = likely.find(({ name }) => name === content);
    return [content, found && h("span", { class: "id" }, ` ${percent(found.share)}`)];
  } catch (error) {
    return h("span", { class: "fault" }, error.message);
  }
}
