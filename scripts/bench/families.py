"""Speed and memory of lomo on one size of model in every family's form: about 135 million random weights in BF16, LOMO, 4 x 256 tokens a step, gradient checkpointing.

What families differ in is then what is seen: norms of heads, biases, windows, vocabulary and ties are as each has them at that size. Rounds in turn,
medians; the first step of a process is not counted. Tokens a second beside the plain llama's of the same rounds, peak resident memory (VmHWM) beside the plan.

Run:  python scripts/bench/families.py LOMO FOLDER [ROUNDS]          (needs torch, transformers, safetensors)
"""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts" / "proof"))

import torch
from memory import peak
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

SHAPE = dict(hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, head_dim=64, vocab_size=49152,
             max_position_embeddings=8192, bos_token_id=1, eos_token_id=2, pad_token_id=None, tie_word_embeddings=True)
# What each is beside its own defaults. The first is what the others are compared with.
FAMILIES = {
    "llama": {},
    "mistral": dict(sliding_window=128),
    "ministral": dict(sliding_window=128, layer_types=["sliding_attention", "full_attention"] * 15),
    "qwen2": {},
    "qwen3": {},
    "smollm3": {},
    "olmo2": {},
    "granite": dict(embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22, attention_multiplier=0.015625),
    "gemma": {},
    "gemma2": dict(sliding_window=128),
    "gemma3_text": dict(sliding_window=128),
    "phi3": dict(sliding_window=None),
    "olmo3": dict(sliding_window=128),
    "exaone4": dict(sliding_window=128),
}
STEPS, ROWS, TOKENS = 4, 4, 256


def make(lomo, folder):
    """The models, with the tokenizer of bytes that lomo's own have."""
    subprocess.run([lomo, "new", "tiny", folder / "bytes"], check=True, capture_output=True)
    for name, keys in FAMILIES.items():
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **(SHAPE | keys)), dtype=torch.bfloat16)
        model.save_pretrained(folder / name)
        for side in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(folder / "bytes" / side, folder / name)
        yield name, sum(p.numel() for p in model.parameters())


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    lomo, folder, rounds = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), int((sys.argv + ["3"])[3])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "text.txt").write_text("\n".join(p.read_text() for p in sorted(ROOT.glob("internal/train/*.go"))))
    sizes = dict(make(lomo, folder))
    speed, memory, plan = {n: [] for n in sizes}, {n: [] for n in sizes}, {}
    for _ in range(rounds):
        for name in sizes:
            out = folder / "out"
            shutil.rmtree(out, ignore_errors=True)
            command = [lomo, "train", "--model", folder / name, "--output-dir", out, "--datasets", json.dumps([{"path": str(folder / "text.txt"), "type": "text"}]),
                       "--optimizer", "lomo", "--learning-rate", "1e-3", "--sequence-len", TOKENS, "--packing", "--micro-batch-size", ROWS, "--max-steps", STEPS,
                       "--save-steps", 0, "--save-final=false"]
            memory[name].append(peak(command))
            lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            speed[name].append(statistics.median(ROWS * TOKENS * 1000 / line["step_ms"] for line in lines if line.get("step_ms") and line.get("step", 0) > 1))
            shutil.rmtree(out)
            if name not in plan:
                told = subprocess.run([str(c) for c in [lomo, "memprofile", "--json", *command[2:]]], check=True, capture_output=True, text=True)
                plan[name] = json.loads(told.stdout)["peak_bytes"]
    base = statistics.median(speed["llama"])
    print("| `model_type` | weights | tokens/s | beside llama | peak memory | planned |\n| --- | --- | --- | --- | --- | --- |")
    for name, n in sizes.items():
        v = statistics.median(speed[name])
        print(f"| `{name}` | {n / 1e6:.0f} M | {v:.0f} | {v / base:.2f} | {statistics.median(memory[name]) / 2**20:.0f} MiB | {plan[name] / 2**20:.0f} MiB |")


if __name__ == "__main__":
    main()
