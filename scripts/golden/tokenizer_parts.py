#!/usr/bin/env python3
"""Golden outputs of the parts of a tokenizer, by Hugging Face's tokenizers library.

Writes testdata/tokenizer/parts.json: normalizers, pre-tokenizers and decoders and what they make of hard texts;
the same of the characters of Unicode, as hashes; small whole tokenizers; and the pre-tokenizers of GGUF files.

    python scripts/golden/tokenizer_parts.py testdata/tokenizer/parts.json
"""
import base64
import hashlib
import io
import json
import pathlib
import sys
import tempfile

import sentencepiece
import tokenizers
from tokenizers import normalizers

TEXTS = [
    "", " ", "a", "Hello World", "  two  spaces ", "\tTab\nline\r\nend\r", "don't STOP, it's 5 o'clock!", "a-b_c.d,e;f:g?h!i", "x" * 40, "a" + "\u0301" * 45 + "\u0316" * 3 + "b", "\u0344" * 40 + "q\u0323" + "\u0307" * 33, "1234567 89",
    "déjà vu", "de\u0301ja\u0300 vu", "Größe STRASSE ẞ ß", "İstanbul ısı I i", "ΣΑΣ ΟΔΟΣ ς σ", "ǅ ǆ Ǆ ǈ", "ﬁ ﬂ ﬀ ﬃ ſt ﬅ", "Ⅷ ⅷ ① ② ㊿ ½ ² ³", "Å \u212b A\u030a K \u212a",
    "ａｂｃ ＡＢＣ １２３", "日本語のテスト。", "漢字カタカナひらがなー", "한국어 \u1112\u1161\u11ab", "中文测试，全角！", "ｶﾞ ﾊﾟ", "ﷺ ﷲ", "مرحبا بالعالم", "שָׁלוֹם", "नमस्ते क्षत्रिय", "สวัสดีชาวโลก",
    "\u00a0nbsp\u2003em\u3000ideo\u200bzero\u200djoin", "\ufeffbom\ufffdbad", "\x00nul\x01soh\x7fdel\x85nel", "\u2028line\u2029par\u202eover", "\u00adsoft", "e\u0323\u0307 e\u0307\u0323", "a\u0315\u0300\u05ae\u0062",
    "👩‍👩‍👧‍👦 family 👍🏽 🇩🇪🇫🇷", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚", "\U0001f100 \U0001f130 \U0001f170", "▁already▁marked", "a▁b c", "<0x41> <unk>", "\r\r\n\n \r", "\u1ebf\u1ec7 ế ệ", "\u0958\u0929", "\u2126 \u03a9 \u00b5 \u03bc", "…—–“”‘’", "™ ® © ℡ ℻",
    "\u0344 \u0340 \u0341 \u0343 \u1fef \u037e", "\ud7a3\u11a7 \u1100\u1161\u11a7", "\U000110ab \U0001d15e", "\U00016fe0\U00011f41\U0001e6e3", "\u32ff \u1c89 \ua7cb", "x\u0898\u08d3\u1df6y\u0316z", "ÀÈÌ ñ Ñ ç Ç ø Ø đ", "a\u20dd b\u0488 c\u0903",
]

# More texts for the pre-tokenizers of GGUF files.
MORE = [
    "It's 12345678 tokens,  WE'LL see: iPhone XMLHttpRequest fooBar.", "x = {'a': [1, 2.50], \"b\": None}\n\tif x >= 10:\n\t\treturn x\n\n\n", "1234567 1,234,567 12 3 0.001", "東京2024年、日本語とEnglishの混在テキスト。カタカナ",
    "한국어 텍스트 123", "!hello @user #tag $100 <b>bold</b>", "a\r\n\r\nb \n c  \n", "Привет, МИР! Ёлка", "don't DON'T Don’t 'tis", "path/to/file.txt//comment", "    indent\n        more", "e\u0301te\u0301 नमस्ते", "…“quote”—dash", "١٢٣ ೧೨೩ ²³",
]

# Replacements of a SentencePiece model made for this test, as its trainer reads them: code points in hexadecimal.
RULES = {
    "a": "A", "ab": "X", "é": "e", "e\u0301": "e", "\t": " ", "\u00a0": " ", "\u3000": " ", "ﬁ": "fi", "ﷺ": "ﷺ".replace("ﷺ", "صلى الله عليه وسلم"), "Ⅷ": "VIII", "\u200b": "",
    "か\u3099": "が", "ｶﾞ": "ガ", "👍": "+1", "\r": "", "\r\n": " ", "ß": "ss", "\u0301": "'", "①": "1",
}


def charsmap():
    """The precompiled_charsmap that SentencePiece's trainer makes of RULES."""
    code = lambda s: " ".join(f"{ord(c):X}" for c in s)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False) as f:
        f.writelines(f"{code(a)}\t{code(b)}\n" for a, b in RULES.items())
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["some words to learn pieces of"] * 10), model_writer=out, vocab_size=30, hard_vocab_limit=False,
        normalization_rule_tsv=f.name, minloglevel=2)
    pathlib.Path(f.name).unlink()
    from sentencepiece import sentencepiece_model_pb2 as pb
    model = pb.ModelProto.FromString(out.getvalue())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()


def norm(kind, **fields):
    return {"type": kind, **fields}


def normalizer_parts():
    yield norm("Precompiled", precompiled_charsmap=charsmap())
    for kind in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"]:
        yield norm(kind)
    for left in True, False:
        for right in True, False:
            yield norm("Strip", strip_left=left, strip_right=right)
    for clean, chinese, accents, lower in [(1, 1, None, 1), (1, 0, None, 0), (0, 1, True, 0), (0, 0, False, 1), (0, 0, True, 1), (0, 0, False, 0), (1, 1, True, 0)]:
        yield norm("BertNormalizer", clean_text=bool(clean), handle_chinese_chars=bool(chinese), strip_accents=accents, lowercase=bool(lower))
    yield norm("Prepend", prepend="▁")
    yield norm("Prepend", prepend="")
    for pattern, content in [("String", " "), ("String", ""), ("String", "a"), ("Regex", r"\s+"), ("Regex", r"a*"), ("Regex", r"(?i)s"), ("Regex", r"^|$"), ("Regex", r"[[:punct:]&&[^-]]"), ("String", "\\d"), ("String", ".")]:
        yield norm("Replace", pattern={pattern: content}, content="▁")
    yield norm("Replace", pattern={"Regex": r"\b"}, content="")
    yield norm("Sequence", normalizers=[norm("NFKC"), norm("Lowercase"), norm("Replace", pattern={"Regex": " {2,}"}, content=" "), norm("Strip", strip_left=True, strip_right=True)])
    yield norm("Sequence", normalizers=[norm("NFD"), norm("StripAccents"), norm("NFC"), norm("Prepend", prepend="x")])
    yield norm("Sequence", normalizers=[])
    yield norm("Sequence", normalizers=[norm("Nmt"), norm("NFKC"), norm("ByteLevel")])


BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def pre_tokenizer_parts():
    yield norm("BertPreTokenizer")
    yield norm("Whitespace")
    yield norm("WhitespaceSplit")
    yield norm("Punctuation")
    for b in BEHAVIORS:
        yield norm("Punctuation", behavior=b)
        for invert in False, True:
            for pattern in [{"Regex": r"\s+"}, {"String": " "}, {"Regex": r"a*"}, {"Regex": r"(?=\p{Lu})"}, {"Regex": r""}, {"String": ""}, {"Regex": r"\d|\w+"}]:
                yield norm("Split", pattern=pattern, behavior=b, invert=invert)
    for individual in False, True:
        yield norm("Digits", individual_digits=individual)
    for c in " ", "a", "。", "-":
        yield norm("CharDelimiterSplit", delimiter=c)
    for n in 1, 3, 5:
        yield norm("FixedLength", length=n)
    for scheme in "first", "always", "never":
        for split in False, True:
            yield norm("Metaspace", replacement="▁", prepend_scheme=scheme, split=split)
    yield norm("Metaspace", replacement="_", add_prefix_space=True, prepend_scheme="always", str_rep="_")
    yield norm("Metaspace", replacement="▁", add_prefix_space=False, prepend_scheme="never")
    for space in False, True:
        for regex in False, True:
            yield norm("ByteLevel", add_prefix_space=space, trim_offsets=True, use_regex=regex)
    yield norm("Sequence", pretokenizers=[norm("WhitespaceSplit"), norm("Punctuation", behavior="Contiguous"), norm("Digits", individual_digits=True)])
    yield norm("Sequence", pretokenizers=[norm("Metaspace", replacement="▁", prepend_scheme="first", split=True), norm("Split", pattern={"Regex": "[0-9]"}, behavior="Isolated", invert=False)])


def decoder_parts():
    yield norm("ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True)
    yield norm("ByteFallback")
    yield norm("Fuse")
    yield norm("BPEDecoder", suffix="</w>")
    for cleanup in False, True:
        yield norm("WordPiece", prefix="##", cleanup=cleanup)
    yield norm("Metaspace", replacement="▁", prepend_scheme="always", split=True)
    yield norm("Metaspace", replacement="▁", prepend_scheme="never", split=True)
    yield norm("Replace", pattern={"String": "▁"}, content=" ")
    yield norm("Replace", pattern={"Regex": r"[aeiou]+"}, content="*")
    yield norm("Strip", content=" ", start=1, stop=0)
    yield norm("Strip", content="a", start=2, stop=1)
    yield norm("Sequence", decoders=[norm("Replace", pattern={"String": "▁"}, content=" "), norm("ByteFallback"), norm("Fuse"), norm("Strip", content=" ", start=1, stop=0)])
    yield norm("Sequence", decoders=[norm("WordPiece", prefix="##", cleanup=True), norm("Fuse"), norm("Replace", pattern={"Regex": " +"}, content="_")])


TOKENS = [
    ["Hello", "##world", "!"], ["▁Hello", "▁world", "▁▁", "a"], ["hel", "lo</w>", "wor", "ld</w>"], ["<0xE3>", "<0x81>", "<0x82>", "x", "<0xFF>", "<0x41>"], ["ĠHello", "Ċ", "Ã©", "Ã", "é€"],
    ["do", "not", ".", "n't", "'m", "'", "s", "'ve", "'re", ",", "?"], [" a", "  b", "aab", "aaa"], ["##a", "b", "##c", "##"], ["日本", "##語", "。"], ["<0x4>", "<0xGG>", "<0x0a>"],
]


def whole_tokenizers():
    """Small tokenizers: post-processors, marks of parts of words, unknown characters."""
    vocab = {t: n for n, t in enumerate(["<unk>", "[CLS]", "[SEP]", "a", "b", "c", "ab", "abc", "▁", " ", "Ġ"])}
    merges = [["a", "b"], ["ab", "c"]]
    base = {"type": "BPE", "vocab": vocab, "merges": merges, "unk_token": "<unk>"}
    for post in [
        norm("BertProcessing", sep=["[SEP]", 2], cls=["[CLS]", 1]), norm("RobertaProcessing", sep=["[SEP]", 2], cls=["[CLS]", 1], trim_offsets=True, add_prefix_space=False),
        norm("Sequence", processors=[norm("ByteLevel", trim_offsets=True, add_prefix_space=False, use_regex=True), norm("TemplateProcessing", single=[
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            pair=[{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            special_tokens={"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [2, 2], "tokens": ["[SEP]", "[SEP]"]}})]),
        norm("ByteLevel", trim_offsets=False, add_prefix_space=False, use_regex=True), None,
    ]:
        yield {"model": base, "post_processor": post}
    words = ["<unk>", "a", "b", "c", "a</w>", "b</w>", "c</w>", "ab", "ab</w>", "abc</w>", "é</w>"]
    suffixed = {"type": "BPE", "vocab": {t: n for n, t in enumerate(words)}, "merges": [["a", "b"], ["a", "b</w>"], ["ab", "c</w>"]], "unk_token": "<unk>", "end_of_word_suffix": "</w>", "fuse_unk": True}
    pieces = ["<unk>", "a", "b", "c", "##a", "##b", "##c", "ab", "##bc", "abc"]
    prefixed = {"type": "BPE", "continuing_subword_prefix": "##", "vocab": {t: n for n, t in enumerate(pieces)}, "merges": [["##b", "##c"], ["a", "##b"], ["a", "##bc"]], "unk_token": "<unk>"}
    for model in suffixed, prefixed, {**suffixed, "unk_token": None}, {**prefixed, "fuse_unk": True}, {**suffixed, "ignore_merges": True}:
        for pre in norm("Whitespace"), norm("BertPreTokenizer"), None, norm("ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True):
            for decoder in norm("BPEDecoder", suffix="</w>"), norm("WordPiece", prefix="##", cleanup=True):
                yield {"model": model, "pre_tokenizer": pre, "decoder": decoder}


WORDS = ["", "a", "ab", "abc", "abcabc", "ab c", "a b c", "abc abc ab", "xab", "abx", "axxb", "é", "aé", "cab bac", "a.b,c", "▁a"]

# What llama.cpp's names of pre-tokenizers mean, from its source and the tokenizer.json of the families: the patterns in turn.
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
CASED = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = CASED % (CONTRACTIONS + "?", CONTRACTIONS + "?")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"
GGUF = {
    "gpt-2": [GPT2], "mpt": [GPT2], "smollm": [r"\p{N}", GPT2], "command-r": [r"\p{N}", GPT2], "llama-bpe": [LLAMA3], "dbrx": [LLAMA3], "chatglm-bpe": [LLAMA3], "qwen2": [QWEN2], "hunyuan": [QWEN2],
    "qwen35": [QWEN2.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"], "deepseek-v3": DEEPSEEK, "hunyuan-dense": DEEPSEEK,
    "deepseek-llm": [r"[\r\n]", r"\s?[\p{Lu}\p{Ll}\p{Lt}&&[^\x{1D400}-\x{1D7FF}]]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}+"],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"], "bloom": [BLOOM], "poro-chat": [BLOOM], "viking": [BLOOM, r"\p{N}"], "tekken": [(CASED % ("", "")).replace("{1,3}", "")], "gpt-4o": [GPT4O],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O],
    "kimi-k2": [r"[\p{Han}]+|" + GPT4O.replace(r"\p{M}]", r"\p{M}&&[^\p{Han}]]").replace("[\\r\\n/]*", "[\\r\\n]*")],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"], "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
}
# DeepSeek's own list of letters with case is older than Unicode 16; these texts have only letters that stand in it, and mathematical ones.


def tokenizer(**parts):
    return tokenizers.Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
        "post_processor": None, "decoder": None, "model": {"type": "BPE", "vocab": {}, "merges": []}, **parts}))


def chunks():
    """Every character of the first two planes and some of the others, between others, a thousand to a text."""
    chars = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (c < 0x20000 or c % 64 == 0)]
    for k in range(0, len(chars), 1000):
        yield "".join("a" + c + "\u0316\u0301" for c in chars[k:k + 1000])


def sha(texts):
    h = hashlib.sha256()
    for t in texts:
        h.update(t.encode() + b"\0")
    return h.hexdigest()[:32]


def byte_offsets(text, spans):
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [[piece, at[i], at[j]] for piece, (i, j) in spans]


def main(path):
    whole = list(chunks())
    norms, pres, decs, toks, ggufs = [], [], [], [], {}
    for part in normalizer_parts():
        n = tokenizer(normalizer=part).normalizer
        norms.append({"part": part, "texts": [n.normalize_str(t) for t in TEXTS]})
        if part["type"] not in ("Replace", "Sequence", "Prepend", "Precompiled"):
            norms[-1]["sha"] = sha(n.normalize_str(t) for t in whole)
    for part in pre_tokenizer_parts():
        p = tokenizer(pre_tokenizer=part).pre_tokenizer
        pres.append({"part": part, "pieces": [byte_offsets(t, p.pre_tokenize_str(t)) for t in TEXTS[::1 if part["type"] != "Split" else 3]]})
        if part["type"] in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits"):
            pres[-1]["sha"] = sha(piece for t in whole for piece, _ in p.pre_tokenize_str(t))
    for part in decoder_parts():
        d = tokenizer(decoder=part).decoder
        decs.append({"part": part, "texts": [d.decode(t) for t in TOKENS if part["type"] != "Strip" or min(map(len, t)) > 1]})
    for parts in whole_tokenizers():
        t = tokenizer(**parts)
        ids = [t.encode(w).ids for w in WORDS]
        toks.append({"file": parts, "ids": ids, "texts": [t.decode(i, skip_special_tokens=False) if i else "" for i in ids]})
    for name, patterns in GGUF.items():
        p = tokenizer(pre_tokenizer=norm("Sequence", pretokenizers=[norm("Split", pattern={"Regex": r}, behavior="Isolated", invert=False) for r in patterns])).pre_tokenizer
        ggufs[name] = [[piece for piece, _ in p.pre_tokenize_str(t)] for t in TEXTS + MORE]
    made_by = {"tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__,
               "script_sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()}
    with open(path, "w") as f:
        json.dump({"made_by": made_by, "texts": TEXTS, "more": MORE, "tokens": TOKENS, "words": WORDS, "normalizers": norms, "pre_tokenizers": pres, "decoders": decs,
                   "tokenizers": toks, "gguf": ggufs}, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    print(len(norms), "normalizers,", len(pres), "pre-tokenizers,", len(decs), "decoders,", len(toks), "tokenizers,", len(ggufs), "names of GGUF")


if __name__ == "__main__":
    main(sys.argv[1])
