"""Writes two tiny language models and golden.json: ten steps of fine-tuning on chats.jsonl, as PyTorch takes them.

    pip install torch==2.15.0 transformers==5.23.0 jinja2
    python generate.py

The tokenizer is that of the chat templates in crates/data. Every step takes all chats. The loss is the mean over the tokens of
the assistant's messages whose weight is not 0, which transformers finds by its template; the models compute in f64.
"""

import json
from pathlib import Path

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).parent
TOKENIZER = HERE.parents[2] / "data/tests/chat_templates/tokenizer/tokenizer.json"
STEPS, RATE, CLIP, DECAY = 10, 5e-3, 0.5, 0.01
TEMPLATE = """{{- bos_token }}
{%- for message in messages %}
    {{- '<|head|>' + message.role + '<|/head|>' }}
    {%- if message.role == 'assistant' %}
        {%- generation %}{{ message.content + '<|eot|>' }}{% endgeneration %}
    {%- else %}
        {{- message.content + '<|eot|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>' }}
{%- endif %}"""


def models():
    sizes = {"vocab_size": 370, "bos_token_id": 0, "eos_token_id": 9}
    llama = LlamaConfig(
        **sizes, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=24, max_position_embeddings=80, initializer_range=0.2,
    )
    gpt2 = GPT2Config(
        **sizes, n_embd=16, n_layer=2, n_head=4, n_positions=80, initializer_range=0.2, embd_pdrop=0.0, resid_pdrop=0.0,
        attn_pdrop=0.0,
    )
    return {"llama": (LlamaForCausalLM, llama), "gpt2": (GPT2LMHeadModel, gpt2)}


def encode(tokenizer, chat):
    """Ids, and which of them are learnt: of the runs that the template marks, those of messages with a weight."""
    messages = chat["messages"]
    bare = [{"role": message["role"], "content": message["content"]} for message in messages]
    encoded = tokenizer.apply_chat_template(bare, return_dict=True, return_assistant_tokens_mask=True)
    weights = iter(message.get("weight", 1) for message in messages if message["role"] == "assistant")
    learnt, weight, before = [], 0, 0
    for marked in encoded["assistant_masks"]:
        if marked and not before:
            weight = next(weights)
        learnt.append(bool(marked and weight))
        before = marked
    return torch.tensor(encoded["input_ids"]), torch.tensor(learnt)


def logits_and_targets(model, chats):
    """What the model says before each token that is learnt, and the token."""
    logits, targets = [], []
    for ids, learnt in chats:
        said = model(input_ids=ids[None]).logits[0]
        logits.append(said[:-1][learnt[1:]])
        targets.append(ids[1:][learnt[1:]])
    return torch.cat(logits), torch.cat(targets)


def steps(model, chats):
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    found = {"loss": [], "grad_norm": [], "mean_token_accuracy": [], "entropy": []}
    for _ in range(STEPS):
        logits, targets = logits_and_targets(model, chats)
        loss = torch.nn.functional.cross_entropy(logits, targets)
        adamw.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        adamw.step()
        logs = logits.log_softmax(-1)
        found["loss"].append(loss.item())
        found["grad_norm"].append(norm.item())
        found["mean_token_accuracy"].append((logits.argmax(-1) == targets).double().mean().item())
        found["entropy"].append(-(logs.exp() * logs).sum(-1).mean().item())
    return found


def main():
    settings = {"bos_token": "<s>", "eos_token": "<|eot|>", "unk_token": "<unk>"}
    (HERE / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": TEMPLATE}, indent=1) + "\n")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZER), chat_template=TEMPLATE, **settings)
    chats = [encode(tokenizer, json.loads(line)) for line in (HERE / "chats.jsonl").read_text().splitlines()]
    golden = {
        "versions": [torch.__version__, transformers.__version__],
        "tokens": sum(len(ids) for ids, _ in chats),
        "learnt": int(sum(learnt.sum() for _, learnt in chats)),
    }
    for name, (kind, config) in models().items():
        torch.manual_seed(sum(map(ord, name)))
        model = kind(config)
        model.save_pretrained(HERE / name)
        (HERE / name / "generation_config.json").unlink(missing_ok=True)
        golden[name] = steps(model.double(), chats)
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
