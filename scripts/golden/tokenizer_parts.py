#!/usr/bin/env python3
"""Golden outputs of the parts of a tokenizer, by Hugging Face's tokenizers library.

Writes testdata/tokenizer/parts.json: normalizers and what they make of hard texts.

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
    "", " ", "a", "Hello World", "  two  spaces ", "\tTab\nline\r\nend\r", "don't STOP, it's 5 o'clock!", "a-b_c.d,e;f:g?h!i", "x" * 40, "1234567 89",
    "déjà vu", "de\u0301ja\u0300 vu", "Größe STRASSE ẞ ß", "İstanbul ısı I i", "ΣΑΣ ΟΔΟΣ ς σ", "ǅ ǆ Ǆ ǈ", "ﬁ ﬂ ﬀ ﬃ ſt ﬅ", "Ⅷ ⅷ ① ② ㊿ ½ ² ³", "Å \u212b A\u030a K \u212a",
    "ａｂｃ ＡＢＣ １２３", "日本語のテスト。", "漢字カタカナひらがなー", "한국어 \u1112\u1161\u11ab", "中文测试，全角！", "ｶﾞ ﾊﾟ", "ﷺ ﷲ", "مرحبا بالعالم", "שָׁלוֹם", "नमस्ते क्षत्रिय", "สวัสดีชาวโลก",
    "\u00a0nbsp\u2003em\u3000ideo\u200bzero\u200djoin", "\ufeffbom\ufffdbad", "\x00nul\x01soh\x7fdel\x85nel", "\u2028line\u2029par\u202eover", "\u00adsoft", "e\u0323\u0307 e\u0307\u0323", "a\u0315\u0300\u05ae\u0062",
    "👩‍👩‍👧‍👦 family 👍🏽 🇩🇪🇫🇷", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚", "\U0001f100 \U0001f130 \U0001f170", "▁already▁marked", "a▁b c", "<0x41> <unk>", "\r\r\n\n \r", "\u1ebf\u1ec7 ế ệ", "\u0958\u0929", "\u2126 \u03a9 \u00b5 \u03bc", "…—–“”‘’", "™ ® © ℡ ℻",
    "\u0344 \u0340 \u0341 \u0343 \u1fef \u037e", "\ud7a3\u11a7 \u1100\u1161\u11a7", "\U000110ab \U0001d15e", "\U00016fe0\U00011f41\U0001e6e3", "\u32ff \u1c89 \ua7cb", "x\u0898\u08d3\u1df6y\u0316z", "ÀÈÌ ñ Ñ ç Ç ø Ø đ", "a\u20dd b\u0488 c\u0903",
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


def main(path):
    norms = []
    for part in normalizer_parts():
        n = build(part)
        norms.append({"part": part, "texts": [n.normalize_str(t) for t in TEXTS]})
    made_by = {"tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__,
               "script_sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()}
    with open(path, "w") as f:
        json.dump({"made_by": made_by, "texts": TEXTS, "normalizers": norms}, f, ensure_ascii=False, separators=(",", ":"))
        f.write("\n")
    print(len(norms), "normalizers,", len(TEXTS), "texts")


def build(normalizer):
    """A normalizer from its description."""
    tok = tokenizers.Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": None,
        "post_processor": None, "decoder": None, "model": {"type": "BPE", "vocab": {}, "merges": []}}))
    return tok.normalizer


if __name__ == "__main__":
    main(sys.argv[1])
