"""Models of every family, trained by lomo, open in transformers with the same logits: the tiny golden models of testdata, three steps each, and a
text longer than their windows. It needs neither data nor network.

Run:  python scripts/proof/families.py LOMO FOLDER          (needs torch, transformers, safetensors)
"""

import json
import pathlib
import subprocess
import sys

sys.path.pop(0)  # this folder, whose tokenizers.py is not the package

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "testdata" / "golden"
BOUND = 1e-5  # of the largest logit


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    lomo, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.jsonl").write_text("".join(json.dumps({"input_ids": [(i * i * 7 + 3 * i + k) % 47 for i in range(30)]}) + "\n" for k in range(12)))
    ids = [(i * i * 5 + i) % 47 for i in range(48)]
    (folder / "ids.json").write_text(json.dumps(ids))
    worst, tried = 0.0, 0
    for config in sorted(GOLDEN.glob("*/config.json")):
        name, out = config.parent.name, folder / config.parent.name
        subprocess.run([lomo, "train", "--model", config.parent, "--dtype", "f32", "--output-dir", out, "--max-steps", "3", "--learning-rate", "0.01",
                        "--datasets", json.dumps([{"path": str(folder / "data.jsonl"), "type": "tokenized"}]), "--sequence-len", "30"], check=True, capture_output=True)
        subprocess.run([lomo, "debug", "logits", "--model", out, "--ids", folder / "ids.json", "--out", folder / "logits.safetensors"], check=True, capture_output=True)
        got = load_file(folder / "logits.safetensors")["logits"]
        with torch.no_grad():
            want = AutoModelForCausalLM.from_pretrained(out, attn_implementation="eager", dtype=torch.float32).eval()(torch.tensor([ids])).logits[0]
            before = AutoModelForCausalLM.from_pretrained(config.parent, attn_implementation="eager", dtype=torch.float32).eval()(torch.tensor([ids])).logits[0]
        apart, moved = ((x - want).abs().max().item() / want.abs().max().item() for x in (got, before))
        print(f"{name:16} {apart:.1e} of the largest logit apart, training moved them by {moved:.1e}")
        worst, tried = max(worst, apart if moved > 1e-3 else 1.0), tried + 1
    print(f"{tried} models, at most {worst:.1e} apart, bound {BOUND}")
    if worst > BOUND or tried < 20:
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
