// Two models side by side on the same words.

import { get } from "../api.js";
import { complete } from "../completion.js";
import { button, faultPlace, field, fill, h } from "../dom.js";
import { explain } from "../explanation.js";
import { baseOf, kind, percent } from "../words.js";
import { savedTexts } from "./texts.js";

export const title = "Playground";

const SYSTEM = "finetone.system";
const TIMES = 10;

export function show(content, _, model) {
  const fault = faultPlace();
  fill(content, fault.element);
  const draw = ({ data }) => fill(content, playground(data.filter((one) => kind(one) !== "alias"), model));
  get("/models").then(draw).catch(fault.show);
}

/** `wanted` is the model on the right; its base is on the left. */
function playground(models, wanted) {
  const newest = models.findLast((model) => kind(model) === "fine-tuned")?.id;
  const right = models.some((model) => model.id === wanted) ? wanted : newest ?? models[0].id;
  const panes = [pane("Model", models, baseOf(right)), pane("Compared with", models, right)];
  const inputs = questionInputs();
  const question = (said) => ({ system: inputs.system.value, text: said, temperature: Number(inputs.temperature.value) });
  const texts = savedTexts(panes, question, (said) => {
    inputs.text.value = said;
    inputs.text.focus();
  });
  const ask = (times) => Promise.all(panes.map((one) => one.ask(question(inputs.text.value), times)));
  const form = questionForm(inputs, ask, texts);
  return [form, h("div", { class: "panes" }, panes.map((one) => one.element)), texts.element];
}

function questionInputs() {
  const system = h("textarea", { name: "system", rows: 2, placeholder: "The same as in the training examples" });
  system.value = localStorage.getItem(SYSTEM) ?? "";
  system.addEventListener("input", () => localStorage.setItem(SYSTEM, system.value));
  const text = h("textarea", { name: "text", rows: 3, required: true });
  const range = { type: "number", min: 0, max: 2, step: 0.1, value: 1 };
  const temperature = h("input", { name: "temperature", ...range, required: true });
  return { system, text, temperature };
}

/** The form above the panes. Nothing is asked that the browser finds fault with. */
function questionForm({ system, text, temperature }, ask, texts) {
  const fault = faultPlace();
  const press = (label, work, attributes) =>
    button(label, async () => form.reportValidity() && (await work()), fault, attributes);
  const send = press("Send", () => ask(1), { class: "first", id: "send" });
  const form = h("form", { class: "card", "aria-label": "Question", onsubmit: (event) => event.preventDefault() },
    h("div", { class: "fields" },
      h("div", { class: "wide" }, field("System message", system)),
      h("div", { class: "wide" }, field("Text", text)),
      field("Temperature", temperature, "0 always gives the likeliest answer")),
    h("p", { class: "actions" },
      send,
      press(`Repeat ${TIMES} times`, () => ask(TIMES), { id: "repeat" }),
      press("Save the text", () => texts.add(text.value), { id: "save-text" }),
      h("kbd", {}, "Ctrl + Enter sends")),
    fault.element);
  form.addEventListener("keydown", (event) => {
    const isSend = event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target === temperature);
    if (!isSend) return;
    event.preventDefault();
    send.click();
  });
  return form;
}

/** A model and what it answers. */
function pane(label, models, chosen) {
  const [fault, answer] = [faultPlace(), h("div", { "aria-live": "polite" })];
  const select = h("select", {}, models.map((model) => h("option", { selected: model.id === chosen }, model.id)));
  select.addEventListener("change", () => fill(answer));
  const ask = async (question, times) => {
    fault.clear();
    fill(answer, h("p", { class: "quiet" }, "…"));
    try {
      const model = select.value;
      fill(answer, shown(await complete(model, question, times), () => explain(model, question)));
    } catch (error) {
      fill(answer);
      fault.show(error);
    }
  };
  const element = h("section", { class: "card pane", "aria-label": label }, field(label, select), fault.element, answer);
  return { element, ask, model: () => select.value };
}

/** Answers; `why` gives what decided about the text. */
function shown(answers, why) {
  const [{ content, likely, isOneToken }] = answers;
  return [
    answers.length > 1 ? tally(answers) : h("p", { class: "answer" }, content),
    likely.length > 0 && [
      h("h3", {}, "Probabilities", !isOneToken && h("small", {}, "of the first token")),
      bars(likely.map(({ name, share }) => ({ name, share, words: percent(share) }))),
    ],
    isOneToken && likely.length > 1 && reasons(why),
  ];
}

/** A button that shows what decided, in the place where it stood. */
function reasons(why) {
  const fault = faultPlace();
  const place = h("div", {}, fault.element);
  place.append(button("Why?", async () => fill(place, await why()), fault));
  return place;
}

/** How often each answer came, the most frequent first. */
function tally(answers) {
  const counts = new Map();
  for (const { content } of answers) counts.set(content, (counts.get(content) ?? 0) + 1);
  const found = [...counts].sort(([, a], [, b]) => b - a);
  const words = (count) => `${count} of ${answers.length}`;
  return [
    h("p", { class: "answer" }, found.length === 1 ? `${found[0][0]}, every time` : `${found.length} different answers`),
    h("h3", {}, `${answers.length} answers`),
    bars(found.map(([name, count]) => ({ name, share: count / answers.length, words: words(count) }))),
  ];
}

function bars(rows) {
  return h("ul", { class: "bars" }, rows.map(({ name, share, words }) => {
    const bar = h("i", { "aria-hidden": "true" });
    bar.style.setProperty("--share", share);
    return h("li", {}, h("b", {}, name), bar, h("span", {}, words));
  }));
}
