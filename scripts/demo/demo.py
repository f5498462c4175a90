#!/usr/bin/env python3
"""The demo: teach a model facts about a town that does not exist, and check that it knows them.

Fine-tunes all weights of SmolLM2-135M-Instruct, or of Gemma 3 270M, with AdaLomo on examples/demo/train.jsonl. The run itself asks every fact, before
its first step and after its last, in a wording that is not in the training data. Exits 1 unless the answers hold the facts and the
held-out loss fell.
Without network it does the same with a small model that `lomo new` makes, on part of the facts.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import time

import fetch

DATA = pathlib.Path("examples/demo")
WORK = pathlib.Path("demo")
LOSS_RATIO = 0.5  # the held-out loss must fall below this share of what it was

CONFIGS = {"smollm2": ("configs/demo.yaml", "tuned"), "gemma3": ("configs/demo-gemma3.yaml", "tuned-gemma3")}  # and the folder that it trains into

# What the small model of the offline demo learns: facts whose held-out questions name the thing asked about as the
# training questions do. A model that starts from nothing knows no synonyms: it cannot tell that goods are products.
OFFLINE = ["7:40", "Odessa Pell", "1783", "Tavish", "orange", "Thursday", "bakery", "eleven", "October", "52"]


class Demo:
    """One way through the demo: which model, which configuration, which part of the facts."""

    def __init__(self, lomo, config, data, needed, tuned="tuned"):
        self.lomo, self.config = lomo, config
        self.needed = needed  # share of the answers that must hold their fact
        self.tuned = WORK / tuned
        self.facts = read_jsonl(data / "facts.jsonl")

    def run(self):
        say(f"training all weights: {self.lomo} train --config {self.config}")
        shutil.rmtree(self.tuned, ignore_errors=True)
        subprocess.run([self.lomo, "train", "--config", self.config], check=True)
        say(f"before and after, as {self.tuned}/report.html shows them")
        return self.judge()

    def judge(self):
        """The held-out losses and answers that the run itself has written down."""
        losses = [m["eval_loss"] for m in read_jsonl(self.tuned / "metrics.jsonl") if "eval_loss" in m]
        samples = read_jsonl(self.tuned / "samples.jsonl")
        last = max(s["step"] for s in samples)
        before, after = (self.answers([s for s in samples if s["step"] == step]) for step in (0, last))
        for fact, old, new in zip(self.facts, before, after):
            print(f"\n  {fact['question']}\n    before: {line(old)}\n    after:  {line(new)}"
                  + ("" if holds(new, fact) else f"   <- should hold {', '.join(fact['must_contain'])}"))
        known, total = self.known(after), len(self.facts)
        passed = known >= self.needed * total and losses[-1] < LOSS_RATIO * losses[0]
        print(f"\nheld-out loss {losses[0]:.4f} -> {losses[-1]:.4f}; answers with the fact "
              f"{self.known(before)} -> {known} of {total} (at least {self.needed:.0%} wanted)")
        return passed

    def answers(self, samples):
        """The first line of the answer to each fact's question; it is what counts."""
        found = {f["question"]: s["text"] for f in self.facts for s in samples if f["question"] in s["prompt"]}
        lost = [f["question"] for f in self.facts if f["question"] not in found]
        if lost:
            sys.exit(f"samples.jsonl has no answer to {lost[0]!r}")
        return [found[f["question"]].strip().partition("\n")[0] for f in self.facts]

    def known(self, answers):
        return sum(holds(a, f) for a, f in zip(answers, self.facts))


def holds(answer, fact):
    return all(word.lower() in answer.lower() for word in fact["must_contain"])


def line(text, width=100):
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."


def read_jsonl(path):
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()]


def part_of_data(words, to):
    """Writes the records and questions about the facts with these words into a folder."""
    to.mkdir(parents=True, exist_ok=True)
    for name in ("train.jsonl", "heldout.jsonl", "facts.jsonl"):
        rows = (DATA / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (to / name).write_text("".join(r for r in rows if any(w in target(json.loads(r)) for w in words)), encoding="utf-8")
    return to


def target(record):
    """What a record wants to hear: its answer, or the words of it."""
    return record["messages"][-1]["content"] if "messages" in record else " ".join(record["must_contain"])


def say(text):
    print(f"\n== {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lomo", default="bin/lomo", help="the program")
    parser.add_argument("--model", default="smollm2", choices=CONFIGS, help="which model learns")
    parser.add_argument("--offline", action="store_true", help="do as if there were no network")
    args = parser.parse_args()
    start = time.monotonic()
    WORK.mkdir(exist_ok=True)
    real = fetch.MODELS[args.model]
    model = None if args.offline else fetch.model(real, WORK)
    if model is None and not args.offline and args.model != "smollm2":
        sys.exit(f"without it there is no demo of {args.model}; `make demo` goes on without network, with a model of its own")
    if model:
        say(f"the real model: {real.title}")
        config, tuned = CONFIGS[args.model]
        demo = Demo(args.lomo, config, DATA, needed=0.9, tuned=tuned)
    else:
        say("no network: a small model made by `lomo new` learns part of the facts from nothing")
        model, data = WORK / "new", part_of_data(OFFLINE, WORK / "data")
        if not model.exists():
            subprocess.run([args.lomo, "new", "15m", model], check=True)
        demo = Demo(args.lomo, "configs/demo-offline.yaml", data, needed=0.8)
    passed = demo.run()
    print(f"demo {'passed' if passed else 'FAILED'} after {time.monotonic() - start:.0f} s")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
