#!/usr/bin/env python3
"""Folders with tokenizers and combinations of side files, and what transformers' AutoTokenizer makes of some lines with each.

    python scripts/golden/tokenizer_folders.py testdata/tokenizer/folders.json
"""
import base64
import hashlib
import io
import json
import pathlib
import sys
import tempfile
import warnings

import sentencepiece
import tiktoken
import tokenizers
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from tokenizer import CASED, SENTENCES, SPECIAL, byte_level_model, sentencepiece_model

TEXTS = [
    "", " ", "  ", "Hello  world's 123abc\n\n x", " leading", "trailing ", "a<x>b", "<x> <y>\n<x>", "<s>the</s> of<s> and", "x<unk>y", "▁a ▁▁b", " <x>the<x> of",
    "<|im_start|>user\nthe<|im_end|>\n", "<|endoftext|>a", "naïve café ﬁ ½ Å 你好 🙂", "\ttab\r\nline", "a.b , c ' d n't", "<pad><mask>[PAD]", "<turn>the <turn>", "The THE the",
    "<|begin_of_text|>the<|eot_id|> <|reserved_special_token_2|>", "<extra_id_0> of <extra_id_1>", "a\u200bb\u00a0c\u3000d", "<n>The and<n>x", "word swords <w> word",
]


def fast(model, **parts):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
            "decoder": None, "model": model, **parts}


def token(content, id=None, **flags):
    t = {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}
    return t if id is None else {"id": id, **t}


# A few of the rules of SentencePiece's nmt_nfkc, whose compiled whole has 240 KB, and of its case folding.
RULES = {"ﬁ": "fi", "½": "1⁄2", "A\u030a": "Å", "e\u0301": "é", "\u3000": " ", "\u00a0": " ", "\u200b": " ", "\t": " ", "\n": " ", "\r": "", "\u212b": "Å", "\ufeff": ""}
FOLD = {**RULES, **{chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)}, "ß": "ss"}


def spm(rules=None, **options):
    made = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        if rules:
            code = lambda s: " ".join(f"{ord(c):X}" for c in s)
            f.write("".join(f"{code(a)}\t{code(b)}\n" for a, b in rules.items()))
            f.flush()
            options["normalization_rule_tsv"] = f.name
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES), model_writer=made, minloglevel=2, **options)
    return made.getvalue()


def unigram_model():
    """A tokenizers Unigram: pieces and log probabilities."""
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.NFKC()
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.train_from_iterator(SENTENCES, trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    return json.loads(tok.to_str())["model"]


def bases():
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    part = lambda p: json.loads(p.__getstate__())
    byte_level = byte_level_model(digits, SPECIAL)
    pieces = sentencepiece_model()
    bos = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}
    three = [token("<unk>", 0), token("<s>", 1), token("</s>", 2)]
    text = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    unigram = unigram_model()
    back = {v: k for k, v in bytes_to_unicode().items()}
    ranks = {bytes(back[c] for c in t): i for i, t in enumerate(sorted((t for t in byte_level["vocab"] if t not in SPECIAL), key=byte_level["vocab"].get))}
    tekken = {"config": {"pattern": CASED, "num_vocab_tokens": len(ranks), "default_vocab_size": 620, "default_num_special_tokens": 12, "version": "v3"},
              "vocab": [{"rank": r, "token_bytes": base64.b64encode(b).decode(), "token_str": None} for b, r in ranks.items()],
              "special_tokens": [{"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(["<unk>", "<s>", "</s>", "[INST]", "<x>", "<pad>"])]}
    return {
        "bytelevel": fast(byte_level, added_tokens=[token(t, i) for i, t in enumerate(SPECIAL)], pre_tokenizer=part(digits), decoder=part(decoders.ByteLevel())),
        "llama": fast(pieces, added_tokens=three, normalizer=part(prepend), post_processor=bos, decoder=part(text)),
        "metaspace": fast(pieces, added_tokens=three, pre_tokenizer=part(pre_tokenizers.Metaspace("▁", "first", False)), post_processor=bos, decoder=part(text)),
        "unigram": fast(unigram, added_tokens=three, normalizer={"type": "NFKC"}, pre_tokenizer=part(pre_tokenizers.Metaspace()), decoder=part(decoders.Metaspace()), post_processor=bos),
        "bpe.model": spm(model_type="bpe", vocab_size=500, character_coverage=0.98, byte_fallback=True, normalization_rule_name="identity",
                         remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True),
        "turns.model": spm(model_type="bpe", vocab_size=500, character_coverage=0.98, byte_fallback=True, normalization_rule_name="identity",
                           remove_extra_whitespaces=False, split_digits=True, user_defined_symbols=["<turn>", "<n>"], control_symbols=["<mask>"]),
        "noprefix.model": spm(model_type="bpe", vocab_size=500, character_coverage=0.98, byte_fallback=True, normalization_rule_name="identity",
                              remove_extra_whitespaces=False, add_dummy_prefix=False, pad_id=3),
        "unigram.model": spm(RULES, model_type="unigram", vocab_size=260),
        "bytes.model": spm(RULES, model_type="unigram", vocab_size=460, character_coverage=0.98, byte_fallback=True, user_defined_symbols=["<turn>"]),
        "plain.model": spm(model_type="unigram", vocab_size=260, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False),
        "fold.model": spm(FOLD, model_type="unigram", vocab_size=260),
        "tekken": json.dumps(tekken, separators=(",", ":")).encode(),
        "tiktoken": "".join(f"{base64.b64encode(b).decode()} {r}\n" for b, r in ranks.items()).encode(),
    }


X, Y = token("<x>"), token("<y>")


def folders():
    """name, files: a file is the name of a base, {"base", changes}, or JSON."""
    fast_class = {"tokenizer_class": "PreTrainedTokenizerFast"}
    out = []

    def add(name, **files):
        named = {"tokenizer": "tokenizer.json", "config": "tokenizer_config.json", "mapped": "special_tokens_map.json", "added": "added_tokens.json", "model": "config.json",
                 "pieces": "tokenizer.model", "spm": "spm.model", "tik": "tiktoken.model", "tekken": "tekken.json"}
        out.append({"name": name, "files": {named[k]: v for k, v in files.items()}})

    for base in ("bytelevel", "llama", "unigram"):
        add(f"{base} alone", tokenizer=base)
        add(f"{base} decoder", tokenizer=base, config={**fast_class, "added_tokens_decoder": {"700": X, "701": Y}})
        add(f"{base} decoder, named", tokenizer=base, config={**fast_class, "added_tokens_decoder": {"700": X}, "eos_token": "<x>", "pad_token": "<y>"})
        add(f"{base} added", tokenizer=base, added={"<x>": 640, "<y>": 641})
        add(f"{base} added, special", tokenizer=base, added={"<x>": 640, "<y>": 641}, mapped={"eos_token": "<x>", "additional_special_tokens": ["<y>"]})
        add(f"{base} decoder beats added", tokenizer=base, config={**fast_class, "added_tokens_decoder": {"700": X}}, added={"<y>": 641}, mapped={"eos_token": "<y>"})
        add(f"{base} names", tokenizer=base, config={**fast_class, "eos_token": "the", "bos_token": {"content": "<x>", "lstrip": True, "__type": "AddedToken"}, "pad_token": "[PAD]"})
        add(f"{base} map beats config", tokenizer=base, config={**fast_class, "eos_token": "<x>", "pad_token": "<y>"}, mapped={"eos_token": "a", "pad_token": None})
        add(f"{base} map of objects", tokenizer=base, mapped={"eos_token": {"content": "<x>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False},
                                                              "bos_token": "<y>", "additional_special_tokens": ["<n>", {"content": "<w>", "lstrip": False, "normalized": False, "rstrip": True, "single_word": False}]})
        add(f"{base} extra list", tokenizer=base, config={**fast_class, "extra_special_tokens": ["<x>", "<y>"]})
        add(f"{base} extra named", tokenizer=base, config={**fast_class, "extra_special_tokens": {"image_token": "<x>"}, "audio_token": "<y>"})
        add(f"{base} additional", tokenizer=base, config={**fast_class, "additional_special_tokens": ["<x>", "the"]})
        add(f"{base} additional and extra", tokenizer=base, config={**fast_class, "additional_special_tokens": ["<x>"], "extra_special_tokens": ["<y>"]})
        add(f"{base} bos and eos asked for", tokenizer=base, config={**fast_class, "add_bos_token": True, "add_eos_token": True, "bos_token": "a", "eos_token": "the"})
        add(f"{base} prefix space asked for", tokenizer=base, config={**fast_class, "add_prefix_space": True})
        add(f"{base} split special", tokenizer=base, config={**fast_class, "split_special_tokens": True})
        add(f"{base} lone config class", tokenizer=base, config={"eos_token": "<x>"}, model={"model_type": "llama", "tokenizer_class": "LlamaTokenizer"})
        add(f"{base} other flags", tokenizer=base, config={**fast_class, "added_tokens_decoder": {
            "700": token("<x>", special=False, lstrip=True), "701": token("<y>", rstrip=True, normalized=True), "702": token("word", special=False, single_word=True),
            "703": token("The", special=False, normalized=True)}})
        add(f"{base} no order", tokenizer=base, config={**fast_class, "added_tokens_decoder": {"9000": X, "800": Y, "12": token("<n>"), "10": token("<w>")}})
        add(f"{base} padding", tokenizer={"base": base, "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 2, "pad_type_id": 0, "pad_token": "the"}})
        add(f"{base} unk", tokenizer=base, config={**fast_class, "unk_token": "<x>"})
        add(f"{base} nulls", tokenizer=base, config={**fast_class, "eos_token": None, "added_tokens_decoder": {}, "additional_special_tokens": None, "extra_special_tokens": None})
        add(f"{base} keys of other case", tokenizer=base, config={**fast_class, "EOS_token": "the", "Added_tokens_decoder": {"700": X}})
        add(f"{base} mistral", tokenizer=base, config={"tokenizer_class": "LlamaTokenizer"}, model={"model_type": "mistral"})
    # Files whose tokens have other ids in the side file, or none of their own.
    add("decoder renames", tokenizer="bytelevel", config={**fast_class, "added_tokens_decoder": {"0": X}})
    add("decoder changes flags", tokenizer="bytelevel", config={**fast_class, "added_tokens_decoder": {"1": token("<|im_start|>", rstrip=True), "2": token("<|im_end|>", special=False)}})
    add("map changes flags", tokenizer="bytelevel", mapped={"eos_token": {"content": "<|im_end|>", "lstrip": True, "rstrip": True, "normalized": False, "single_word": False}})
    add("added gap", tokenizer={"base": "bytelevel", "added_tokens": [token(t, i) for i, t in enumerate(SPECIAL)] + [token("<x>", 900)]}, added={"<y>": 1000})
    add("empty names", tokenizer="bytelevel", config={**fast_class, "eos_token": "", "pad_token": "<x>"})
    add("class unknown", tokenizer="llama", config={"tokenizer_class": "ClaudeTokenizer", "eos_token": "<x>", "legacy": True})
    for cls in ("LlamaTokenizer", "LlamaTokenizerFast"):
        for base in ("llama", "metaspace"):
            for legacy in ({}, {"legacy": True}, {"legacy": False}, {"legacy": None}):
                add(f"{cls} {base} {legacy}", tokenizer=base, config={"tokenizer_class": cls, "add_bos_token": False, "add_eos_token": True, **legacy})
    llama = {"tokenizer_class": "LlamaTokenizer"}
    add("llama no prefix", tokenizer="llama", config={**llama, "add_prefix_space": False})
    add("llama prefix null", tokenizer="llama", config={**llama, "add_prefix_space": None, "legacy": True})
    add("llama decoder", tokenizer="llama", config={**llama, "added_tokens_decoder": {"0": token("<unk>"), "1": token("<s>", normalized=True), "2": token("</s>"), "560": X}, "eos_token": "<x>"})
    add("llama decoder without the three", tokenizer="llama", config={**llama, "added_tokens_decoder": {"560": X}, "eos_token": "<x>"})
    add("llama decoder drops", tokenizer={"base": "llama", "added_tokens": [token("<unk>", 0), token("<s>", 1), token("</s>", 2), token("<y>", 3)]},
        config={**llama, "added_tokens_decoder": {"0": token("<unk>"), "1": token("<s>"), "2": token("</s>")}})
    add("llama bytes", tokenizer="bytelevel", config={**llama, "bos_token": "<|endoftext|>"})
    add("llama defaults", tokenizer={"base": "llama", "post_processor": None}, config={**llama, "add_bos_token": True})
    add("llama post", tokenizer="llama", config={**llama, "bos_token": "<x>"})
    for cls in ("GPT2Tokenizer", "Qwen2Tokenizer", "Qwen2TokenizerFast", "CohereTokenizerFast"):
        add(f"{cls}", tokenizer="bytelevel", config={"tokenizer_class": cls, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>"})
        add(f"{cls} prefix", tokenizer="bytelevel", config={"tokenizer_class": cls, "add_prefix_space": True, "eos_token": "<|im_end|>"})
        add(f"{cls} defaults", tokenizer="bytelevel", config={"tokenizer_class": cls})
    add("GemmaTokenizer", tokenizer="llama", config={"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>", "unk_token": "<unk>"})
    add("qwen2 model", tokenizer="bytelevel", config=fast_class, model={"model_type": "qwen2"})
    add("qwen3 model", tokenizer="bytelevel", config={"eos_token": "<|im_end|>"}, model={"model_type": "qwen3"})
    add("gemma model", tokenizer="llama", model={"model_type": "gemma"})
    # A tokenizer.model alone.
    for pieces in ("bpe.model", "turns.model", "noprefix.model"):
        add(f"{pieces} alone", pieces=pieces)
        add(f"{pieces} llama model", pieces=pieces, model={"model_type": "llama"})
        add(f"{pieces} llama model, null names", pieces=pieces, config={"bos_token": None}, model={"model_type": "llama"})
        for legacy in ({}, {"legacy": True}, {"legacy": False}):
            add(f"{pieces} LlamaTokenizer {legacy}", pieces=pieces, config={**llama, **legacy})
            add(f"{pieces} fast {legacy}", pieces=pieces, config={**fast_class, **legacy})
        add(f"{pieces} bos and eos", pieces=pieces, config={**llama, "add_bos_token": True, "add_eos_token": True})
        add(f"{pieces} no bos", pieces=pieces, config={**llama, "add_bos_token": False})
        add(f"{pieces} fast bos and eos", pieces=pieces, config={**fast_class, "add_bos_token": True, "add_eos_token": True})
        add(f"{pieces} no prefix", pieces=pieces, config={**llama, "add_bos_token": True, "add_prefix_space": False})
        add(f"{pieces} added", pieces=pieces, config=llama, added={"<x>": 500, "<y>": 501})
        add(f"{pieces} decoder", pieces=pieces, config={**llama, "added_tokens_decoder": {"0": token("<unk>"), "1": token("<s>"), "2": token("</s>"), "500": X}, "pad_token": "<y>"})
        add(f"{pieces} map", pieces=pieces, config=llama, mapped={"eos_token": "<x>", "additional_special_tokens": ["<y>"]})
        add(f"{pieces} beside json", tokenizer="bytelevel", pieces=pieces)
    for pieces in ("unigram.model", "bytes.model", "plain.model", "fold.model"):
        add(f"{pieces} alone", pieces=pieces)
        add(f"{pieces} fast", pieces=pieces, config={**fast_class, "legacy": False, "add_eos_token": True})
        add(f"{pieces} added", pieces=pieces, added={"<x>": 600}, mapped={"eos_token": "<x>"})
        add(f"{pieces} llama model", pieces=pieces, config={"legacy": True, "add_bos_token": True}, model={"model_type": "llama"})
    # tiktoken's files.
    add("tiktoken alone", pieces="tiktoken")
    add("tiktoken.model alone", tik="tiktoken")
    reserved = {str(637 + i): token(t) for i, t in enumerate(["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|eot_id|>"])}
    add("tiktoken decoder", pieces="tiktoken", config={**fast_class, "added_tokens_decoder": reserved, "bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"})
    add("tiktoken decoder with gap", pieces="tiktoken", config={**fast_class, "added_tokens_decoder": {**reserved, "650": X}, "add_bos_token": True, "bos_token": "<|begin_of_text|>"})
    add("tiktoken added", pieces="tiktoken", added={"<x>": 637})
    add("tiktoken extra", pieces="tiktoken", config={**fast_class, "extra_special_tokens": ["<x>", "<y>"], "eos_token": "<y>"})
    add("tekken alone", tekken="tekken")
    add("tekken config", tekken="tekken", config={**fast_class, "bos_token": "<s>", "eos_token": "[INST]", "add_bos_token": True, "add_eos_token": True, "extra_special_tokens": ["<y>"]})
    add("tekken added", tekken="tekken", added={"<y>": 620}, mapped={"pad_token": "<pad>"})
    add("tekken of a mistral", tekken="tekken", model={"model_type": "mistral"}, config={"eos_token": "</s>"})
    # As uploads have it.
    im_end = token("<|im_end|>", special=False)
    add("end of turn not special", tokenizer={"base": "bytelevel", "added_tokens": [token("<|endoftext|>", 0), token("<|im_start|>", 1), {"id": 2, **im_end}]}, config={**fast_class, "eos_token": "<|im_end|>"})
    add("end of turn normalized", tokenizer="llama", config={**llama, "legacy": False, "added_tokens_decoder": {"0": token("<unk>", normalized=True), "1": token("<s>", normalized=True), "2": token("</s>", normalized=True)}})
    add("chatml on llama", tokenizer="llama", config={**llama, "legacy": False, "added_tokens_decoder": {
        "0": token("<unk>"), "1": token("<s>"), "2": token("</s>"), "818": token("<|im_end|>"), "819": token("<|im_start|>")}, "eos_token": "<|im_end|>", "pad_token": "</s>"})
    add("chatml on llama, added", tokenizer="llama", config={**fast_class, "eos_token": "<|im_end|>"}, added={"<|im_end|>": 818, "<|im_start|>": 819})
    add("pad of its own", tokenizer="llama", config={**llama, "pad_token": "[PAD]"}, added={"[PAD]": 818})
    add("objects of old", tokenizer="bytelevel", config={**fast_class, **{role: {"__type": "AddedToken", "content": t, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
                                                                          for role, t in (("bos_token", "<|im_start|>"), ("eos_token", "<|im_end|>"), ("pad_token", "<n>"))}})
    add("unicode markers", tokenizer="bytelevel", config={**fast_class, "added_tokens_decoder": {"640": token("<｜end▁of▁sentence｜>"), "641": token("🙂", special=False)}, "eos_token": "<｜end▁of▁sentence｜>"})
    return out


def write(folder, files, base):
    for name, content in files.items():
        if isinstance(content, str):
            content = base[content]
        elif name == "tokenizer.json":
            content = {**base[content["base"]], **{k: v for k, v in content.items() if k != "base"}}
        data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        (pathlib.Path(folder) / name).write_bytes(data)


def ask(folder):
    try:
        tok = AutoTokenizer.from_pretrained(folder)
    except Exception as e:  # whatever it is, transformers does not open the folder
        return {"error": f"{type(e).__name__}: {e}".split("\n")[0].replace(str(folder), "DIR")[:200]}
    plain = [tok(t, add_special_tokens=False)["input_ids"] for t in TEXTS]
    special = [tok(t)["input_ids"] for t in TEXTS]
    return {"class": type(tok).__name__, "size": max(tok.get_vocab().values()) + 1, "bos": tok.bos_token_id, "eos": tok.eos_token_id, "pad": tok.pad_token_id, "unk": tok.unk_token_id,
            "plain": plain, "special": special, "decoded": [tok.decode(i) for i in plain], "skipped": [tok.decode(i, skip_special_tokens=True) for i in special]}


def main(path):
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    base, tests = bases(), folders()
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            write(folder, test["files"], base)
            test["want"] = ask(folder)
    here = pathlib.Path(__file__).parent
    script = hashlib.sha256(b"".join((here / f"{n}.py").read_bytes() for n in ("tokenizer_folders", "tokenizer", "tokenizer_lines"))).hexdigest()
    made_by = {m.__name__: m.__version__ for m in (transformers, tokenizers, sentencepiece, tiktoken)}
    encoded = {k: {"base64": base64.b64encode(v).decode()} if isinstance(v, bytes) else v for k, v in base.items()}
    out = {"made_by": {**made_by, "script_sha256": script}, "bases": encoded, "texts": TEXTS, "tests": tests}
    pathlib.Path(path).write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(len(tests), "folders,", sum("error" in t["want"] for t in tests), "refused,", pathlib.Path(path).stat().st_size, "bytes")


if __name__ == "__main__":
    main(sys.argv[1])
