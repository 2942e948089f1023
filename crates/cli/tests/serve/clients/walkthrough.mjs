// Both programs of the walk-throughs that made this known, with the oldest client for Node: fine-tune on a file of chats, then
// ask the base and the tuned model the same messages, ten times each.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const OpenAI = createRequire(path.join(process.env.OPENAI_CLIENT, "package.json"))("openai");
const openai = new OpenAI({ apiKey: process.env.OPENAI_API_KEY, baseURL: process.env.OPENAI_BASE_URL });

async function finetune() {
  const file = await openai.files.create({ file: fs.createReadStream("chat.jsonl"), purpose: "fine-tune" });
  const job = await openai.fineTuning.jobs.create({ training_file: file.id, model: "gpt-3.5-turbo" });
  let status = job.status;
  while (!["succeeded", "failed", "cancelled"].includes(status)) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    status = (await openai.fineTuning.jobs.retrieve(job.id)).status;
  }
  const events = await openai.fineTuning.jobs.listEvents(job.id, { limit: 300 });
  assert.ok(events.data.some((event) => event.message === "The job has successfully completed"));
  return await openai.fineTuning.jobs.retrieve(job.id);
}

async function ask(model, text) {
  const completion = await openai.chat.completions.create({
    model,
    temperature: 1,
    messages: [
      { role: "system", content: process.env.SYSTEM_MESSAGE },
      { role: "user", content: text },
    ],
  });
  return completion.choices[0].message.content;
}

const texts = [
  "The staff remembered our names and the soup was wonderful.",
  "Two hours on hold, and then they hung up on me.",
  "The museum opens at ten on weekdays.",
];

const job = await finetune();
assert.equal(job.status, "succeeded");
for (const text of texts) {
  for (const model of ["gpt-3.5-turbo", job.fine_tuned_model]) {
    const tally = {};
    for (let i = 0; i < 10; i += 1) {
      const said = await ask(model, text);
      tally[said] = (tally[said] ?? 0) + 1;
    }
    console.log(model, tally);
    if (model === job.fine_tuned_model) {
      const words = ["Positive", "Negative", "Neutral"];
      assert.ok(Object.keys(tally).every((said) => words.includes(said)), JSON.stringify(tally));
    }
  }
}

console.log(`model ${job.fine_tuned_model} of job ${job.id}`);
console.log("done");
