"""What a language model says: the loss of the tokens that are asked about, and the text that it writes.

    asked [A] i64, targets [A] i64     tokens of the batch, and which one follows each
    weights [A] f32                    what the loss of each is multiplied by
    logits [A, V] f32                  what the head says behind each
    greedy [G, 32] i64                 the most probable continuations of the first tokens of the longest text, G = 2
    greedy_log [G, 32] f32             the logarithms of their probabilities

The loss is the mean over the weights. The texts are written by `generate` with its cache, and once more without.
"""

import torch
from torch.nn import functional

import exactly

PROMPTS = [5, 1]
WRITTEN = 32


class Targets:
    """Tokens that follow others in their text, about two thirds of them, with weights of 0.5, 1 and 1.5."""

    def __init__(self, texts, generator):
        self.texts = texts
        self.asked, self.following, self.weights = [], [], []
        start = 0
        for ids in texts:
            for place in range(1, len(ids)):
                weight = torch.randint(4, (1,), generator=generator).item() / 2
                if weight > 0:
                    self.asked.append(start + place - 1)
                    self.following.append(ids[place].item())
                    self.weights.append(weight)
            start += len(ids)
        self.asked = torch.tensor(self.asked)
        self.following = torch.tensor(self.following)
        self.weights = torch.tensor(self.weights)


def logits_of_asked(model, targets):
    return torch.cat([exactly.run(model, input_ids=ids[None]).logits[0] for ids in targets.texts])[targets.asked]


def mean_loss(model, targets):
    losses = functional.cross_entropy(logits_of_asked(model, targets), targets.following, reduction="none")
    return (losses * targets.weights).sum() / targets.weights.sum()


def insist_on_transformers(model, targets):
    """With the weights left out, it is the loss that transformers computes from labels."""
    ids = max(targets.texts, key=len)
    logits = exactly.run(model, input_ids=ids[None]).logits[0]
    ours = functional.cross_entropy(logits[:-1], ids[1:])
    theirs = exactly.run(model, input_ids=ids[None], labels=ids[None]).loss
    torch.testing.assert_close(theirs.double(), ours, rtol=1e-6, atol=1e-7)


def written(model, prompt, use_cache):
    """The continuation and the logarithms of its probabilities."""
    settings = {"max_new_tokens": WRITTEN, "do_sample": False, "use_cache": use_cache, "eos_token_id": None}
    settings.update(return_dict_in_generate=True, output_logits=True, pad_token_id=model.config.pad_token_id)
    with exactly.doubles():
        found = model.generate(prompt[None], attention_mask=torch.ones_like(prompt)[None], **settings)
    ids = found.sequences[0, len(prompt) :]
    probabilities = torch.stack([step[0].double().log_softmax(-1) for step in found.logits])
    return ids, probabilities[torch.arange(WRITTEN), ids]


def greedy(model, targets):
    texts, logarithms = [], []
    for length in PROMPTS:
        prompt = max(targets.texts, key=len)[:length]
        if length + WRITTEN > model.config.max_position_embeddings:
            prompt = prompt[: model.config.max_position_embeddings - WRITTEN]
        ids, found = written(model, prompt, True)
        again, _ = written(model, prompt, False)
        if not torch.equal(ids, again):
            raise SystemExit(f"with the cache {ids.tolist()}, without {again.tolist()}")
        texts.append(ids)
        logarithms.append(found)
    return torch.stack(texts), torch.stack(logarithms)


def answers(model, targets):
    with torch.no_grad():
        insist_on_transformers(model, targets)
        logits = logits_of_asked(model, targets)
        ids, logarithms = greedy(model, targets)
    return {
        "asked": targets.asked,
        "targets": targets.following,
        "weights": targets.weights,
        "logits": logits.float(),
        "greedy": ids,
        "greedy_log": logarithms.float(),
    }
