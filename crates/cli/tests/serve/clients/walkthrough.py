"""The same walk as in `walkthrough.mjs` with the newest Python client."""

import collections
import os
import time

from openai import OpenAI

client = OpenAI()


def finetune():
    file = client.files.create(file=open("chat.jsonl", "rb"), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=file.id, model="gpt-3.5-turbo")
    while job.status not in ("succeeded", "failed", "cancelled"):
        time.sleep(0.2)
        job = client.fine_tuning.jobs.retrieve(job.id)
    messages = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=300).data]
    assert "The job has successfully completed" in messages, messages
    return job


def ask(model, text):
    completion = client.chat.completions.create(
        model=model,
        temperature=1,
        messages=[
            {"role": "system", "content": os.environ["SYSTEM_MESSAGE"]},
            {"role": "user", "content": text},
        ],
    )
    return completion.choices[0].message.content


texts = [
    "The staff remembered our names and the soup was wonderful.",
    "Two hours on hold, and then they hung up on me.",
    "The museum opens at ten on weekdays.",
]

job = finetune()
assert job.status == "succeeded", job
for text in texts:
    for model in ("gpt-3.5-turbo", job.fine_tuned_model):
        tally = collections.Counter(ask(model, text) for _ in range(10))
        print(model, dict(tally))
        assert model != job.fine_tuned_model or set(tally) <= {"Positive", "Negative", "Neutral"}, tally

print(f"model {job.fine_tuned_model} of job {job.id}")
print("done")
