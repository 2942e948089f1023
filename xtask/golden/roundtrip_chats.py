"""Opens an exported language model with transformers and compares what it says of chats with what finetone said.

    python roundtrip_chats.py MODEL_DIR CHATS.jsonl

Every line of CHATS.jsonl is `{"messages": […], "prompt": […], "answers": {"Good": 0.9, …}}`: messages that wait for an answer, their
tokens, and how probable each answer is among these. The tokens must be equal, the numbers within 1e-4. The exit code is 1 when
anything differs.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 1e-4


def probabilities(model, tokenizer, messages, prompt, answers):
    """Of each answer, as a share of the sum over all, to the token that ends it."""
    logs = []
    for answer in answers:
        chat = [*messages, {"role": "assistant", "content": answer}]
        ids = tokenizer.apply_chat_template(chat, return_dict=True)["input_ids"]
        end = max(place for place, token in enumerate(ids) if token == tokenizer.eos_token_id) + 1
        said = model(torch.tensor([ids[:end]])).logits[0].double().log_softmax(-1)
        logs.append(sum(said[place - 1, ids[place]] for place in range(len(prompt), end)))
    return torch.stack(logs).softmax(-1).tolist()


def main():
    folder, chats = sys.argv[1:]
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    model = model.float().eval()
    faults = [f"{kind}: {sorted(map(str, found))}" for kind, found in report.items() if found]
    worst, records = 0.0, [json.loads(line) for line in Path(chats).read_text().splitlines()]
    for line, record in enumerate(records, start=1):
        messages, answers = record["messages"], record["answers"]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
        if prompt != record["prompt"]:
            faults.append(f"line {line}: the prompt is {prompt}, not {record['prompt']}")
            continue
        with torch.no_grad():
            theirs = probabilities(model, tokenizer, messages, prompt, answers)
        worst = max([worst, *(abs(a - b) for a, b in zip(theirs, answers.values()))])
    if not worst <= TOLERANCE:
        faults.append(f"the numbers differ by {worst:.3g}, allowed are {TOLERANCE:g}")
    print(f"{len(records)} chats, the numbers differ by {worst:.3g} at most")
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
