"""Perplexity of a text longer than a sequence, by a window that moves on: the loop of transformers' guide on perplexity, on the golden
model gqa_untied. It writes testdata/golden/windows.json: the ids, and for each case the window's length, its stride, the number of
predicted tokens and the sum of their losses, with the versions and the hashes.

Run:  python scripts/golden/windows.py          (needs torch, transformers)
"""

import hashlib
import json
import pathlib
from importlib import metadata

import torch
from transformers import LlamaForCausalLM
from transformers.utils import logging

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "testdata" / "golden"
TOKENS = 150
CASES = [(32, 16), (32, 8), (32, 32), (32, 31), (32, 1), (50, 25), (64, 40), (149, 10), (150, 75), (200, 100), (7, 3)]


def windows(model, ids, length, stride):
    total, count, before = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + length, len(ids))
        part = ids[begin:end]
        labels = part.clone()
        labels[: len(part) - (end - before)] = -100
        with torch.no_grad():
            logits = model(input_ids=part[None]).logits[0].double()
        losses = torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="none")
        total, count, before = total + losses.sum().item(), count + (labels[1:] != -100).sum().item(), end
        if end == len(ids):
            return total, count


def main():
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    model = LlamaForCausalLM.from_pretrained(OUT / "gqa_untied", attn_implementation="eager", dtype=torch.float32).eval()
    ids = torch.randint(0, 72, (TOKENS,), generator=torch.Generator().manual_seed(20230618))
    cases = []
    for length, stride in CASES:
        total, count = windows(model, ids, length, stride)
        cases.append({"length": length, "stride": stride, "tokens": count, "sum": total})
        print(cases[-1])
    here = pathlib.Path(__file__).resolve()
    meta = {"scripts": {str(here.relative_to(ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()},
            "model_sha256": hashlib.sha256((OUT / "gqa_untied" / "model.safetensors").read_bytes()).hexdigest(),
            "versions": {n: metadata.version(n) for n in ("torch", "transformers")}}
    (OUT / "windows.json").write_text(json.dumps({**meta, "ids": ids.tolist(), "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
