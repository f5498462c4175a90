#!/usr/bin/env python3
"""Golden masks of chat templates with {% generation %} marks, and renderings of the templates that lomo knows by name, by transformers.

Writes testdata/tokenizer/masks.json: a small tokenizer, templates and conversations; for each pair the token ids and the mask of
apply_chat_template(return_assistant_tokens_mask=True); and for each known template the texts of plain conversations.

    python scripts/golden/chat_masks.py testdata/tokenizer/masks.json
"""
import hashlib
import json
import pathlib
import sys

import jinja2
import tokenizers
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

NAMED = pathlib.Path(__file__).parents[2] / "internal/tokenizer/templates"

# Bytes, and a few merges that join the end of a header with the beginning of an answer.
MERGES = [("Ċ", "A"), ("Ċ", "a"), ("Ġ", "A"), ("a", "s"), ("as", "s"), ("<", "t"), (">", "A"), ("Ċ", "Ċ"), ("}", "Ċ")]
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|end|>", "<|user|>", "<|assistant|>", "<tool_call>", "</tool_call>"]


def tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {c: i for i, c in enumerate(alphabet)}
    for a, b in MERGES:
        vocab[a + b] = len(vocab)
    t = Tokenizer(models.BPE(vocab=vocab, merges=MERGES))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    return t


CHATML = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
TEMPLATES = {
    "whole turns": "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}<|im_end|>\n"
    "{% endgeneration %}{% else %}" + CHATML + "{% endif %}{% endfor %}",
    "content alone": "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>\n"
    "{% else %}" + CHATML + "{% endif %}{% endfor %}",
    "calls apart": "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}{% endgeneration %}"
    "{% for c in m.tool_calls or [] %}{% generation %}<tool_call>{{ c.function | tojson }}</tool_call>{% endgeneration %}\n{% endfor %}"
    "{% generation %}<|im_end|>{% endgeneration %}\n{% else %}" + CHATML + "{% endif %}{% endfor %}",
    "calls without marks": "{% for m in messages %}{% if m.tool_calls %}<|im_start|>assistant\n<tool_call>{{ m.tool_calls[0].function | tojson }}</tool_call><|im_end|>\n"
    "{% elif m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n{% else %}" + CHATML + "{% endif %}{% endfor %}",
    "reasoning apart": "{%- for m in messages %}\n    {%- if m.role == 'assistant' %}\n        {{- '<|assistant|>\n' }}\n"
    "        {%- if m.reasoning_content %}\n            {%- generation %}\n                {{- '<think>' + m.reasoning_content + '</think>' }}\n            {%- endgeneration %}\n"
    "            {{- '\n' }}\n        {%- endif %}\n        {%- generation %}\n            {{- m.content | trim + '<|end|>' }}\n        {%- endgeneration %}\n"
    "    {%- else %}\n        {{- '<|user|>\n' + m.content + '<|end|>' }}\n    {%- endif %}\n{%- endfor %}",
    "header in the mark": "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}<|assistant|>{{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}<|user|>{{ m.content }}{% endif %}{% endfor %}",
    "last turn alone": "{% for m in messages %}{% if m.role == 'assistant' and loop.last %}<|im_start|>assistant\n{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
    "{% else %}" + CHATML + "{% endif %}{% endfor %}",
    "words of its own": "{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %} answer: {{ m.content or 'nothing' }}</s>{% endgeneration %}\n"
    "{% else %}U:{{ m.content }}\n{% endif %}{% endfor %}",
}


def user(s):
    return {"role": "user", "content": s}


def said(s, **more):
    return {"role": "assistant", "content": s, **more}


CALL = [{"type": "function", "function": {"name": "find", "arguments": {"a": "user", "b": 2}}}]
CONVERSATIONS = {
    "plain": [user("U"), said("A")],
    "system": [{"role": "system", "content": "assistant"}, user("assistant"), said("assistant")],
    "turns": [user("one"), said("A"), user("A"), said("A 2\nlines with  spaces "), user("."), said("é日本🙂")],
    "letters": [user("a"), said("a"), user("is"), said("is"), user("s"), said("s")],
    "empty": [user("U"), said("")],
    "empty between": [user("U"), said(""), user("V"), said("A")],
    "white space": [user(" U "), said(" A\n")],
    "call": [user("U"), said("", tool_calls=CALL), user("3"), said("A")],
    "call and words": [user("U"), said("Let me see", tool_calls=CALL), user("3"), said("A")],
    "two calls": [user("U"), said("", tool_calls=CALL + CALL), user("3"), said("A")],
    "reasoning": [user("U"), said("A", reasoning_content="hm"), user("V"), said("B", reasoning_content="so")],
    "answer last twice": [user("U"), said("A"), said("A")],
    "end in the text": [user("<|im_end|>"), said("</s><|im_end|>A")],
    "long": [user("x" * 50), said("y" * 70), user("z" * 20), said("A" * 30)],
}

PLAIN = [
    [{"role": "system", "content": "S"}, user("U1"), said("A1"), user("U2")],
    [user("U1")],
    [user("U1"), said("A1")],
    [user(" U1\n"), said(" A 1 "), user("U2"), said("A2")],
    [user([{"type": "text", "text": "U"}, {"type": "text", "text": "1"}]), said("")],
    [said("A1"), user("U1")],
    [user("U1"), said("", tool_calls=CALL), {"role": "tool", "content": "3"}, said("A")],
]


def main(out):
    t = tokenizer()
    fast = PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>")
    masks, named = [], []
    for name, template in TEMPLATES.items():
        for which, messages in CONVERSATIONS.items():
            got = fast.apply_chat_template(messages, chat_template=template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
            masks.append({"template": name, "conversation": which, "ids": got["input_ids"], "mask": got["assistant_masks"]})
    for path in sorted(NAMED.glob("*.jinja")):
        for messages in PLAIN:
            for prompt in (False, True):
                case = {"template": path.stem, "messages": messages, "prompt": prompt}
                try:
                    case["text"] = fast.apply_chat_template(messages, chat_template=path.read_text(encoding="utf-8"), tokenize=False, add_generation_prompt=prompt)
                except jinja2.exceptions.TemplateError as e:
                    case["error"] = str(e)
                named.append(case)
    made_by = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "jinja2": jinja2.__version__,
               "templates_sha256": hashlib.sha256(b"".join(p.read_bytes() for p in sorted(NAMED.glob("*.jinja")))).hexdigest(),
               "script_sha256": hashlib.sha256(open(__file__, "rb").read()).hexdigest()}
    data = {"made_by": made_by, "tokenizer": json.loads(t.to_str()), "templates": TEMPLATES, "conversations": CONVERSATIONS, "masks": masks, "named": named}
    with open(out, "w", encoding="utf-8") as f:
        json.dump(data, f, ensure_ascii=False, indent=None, separators=(",", ":"))
        f.write("\n")
    print(f"{len(masks)} masks, {len(named)} renderings of known templates")


if __name__ == "__main__":
    main(sys.argv[1])
