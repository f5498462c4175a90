#!/usr/bin/env python3
"""Compares `lomo tokenize` with Hugging Face's tokenizers library on thousands of lines; exit status 1 if any differ.

    python scripts/golden/tokenizer_check.py --lomo bin/lomo --model SmolLM2-135M-Instruct.Q4_1.gguf [--count 2000]

MODEL is a folder with a tokenizer.json, a tokenizer.json, or a GGUF file with a byte-level vocabulary; for the last the reference is
built from the vocabulary and the merges in the file (needs the gguf package).
"""
import argparse
import json
import pathlib
import subprocess
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from tokenizer_lines import lines

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def from_gguf(path):
    """The tokenizer of a GGUF file as its original tokenizer.json describes it, by the value of tokenizer.ggml.pre."""
    import gguf

    fields = gguf.GGUFReader(path).fields
    get = lambda key, default=None: fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else default
    if get("model") != "gpt2":
        sys.exit(f"{path}: tokenizer.ggml.model is {get('model')}, only gpt2 can be checked without its tokenizer.json")
    tokens, merges, pre = get("tokens"), [tuple(m.split(" ")) for m in get("merges")], get("pre", "default")
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges, ignore_merges=pre == "llama-bpe"))
    gpt2, plain = pre_tokenizers.ByteLevel(add_prefix_space=False), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    split = lambda pattern: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), plain])
    if pre == "smollm":
        tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    elif pre == "llama-bpe":
        tok.pre_tokenizer = split(LLAMA3)
    elif pre == "qwen2":
        tok.normalizer, tok.pre_tokenizer = normalizers.NFC(), split(LLAMA3.replace("{1,3}", ""))
    else:
        tok.pre_tokenizer = gpt2
    tok.decoder = decoders.ByteLevel()
    special = [t for t, kind in zip(tokens, get("token_type")) if kind == 3]
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return tok


def reference(path):
    path = pathlib.Path(path)
    if path.suffix == ".gguf":
        return from_gguf(path)
    tok = Tokenizer.from_file(str(path / "tokenizer.json" if path.is_dir() else path))
    tok.no_truncation()
    tok.no_padding()
    return tok


def tokenize(lomo, model, rows, *flags):
    out = subprocess.run([lomo, "tokenize", "--model", model, *flags], input="".join(r + "\n" for r in rows).encode(), stdout=subprocess.PIPE, check=True)
    return out.stdout.decode().split("\n")[:-1]


def compare(name, rows, got, want):
    if len(got) != len(want):
        sys.exit(f"{name}: {len(got)} lines from lomo for {len(want)}")
    bad = [i for i in range(len(want)) if got[i] != want[i]]
    for i in bad[:5]:
        print(f"{name} differs on {rows[i]!r}:\n  lomo      {got[i]!r}\n  reference {want[i]!r}")
    print(f"{name}: {len(want) - len(bad)} of {len(want)} equal")
    return not bad


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--lomo", required=True, help="the lomo binary")
    p.add_argument("--model", required=True, help="folder, tokenizer.json or GGUF file")
    p.add_argument("--count", type=int, default=2000, help="lines to compare")
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    tok = reference(a.model)
    special = [t.content for t in tok.get_added_tokens_decoder().values()]
    # lomo tokenize works on lines: what would break one becomes another kind of white space.
    rows = [t.replace("\r", "\u2003").replace("\n", "\t") for t in lines(a.count, seed=a.seed, special=special)]
    ok = True
    for flags, with_special in (([], False), (["--special"], True)):
        want = [tok.encode(r, add_special_tokens=with_special).ids for r in rows]
        got = [json.loads(line) for line in tokenize(a.lomo, a.model, rows, *flags)]
        ok &= compare(" ".join(["encode", *flags]), rows, got, want)
    ids = [e.ids for e in tok.encode_batch(rows, add_special_tokens=False)]
    ok &= compare("decode", rows, tokenize(a.lomo, a.model, [json.dumps(i) for i in ids], "--decode"), tok.decode_batch(ids, skip_special_tokens=False))
    print(f"tokenizers {tokenizers.__version__}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
