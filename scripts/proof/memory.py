"""Peak resident memory (VmHWM) of training SmolLM2-135M in bf16 with LOMO at 4 x 1024 tokens: at most 650 MB.
--peer measures PyTorch with gradient checkpointing on the same steps too (4.0 GB when this was written)."""

import json
import subprocess
import sys
import time

import common
import shakespeare

STEPS, TOKENS, BOUND = 3, 1024, 650e6


def peak(command):
    """Runs a command and returns the VmHWM of its process in bytes. The high-water mark only grows, so reading it now and
    then until the end misses at most what the last hundredth of a second added."""
    log = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=common.environment())
    most = 0
    while log.poll() is None:
        try:
            with open(f"/proc/{log.pid}/status") as f:
                most = max([most] + [1024 * int(line.split()[1]) for line in f if line.startswith("VmHWM:")])
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(0.01)
    words = log.communicate()[1]
    if log.returncode != 0:
        sys.exit(f"FAIL {command[0]}: exit {log.returncode}\n{words[-2000:]}")
    return most


def train_peer(args):
    """The peer's steps, in this process; the caller measures it from outside."""
    import peer
    import torch

    ids = torch.tensor(shakespeare.lists(args)[: shakespeare.ROWS * STEPS]).split(shakespeare.ROWS)
    model = peer.open_model(args.model, torch.bfloat16, checkpointing=True)
    peer.train(model, [(rows, rows) for rows in ids], dict(optimizer="lomo", lr=0.01))


def main():
    args = common.arguments(__doc__, peer="measure PyTorch too", only_train_peer="(what --peer runs)")
    if args.only_train_peer:
        return train_peer(args)
    verdict = common.Verdict()
    folder = common.scratch(args, "memory")
    settings = shakespeare.settings(args, folder, STEPS) | dict(sequence_len=TOKENS, dtype="bf16", optimizer="lomo", learning_rate=0.01)
    measured = peak([args.lomo, "train", "--config", common.config(args, folder, **settings)])
    lines = [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
    print(f"lomo says {max(line.get('peak_bytes', 0) for line in lines) / 1e9:.3f} GB itself, {[line['tokens'] for line in lines if 'loss' in line]} tokens a step")
    verdict.check("VmHWM of lomo in bytes, bf16 LOMO at 4 x 1024 tokens", measured, BOUND)
    if args.peer:
        theirs = peak([sys.executable, __file__, "--only-train-peer", "--lomo", args.lomo, "--model", args.model, "--data", args.data, "--dir", args.dir])
        print(f"VmHWM of PyTorch with gradient checkpointing: {theirs / 1e9:.2f} GB, {theirs / measured:.1f} times lomo's")
    verdict.exit()


if __name__ == "__main__":
    main()
