"""Runs the commands that pages show, in order, in one copy of the repository. scripts/firsthour.sh prepares that copy and the hub.

A command is a line of a block that is indented by four spaces or fenced, or a span of code in a sentence that begins with `lomo`
and has arguments. Every block is of a kind that is listed here: commands that are run, commands that are left out with a reason,
or text that is shown (output, settings, data). A block of no kind, or a command in no list, is an error: nothing is passed over.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

PAGES = ("README.md", "docs/quickstart.md")

# What makes training short. The environment is stronger than a configuration file and weaker than a flag.
SHORT = {
    "LOMO_MAX_STEPS": "2",
    "LOMO_MICRO_BATCH_SIZE": "1",
    "LOMO_SAVE_STEPS": "0",
    "LOMO_EVAL_ON_START": "false",
    "LOMO_SAMPLE_PROMPTS": "1",
}

# Beginnings of commands that are run.
RUN = ("lomo ", "bin/lomo ", "go install ./cmd/lomo", "cat ", "head ", "ls ", "mkdir ", "cp ")

# Beginnings of commands that are left out, and why.
LEFT_OUT = (
    ("make demo", "run before this script"),
    ("make test", "run by CI beside this script"),
    ("make cuda", "builds with CUDA, which make test-cuda does"),
    ("make build", "run before this script"),
    ("make help", "a list"),
    ("git clone ", "this copy is the clone"),
    ("scripts/box/", "needs eight GPUs"),
    ("python ", "another program"),
    ("llama-", "another program"),
    ("ollama ", "another program"),
)

# What stands for the reader's own names: a command with such a word in a sentence is a pattern, and is left out.
PATTERN = re.compile(r"\b(OWNER|NAME|DIR|FILE|PATH|TYPE|KEY|PRESET)\b|…")

# First words of blocks that are text to read: what a command prints, settings, data.
SHOWN = ("== ", "step ", "from transformers ", "{", "FROM ", "weights ", "held-out loss", "<|", "user> ", "> ")

# What `lomo chat` is told.
CHAT = "Which person is mayor in Quillmere?\nAnd when does the first ferry leave?\n/reset\nWho are you?\n"

LEAST = 22  # commands run; fewer means that this script no longer reads the pages right


class Wrong(Exception):
    """What ends the script."""


def blocks(text):
    """Blocks of code with their first line's number, and the lines of sentences between them."""
    fenced, block, start = False, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if fenced:
                yield start, block
                block = []
            fenced, start = not fenced, number + 1
            continue
        if fenced or line.startswith("    ") and not line.lstrip().startswith("- "):
            if not block:
                start = number
            block.append(line if fenced else line[4:])
            continue
        if not line: # an empty line does not end an indented block
            continue
        if block:
            yield start, block
            block = []
        yield number, line
    if block:
        yield start, block


def joined(block):
    """The lines of a block with those that end in a backslash put together."""
    whole = ""
    for line in block:
        if line.endswith("\\"):
            whole += line[:-1]
            continue
        yield whole + line
        whole = ""
    if whole:
        yield whole


def known(text):
    """Whether a line is a command of one of the lists."""
    return text.startswith(RUN) or any(text.startswith(b) for b, _ in LEFT_OUT)


def setting(line):
    """Whether a line could stand in a configuration file."""
    return re.match(r"\s*(#|- |[a-z_]+:( |$))", line) is not None


def commands(page, text):
    """Text of each command of a page, and why it is left out, None for those that are run."""
    for number, part in blocks(text):
        if isinstance(part, str):
            for span in re.findall(r"`(lomo [a-z]+ [^`]+)`", part):
                yield span, "a pattern, with names to fill in" if PATTERN.search(span) else None
            continue
        lines = [re.split(r"\s{2,}#\s", line)[0].rstrip() for line in joined(part)]
        lines = [line for line in lines if line]
        if not lines or lines[0].startswith(SHOWN) or all(setting(line) for line in lines):
            continue
        for line in lines:
            if not known(line):
                raise Wrong(f"{page}:{number}: {line!r} stands in no list of scripts/firsthour/run.py: neither run, nor left out, nor shown")
            yield line, next((why for begin, why in LEFT_OUT if line.startswith(begin)), None)


def run(command, copy, env):
    """Runs a command and gives its seconds."""
    start = time.monotonic()
    talk = CHAT if command.startswith("lomo chat") else ""
    done = subprocess.run(["bash", "-c", command], cwd=copy, env=env, input=talk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    took = time.monotonic() - start
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {took:5.1f} s  {command}", flush=True)
    if done.returncode != 0:
        raise Wrong(f"exit code {done.returncode}:\n{done.stdout}")
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--copy", type=pathlib.Path, required=True, help="folder of the fresh copy")
    parser.add_argument("--endpoint", required=True, help="address of the hub")
    parser.add_argument("--sequence-len", required=True, help="that the demo's records just about fit into")
    parser.add_argument("pages", nargs="*", default=PAGES)
    args = parser.parse_args()
    bins = args.copy.parent / "gobin"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LOMO_", "HF_", "HUGGING"))} | SHORT
    env |= {"LOMO_SEQUENCE_LEN": args.sequence_len, "HF_ENDPOINT": args.endpoint, "HF_HOME": str(args.copy.parent / "hf"), "GOBIN": str(bins), "GOFLAGS": "-trimpath",
            "PATH": f"{bins}:{args.copy / 'bin'}:{env['PATH']}", "no_proxy": "127.0.0.1"}
    ran, total = 0, 0.0
    for page in args.pages:
        print(f"-- {page}", flush=True)
        for command, reason in commands(page, (args.copy / page).read_text()):
            if reason:
                print(f"left out          {command}  ({reason})", flush=True)
                continue
            total += run(command, args.copy, env)
            ran += 1
    if ran < LEAST and tuple(args.pages) == PAGES:
        raise Wrong(f"only {ran} commands were found, want at least {LEAST}: this script no longer reads the pages right")
    print(f"firsthour: {ran} commands in {total:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except Wrong as e:
        sys.exit(f"firsthour: {e}")
