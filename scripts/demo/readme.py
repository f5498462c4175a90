#!/usr/bin/env python3
"""Runs the commands that README.md shows, as they stand there, after `make demo`: the demo's model is DIR, its data the user's.

Settings from the environment make the training short. Commands that CI runs by themselves, or that need cards, are left out.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ELSEWHERE = ("make ", "scripts/box/")  # make demo, test and cuda have lines of their own in .ci/run; a box has eight cards
SHORT = {"LOMO_MAX_STEPS": "2", "LOMO_SEQUENCE_LEN": "64", "LOMO_MICRO_BATCH_SIZE": "1"}


def commands(readme):
    """Lines of indented blocks and spans of code that are commands, in order."""
    for line in readme.splitlines():
        found = [line[4:]] if line.startswith("    ") else re.findall(r"`(lomo [a-z]+ [^`]*)`", line)
        for text in found:
            text = re.split(r"\s+#\s", text)[0].strip()
            if re.match(r"(bin/)?lomo |go |make |scripts/", text) and not text.startswith(ELSEWHERE):
                yield text


def main():
    root = pathlib.Path.cwd()
    with tempfile.TemporaryDirectory() as tmp:
        work = pathlib.Path(tmp)
        for name in ("cmd", "internal", "go.mod", "go.sum", "configs", "bin"):
            (work / name).symlink_to(root / name)
        (work / "data").mkdir()
        for copy in ("data/train.jsonl", "train.jsonl"):
            shutil.copy(root / "examples/demo/train.jsonl", work / copy)
        shutil.copy(root / "examples/demo/heldout.jsonl", work / "held-out.jsonl")
        model = root / "demo/tuned"
        (work / "run.yaml").write_text((work / "configs/smollm2-135m-adalomo.yaml").read_text().replace("models/SmolLM2-135M-Instruct", str(model)))
        env = os.environ | SHORT | {"GOBIN": str(work / "gobin"), "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
        ran = 0
        for command in commands((root / "README.md").read_text()):
            command = command.replace("=DIR", f"={model}").replace(" DIR", f" {model}")
            done = subprocess.run(["bash", "-c", command], cwd=work, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {command}", flush=True)
            if done.returncode != 0:
                sys.exit(done.stdout)
            ran += 1
    if ran < 8:
        sys.exit(f"only {ran} commands were found in README.md: this script no longer reads it right")


if __name__ == "__main__":
    main()
