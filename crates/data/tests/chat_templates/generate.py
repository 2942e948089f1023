"""Writes a small tokenizer and cases.json: chats as transformers writes them by templates in the styles of model families.

    pip install transformers==5.23.0 jinja2 tokenizers
    python generate.py

The templates are of this project. Each case has the text with and without generation prompt, or what the template refuses; where
the template marks the answers, also the ids and the mask of transformers.
"""

import json
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
import transformers

SPECIALS = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<|head|>", "<|/head|>", "<|eot|>"]

TEMPLATES = {
    # A turn between two tokens, the role on the first line.
    "turns": """{% for message in messages %}
    {%- if loop.first and message.role != 'system' %}
        {{- '<|im_start|>system\\nYou are of help.<|im_end|>\\n' }}
    {%- endif %}
    {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    # The same, with marks around the answers.
    "marked": """{% for message in messages %}
    {% if message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {% generation %}
            {{- message.content + '<|im_end|>' }}
        {% endgeneration %}
        {{- '\\n' }}
    {% else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {% endif %}
{% endfor %}
{% if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' -}}
{% endif %}
""",
    # Heads around the role, a date, tools as JSON, trimmed contents.
    "heads": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|head|>system<|/head|>\\n\\nToday: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {{- "Tools:\\n" }}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
        {{- "\\n" + tool | tojson + "\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message + "<|eot|>" }}
{%- for message in messages %}
    {%- if 'tool_calls' in message %}
        {%- for call in message.tool_calls %}
            {{- "<|head|>" + message.role + "<|/head|>\\n\\n" + call.function.name + call.function.arguments + "<|eot|>" }}
        {%- endfor %}
    {%- elif message.role.startswith('tool') or message.role == "function" %}
        {{- "<|head|>tool<|/head|>\\n\\n" + message.content | tojson + "<|eot|>" }}
    {%- else %}
        {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n'+ message['content'] | trim + '<|eot|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>\\n\\n' }}
{%- endif %}""",
    # Questions in brackets, strictly by turns.
    "brackets": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(count=0) %}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.count % 2 == 0) %}
        {{- raise_exception("After the system message, user and assistant must take turns") }}
    {%- endif %}
    {%- set ns.count = ns.count + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"].strip() + eos_token }}
    {%- else %}
        {{- raise_exception("Only system, user and assistant are known, not " + message["role"]) }}
    {%- endif %}
{%- endfor %}
""",
    # Answers marked without the token that ends them, thoughts cut off, methods of Python.
    "thoughts": """{%- for message in messages if message.content %}
{%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
{%- if message.role in ['user', 'system'] -%}
{{ message.role.upper() ~ ': ' ~ content.replace('\\t', ' ') }}
{% else -%}
A:{% generation %} {{ content }}{% endgeneration %}{{ eos_token if not loop.last }}
{% endif -%}
{%- if loop.index0 > 40 %}{% break %}{% endif -%}
{%- endfor -%}
{{ 'A:' if add_generation_prompt }}""",
}


def chat(*said, **more):
    return {"messages": [{"role": role, "content": content} for role, content in said], **more}


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a place, in °C & more <b>",
        "parameters": {"type": "object", "properties": {"days": {"type": "integer", "maximum": 3, "x": 0.5, "y": []}}, "required": []},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"days\": 2}"}}

CHATS = {
    "one turn": chat(("system", "Answer in one word."), ("user", "It broke after a day."), ("assistant", "Negative")),
    "no system": chat(("user", "Fine.\tReally fine, “très bien” 🙂"), ("assistant", "Positive")),
    "several turns": chat(
        ("system", " Be brief. \n"),
        ("user", "Hello?"),
        ("assistant", "  Hello!\n"),
        ("user", "It's <late> & \"cold\"."),
        ("assistant", "<think>\nlet me see\n</think>\n\nNeutral"),
        ("user", "Right."),
        ("assistant", "Positive"),
    ),
    "a question": chat(("system", "Judge."), ("user", "The soup was cold.")),
    "two questions": chat(("user", "One?"), ("user", "Two?"), ("assistant", "Both.")),
    "tools": {
        "messages": [
            {"role": "user", "content": "How warm is it?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": "21 °C", "tool_call_id": "call_1"},
            {"role": "assistant", "content": "Warm."},
        ],
        "tools": [TOOL],
    },
}


def tokenizer(folder):
    texts = [message["content"] for chat in CHATS.values() for message in chat["messages"]] * 3
    made = Tokenizer(models.BPE(unk_token=None))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=360, special_tokens=SPECIALS, initial_alphabet=alphabet))
    made.save(str(folder / "tokenizer.json"))
    config = {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}, "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def case(tokenizer, template, name):
    chat, made = CHATS[name], {"template": template, "chat": name}
    arguments = {"tools": chat.get("tools"), "chat_template": TEMPLATES[template]}
    # The templates are asked for their own day, which is the same every day.
    arguments["date_string"] = "26 Jul 2024"
    try:
        made["text"] = tokenizer.apply_chat_template(chat["messages"], tokenize=False, **arguments)
        prompt = tokenizer.apply_chat_template(chat["messages"], tokenize=False, add_generation_prompt=True, **arguments)
        made["prompt"] = prompt
        if "generation" in TEMPLATES[template].replace("add_generation", ""):
            encoded = tokenizer.apply_chat_template(
                chat["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **arguments
            )
            made["ids"], made["mask"] = encoded["input_ids"], encoded["assistant_masks"]
    except Exception as error:
        made["refused"] = str(error)
    return made


def main():
    folder = Path(__file__).parent
    (folder / "tokenizer").mkdir(exist_ok=True)
    made = tokenizer(folder / "tokenizer")
    cases = [case(made, template, name) for template in TEMPLATES for name in CHATS]
    golden = {"transformers": transformers.__version__, "templates": TEMPLATES, "chats": CHATS, "cases": cases}
    (folder / "cases.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
