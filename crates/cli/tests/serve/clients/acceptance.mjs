// The way from a file to a fine-tuned model with OpenAI's client for Node, as its guides have it, in every version alike.
//
// The oldest version knows no checkpoints and reads no base URL from the environment.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const { OpenAI } = createRequire(path.join(process.env.OPENAI_CLIENT, "package.json"))("openai");
const client = new OpenAI({ baseURL: process.env.OPENAI_BASE_URL });

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// 1. Upload the file.
const training = await client.files.create({ file: fs.createReadStream("training_set.jsonl"), purpose: "fine-tune" });
assert.equal(training.filename, "training_set.jsonl");
const validation = await client.files.create({ file: fs.createReadStream("validation_set.jsonl"), purpose: "fine-tune" });
assert.equal((await client.files.retrieve(training.id)).status, "processed");

// 2. Create a job, and watch it until it is over.
let job = await client.fineTuning.jobs.create({
  training_file: training.id,
  model: "gpt-3.5-turbo",
  suffix: "sentiment",
  hyperparameters: { n_epochs: 2 },
});
assert.equal(job.status, "validating_files");
for (let tries = 0; !["succeeded", "failed", "cancelled"].includes(job.status); tries += 1) {
  assert.ok(tries < 3000, `the job is still ${job.status}`);
  await sleep(100);
  job = await client.fineTuning.jobs.retrieve(job.id);
}
assert.equal(job.status, "succeeded");
assert.match(job.fine_tuned_model, /^ft:micro:personal:sentiment:[0-9A-Za-z]{8}$/);

// 3. Its events, page by page: the oldest client stops at an empty page only.
const events = [];
for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 9 })) events.push(event);
events.reverse();
assert.equal(new Set(events.map((event) => event.id)).size, events.length);
const steps = events.filter((event) => event.message.startsWith("Step "));
assert.equal(steps.length, 60);
assert.ok(events.some((event) => event.message === `New fine-tuned model created: ${job.fine_tuned_model}`));

// 4. Checkpoints, the result file, lists and models.
if (client.fineTuning.jobs.checkpoints) {
  const steps = [];
  for await (const checkpoint of client.fineTuning.jobs.checkpoints.list(job.id)) steps.push(checkpoint.step_number);
  assert.deepEqual(steps, [60, 30]);
}
const content = client.files.content
  ? await (await client.files.content(job.result_files[0])).text()
  : await client.files.retrieveContent(job.result_files[0]);
const rows = Buffer.from(content, "base64").toString().trim().split("\n");
assert.equal(rows[0], "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy");
assert.equal(rows.length, 61);
const files = [];
for await (const file of client.files.list()) files.push(file.id);
assert.deepEqual(files.filter((id) => id !== job.result_files[0]), [validation.id, training.id]);
const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.ok(models.includes(job.fine_tuned_model) && models.includes("gpt-3.5-turbo"));

// 5. The tuned model answers with one of the three words, whole and in parts.
const asked = {
  model: job.fine_tuned_model,
  messages: [
    { role: "system", content: "Answer with Positive, Negative or Neutral." },
    { role: "user", content: "the parcel, number 7, was lovely" },
  ],
};
const words = ["Positive", "Negative", "Neutral"];
for (let i = 0; i < 10; i += 1) {
  const chat = await client.chat.completions.create(asked);
  assert.ok(words.includes(chat.choices[0].message.content));
}
let said = "";
for await (const part of await client.chat.completions.create({ ...asked, stream: true })) {
  said += part.choices[0].delta.content ?? "";
}
assert.ok(words.includes(said));

// 6. What goes wrong has the class and the code that programs count on.
await assert.rejects(client.models.retrieve("nothing"), (error) => {
  return error instanceof OpenAI.NotFoundError && error.code === "model_not_found";
});
await assert.rejects(client.fineTuning.jobs.cancel(job.id), OpenAI.BadRequestError);

// 7. Files and models can be deleted.
const remove = (things, id) => (things.del ? things.del(id) : things.delete(id));
assert.ok((await remove(client.models, job.fine_tuned_model)).deleted);
assert.ok((await remove(client.files, validation.id)).deleted);

console.log("done");
