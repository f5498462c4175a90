#!/usr/bin/env python3
"""Golden encodings by Hugging Face's tokenizers library.

Trains three small models on a few sentences, puts each into the pipelines that LLaMA-family tokenizers use, and
writes their tokenizer.json and the encodings of some tricky lines to testdata/tokenizer/encodings.json.

    python scripts/golden/tokenizer.py testdata/tokenizer/encodings.json
"""
import hashlib
import json
import pathlib
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizer_lines import APOSTROPHES, CODE, LANGUAGES, lines

SENTENCES = [
    "The gradient is a value that the optimizer consumes, and then it's gone.",
    "A step takes all its micro-batches through one block, then through the next one.",
    "We don't keep what we can compute again; they'll say that's slow, but it isn't.",
    "Weights are stored in 16 bits, sums in 32, and noise comes from a counter: 1234567890.",
    "for i := range rows {\n    dst[i] += scale * src[i]\n}\n",
    "if (x > 0) {\n\treturn x * 2;\n}\n",
    "Ein Satz über Größen und Straßen. Une phrase déjà vue. Una frase en español.",
    "The the THE the of of and and to to in in is is that that for for it it was was.",
] * 3 + LANGUAGES + CODE + [" ".join(APOSTROPHES)]

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
# Another family's pattern, for the general matcher.
CASED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+(?!\S)|\s+")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ODD = [
    AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<right>", rstrip=True, normalized=False),
    AddedToken("word", single_word=True, normalized=False), AddedToken("norm Tok", normalized=True), AddedToken("<|im_start|>x", normalized=False),
]
LINES_SPECIAL = ["<s>", "</s>", "<unk>", "<0x0A>", "a <left> b", "a\t<left><left>", "<right> \n c", "word", " word!", "sword word_ words", "norm Tok",
                 "NORM TOK", "▁", "▁▁a", "a▁b", "<|im_start|>xy", *SPECIAL]

MAIN = ["smollm", "llama3", "qwen2", "llama2"]  # pipelines that get all the lines
WITH_OFFSETS = ["smollm", "llama2 odd", "metaspace first"]


def byte_level_model(pre_tokenizer, special):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizer
    tok.train_from_iterator(SENTENCES, trainers.BpeTrainer(
        vocab_size=640, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return json.loads(tok.to_str())["model"]


def sentencepiece_model():
    """BPE over characters with byte fallback, laid out as Llama-2's: unk, bos, eos, bytes, merged pieces, characters."""
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.pre_tokenizer = pre_tokenizers.Split(Regex("(?<=[^▁])▁"), "merged_with_next")
    tok.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=560, limit_alphabet=90, show_progress=False))
    model = json.loads(tok.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    pieces = [p for p in pieces if p != "\n"]
    merges = [m for m in model["merges"] if "\n" not in m[0] + m[1]]
    made = {a + b for a, b in merges}
    pieces = [p for p in pieces if p in made] + [p for p in pieces if p not in made]
    vocab = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + pieces
    return {**model, "vocab": {p: i for i, p in enumerate(vocab)}, "merges": merges, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}


def build(model, changes=None, **parts):
    model = {**model, **(changes or {})}
    tok = Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
        "post_processor": None, "decoder": None, "model": model}))
    added = parts.pop("added", [])
    for key, value in parts.items():
        setattr(tok, key, value)
    for token in added:
        tok.add_special_tokens([token]) if isinstance(token, str) else tok.add_tokens([token])
    return tok


def bos(token, token_id):
    return processors.TemplateProcessing(single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, token_id)])


def pipelines():
    seq, split = pre_tokenizers.Sequence, pre_tokenizers.Split
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_ = byte_level_model(gpt2, SPECIAL)
    digits = byte_level_model(seq([split(Regex(LLAMA3), "isolated"), plain]), SPECIAL)
    pieces = sentencepiece_model()
    legacy = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    by = decoders.ByteLevel()
    no_bytes = {"vocab": {p: i for p, i in pieces["vocab"].items() if not p.startswith("<0x")}}
    return {
        "smollm": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=seq([pre_tokenizers.Digits(individual_digits=True), gpt2]), decoder=by, added=SPECIAL)),
        "gpt2": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=gpt2, decoder=by, added=SPECIAL + ODD)),
        "gpt2 prefix": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True), decoder=by, added=SPECIAL)),
        "llama3": ("digits", digits, {"ignore_merges": True}, build(
            digits, {"ignore_merges": True}, pre_tokenizer=seq([split(Regex(LLAMA3), "isolated"), plain]), decoder=by, added=SPECIAL,
            post_processor=processors.Sequence([processors.ByteLevel(trim_offsets=False), bos("<|im_start|>", 1)]))),
        "qwen2": ("digits", digits, {}, build(digits, normalizer=normalizers.NFC(), pre_tokenizer=seq([split(Regex(QWEN2), "isolated"), plain]),
                                             decoder=by, added=SPECIAL + ODD)),
        "llama2": ("pieces", pieces, {}, build(pieces, normalizer=legacy, decoder=fallback, added=["<unk>", "<s>", "</s>"], post_processor=bos("<s>", 1))),
        "llama2 odd": ("pieces", pieces, {}, build(pieces, normalizer=legacy, decoder=fallback, added=["<unk>", "<s>", "</s>"] + ODD)),
        "metaspace first": ("pieces", pieces, {}, build(pieces, pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
                                                       decoder=decoders.Metaspace(prepend_scheme="first"), added=["<s>", "</s>"])),
        "metaspace always": ("pieces", pieces, {}, build(pieces, pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="always", split=True),
                                                        decoder=decoders.Metaspace(), added=["<s>", "</s>"])),
        "metaspace never": ("pieces", pieces, {"fuse_unk": False, **no_bytes}, build(
            pieces, {"fuse_unk": False, **no_bytes}, pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="never", split=True),
            decoder=decoders.Metaspace(prepend_scheme="never"), added=["<s>"])),
        "no unk": ("pieces", pieces, {"unk_token": None, **no_bytes}, build(pieces, {"unk_token": None, **no_bytes}, normalizer=legacy)),
        "cased": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=seq([split(Regex(CASED), "removed", invert=True), plain]), decoder=by, added=SPECIAL)),
        "nfkc lower": ("bytes", bytes_, {}, build(bytes_, normalizer=normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()]),
                                                 pre_tokenizer=gpt2, decoder=by, added=SPECIAL + ODD)),
        "nfd": ("bytes", bytes_, {}, build(bytes_, normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.Replace(Regex(r"\s{2,}"), "  ")]),
                                          pre_tokenizer=gpt2, decoder=by)),
        "previous": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=seq([split(Regex(r"\s"), "merged_with_previous"), plain]), decoder=by)),
        "next": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=seq([split(" ", "merged_with_next"), pre_tokenizers.Digits(False), plain]), decoder=by)),
        "contiguous": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=seq([split(Regex(r"[aeiou]"), "contiguous"), plain]), decoder=by)),
        "inverted": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=seq([split(Regex(r"\w+"), "isolated", invert=True), plain]), decoder=by)),
        "bytes first": ("bytes", bytes_, {}, build(bytes_, pre_tokenizer=seq([gpt2, split("e", "isolated")]), decoder=by)),
    }


def byte_offsets(text, offsets):
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [n for a, b in offsets for n in (at[a], at[b])]


def script_hash():
    """Of both files that decide the golden data."""
    here = pathlib.Path(__file__).parent
    return hashlib.sha256((here / "tokenizer.py").read_bytes() + (here / "tokenizer_lines.py").read_bytes()).hexdigest()


def main(path):
    texts = lines(200, seed=11, special=LINES_SPECIAL, longest=7)
    r = random.Random(5)
    stored, tests = {}, []
    for name, (model_name, model, changes, tok) in pipelines().items():
        stored[model_name] = model
        parts = json.loads(tok.to_str())
        parts["model"] = {"name": model_name, "changes": changes}
        encodings = []
        for text in texts if name in MAIN else texts[:70]:
            plain = tok.encode(text, add_special_tokens=False)
            encodings.append({"ids": plain.ids})
            if name in WITH_OFFSETS:
                encodings[-1]["offsets"] = byte_offsets(text, plain.offsets)
        # Any ids may be decoded, also those that make no text.
        some = [[r.randrange(tok.get_vocab_size()) for _ in range(r.randrange(1, 24))] for _ in range(30)]
        decodings = [{"ids": ids, "text": tok.decode(ids, skip_special_tokens=False), "plain": tok.decode(ids, skip_special_tokens=True)}
                     for ids in some + [e["ids"] for e in encodings[::10]]]
        tests.append({"name": name, "file": parts, "encodings": encodings, "decodings": decodings, "bos": tok.encode("").ids})
    made_by = {"tokenizers": tokenizers.__version__, "script_sha256": script_hash()}
    with open(path, "w") as f:
        json.dump({"made_by": made_by, "models": stored, "texts": texts, "tests": tests}, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    print(len(tests), "pipelines,", len(texts), "texts")


if __name__ == "__main__":
    main(sys.argv[1])
