// Models: bases, their other names, and what jobs made of them.

import { get, hasKey, remove, save } from "../api.js";
import { button, empty, faultPlace, fill, h, say, table } from "../dom.js";
import { onChange, poll } from "../poll.js";
import { baseOf, kind, time } from "../words.js";

export const title = "Models";

export function show(content, signal) {
  const [fault, trouble, list] = [faultPlace(), faultPlace(), h("div")];
  const draw = onChange((models) => fill(list, lists(models, fault, refresh)));
  const refresh = async () => draw((await get("/models")).data);
  fill(content, fault.element, trouble.element, list);
  poll(signal, 5000, trouble, refresh);
}

function lists(models, fault, refresh) {
  const of = (wanted) => models.filter((model) => wanted.includes(kind(model)));
  const isCheckpoint = (model) => Number(kind(model) === "checkpoint");
  const order = (a, b) => b.created - a.created || isCheckpoint(a) - isCheckpoint(b);
  const tuned = of(["fine-tuned", "checkpoint"]).sort(order);
  return [
    h("h2", {}, "Fine-tuned"),
    tuned.length
      ? table(["Model", "Kind", "Base", "Made", ""], tuned.map((model) => row(model, fault, refresh)), { class: "stacked" })
      : empty("No model has been made yet. ", h("a", { href: "#jobs" }, "Start a job"), "; its model will be here."),
    h("h2", {}, "Bases"),
    table(["Model", "Other names"], of(["base"]).map((base) => baseRow(base, of(["alias"]))), { class: "stacked" }),
  ];
}

function baseRow(base, aliases) {
  const names = aliases.filter((alias) => alias.owned_by === `alias of ${base.id}`).map((alias) => alias.id);
  return h("tr", {}, h("th", { scope: "row" }, base.id), h("td", { class: "quiet" }, names.join(", ") || "none"));
}

function row(model, fault, refresh) {
  const name = encodeURIComponent(model.id);
  const report = `/ui/models/${name}/report`;
  const isFinal = kind(model) === "fine-tuned";
  const drop = async () => {
    if (!confirm(`Delete ${model.id}? This cannot be undone.`)) return;
    await remove(`/models/${name}`);
    say(`${model.id} is deleted`);
    await refresh();
  };
  const actions = [
    h("a", { class: "button", href: `#playground/${name}` }, "Try"),
    // A link cannot carry a key: with one, the report is saved instead.
    isFinal && (hasKey()
      ? button("Save report", () => save(report, "report.html"), fault)
      : h("a", { class: "button", href: report, target: "_blank", rel: "noopener" }, "Report")),
    model.fine_tuning_job && h("a", { class: "button", href: `#job/${model.fine_tuning_job}` }, "Job"),
    button("Delete", drop, fault, { id: `delete-${model.id}`, "aria-label": `Delete ${model.id}` }),
  ];
  return h("tr", {},
    h("th", { scope: "row" }, model.id),
    h("td", { "data-name": "Kind" }, kind(model)),
    h("td", { "data-name": "Base" }, baseOf(model.id)),
    h("td", { class: "tight", "data-name": "Made" }, time(model.created)),
    h("td", { class: "row-actions" }, h("div", {}, actions)));
}
