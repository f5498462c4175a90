"""What every proof needs: its arguments, the data it trains on, running lomo, results kept for the next time, and the verdict.

A proof runs lomo as a user does, as a program with a configuration file, and compares what it writes with what reference
libraries compute. It prints one line per check with the measured figure and its bound, and exits 1 if one fails.
"""

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The proofs' own folder comes last: tokenizers.py has the name of a library. golden has lomo_cpu.
sys.path = [str(ROOT / "scripts" / "golden")] + [p for p in sys.path if p != str(ROOT / "scripts" / "proof")] + [str(ROOT / "scripts" / "proof")]


def arguments(description, **flags):
    """The arguments of a proof; flags adds yes/no ones. Data and folders come from run.sh or from the user, never by default."""
    p = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lomo", default=os.environ.get("LOMO_BIN"), help="the program to prove (or LOMO_BIN)")
    p.add_argument("--model", default=os.environ.get("LOMO_PROOF_MODEL"), help="SmolLM2-135M in float32, made by prepare.py (or LOMO_PROOF_MODEL)")
    p.add_argument("--data", default=os.environ.get("LOMO_DATA"), help="folder with tinyshakespeare.txt, gsm8k, superglue (or LOMO_DATA)")
    p.add_argument("--dir", default=os.environ.get("LOMO_PROOF_DIR", str(ROOT / ".proof")), help="cache and scratch (or LOMO_PROOF_DIR)")
    for name, text in flags.items():
        p.add_argument("--" + name.replace("_", "-"), action="store_true", help=text)
    args = p.parse_args()
    for name in ("lomo", "model", "data"):
        if not getattr(args, name):
            p.error(f"--{name} is missing")
        setattr(args, name, pathlib.Path(getattr(args, name)).resolve())
    args.dir = pathlib.Path(args.dir).resolve()
    args.dir.mkdir(parents=True, exist_ok=True)
    return args


class Verdict:
    """Prints the checks of a proof and remembers whether all held."""

    def __init__(self):
        self.failed = 0

    def check(self, what, value, bound):
        """value must be at most bound; NaN fails."""
        self.say(value <= bound, f"{what}: {value:.3g}, bound {bound:.3g}")

    def say(self, ok, text):
        self.failed += not ok
        print("PASS" if ok else "FAIL", text, flush=True)

    def exit(self):
        sys.exit(1 if self.failed else 0)


def scratch(args, name):
    """A fresh folder of that name for a run's files."""
    folder = args.dir / "scratch" / name
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir(parents=True)
    return folder


def environment():
    """The environment without the proofs' own variables: lomo takes every other LOMO_* for a key of its configuration."""
    return {k: v for k, v in os.environ.items() if k not in ("LOMO_BIN", "LOMO_DATA", "LOMO_PROOF_DIR", "LOMO_PROOF_MODEL")}


def lomo(args, *command):
    """Runs lomo and returns its standard output. Its own words end the proof when it fails."""
    done = subprocess.run([str(args.lomo), *map(str, command)], capture_output=True, text=True, env=environment())
    if done.returncode != 0:
        sys.exit(f"FAIL lomo {' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def last_object(text):
    """The JSON object of the last line, where lomo --json puts its result."""
    return json.loads(text.strip().splitlines()[-1])


def config(args, folder, **keys):
    """Writes the configuration of a run and returns its path. JSON is YAML."""
    settings = dict(model=str(args.model), output_dir=str(folder / "out"), dtype="f32", shuffle=False, packing=False,
                    lr_scheduler="constant", gradient_checkpointing=True, report_to=["json"], save_final=False) | keys
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings, indent=1) + "\n")
    return path


def train(args, folder, **keys):
    """Trains with these settings and returns the step lines of metrics.jsonl."""
    lomo(args, "train", "--config", config(args, folder, **keys))
    lines = [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def kept(args, name, settings, make):
    """make() or what it returned last time for the same settings: the reference's results change only with its versions."""
    from importlib import metadata

    versions = {n: metadata.version(n) for n in ("torch", "transformers", "lomo-optim")}
    key = hashlib.sha256(json.dumps([settings, versions], sort_keys=True).encode()).hexdigest()[:12]
    path = args.dir / "kept" / f"{name}-{key}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        result = make()
        path.write_text(json.dumps({"settings": settings, "versions": versions, "result": result}))
    return json.loads(path.read_text())["result"]


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    return path
