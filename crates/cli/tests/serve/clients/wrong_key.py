"""A large upload with a wrong key: the client hears that the key is wrong, not that the connection broke."""

import openai

with open("large.jsonl", "wb") as file:
    file.write(b"x" * (30 << 20))
try:
    with open("large.jsonl", "rb") as file:
        openai.OpenAI().files.create(file=file, purpose="fine-tune")
    raise SystemExit("an upload with a wrong key was accepted")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key", error

print("done")
