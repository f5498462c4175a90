#!/usr/bin/env python3
"""Tokenizers of GGUF files, 2,000 hard lines each: `lomo tokenize` gives the ids of llama.cpp itself, without and with special tokens.

    LOMO_BIN=bin/lomo python scripts/proof/gguf_tokens.py [--count 2000] FILE.gguf | FOLDER=PRE,PRE...

The files may be vocabularies without weights, such as those in llama.cpp's folder models. Of a FOLDER with a byte-level tokenizer.json one is made for
each pre-tokenizer that is named, as llama.cpp's converter would write it: it need not be the tokenizer's own to be compared. It needs llama-cpp-python.

Where llama.cpp and Hugging Face's tokenizers differ, lomo is held to the latter (scripts/proof/tokenizers.py). Such lines are counted apart, by what makes
them differ:
  marks     the tokenizer puts marks in order first (NFC: Qwen's), which llama.cpp does not, or has them in words (tekken, gpt-4o), where llama.cpp cuts
  endings   llama.cpp takes an ordinary token that looks like the end of a text (</s> in Qwen's vocabulary) for a special one
  gaps      a byte that has no token: what stands around it is joined, and by llama.cpp it is not (SmolLM2's vocabulary lacks some control characters)
  spaces    a special token of Phi-3's takes all white space behind it, for llama.cpp only that of ASCII
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent
sys.path.pop(0)  # this folder: a script here has the name of a library
sys.path.append(str(HERE.parent / "golden"))
sys.path.append(str(HERE))

import importlib.util

import gguf
import llama_cpp
from transformers.convert_slow_tokenizer import bytes_to_unicode

spec = importlib.util.spec_from_file_location("proof_tokenizers", HERE / "tokenizers.py")


MARKS = {"tekken", "gpt-4o"}


@contextlib.contextmanager
def quiet():
    """The library writes to the file descriptor."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


class Reference:
    def __init__(self, path):
        with quiet():
            self.model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
        fields = gguf.GGUFReader(path).fields
        get = lambda key: fields["tokenizer.ggml." + key].contents() if "tokenizer.ggml." + key in fields else None
        self.kind, self.pre = get("model"), get("pre")
        tokens, types = get("tokens"), get("token_type") or []
        vocab = llama_cpp.llama_model_get_vocab(self.model.model)
        self.endings = [t for i, t in enumerate(tokens) if types and types[i] == 1 and llama_cpp.llama_vocab_get_attr(vocab, i) & llama_cpp.LLAMA_TOKEN_ATTR_CONTROL]
        known = set(tokens)
        self.gaps = [bytes([b]) for b, c in bytes_to_unicode().items() if self.kind == "gpt2" and c not in known]
        self.strips = re.compile("|".join(re.escape(t) for t, k in zip(tokens, types) if k in (2, 3, 4)) or "$^")
        self.phi3 = "phi3" in (fields["general.name"].contents().lower().replace("-", "") if "general.name" in fields else "")
        self.special = [t for t, kind in zip(tokens, types) if kind in (3, 4)][:40]

    def ids(self, rows, special):
        with quiet():
            return [self.model.tokenize(r.encode(), add_bos=special, special=True) for r in rows]


    def unlike(self, row):
        """Why llama.cpp and Hugging Face differ on a text; None where they do not."""
        if self.pre in ("qwen2", "qwen35", "deepseek-r1-qwen") and unicodedata.normalize("NFC", row) != row:
            return "marks"
        if self.pre in MARKS and any(unicodedata.category(c)[0] == "M" for c in row):
            return "marks"
        if any(b in row.encode() for b in self.gaps):
            return "gaps"
        if any(t in row for t in self.endings):
            return "endings"
        if self.phi3 and any(re.match(r"[ \t\n\r\x0b\x0c]*[^\S \t\n\r\x0b\x0c]", row[m.end():]) for m in self.strips.finditer(row)):
            return "spaces"
        return None


def vocabulary(folder, pre, out):
    """A GGUF file without weights, of the tokens and merges of a tokenizer.json."""
    file = json.loads((pathlib.Path(folder) / "tokenizer.json").read_bytes())
    ids, added = dict(file["model"]["vocab"]), {t["id"]: t for t in file["added_tokens"]}
    ids.update((t["content"], i) for i, t in added.items())
    back = {i: t for t, i in ids.items()}
    w = gguf.GGUFWriter(out, "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    n = max(back) + 1
    w.add_token_list([back.get(i, f"[PAD{i}]") for i in range(n)])
    w.add_token_types([5 if i not in back else 1 if i not in added else 3 if added[i]["special"] else 4 for i in range(n)])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in file["model"]["merges"]])
    special = [i for i, t in added.items() if t["special"]]
    w.add_bos_token_id(special[0])
    w.add_eos_token_id(special[-1])
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()
    return out


def made(names, folder):
    """The files, those of folders made one at a time."""
    for name in names:
        if "=" not in name:
            yield pathlib.Path(name)
            continue
        source, pres = name.split("=")
        for pre in pres.split(","):
            file = vocabulary(source, pre, pathlib.Path(folder) / f"{pathlib.Path(source).name}-{pre}.gguf")
            yield file
            file.unlink()


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("files", nargs="+")
    p.add_argument("--lomo", default=os.environ.get("LOMO_BIN"), help="the program to prove (or LOMO_BIN)")
    p.add_argument("--count", type=int, default=2000, help="lines for each file")
    a = p.parse_args()
    if not a.lomo:
        p.error("--lomo is missing")
    common = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(common)
    failed = 0
    folder = tempfile.TemporaryDirectory()
    for file in made(a.files, folder.name):
        ref = Reference(file)
        rows = common.hard_lines(a.count + a.count // 2, ref.special)
        why = [ref.unlike(r) for r in rows]
        rows = [r for r, w in zip(rows, why) if not w][:a.count]
        apart = ", ".join(f"{n} {w} apart" for w in ("marks", "gaps", "endings", "spaces") if (n := why.count(w)))
        counts = [common.compare(f"{file.name} {what}", rows, common.lomo(a.lomo, file, rows, *flags), ref.ids(rows, special))
                  for what, special, flags in (("plain", False, ()), ("special", True, ("--special",)))]
        failed += sum(counts) > 0
        print("PASS" if sum(counts) == 0 else "FAIL", f"{file.name} ({ref.kind}, {ref.pre}): {len(rows)} lines, differences plain {counts[0]}, special {counts[1]}{'; ' if apart else ''}{apart}", flush=True)
    print(f"llama-cpp-python {llama_cpp.__version__}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
