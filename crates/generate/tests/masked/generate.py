"""Teaches a very small masked language model the sentences of a toy grammar, and writes it into `grammar`.

    pip install torch==2.15.0 transformers==5.23.0
    python generate.py

A sentence is about a thing, its number and what it is like. Some words are two pieces. What is masked are whole words, of which
the first pieces may be known.
"""

import random
from pathlib import Path

import torch
import transformers
from transformers import BertConfig, BertForMaskedLM

HERE = Path(__file__).resolve().parent
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
THINGS = ["lamp", "chair", "kettle", "phone", "jacket", "tent", "clock", "bike", "pan", "radio"]
LIKE = ["lovely", "superb", "splendid", "charming", "excellent", "wonderful", "brilliant"]
LIKE += ["awful", "horrid", "shabby", "broken", "dreadful", "terrible", "miserable"]
LIKE_IN_TWO = ["delight ##ful", "use ##less", "hand ##y", "trouble ##some"]
LIKELY = {like.split()[0] for like in LIKE + LIKE_IN_TWO}
ENDINGS = ["after a week", "", "and my sister says so too", "in every way , i must say"]
STEPS, BATCH, LENGTH = 600, 32, 20


def sentence(chance):
    """The words of a sentence, each as its pieces."""
    number = str(chance.randrange(100))
    pieces = number[0] + "".join(f" ##{digit}" for digit in number[1:])
    like = chance.choice(chance.choice([LIKE, LIKE_IN_TWO]))
    ending = chance.choice(ENDINGS).split()
    return [word.split() for word in ["the", chance.choice(THINGS), "number", pieces, "is", like, *ending]]


def vocabulary():
    words = {word for ending in ENDINGS for word in ending.split()} | {"the", "number", "is", ".", "!"}
    pieces = {piece for like in LIKE_IN_TWO for piece in like.split()} | {f"##{digit}" for digit in range(10)}
    rest = words | pieces | set(THINGS) | set(LIKE) | {str(digit) for digit in range(10)}
    return SPECIAL + sorted(rest)


def example(chance, ids):
    """A sentence with some words masked, and what stood there; -100 where nothing is asked."""
    tokens, asked = [ids["[CLS]"]], [-100]
    for word in sentence(chance):
        hidden = chance.random() < (0.6 if word[0] in LIKELY else 0.2)
        known = chance.randrange(len(word)) if hidden else len(word)
        for place, piece in enumerate(word):
            tokens.append(ids[piece] if place < known else ids["[MASK]"])
            asked.append(-100 if place < known else ids[piece])
    tokens.append(ids["[SEP]"])
    asked.append(-100)
    padding = LENGTH - len(tokens)
    return tokens + [ids["[PAD]"]] * padding, asked + [-100] * padding, [1] * len(tokens) + [0] * padding


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(1)
    chance, words = random.Random(1), vocabulary()
    ids = {word: number for number, word in enumerate(words)}
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=32, initializer_range=0.1, **sizes)
    model = BertForMaskedLM(config).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=6e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, STEPS)
    for step in range(STEPS):
        rows = [torch.tensor(part) for part in zip(*(example(chance, ids) for _ in range(BATCH)))]
        loss = model(input_ids=rows[0], labels=rows[1], attention_mask=rows[2]).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(step + 1, round(loss.item(), 3), flush=True)
    folder = HERE / "grammar"
    model.half().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
