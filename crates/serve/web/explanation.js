// Why a classifier answered as it did: words that speak for the answer and against it, and texts that it has learnt from.

import { post } from "./api.js";
import { h, table } from "./dom.js";
import { percent } from "./words.js";

/** Words that are listed. */
const LISTED = 8;
/** A word with less than this share of the greatest contribution is not coloured. */
const COLOURED = 0.15;
/** Strengths of colour. */
const STRENGTHS = 4;
/** From this on the contributions do not quite add up, which is said. */
const GAP = 0.01;

/** What decided about a text; `model` must be a classifier. */
export async function explain(model, { system, text }) {
  const messages = [{ role: "user", content: text }];
  if (system.trim()) messages.unshift({ role: "system", content: system });
  return shown(await post("/explanations", { model, messages }));
}

function shown({ label, against, probabilities, log_odds: odds, pieces, turns, gap, neighbours }) {
  const words = pieces.filter(({ adds }) => adds !== null);
  const most = Math.max(...words.map(({ adds }) => Math.abs(adds)), 0);
  const named = (name) => `${name} (${percent(probabilities[name])})`;
  const strongest = [...words].sort((a, b) => Math.abs(b.adds) - Math.abs(a.adds)).slice(0, LISTED);
  return [
    h("h3", {}, `Why ${named(label)} rather than ${named(against)}`),
    h("p", { class: "explained" }, pieces.map((piece) => coloured(piece, most))),
    h("p", { class: "quiet" },
      h("span", { class: "for" }, "Underlined blue"), ` speaks for ${label}, `,
      h("span", { class: "against" }, "dotted orange"), ` for ${against}. Together with what is so without any word the numbers make `
      + `log-odds of ${signed(odds)}${gap > GAP ? `; they add up within ${percent(gap)}` : ""}.`),
    table(["Word", "Adds"], strongest.map(({ text, adds }) => row(text, adds))),
    turns.length > 0 && table(["Turn", "Adds"], turns.map((turn) => row(turnName(turn, turns), turn.adds))),
    neighbours.length > 0 && nearest(neighbours),
  ];
}

function coloured({ text, adds }, most) {
  const share = adds === null || most === 0 ? 0 : Math.abs(adds) / most;
  if (share < COLOURED) return adds === null ? text : h("span", { title: signed(adds) }, text);
  const strength = Math.ceil(share * STRENGTHS);
  return h("span", { class: `${adds > 0 ? "for" : "against"} strength-${strength}`, title: signed(adds) }, text);
}

function row(name, adds) {
  return h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "tight" }, signed(adds)));
}

/** The texts that the model keeps nearest to the text; their words only where it keeps these too. */
function nearest(neighbours) {
  const hasTexts = neighbours.some(({ text }) => text !== null);
  const rows = neighbours.map(({ labels, similarity, line, text }) => h("tr", {},
    hasTexts && h("td", {}, h("bdi", {}, text ?? "")),
    h("td", {}, labels.join(", ")),
    h("td", { class: "tight" }, similarity.toFixed(2)),
    h("td", { class: "tight" }, String(line))));
  const head = [...(hasTexts ? ["Text"] : []), "Label", "Similarity", "Line"];
  return [h("h3", {}, "Nearest of the training texts"), table(head, rows)];
}

function turnName({ turn, speaker, adds }, turns) {
  const decided = adds === Math.max(...turns.map((one) => one.adds));
  return `${turn === 0 ? "before the first turn" : `${turn}, ${speaker}`}${decided ? ": decided" : ""}`;
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;
}
