// What classifiers were asked and answered, where the server keeps a record: over time, and against the run of the model.

import { get, remove, save } from "../api.js";
import { chart } from "../chart.js";
import { button, empty, faultPlace, field, fill, h, say, table } from "../dom.js";
import { onChange, poll } from "../poll.js";
import { number, percent, time } from "../words.js";

export const title = "Traffic";

const MILLISECONDS = 10_000;
const SECONDS = { minute: 60, hour: 3600, day: 86_400 };
/** Classes that have a line of their own: the most frequent ones. */
const MOST_LINES = 6;
/** What is more than chance by less than this is not taken for a change. */
const LEVEL = 0.01;

const KEEPS = {
  off: ["This server keeps no record of what it is asked now. Start it by ", h("code", {}, "finetone serve --record hashed"),
    " to keep numbers, or with ", h("code", {}, "--record texts"), " to keep the texts as well."],
  hashed: ["Kept of each answer: when it was, how many words the text had, a hash of it, the class and how sure the model was. No texts."],
  texts: ["Kept of each answer: when it was, the text, the class and how sure the model was."],
};

export function show(content, signal, wanted) {
  const [fault, trouble, about, choice, seen] = [faultPlace(), faultPlace(), h("p", { class: "quiet" }), h("div"), h("div")];
  let model = wanted;
  const refresh = async () => {
    const list = await get("/traffic");
    const names = list.data.map((kept) => kept.model);
    if (!names.includes(model)) model = names[0];
    drawAbout(list.recording);
    drawChoice(names, model);
    const traffic = model && (await get(`/traffic/${encodeURIComponent(model)}`));
    if (!signal.aborted) drawSeen(traffic ?? null);
  };
  const choose = (name) => {
    model = name;
    return refresh().catch(trouble.show);
  };
  const drawAbout = onChange((recording) => fill(about, aboutRecord(recording)));
  const drawChoice = onChange((names, chosen) => fill(choice, names.length > 1 && models(names, chosen, choose)));
  const drawSeen = onChange((traffic) => fill(seen, traffic ? page(traffic, fault, refresh) : nothing()));
  fill(content, about, fault.element, trouble.element, choice, seen);
  poll(signal, MILLISECONDS, trouble, refresh);
}

function aboutRecord({ keeps, days, lost }) {
  const until = ` Forgotten after ${days} ${days === 1 ? "day" : "days"}, and with the model.`;
  return [KEEPS[keeps], until, lost > 0 && ` ${lost} answers could not be kept since the server was started.`];
}

function nothing() {
  return empty("No answers in the record yet. Those of classifiers are kept, whichever route was asked.");
}

function models(names, chosen, choose) {
  const select = h("select", { id: "traffic-model" }, names.map((name) => h("option", { selected: name === chosen }, name)));
  select.addEventListener("change", () => choose(select.value));
  return field("Model", select);
}

function page(traffic, fault, refresh) {
  const { model, verdict, remarks, notices, latest } = traffic;
  if (traffic.answers === 0) return nothing();
  return [
    h("h2", {}, model),
    h("p", { class: "verdict" }, verdict),
    remarks.length > 0 && h("ul", { class: "remarks" }, remarks.map((remark) => h("li", {}, remark))),
    notices.map((notice) => h("p", { class: "quiet" }, notice)),
    facts(traffic),
    controls(traffic, fault, refresh),
    h("div", { class: "figures" }, figures(traffic)),
    latest && drift(latest),
  ];
}

function facts({ answers, labelled, texts, since, until, left_to_people: left, reference }) {
  const all = {
    Answers: `${answers}, from ${time(since)} to ${time(until)}`,
    Labelled: labelled > 0 ? `${labelled}: right answers that somebody has sent back` : "none",
    "Texts kept": texts,
    "Left to people": left === null ? null : percent(left),
    "Held against": `${reference.answers} ${reference.source}`,
  };
  const shown = Object.entries(all).filter(([, value]) => value !== null);
  return h("dl", { class: "facts" }, shown.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function controls({ model, texts }, fault, refresh) {
  const name = encodeURIComponent(model);
  const forget = async () => {
    if (!confirm(`Forget everything that was kept of ${model}? This cannot be undone.`)) return;
    await remove(`/traffic/${name}`);
    say(`The record of ${model} is forgotten`);
    await refresh();
  };
  return h("p", { class: "actions" },
    texts > 0 && button("Texts to label next", () => save(`/v1/traffic/${name}/to_label`, "to_label.csv"), fault, { id: "to-label" }),
    button("Forget the record", forget, fault, { id: "forget" }));
}

function figures(traffic) {
  const { window, windows, reference } = traffic;
  const seconds = SECONDS[window];
  const last = windows.at(-1).from;
  const at = (from) => (from - last) / seconds;
  const x = { name: `${window}s before the last answer`, one: window, mark: (tick) => String(Math.abs(tick)) };
  const points = (value) => windows.filter((one) => value(one) !== null).map((one) => [at(one.from), value(one)]);
  const before = (value) => (value === null ? [] : [[at(windows[0].from), value], [0, value]]);
  const then = "on the texts it is held against";
  const share = { unit: "share", most: 1, x };
  const right = [
    { name: "right, by labels", points: points((one) => one.accuracy?.value ?? null) },
    { name: "right, by confidence", points: points((one) => one.expected_accuracy?.value ?? null) },
    { name: then, points: before(reference.accuracy) },
  ];
  const drift = windows.length > 1 && windows.some((one) => one.drift_size > 0);
  return [
    chart({ title: "Answers", unit: `per ${window}`, x, lines: [{ name: "answers", points: counts(windows, seconds, at) }] }),
    chart({ ...share, title: "Classes", lines: classes(windows, points) }),
    chart({ ...share, title: "Confidence", lines: [
      { name: "mean", points: points((one) => one.confidence) }, { name: then, points: before(reference.confidence) }] }),
    right.slice(0, 2).some((line) => line.points.length > 0) && chart({ ...share, title: "Right answers", lines: right }),
    drift && chart({ ...share, title: "Drift beyond chance", unit: "largest effect", lines: [
      { name: "0 is none, 1 nothing in common", points: points((one) => one.drift_size) }] }),
  ];
}

/** Answers of every window, also of those without any. */
function counts(windows, seconds, at) {
  const known = new Map(windows.map((one) => [one.from, one.answers]));
  const all = Math.round((windows.at(-1).from - windows[0].from) / seconds) + 1;
  const from = (index) => windows[0].from + index * seconds;
  return Array.from({ length: all }, (_, index) => [at(from(index)), known.get(from(index)) ?? 0]);
}

/** A line for the share of each class. */
function classes(windows, points) {
  const total = (name) => windows.reduce((sum, one) => sum + one.answers * (one.shares[name] ?? 0), 0);
  const names = Object.keys(windows[0].shares).sort((a, b) => total(b) - total(a)).slice(0, MOST_LINES);
  return names.map((name) => ({ name, points: points((one) => one.shares[name] ?? 0) }));
}

function chance(p) {
  return p < 0.001 ? "p < 0.001" : `p = ${number(p)}`;
}

function drift({ answers, drift: findings }) {
  const row = ({ kind, effect, p_adjusted: p }) => h("tr", {},
    h("th", { scope: "row" }, kind),
    h("td", { "data-name": "Effect" }, number(Math.round(effect * 1000) / 1000)),
    h("td", { "data-name": "Chance" }, chance(p)),
    h("td", { "data-name": "More than chance" }, p < LEVEL ? "yes" : "no"));
  const about = "An effect goes from 0, the same, to 1, nothing in common. The chance is that of an effect as large if nothing had "
    + "changed; whoever looks a hundred times sees one that is no change.";
  return [
    h("h2", {}, `The latest ${answers} answers`),
    h("p", { class: "quiet" }, about),
    table(["Drift of", "Effect", "Chance", "More than chance"], findings.map(row), { class: "stacked" }),
  ];
}
