// Files: upload, what is wrong with them, download, delete.

import { all, remove, save, upload } from "../api.js";
import { button, empty, faultPlace, fill, h, say, table } from "../dom.js";
import { onChange, poll } from "../poll.js";
import { bytes, time } from "../words.js";

export const title = "Data";

const EXAMPLE = `{"messages": [{"role": "system", "content": "Answer with Positive, Negative or Neutral."},
              {"role": "user", "content": "It came a day early."}, {"role": "assistant", "content": "Positive"}]}`;

export function show(content, signal) {
  const [fault, trouble, list] = [faultPlace(), faultPlace(), h("div")];
  const draw = onChange((files) => fill(list, files.length ? rows(files, fault, refresh) : nothing()));
  const refresh = async () => draw(await all("/files"));
  const about = "Examples of conversations as JSON Lines: one per line, each with the answer that the model shall learn.";
  const place = dropPlace(signal, fault, refresh);
  fill(content, h("p", { class: "quiet" }, about), place, fault.element, trouble.element, list, example());
  poll(signal, 5000, trouble, refresh);
}

function example() {
  const about = "Broken here to be read: in the file it is one line. At least ten are needed; a few hundred are better.";
  const [name, text] = [h("summary", {}, "What a line looks like"), h("p", { class: "quiet" }, about)];
  return h("details", {}, name, h("pre", {}, EXAMPLE), text);
}

function nothing() {
  return empty("No files yet. Choose or drop one above; then create a job with it.");
}

/** Where files are dropped or chosen. */
function dropPlace(signal, fault, refresh) {
  const told = h("p", { class: "quiet", role: "status" });
  const input = h("input", { type: "file", multiple: true, accept: ".jsonl" });
  const take = async (files) => {
    fault.clear();
    const refused = [];
    for (const file of files) {
      told.textContent = `Sending ${file.name} (${bytes(file.size)}) …`;
      try {
        await upload(file);
      } catch (error) {
        refused.push(`${file.name}: ${error.message}`);
      }
    }
    told.textContent = `${files.length - refused.length} of ${files.length} files are there.`;
    if (refused.length) fault.show(new Error(refused.join("\n")));
    input.value = "";
    await refresh().catch(fault.show);
  };
  input.addEventListener("change", () => take([...input.files]));
  const label = h("label", {}, "Drop files here, or choose them:", h("br"), input);
  const place = h("form", { class: "drop", onsubmit: (event) => event.preventDefault() }, label, told);
  whenDropped(place, signal, take);
  return place;
}

/** A file that misses the place by a little must not make the browser leave the page. */
function whenDropped(place, signal, take) {
  const over = (is) => (event) => {
    event.preventDefault();
    place.classList.toggle("over", is);
  };
  addEventListener("dragover", over(true), { signal });
  addEventListener("dragleave", over(false), { signal });
  addEventListener("drop", (event) => {
    over(false)(event);
    take([...event.dataTransfer.files]);
  }, { signal });
}

function rows(files, fault, refresh) {
  const head = ["File", "State", "Size", "Uploaded", ""];
  return table(head, files.map((file) => entry(file, fault, refresh)), { class: "stacked" });
}

/** The row of a file, and one below it that says what is wrong with it. */
function entry(file, fault, refresh) {
  const complaint = h("td", { colspan: 5 }, h("p", { class: "fault" }, file.status_details ?? ""));
  return [row(file, fault, refresh), file.status_details && h("tr", {}, complaint)];
}

function row(file, fault, refresh) {
  const isResult = file.purpose === "fine-tune-results";
  const path = `/v1/files/${file.id}/content${isResult ? "?format=csv" : ""}`;
  const drop = async () => {
    if (!confirm(`Delete ${file.filename}? This cannot be undone.`)) return;
    await remove(`/files/${file.id}`);
    say(`${file.filename} is deleted`);
    await refresh();
  };
  const isUsable = file.purpose === "fine-tune" && file.status === "processed";
  const named = (verb) => ({ id: `${verb}-${file.id}`, "aria-label": `${verb} ${file.filename}` });
  const actions = [
    isUsable && h("a", { class: "button", href: `#train/${file.id}` }, "Train"),
    button("Download", () => save(path, file.filename), fault, named("Download")),
    button("Delete", drop, fault, named("Delete")),
  ];
  return h("tr", { class: file.status_details && "explained" },
    h("th", { scope: "row" }, file.filename, h("span", { class: "id" }, file.id)),
    h("td", {}, h("span", { class: `state ${file.status}` }, isResult ? "result" : file.status)),
    h("td", { class: "tight", "data-name": "Size" }, bytes(file.bytes)),
    h("td", { class: "tight", "data-name": "Uploaded" }, time(file.created_at)),
    h("td", { class: "row-actions" }, h("div", {}, actions)));
}
