// One job while it works: how far it is, its curves, what it told, what it left.

import { all, get, post, save } from "../api.js";
import { chart } from "../chart.js";
import { button, empty, faultPlace, fill, h, say, table } from "../dom.js";
import { onChange, poll } from "../poll.js";
import { duration, isOver, number, state, time } from "../words.js";

export const title = "Job";

const MILLISECONDS = 1000;
/** More messages than this are read in the file with the numbers. */
const SHOWN_EVENTS = 200;

const CHARTS = [
  { title: "Loss", unit: "nats", keys: { training: "train_loss", validation: "valid_loss" } },
  {
    title: "Right answers",
    unit: "share",
    most: 1,
    keys: {
      training: "train_mean_token_accuracy",
      validation: "valid_mean_token_accuracy",
      "macro F1 of validation": "valid_f1_macro",
    },
  },
  { title: "Norm of the gradient", keys: { "before clipping": "grad_norm" } },
  { title: "Learning rate", keys: { rate: "learning_rate" } },
  { title: "Examples", unit: "per second", keys: { speed: "samples_per_second" } },
  { title: "Steps", unit: "per second", keys: { speed: "steps_per_second" } },
];

export function show(content, signal, id) {
  const [fault, trouble] = [faultPlace(), faultPlace()];
  const names = ["facts", "progress", "controls", "curves", "left", "told"];
  const places = Object.fromEntries(names.map((name) => [name, h("div")]));
  const { facts, progress, controls, curves, left, told } = places;
  const above = [trouble.element, h("p", { class: "id" }, id), facts, progress, fault.element, controls];
  fill(content, above, curves, left, h("h2", {}, "What happened"), told);
  const path = `/fine_tuning/jobs/${encodeURIComponent(id)}`;
  let [events, files] = [[], null];
  const refresh = async () => {
    // The job first: when it is over, nothing comes behind the events that are read after it.
    const job = await get(path);
    files ??= Object.fromEntries((await all("/files")).map((file) => [file.id, file.filename]));
    events = await withNewer(events, path);
    const checkpoints = isOver(job.status) ? await all(`${path}/checkpoints`) : [];
    if (!signal.aborted) draw(job, files, events, checkpoints);
    return isOver(job.status);
  };
  const draw = drawing(places, fault, refresh);
  poll(signal, MILLISECONDS, trouble, refresh);
}

/** The events and those that have come since, the newest first. An event that is known may have learnt more. */
async function withNewer(events, path) {
  const known = new Set(events.map((event) => event.id));
  const limit = events.length ? 100 : 10_000;
  const fresh = [];
  for (let after = ""; ; after = `&after=${fresh.at(-1).id}`) {
    const page = await get(`${path}/events?limit=${limit}${after}`);
    fresh.push(...page.data);
    if (!page.has_more || page.data.some((event) => known.has(event.id))) break;
  }
  const there = new Set(fresh.map((event) => event.id));
  return [...fresh, ...events.filter((event) => !there.has(event.id))];
}

/** Draws each part where it has changed. */
function drawing(places, fault, refresh) {
  const facts = onChange((job, names) => fill(places.facts, factsOf(job, names)));
  const progress = onChange((status, at, finish) => {
    fill(places.progress, at && !isOver(status) && progressOf(status, at, finish));
  });
  const controls = onChange((id, status) => {
    if (places.controls.hasChildNodes()) say(`The job is now ${state(status)}`);
    fill(places.controls, controlsOf(id, status, fault, refresh));
  });
  const left = onChange((job, checkpoints) => {
    fill(places.left, isOver(job.status) && results(job, checkpoints, fault));
  });
  const told = onChange((steps, events) => {
    fill(places.curves, steps.length > 0 && figures(steps));
    fill(places.told, messages(events.slice(0, SHOWN_EVENTS)));
  }, (_, [newest]) => [newest?.id, newest?.message]);
  return (job, names, events, checkpoints) => {
    const { estimated_finish: finish, ...lasting } = job;
    const steps = stepsOf(events);
    facts(lasting, names);
    progress(job.status, steps.at(-1) ?? null, finish);
    controls(job.id, job.status);
    left(lasting, checkpoints);
    told(steps, events);
  };
}

/** The numbers of each step. A job that went on from a checkpoint took some steps twice: the newer ones count. */
function stepsOf(events) {
  const steps = [];
  for (const { type, data } of events) {
    if (type === "metrics" && (!steps.length || data.step < steps.at(-1).step)) steps.push(data);
  }
  return steps.reverse();
}

function factsOf(job, names) {
  const tuned = job.fine_tuned_model;
  const { n_epochs: epochs, batch_size: batch, learning_rate_multiplier: rate } = job.hyperparameters;
  const facts = {
    State: h("span", { class: `state ${job.status}` }, state(job.status)),
    "Begins with": job.model,
    ...(tuned && { Model: h("a", { href: `#playground/${encodeURIComponent(tuned)}` }, tuned) }),
    "Learns from": names[job.training_file] ?? job.training_file,
    ...(job.validation_file && { "Validated on": names[job.validation_file] ?? job.validation_file }),
    Settings: `epochs ${epochs}, batch size ${batch}, learning rate × ${rate}, seed ${job.seed}`,
    Created: time(job.created_at),
    ...(job.finished_at && { Ended: `${time(job.finished_at)}, after ${duration(job.finished_at - job.created_at)}` }),
    ...(job.trained_tokens && { Tokens: job.trained_tokens.toLocaleString() }),
  };
  return [
    h("dl", { class: "facts" }, Object.entries(facts).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    job.error && h("p", { class: "fault" }, job.error.message),
  ];
}

function progressOf(status, at, finish) {
  const left = finish && status === "running" ? Math.max(0, finish - Date.now() / 1000) : null;
  return [
    h("progress", { max: at.total_steps, value: at.step, "aria-label": "Steps" }),
    h("p", { class: "quiet" }, `Step ${at.step} of ${at.total_steps}`, left !== null && `, about ${duration(left)} left`),
  ];
}

function controlsOf(id, status, fault, refresh) {
  if (isOver(status)) return null;
  const ask = (verb) => async () => {
    await post(`/fine_tuning/jobs/${id}/${verb}`);
    await refresh();
  };
  const cancel = async () => {
    if (confirm("Cancel this job? What it has learnt is lost.")) await ask("cancel")();
  };
  return h("p", { class: "actions" },
    ["queued", "running"].includes(status) && button("Pause", ask("pause"), fault, { id: "pause" }),
    status === "paused" && button("Resume", ask("resume"), fault, { id: "resume", class: "first" }),
    button("Cancel", cancel, fault, { id: "cancel" }));
}

function figures(steps) {
  const points = (key) => steps.filter((step) => Number.isFinite(step[key])).map((step) => [step.step, step[key]]);
  const lines = (keys) => Object.entries(keys).map(([name, key]) => ({ name, points: points(key) }));
  const charts = CHARTS.map((one) => ({ ...one, lines: lines(one.keys) }));
  const measured = charts.filter((one) => one.lines.some((line) => line.points.length));
  return [h("h2", {}, "Curves"), h("div", { class: "figures" }, measured.map(chart))];
}

/** The models that a job left, and the file with its numbers. */
function results(job, checkpoints, fault) {
  const file = (id) => () => save(`/v1/files/${id}/content?format=csv`, "step_metrics.csv");
  const numbers = job.result_files.map((id) => button("Download the numbers of each step (CSV)", file(id), fault, { id }));
  if (!checkpoints.length) return null;
  return [
    h("h2", {}, "Models"),
    table(["Model", "Step", "Training loss", "Validation loss", ""], checkpoints.map(modelRow), { class: "stacked" }),
    h("p", { class: "actions" }, h("a", { class: "button", href: "#models" }, "Reports are with the models"), numbers),
  ];
}

function modelRow({ fine_tuned_model_checkpoint: name, step_number: step, metrics }) {
  const value = (key) => (Number.isFinite(metrics[key]) ? number(metrics[key]) : "–");
  const link = h("a", { class: "button", href: `#playground/${encodeURIComponent(name)}` }, "Try");
  return h("tr", {},
    h("th", { scope: "row" }, name),
    h("td", { "data-name": "Step" }, String(step)),
    h("td", { "data-name": "Training loss" }, value("train_loss")),
    h("td", { "data-name": "Validation loss" }, value("valid_loss")),
    h("td", { class: "row-actions" }, h("div", {}, link)));
}

function messages(events) {
  if (!events.length) return empty("Nothing yet.");
  const clock = (event) => h("time", {}, new Date(event.created_at * 1000).toLocaleTimeString());
  const line = (event) => h("li", { class: event.level }, clock(event), h("span", {}, event.message));
  return h("ol", { class: "events", tabindex: "0", "aria-label": "Events, the newest first" }, events.map(line));
}
