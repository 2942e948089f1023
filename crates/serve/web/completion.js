// A question to a model.

import { post } from "./api.js";

/** What a model answers: `[{content, likely}]`, where `likely` are the first token's alternatives, the likeliest first. */
export async function complete(model, { system, text, temperature }, times = 1) {
  const messages = [{ role: "user", content: text }];
  if (system.trim()) messages.unshift({ role: "system", content: system });
  const question = { model, messages, temperature, n: times, logprobs: true, top_logprobs: 20 };
  const completion = await post("/chat/completions", question);
  return completion.choices.map(({ message, logprobs }) => {
    const tokens = logprobs?.content ?? [];
    const alternatives = tokens[0]?.top_logprobs ?? [];
    const likely = alternatives.map(({ token, logprob }) => ({ name: token, share: Math.exp(logprob) }));
    return { content: message.content ?? "", likely, isOneToken: tokens.length === 1 };
  });
}
