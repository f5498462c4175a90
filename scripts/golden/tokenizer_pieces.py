#!/usr/bin/env python3
"""A small SentencePiece model such as LLaMA's, and what the sentencepiece library makes of some lines with it.

    python scripts/golden/tokenizer_pieces.py testdata/tokenizer
"""
import hashlib
import io
import json
import pathlib
import sys

import sentencepiece

from tokenizer import SENTENCES
from tokenizer_lines import lines

SPECIAL = ["<s>", "</s>", "<unk>"]  # Hugging Face takes these in a text for tokens, sentencepiece for characters; user-defined ones differ in spaces


def main(folder):
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=made, model_type="bpe", vocab_size=640, character_coverage=0.98, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
        user_defined_symbols=["<turn>"], minloglevel=1)
    raw = made.getvalue()
    (folder / "pieces.model").write_bytes(raw)
    sp = sentencepiece.SentencePieceProcessor(model_proto=raw)
    texts = [t for t in lines(200, seed=13, longest=7) if not any(s in t for s in SPECIAL)]
    tests = [{"text": t, "ids": sp.encode(t)} for t in texts]
    for test in tests:
        test["decoded"] = sp.decode(test["ids"])
    here = pathlib.Path(__file__).parent
    script = hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in ("tokenizer_pieces", "tokenizer", "tokenizer_lines"))).hexdigest()
    out = {"made_by": {"sentencepiece": sentencepiece.__version__, "script_sha256": script}, "size": sp.get_piece_size(),
           "bos": sp.bos_id(), "eos": sp.eos_id(), "pad": sp.pad_id(), "unk": sp.unk_id(), "tests": tests}
    (folder / "pieces.json").write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(sp.get_piece_size(), "pieces,", len(tests), "texts,", len(raw), "bytes")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
