// Jobs: a form for a new one, and the list.

import { all, get, post } from "../api.js";
import { empty, faultPlace, field, fill, h, table } from "../dom.js";
import { onChange, poll } from "../poll.js";
import { kind, state, time } from "../words.js";

export const title = "Jobs";

/** `file` is the training file that the form begins with. */
export function show(content, signal, file) {
  const [fault, trouble, form, list] = [faultPlace(), faultPlace(), h("div"), h("div")];
  const none = () => empty("No jobs yet. Those that you start appear here.");
  const draw = onChange((jobs) => fill(list, jobs.length ? rows(jobs) : none()));
  fill(content, fault.element, form, h("h2", {}, "All jobs"), trouble.element, list);
  prepare(form, file).catch(fault.show);
  poll(signal, 2000, trouble, async () => draw(await all("/fine_tuning/jobs")));
}

/** The form, once it is known what there is to choose from. */
async function prepare(place, chosen) {
  const [models, files] = await Promise.all([get("/models"), all("/files?purpose=fine-tune")]);
  const usable = files.filter((file) => file.status === "processed");
  if (!usable.length) {
    fill(place, empty("A job needs a file to learn from. ", h("a", { href: "#data" }, "Upload one first"), "."));
    return;
  }
  fill(place, form(models.data.filter((model) => kind(model) !== "alias"), usable, chosen));
}

function form(models, files, chosen) {
  const fault = faultPlace();
  const send = async (event) => {
    event.preventDefault();
    fault.clear();
    try {
      const job = await post("/fine_tuning/jobs", asked(new FormData(event.target)));
      location.hash = `#job/${job.id}`;
    } catch (error) {
      fault.show(error);
    }
  };
  return h("form", { class: "card", "aria-label": "New job", onsubmit: send },
    choices(models, files, chosen), settings(), fault.element,
    h("p", { class: "actions" }, h("button", { class: "first" }, "Start the job")));
}

function choices(models, files, chosen) {
  const told = (file) => `${file.filename} · ${time(file.created_at)}`;
  const option = (file, selected) => h("option", { value: file.id, selected: file.id === selected }, told(file));
  const [model, training, validation] = ["model", "training_file", "validation_file"].map((name) => h("select", { name }));
  fill(model, models.map((one) => h("option", {}, one.id)));
  fill(training, files.map((file) => option(file, chosen)));
  fill(validation, h("option", { value: "" }, "none"), files.map((file) => option(file, null)));
  return h("div", { class: "fields choices" },
    field("Model to begin with", model),
    field("Training file", training),
    field("Validation file", validation, "Without one nothing says how good the model is on new texts"));
}

/** What is left empty is the server's to choose. */
function settings() {
  const input = (name, attributes) => h("input", { name, placeholder: "auto", ...attributes });
  const count = (name, most) => input(name, { type: "number", min: 1, max: most, step: 1 });
  const plain = { maxlength: 64, pattern: "[A-Za-z0-9_\\-]+", title: "letters, digits, _ and -", placeholder: "none" };
  const seed = { type: "number", min: 0, max: 2147483647, step: 1, placeholder: "random" };
  return h("div", { class: "fields" },
    field("Epochs", count("n_epochs", 50)),
    field("Batch size", count("batch_size", 256)),
    field("Learning rate ×", input("learning_rate_multiplier", { type: "number", min: 0, step: "any" })),
    field("Suffix of its name", input("suffix", plain)),
    field("Seed", input("seed", seed)));
}

/** The body of the request. */
function asked(form) {
  const given = (name, read = String) => (form.get(name) ? read(form.get(name)) : undefined);
  return {
    model: given("model"),
    training_file: given("training_file"),
    validation_file: given("validation_file"),
    suffix: given("suffix"),
    seed: given("seed", Number),
    hyperparameters: {
      n_epochs: given("n_epochs", Number),
      batch_size: given("batch_size", Number),
      learning_rate_multiplier: given("learning_rate_multiplier", Number),
    },
  };
}

function rows(jobs) {
  const link = (job) => h("a", { href: `#job/${job.id}`, id: `open-${job.id}` }, job.user_provided_suffix ?? job.id);
  const row = (job) => h("tr", {},
    h("th", { scope: "row" }, link(job), job.user_provided_suffix && h("span", { class: "id" }, job.id)),
    h("td", {}, h("span", { class: `state ${job.status}` }, state(job.status))),
    h("td", { "data-name": "Began with" }, job.model),
    h("td", { class: "tight", "data-name": "Created" }, time(job.created_at)));
  return table(["Job", "State", "Began with", "Created"], jobs.map(row), { class: "stacked" });
}
