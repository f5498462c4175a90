#!/usr/bin/env python3
"""Runs the commands that README.md shows, as they stand there, after `make demo`: a small hub serves the demo's model.

Settings from the environment make the training short. Commands that CI runs by themselves, or that need cards, are left out.
"""
import os
import pathlib
import re
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
            if re.match(r"(bin/)?lomo |go |make |scripts/", text) and not text.startswith(ELSEWHERE) and "OWNER" not in text:
                yield text


def main():
    root = pathlib.Path.cwd()
    subprocess.run(["go", "build", "-o", "bin/hub", "./scripts/hub"], check=True)
    with tempfile.TemporaryDirectory() as tmp:
        work = pathlib.Path(tmp)
        for name in ("cmd", "internal", "go.mod", "go.sum", "configs", "examples", "bin"):
            (work / name).symlink_to(root / name)
        hub = subprocess.Popen(["bin/hub", f"HuggingFaceTB/SmolLM2-135M-Instruct={root / 'demo/tuned'}"], stdout=subprocess.PIPE, text=True)
        try:
            run(root, work, hub.stdout.readline().strip())
        finally:
            hub.kill()


def run(root, work, endpoint):
    env = os.environ | SHORT | {"GOBIN": str(work / "gobin"), "PATH": f"{root / 'bin'}:{os.environ['PATH']}", "HF_ENDPOINT": endpoint, "HF_HOME": str(work / "hf")}
    ran = 0
    for command in commands((root / "README.md").read_text()):
        done = subprocess.run(["bash", "-c", command], cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {command}", flush=True)
        if done.returncode != 0:
            sys.exit(done.stdout)
        ran += 1
    if ran < 8:
        sys.exit(f"only {ran} commands were found in README.md: this script no longer reads it right")


if __name__ == "__main__":
    main()
