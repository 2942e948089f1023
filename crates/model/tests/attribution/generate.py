"""Writes attribution.json: integrated gradients by Captum for the tiny models of tests/golden, in double precision.

    pip install captum==0.9.0 torch transformers
    python generate.py

What is interpolated is what the first block reads: the output of the embeddings. The baseline has the padding token in the
place of every token but the first and the last; what is explained is the logit of class 1 less that of class 0 (of a model
with one logit, that logit).
"""

import json
from pathlib import Path

import captum
import torch
from captum.attr import LayerIntegratedGradients
from transformers import AutoModelForSequenceClassification

HERE = Path(__file__).resolve().parent
MODELS = {
    "bert": lambda model: model.bert.embeddings,
    "bert-binary": lambda model: model.bert.embeddings,
    "distilbert": lambda model: model.distilbert.embeddings,
    "roberta": lambda model: model.roberta.embeddings,
    "gpt2": lambda model: model.transformer.drop,
    "llama": lambda model: model.model.embed_tokens,
}
IDS = [3, 17, 29, 8, 41, 12, 33, 5]
STEPS = 400


def case(name, layer):
    model = AutoModelForSequenceClassification.from_pretrained(HERE / "../../../../tests/golden" / name).double().eval()
    # Captum lays all steps into one batch; without padding the last token is the last one of each row.
    # RoBERTa counts no position for padding, so another token stands for silence there.
    pad = 4 if name == "roberta" else model.config.pad_token_id
    ids = torch.tensor([IDS])
    baseline = ids.clone()
    baseline[:, 1:-1] = pad

    def score(rows):
        # Padding stands in the middle of the baseline, where it is a token like any other.
        model.config.pad_token_id = None if rows.shape[0] == 1 else -1
        logits = model(input_ids=rows, attention_mask=torch.ones_like(rows)).logits
        return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]

    found = LayerIntegratedGradients(score, layer(model)).attribute(
        ids, baselines=baseline, n_steps=STEPS, method="riemann_middle", internal_batch_size=None
    )
    return {
        "model": name,
        "pad": pad,
        "tokens": found.sum(-1)[0].tolist(),
        "text": score(ids).item(),
        "baseline": score(baseline).item(),
    }


def main():
    cases = [case(name, layer) for name, layer in MODELS.items()]
    text = json.dumps({"captum": captum.__version__, "ids": IDS, "steps": STEPS, "cases": cases}, indent=1)
    (HERE / "attribution.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
