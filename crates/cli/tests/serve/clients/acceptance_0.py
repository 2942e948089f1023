"""The way from a file to a fine-tuned model with the Python client as it was before its first major version.

Nothing but the base URL, taken from the environment, says that the server is another one. This client sends no name of the
file, quotes ids in paths, and looks at no `has_more`.
"""

import base64
import time

import openai

# 1. Upload the file.
training = openai.File.create(file=open("training_set.jsonl", "rb"), purpose="fine-tune")
assert training["status"] == "processed" and training["filename"] == "file", training
assert openai.File.download(training["id"]) == open("training_set.jsonl", "rb").read()
assert [file["id"] for file in openai.File.list()["data"]] == [training["id"]]

# 2. Create a job, and watch it until it is over.
job = openai.FineTuningJob.create(
    training_file=training["id"], model="gpt-3.5-turbo", suffix="sentiment", hyperparameters={"n_epochs": 2}
)
deadline = time.time() + 300
while job["status"] not in ("succeeded", "failed", "cancelled"):
    assert time.time() < deadline, job
    time.sleep(0.1)
    job = openai.FineTuningJob.retrieve(job["id"])
assert job["status"] == "succeeded", job
tuned = job["fine_tuned_model"]

# 3. Its events and its numbers.
events = openai.FineTuningJob.list_events(id=job["id"], limit=100)["data"]
events.reverse()
assert events[0]["message"] == f"Created fine-tuning job: {job['id']}"
created = [event["message"] for event in events if event["message"].startswith("New fine-tuned model created: ")]
assert created == [f"New fine-tuned model created: {tuned}"], created
table = base64.b64decode(openai.File.download(job["result_files"][0])).decode()
assert len(table.splitlines()) == 61, table

# 4. The models, whose names have colons that this client quotes, and answers of the tuned one.
assert tuned in [model["id"] for model in openai.Model.list()["data"]]
assert openai.Model.retrieve(tuned)["owned_by"] == "personal"
messages = [
    {"role": "system", "content": "Answer with Positive, Negative or Neutral."},
    {"role": "user", "content": "the parcel, number 7, was lovely"},
]
words = {"Positive", "Negative", "Neutral"}
for _ in range(10):
    chat = openai.ChatCompletion.create(model=tuned, messages=messages)
    assert chat["choices"][0]["message"]["content"] in words, chat
parts = openai.ChatCompletion.create(model=tuned, messages=messages, stream=True)
said = "".join(part["choices"][0]["delta"].get("content") or "" for part in parts)
assert said in words, said
vectors = openai.Embedding.create(model=tuned, input=["one text", "another"])["data"]
assert len(vectors) == 2 and len(vectors[0]["embedding"]) == len(vectors[1]["embedding"]) > 1

# 5. What goes wrong has the class that programs count on.
try:
    openai.Model.retrieve("nothing")
    raise SystemExit("a model that is not there was found")
except openai.error.InvalidRequestError as error:
    assert error.code == "model_not_found", error
try:
    openai.FineTuningJob.cancel(job["id"])
    raise SystemExit("a finished job was cancelled")
except openai.error.InvalidRequestError:
    pass

# 6. Files and models can be deleted.
assert openai.Model.delete(tuned)["deleted"]
assert openai.File.delete(training["id"])["deleted"]

print("done")
