"""Writes faults.jsonl, a file of faulty chats, and faults.json: what the checks of OpenAI's cookbook count in it.

    python generate.py

The checks are those of https://cookbook.openai.com/examples/chat_finetuning_data_prep, in words of this project. The file has
nothing that the validator stops at (lines that are not JSON, messages that are not objects) and nothing that came after it
(`developer`, `tool`, lists of parts, calls without content), where this project departs from it on purpose.
"""

import json
import random
from collections import Counter
from pathlib import Path

KEYS = {"role", "content", "name", "function_call", "weight"}
ROLES = {"system", "user", "assistant", "function"}


def count(examples):
    counts, missing_system, missing_user = Counter(), 0, 0
    for example in examples:
        if not isinstance(example, dict):
            counts["data_type"] += 1
            continue
        messages = example.get("messages")
        if not messages:
            counts["missing_messages_list"] += 1
            continue
        for message in messages:
            counts["message_missing_key"] += "role" not in message or "content" not in message
            counts["message_unrecognized_key"] += any(key not in KEYS for key in message)
            counts["unrecognized_role"] += message.get("role") not in ROLES
            content, call = message.get("content"), message.get("function_call")
            counts["missing_content"] += (not content and not call) or not isinstance(content, str)
        roles = [message.get("role") for message in messages]
        counts["example_missing_assistant_message"] += "assistant" not in roles
        missing_system += "system" not in roles
        missing_user += "user" not in roles
    counts["missing_system_message"], counts["missing_user_message"] = missing_system, missing_user
    return {name: number for name, number in sorted(counts.items()) if number}


def message(draw):
    made = {"role": draw.choice(["system", "user", "assistant", "user", "assistant", "function", "User", "bot", "", None, 3])}
    made["content"] = draw.choice(["Fine.", "It broke.", "Déjà vu 🙂", "Positive", "", None, 7, {"a": 1}])
    if draw.random() < 0.1:
        del made["role"]
    elif draw.random() < 0.1:
        del made["content"]
    if draw.random() < 0.1:
        made["name"] = "Ann"
    if draw.random() < 0.1:
        made[draw.choice(["text", "Content", "label"])] = "x"
    return made


def sound(draw):
    roles = [[], ["system"]][draw.random() < 0.7] + [[], ["user"]][draw.random() < 0.8] + [[], ["assistant"]][draw.random() < 0.8]
    return [{"role": role, "content": "It is so."} for role in roles]


def example(draw):
    chance = draw.random()
    if chance < 0.05:
        return draw.choice([[], ["messages"], "messages", 3, None, True])
    if chance < 0.15:
        return draw.choice([{}, {"messages": []}, {"messages": None}, {"prompt": "a", "completion": "b"}])
    if chance < 0.5:
        return {"messages": sound(draw)}
    return {"messages": [message(draw) for _ in range(draw.randint(1, 5))]}


def main():
    draw = random.Random(5)
    examples = [example(draw) for _ in range(150)]
    folder = Path(__file__).parent
    lines = [json.dumps(example, ensure_ascii=False) for example in examples]
    (folder / "faults.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "faults.json").write_text(json.dumps(count(examples), indent=1) + "\n")


if __name__ == "__main__":
    main()
