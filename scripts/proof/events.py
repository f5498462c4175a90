"""Event files read back by TensorBoard's own reader: every value of metrics.jsonl, once, also of a run that was stopped and went on.

Needs no model and no data: the run is of a tiny random one.

Run:  python scripts/proof/events.py [LOMO]            (needs tensorboard)
"""

import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TAGS = {"train/loss": "loss", "train/learning_rate": "lr", "train/epoch": "epoch", "train/tokens_per_second": "tok_s", "train/memory_bytes": "mem_bytes",
        "train/grad_norm": "grad_norm", "eval/loss": "eval_loss", "eval/perplexity": "perplexity"}


def main():
    lomo = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LOMO_BIN", "bin/lomo")
    with tempfile.TemporaryDirectory() as tmp:
        work = pathlib.Path(tmp)
        subprocess.run([lomo, "new", "tiny", work / "m"], check=True, stderr=subprocess.DEVNULL)
        rows = [{"messages": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"It is {n * n}."}]} for n in range(12)]
        (work / "data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        failed = 0
        for name, lengths in {"whole": [8], "went on": [5, 8, 11]}.items():
            out = work / name.replace(" ", "-")
            for steps in lengths:
                train(lomo, work, out, steps)
            failed += compare(name, out, len(lengths))
        again = work / "again"  # killed after its newest checkpoint: steps 5 to 7 are made twice
        train(lomo, work, again, 7)
        (again / "finished.json").unlink()
        for later in ("checkpoint-7", "checkpoint-6"):
            for f in sorted((again / later).glob("*")) if (again / later).exists() else []:
                f.unlink()
        train(lomo, work, again, 9)
        failed += compare("steps made twice", again, 2)
    print("events: FAILED" if failed else "events: passed")
    return 1 if failed else 0


def train(lomo, work, out, steps):
    done = subprocess.run([lomo, "train", "--set", f"model={work / 'm'}", "--set", f"output_dir={out}", "--set", f"datasets=[{{path: {work / 'data.jsonl'}, type: messages}}]",
                           "--set", "val_set_size=2", "--set", "sequence_len=64", "--set", "micro_batch_size=2", "--set", f"max_steps={steps}", "--set", "eval_steps=3", "--set", "save_steps=1",
                           "--set", "max_grad_norm=1", "--set", "lr_scheduler=constant", "--set", "report_to=[json, tensorboard]", "--set", "sample_prompts=0"], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def compare(name, out, files):
    """What the reader finds beside what metrics.jsonl says; the number of tags that differ."""
    reader = EventAccumulator(str(out / "runs"), size_guidance={"scalars": 0})
    reader.Reload()
    lines = [json.loads(text) for text in (out / "metrics.jsonl").read_text().splitlines()]
    wrong = 0
    found = list((out / "runs").iterdir())
    if len(found) != files:
        print(f"{name}: {len(found)} files, want {files}")
        wrong += 1
    if set(reader.Tags()["scalars"]) != set(TAGS):
        print(f"{name}: tags {sorted(reader.Tags()['scalars'])}")
        return wrong + 1
    for tag, key in TAGS.items():
        want = [(line["step"], line[key]) for line in lines if key in line]
        got = [(e.step, e.value) for e in reader.Scalars(tag)]
        if [s for s, _ in want] != [s for s, _ in got] or any(not same(a, b) for (_, a), (_, b) in zip(want, got)):
            print(f"{name}: {tag}: read {got}, metrics.jsonl has {want}")
            wrong += 1
    times = [e.wall_time for e in reader.Scalars("train/loss")]
    if times != sorted(times):
        print(f"{name}: times do not rise")
        wrong += 1
    print(f"{name}: {len(TAGS)} tags, {len(reader.Scalars('train/loss'))} steps, {len(reader.Scalars('eval/loss'))} evaluations in {len(found)} files: {'differ' if wrong else 'equal'}")
    return wrong


def same(a, b):
    return math.isnan(b) if a is None else struct.pack("<f", a) == struct.pack("<f", b)


if __name__ == "__main__":
    sys.exit(main())
