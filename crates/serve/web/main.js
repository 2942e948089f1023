// Which page is shown: the part of the address behind the `#`, such as `#job/ftjob-abc`.

import { fill, h } from "./dom.js";
import * as data from "./pages/data.js";
import * as job from "./pages/job.js";
import * as jobs from "./pages/jobs.js";
import * as models from "./pages/models.js";
import * as playground from "./pages/playground.js";
import * as traffic from "./pages/traffic.js";

/** What may stand first in an address: the page, and what the navigation calls it. */
const PAGES = {
  data: [data, "data"],
  jobs: [jobs, "jobs"],
  train: [jobs, "jobs"],
  job: [job, "jobs"],
  models: [models, "models"],
  playground: [playground, "playground"],
  traffic: [traffic, "traffic"],
};

let leaving = new AbortController();

/** Leaves the page that is shown and goes where the address says. */
function go() {
  const [name, argument] = location.hash.slice(1).split("/").map(decoded);
  const [page, known] = PAGES[name] ?? PAGES.data;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  leaving.abort();
  leaving = new AbortController();
  document.title = `${page.title} · finetone`;
  const content = h("div");
  fill(document.getElementById("content"), h("h1", { tabindex: "-1" }, page.title), content);
  page.show(content, leaving.signal, argument);
}

/** A part of an address; one that somebody mistyped is taken as it is. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

addEventListener("hashchange", () => {
  go();
  // Whoever does not see the page hears which it is.
  document.querySelector("h1").focus();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address belongs to the pages.
  event.preventDefault();
  document.getElementById("content").focus();
});
go();
