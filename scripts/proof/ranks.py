"""Eight ranks of one process (device: cpu, devices: 8, sharding: zero3) train SmolLM2-135M in float32 with the losses of one:
LOMO with clipping by the norm, and AdaLomo, 5 steps of 8 x 64 tokens, each loss and norm within 2e-6. Each rank reads and holds
an eighth of the weights.

No reference library is needed: --model may be the GGUF file."""

import json
import re
import subprocess
import sys

import common

STEPS, RANKS, BOUND = 5, 8, 2e-6  # measured 6e-8 for losses, 4.4e-7 for the norm
RUNS = {
    "lomo": dict(optimizer="lomo", learning_rate=0.05, max_grad_norm=0.5, clip_policy="exact"),
    "adalomo": dict(optimizer="adalomo", learning_rate=5e-4),
}
LINE = re.compile(r"^rank (\d+): read .* \((\d+) bytes\), holds", re.MULTILINE)


def run(args, name, keys):
    """A run's step lines, and what its ranks say they have read."""
    folder = common.scratch(args, name)
    config = common.config(args, folder, datasets=[dict(path=str(args.data / "tinyshakespeare.txt"), type="text")], packing=True,
                           sequence_len=64, micro_batch_size=1, max_steps=STEPS, save_steps=0, **keys)
    done = subprocess.run([str(args.lomo), "train", "--config", str(config)], capture_output=True, text=True, env=common.environment())
    if done.returncode != 0:
        sys.exit(f"FAIL {name}: exit {done.returncode}\n{done.stderr[-2000:]}")
    lines = [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line], [int(n) for _, n in LINE.findall(done.stderr)]


def main():
    args = common.arguments(__doc__, fault="let the ranks' learning rate be 1 % too large: the proof must fail")
    verdict = common.Verdict()
    for name, keys in RUNS.items():
        one, _ = run(args, f"ranks-{name}-1", keys | dict(gradient_accumulation_steps=RANKS))
        if args.fault:
            keys = keys | dict(learning_rate=1.01 * keys["learning_rate"])
        many, read = run(args, f"ranks-{name}-{RANKS}", keys | dict(devices=RANKS, sharding="zero3"))
        print(f"{name}: step, {RANKS} ranks, one, difference")
        for s, (m, o) in enumerate(zip(many, one, strict=True), 1):
            print(f"  {s:3} {m['loss']:11.7f} {o['loss']:11.7f} {m['loss'] - o['loss']:+.1e}")
        for key in ("loss", "grad_norm"):
            if key in one[0]:
                verdict.check(f"{name}, {STEPS} steps: largest relative difference of {key}",
                              max(abs(m[key] - o[key]) / abs(o[key]) for m, o in zip(many, one)), BOUND)
        verdict.check(f"{name}: the most a rank reads, beside an eighth of the weights", max(read) / (sum(read) / RANKS), 1.01)
        verdict.say(len(read) == RANKS, f"{name}: {len(read)} ranks say what they have read: {read}")
    verdict.exit()


if __name__ == "__main__":
    main()
