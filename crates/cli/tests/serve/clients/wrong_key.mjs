// A large upload with a wrong key: the client hears that the key is wrong, not that the connection broke.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const { OpenAI } = createRequire(path.join(process.env.OPENAI_CLIENT, "package.json"))("openai");
const client = new OpenAI({ baseURL: process.env.OPENAI_BASE_URL });

fs.writeFileSync("large.jsonl", "x".repeat(30 * 1024 * 1024));
await assert.rejects(client.files.create({ file: fs.createReadStream("large.jsonl"), purpose: "fine-tune" }), (error) => {
  return error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key";
});

console.log("done");
