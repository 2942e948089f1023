"""A model that writes, asked by OpenAI's Python client with strict types."""

import openai
from openai import OpenAI

client = OpenAI(_strict_response_validation=True)
messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "is it good?"}]
asked = {"model": "story", "messages": messages, "seed": 3, "max_tokens": 12, "n": 2}

# 1. A whole answer and a streamed one are the same, token by token.
whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3)
parts = list(
    client.chat.completions.create(
        **asked, logprobs=True, top_logprobs=3, stream=True, stream_options={"include_usage": True}
    )
)
for choice in whole.choices:
    of_choice = [part.choices[0] for part in parts if part.choices and part.choices[0].index == choice.index]
    assert "".join(part.delta.content or "" for part in of_choice) == choice.message.content, of_choice
    tokens = [token for part in of_choice if part.logprobs for token in part.logprobs.content]
    assert [token.logprob for token in tokens] == [token.logprob for token in choice.logprobs.content]
    assert "".join(token.token for token in tokens) == choice.message.content
    assert of_choice[0].delta.role == "assistant" and of_choice[-1].finish_reason == choice.finish_reason
assert parts[-1].usage == whole.usage and whole.usage.completion_tokens == sum(
    len(choice.logprobs.content) for choice in whole.choices
)

# 2. The helper that puts a stream together, and whoever stops listening.
with client.chat.completions.stream(model="story", messages=messages, max_tokens=12, seed=3) as stream:
    text = "".join(event.delta for event in stream if event.type == "content.delta")
    assert stream.get_final_completion().choices[0].message.content == text == whole.choices[0].message.content
with client.chat.completions.create(model="story", messages=messages, stream=True) as stream:
    next(iter(stream))

# 3. The answer is held to a schema.
label = {"type": "string", "enum": ["good", "bad"]}
schema = {"type": "object", "properties": {"mood": label}, "required": ["mood"], "additionalProperties": False}
held = client.chat.completions.create(
    model="story",
    messages=messages,
    response_format={"type": "json_schema", "json_schema": {"name": "mood", "strict": True, "schema": schema}},
)
assert held.choices[0].message.content in ('{"mood":"good"}', '{"mood":"bad"}'), held

# 4. The older form, and a prompt that is too long.
text = client.completions.create(model="story", prompt="a sad tale", max_tokens=8, echo=True, logprobs=2, seed=1)
assert text.choices[0].text.startswith("a sad tale") and len(text.choices[0].logprobs.tokens) <= 8, text
# The client's type of a piece has no null, which `finish_reason` is in a stream until the end.
pieces = OpenAI().completions.create(model="story", prompt="a sad tale", max_tokens=8, stream=True, seed=1)
assert "a sad tale" + "".join(piece.choices[0].text for piece in pieces) == text.choices[0].text
try:
    client.chat.completions.create(model="story", messages=[{"role": "user", "content": "a " * 99}])
    raise SystemExit("a prompt that is too long was read")
except openai.BadRequestError as error:
    assert error.code == "context_length_exceeded" and error.param == "messages", error

print("done")
