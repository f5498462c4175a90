#!/usr/bin/env python3
"""A tokenizer that begins every text with bos, and chat templates that write one or none: what transformers makes of a prompt and of a conversation
(apply_chat_template, then the tokenizer as it is called on the rendered text), and of a plain text. The tokenizer is of bytes: token i is byte i, and 259 is <s>.

    python scripts/golden/bos.py testdata/tokenizer/bos.json
"""
import hashlib
import json
import pathlib
import sys
import tempfile
from importlib import metadata

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

ROOT = pathlib.Path(__file__).resolve().parents[2]
TURNS = "{% for m in messages %}{{ m.role[:1] }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}a:{% endif %}"
TEMPLATES = {
    "a template with bos": "{{ bos_token }}" + TURNS, "a template without": TURNS, "bos written out": "<s>" + TURNS,
    "bos before each turn": "{% for m in messages %}{{ bos_token }}{{ m.content }}{% endfor %}{% if add_generation_prompt %}{{ bos_token }}{% endif %}",
    "two of them": "{{ bos_token }}{{ bos_token }}" + TURNS, "bos behind a line end": "\n{{ bos_token }}" + TURNS,
}
PROMPT = [{"role": "user", "content": "b"}]
WHOLE = PROMPT + [{"role": "assistant", "content": "c"}]
TEXTS = ["b", "", "<s>b", "b<s>"]


def tokenizer(dir):
    """Loaded from its files, as a user's is."""
    vocab = {c: b for b, c in bytes_to_unicode().items()}
    t = Tokenizer(models.BPE(vocab=vocab | {f"unused{i}": i for i in (256, 257, 258)} | {"<s>": 259}, merges=[]))
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.add_special_tokens([AddedToken("<s>", special=True, normalized=False)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="$A $B", special_tokens=[("<s>", 259)])
    PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>").save_pretrained(dir)
    return PreTrainedTokenizerFast.from_pretrained(dir)


def main():
    with tempfile.TemporaryDirectory() as dir:
        t = tokenizer(dir)
        files = {n: json.loads((pathlib.Path(dir) / n).read_text()) for n in ("tokenizer.json", "tokenizer_config.json")}
    ids = lambda turns, template, prompt: t.apply_chat_template(turns, chat_template=template, add_generation_prompt=prompt, tokenize=True, return_dict=False)
    chats = [{"name": n, "template": x, "prompt": ids(PROMPT, x, True), "whole": ids(WHOLE, x, False)} for n, x in TEMPLATES.items()]
    texts = [{"text": x, "ids": t(x)["input_ids"]} for x in TEXTS]
    here = pathlib.Path(__file__).resolve()
    meta = {"scripts": {str(here.relative_to(ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()},
            "versions": {n: metadata.version(n) for n in ("tokenizers", "transformers")}}
    pathlib.Path(sys.argv[1]).write_text(json.dumps({**meta, "files": files, "chats": chats, "texts": texts}, ensure_ascii=False) + "\n")
    for c in chats + texts:
        print(c)


if __name__ == "__main__":
    main()
