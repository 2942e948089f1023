"""The way from a file to a fine-tuned model with the command that came with the Python client until 2026: `openai api …`."""

import json
import subprocess
import sys
import time

words = {"Positive", "Negative", "Neutral"}


def openai(line, *more):
    """Runs a command line, and gives what it printed."""
    command = [sys.executable, "-m", "openai", "api", *line.split(), *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"
    return done.stdout


# 1. Upload the file.
training = json.loads(openai("files.create -f training_set.jsonl -p fine-tune"))
assert training["status"] == "processed" and training["filename"] == "training_set.jsonl", training
assert training["id"] in openai("files.list")

# 2. Create a job, and watch it until it is over.
created = f"fine_tuning.jobs.create -m gpt-3.5-turbo -F {training['id']} -s sentiment -H"
job = json.loads(openai(created, '{"n_epochs": 2}'))
deadline = time.time() + 300
while job["status"] not in ("succeeded", "failed", "cancelled"):
    assert time.time() < deadline, job
    job = json.loads(openai(f"fine_tuning.jobs.retrieve -i {job['id']}"))
assert job["status"] == "succeeded" and job["hyperparameters"]["n_epochs"] == 2, job
tuned = job["fine_tuned_model"]
assert job["id"] in openai("fine_tuning.jobs.list -l 1")
assert f"New fine-tuned model created: {tuned}" in openai(f"fine_tuning.jobs.list_events -i {job['id']} -l 100")

# 3. Models, and answers of the tuned one, whole and in parts.
assert tuned in openai("models.list")
assert json.loads(openai(f"models.retrieve -i {tuned}"))["owned_by"] == "personal"
asked = ["-g", "system", "Answer with Positive, Negative or Neutral.", "-g", "user", "the parcel, number 7, was lovely"]
for more in [[], ["--stream"], ["-t", "0", "-M", "1"]]:
    said = openai(f"chat.completions.create -m {tuned}", *asked, *more)
    assert said.strip() in words, said
said = openai(f"completions.create -m {tuned}", "-p", "the parcel, number 7, was lovely")
assert any(word in said for word in words), said

# 4. A finished job cannot be cancelled; a model can be deleted.
refused = subprocess.run(
    [sys.executable, "-m", "openai", "api", "fine_tuning.jobs.cancel", "-i", job["id"]], capture_output=True, text=True
)
# This command tells errors and ends as if all were well.
assert "Error code: 400" in refused.stderr and "succeeded" in refused.stderr, refused
assert json.loads(openai(f"models.delete -i {tuned}"))["deleted"]

print("done")
