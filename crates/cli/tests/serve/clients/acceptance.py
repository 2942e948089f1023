"""The way from a file to a fine-tuned model with OpenAI's Python client, as its guides have it.

Nothing but the base URL, taken from the environment, says that the server is another one.
"""

import base64
import csv
import io
import math
import time

import openai
from openai import OpenAI

client = OpenAI(_strict_response_validation=True)

# 1. Upload the files and wait until they are processed.
with open("training_set.jsonl", "rb") as file:
    training = client.files.create(file=file, purpose="fine-tune")
training = client.files.wait_for_processing(training.id, poll_interval=0.1)
assert training.status == "processed", training
with open("validation_set.jsonl", "rb") as file:
    validation = client.files.create(file=file, purpose="fine-tune")
assert client.files.content(training.id).read() == open("training_set.jsonl", "rb").read()
assert {file.id for file in client.files.list(limit=1)} == {training.id, validation.id}

# 2. Create a job, and watch it until it is over.
job = client.fine_tuning.jobs.create(
    training_file=training.id,
    validation_file=validation.id,
    model="gpt-3.5-turbo",
    suffix="sentiment",
    hyperparameters={"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": 5},
    metadata={"made": "by a test"},
)
assert job.status == "validating_files" and job.model == "micro", job
assert [found.id for found in client.fine_tuning.jobs.list(limit=1)] == [job.id]
deadline = time.time() + 300
while (job := client.fine_tuning.jobs.retrieve(job.id)).status not in ("succeeded", "failed", "cancelled"):
    assert time.time() < deadline, job
    time.sleep(0.1)
assert job.status == "succeeded", job
assert job.fine_tuned_model.startswith("ft:micro:personal:sentiment:"), job
assert job.hyperparameters.n_epochs == 3 and job.hyperparameters.batch_size == 1, job
assert job.trained_tokens > 0 and job.error is None, job

# 3. Its events, page by page, the newest first.
events = list(client.fine_tuning.jobs.list_events(job.id, limit=7))
events.reverse()
assert len({event.id for event in events}) == len(events)
assert events[0].message == f"Created fine-tuning job: {job.id}"
steps = [event.data for event in events if event.type == "metrics"]
assert [step["step"] for step in steps] == list(range(1, 91)), steps
(created,) = [event.message for event in events if event.message.startswith("New fine-tuned model created: ")]
assert created.split("created: ")[1] == job.fine_tuned_model

# 4. Its checkpoints, the result file, and the models.
checkpoints = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
assert checkpoints[0].fine_tuned_model_checkpoint == job.fine_tuned_model, checkpoints
assert all(checkpoint.metrics.full_valid_loss is not None for checkpoint in checkpoints)
table = base64.b64decode(client.files.content(job.result_files[0]).read()).decode()
rows = list(csv.DictReader(io.StringIO(table)))
assert len(rows) == 90 and float(rows[0]["train_loss"]) > 0 and rows[0]["valid_loss"] == ""
assert rows[-1]["valid_mean_token_accuracy"] != ""
names = {model.id for model in client.models.list()}
assert {job.fine_tuned_model, "gpt-3.5-turbo", "micro"} <= names, names
assert client.models.retrieve(job.fine_tuned_model).owned_by == "personal"

# 5. The tuned model answers with one of the three words, every time, and says how likely each is.
messages = [
    {"role": "system", "content": "Answer with Positive, Negative or Neutral."},
    {"role": "user", "content": "the parcel, number 7, was lovely"},
]
words = {"Positive", "Negative", "Neutral"}
chat = client.chat.completions.create(model=job.fine_tuned_model, messages=messages, n=3, logprobs=True, top_logprobs=3)
assert len(chat.choices) == 3 and {choice.message.content for choice in chat.choices} <= words, chat
likely = {top.token: math.exp(top.logprob) for top in chat.choices[0].logprobs.content[0].top_logprobs}
assert set(likely) == words and abs(sum(likely.values()) - 1) < 1e-6, likely
for checkpoint in checkpoints:
    name = checkpoint.fine_tuned_model_checkpoint
    answer = client.chat.completions.create(model=name, messages=messages, temperature=0).choices[0].message.content
    assert answer in words, answer
parts = client.chat.completions.create(
    model=job.fine_tuned_model, messages=messages, temperature=0, stream=True, stream_options={"include_usage": True}
)
parts = list(parts)
assert "".join(part.choices[0].delta.content or "" for part in parts if part.choices) in words
assert parts[-1].usage.completion_tokens == 1 and not parts[-1].choices

# 6. What goes wrong has the class and the code that programs count on.
try:
    client.fine_tuning.jobs.create(training_file="file-x", model="gpt-3.5-turbo")
    raise SystemExit("a file that is not there was accepted")
except openai.BadRequestError as error:
    assert error.param == "training_file" and error.request_id.startswith("req_"), error
try:
    client.models.retrieve("nothing")
    raise SystemExit("a model that is not there was found")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error
try:
    client.fine_tuning.jobs.cancel(job.id)
    raise SystemExit("a finished job was cancelled")
except openai.BadRequestError:
    pass

# 7. A job can be cancelled, files and models can be deleted.
second = client.fine_tuning.jobs.create(training_file=training.id, model=job.fine_tuned_model)
assert client.fine_tuning.jobs.cancel(second.id).status == "cancelled"
assert client.models.delete(job.fine_tuned_model).deleted
assert client.files.delete(validation.id).deleted
try:
    client.files.retrieve(validation.id)
    raise SystemExit("a deleted file was found")
except openai.NotFoundError:
    pass

print("done")
