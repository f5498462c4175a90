"""lomo beside PyTorch with transformers and lomo-optim: tokens a second, peak resident memory and loss on the same model, tokens
and settings, medians over processes that run in turn.

A setting is DTYPE:ROWSxTOKENS, as bf16:4x1024, or DTYPE/PEER:ROWSxTOKENS where the peer is given another type, as
bf16/f32:4x1024 on a processor whose PyTorch has no fast bf16. Both programs recompute activations (gradient checkpointing), but
for PyTorch's SGD, which is there for context and runs without. The first step of a process is not counted. The text is this
repository's Go code.

Without --settings and --runs the main comparisons are made, the most important first, at the machine's best level and at AVX2. No
comparison begins after --minutes (12.5), so that the whole ends within 15.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
from importlib import metadata

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts" / "proof"))

import common  # noqa: E402  (after the path)
import losses  # noqa: E402
import memory  # noqa: E402

# What holds both programs to a lower level of the processor.
LEVELS = {
    "avx2": dict(LOMO_CPU="avx2", ONEDNN_MAX_CPU_ISA="AVX2", ATEN_CPU_CAPABILITY="avx2", MKL_ENABLE_INSTRUCTIONS="AVX2"),
    "avx512": dict(LOMO_CPU="avx512", ONEDNN_MAX_CPU_ISA="AVX512_CORE_BF16", ATEN_CPU_CAPABILITY="avx512", MKL_ENABLE_INSTRUCTIONS="AVX512"),
}
BUSY = 1.5  # a load above this makes the figures worthless


def cpu():
    """The fields of the first processor in /proc/cpuinfo."""
    first = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in first.splitlines())}


def has(flag):
    return flag in cpu()["flags"].split()


def main_rows():
    """(level, setting, run, repeats) of the main comparisons: bf16 against the peer's float32 where PyTorch's own bf16 is many times slower."""
    short, low = Setting("f32:4x256"), "avx2" if has("avx512f") else None
    if has("amx_bf16"):
        long = Setting("bf16:4x1024")
        rows = [(None, long, "lomo", 2), (None, long, "adalomo", 2), (None, long, "lomo_norm", 1), (None, short, "lomo", 2)]
    else:
        rows = [(None, short, "lomo", 2), (None, Setting("bf16/f32:4x1024"), "lomo", 2), (None, short, "lomo_norm", 1), (None, short, "adalomo", 1)]
    return rows + [(low, short, "lomo", 1)] * bool(low)


class Setting:
    def __init__(self, text):
        match = re.fullmatch(r"(bf16|f32)(?:/(bf16|f32))?:(\d+)x(\d+)", text)
        if not match:
            raise argparse.ArgumentTypeError(f"{text!r} is not like bf16:4x1024 or bf16/f32:4x1024")
        self.text, self.dtype, self.peer = text, match[1], match[2] or match[1]
        self.rows, self.length = int(match[3]), int(match[4])

    def tokens(self):
        return self.rows * self.length


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lomo", default=os.environ.get("LOMO_BIN"), type=pathlib.Path, help="the program (or LOMO_BIN)")
    p.add_argument("--model", default=os.environ.get("LOMO_PROOF_MODEL"), type=pathlib.Path,
                   help="SmolLM2-135M in float32, made by scripts/proof/prepare.py (or LOMO_PROOF_MODEL)")
    p.add_argument("--dir", default=os.environ.get("LOMO_PROOF_DIR", ROOT / ".proof"), type=pathlib.Path, help="scratch (or LOMO_PROOF_DIR)")
    p.add_argument("--settings", nargs="+", type=Setting, help="instead of the main comparisons, with --runs and --repeat")
    p.add_argument("--runs", nargs="+", choices=[*losses.RUNS], default=[*losses.RUNS], help="default: all")
    p.add_argument("--repeat", type=int, default=3, help="processes of each program at each run and setting")
    p.add_argument("--steps", type=int, default=3, help="of a process, the first of which is not counted")
    p.add_argument("--minutes", type=float, default=12.5, help="no comparison begins later than this")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--level", choices=[*LEVELS], help="hold both programs to a lower level of the processor")
    p.add_argument("--no-context", action="store_true", help="leave PyTorch's SGD out")
    p.add_argument("--no-file", action="store_true", help="write nothing into benchmarks/")
    args = p.parse_args()
    for name in ("lomo", "model"):
        if not getattr(args, name):
            p.error(f"--{name} is missing")
        setattr(args, name, getattr(args, name).resolve())
    if args.steps < 2:
        p.error("--steps must be at least 2")
    args.dir = args.dir.resolve()
    args.until = time.monotonic() + 60 * args.minutes
    return args


@contextlib.contextmanager
def held(level):
    """The environment that holds both programs to a level."""
    before = dict(os.environ)
    os.environ |= LEVELS.get(level, {})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def batches(args, setting):
    """ids of each step: as many rows of the text as it takes, each of its own tokens."""
    from transformers import AutoTokenizer

    text = "".join(f.read_text() for f in sorted((ROOT / "internal").rglob("*.go")))
    ids = AutoTokenizer.from_pretrained(args.model).encode(text, add_special_tokens=False)
    if len(ids) < setting.tokens() * args.steps:
        sys.exit(f"{setting.text}: {args.steps} steps need {setting.tokens() * args.steps} tokens, the text has {len(ids)}")
    rows = [ids[i : i + setting.length] for i in range(0, setting.tokens() * args.steps, setting.length)]
    return [rows[i : i + setting.rows] for i in range(0, len(rows), setting.rows)]


def result(setting, seconds, loss, peak):
    """What one process gave, from the seconds of its steps."""
    return dict(tok_s=setting.tokens() / statistics.median(seconds[1:]), peak_mb=peak / 1e6, loss=loss)


def measure_lomo(args, setting, steps, run):
    folder = common.scratch(args, "bench-lomo")
    data = common.write_jsonl(folder / "train.jsonl", [{"input_ids": row} for rows in steps for row in rows])
    path = common.config(args, folder, datasets=[dict(path=str(data), type="tokenized")], sequence_len=setting.length,
                         micro_batch_size=setting.rows, gradient_accumulation_steps=1, max_steps=args.steps, dtype=setting.dtype,
                         threads=args.threads, **losses.RUNS[run][1])
    peak = memory.peak([args.lomo, "train", "--config", path])
    lines = [json.loads(line) for line in (folder / "out" / "metrics.jsonl").read_text().splitlines()]
    return result(setting, [line["step_ms"] / 1e3 for line in lines], lines[-1]["loss"], peak)


def measure_torch(args, setting, steps, run, checkpointing=True):
    folder = common.scratch(args, "bench-torch")
    ids, out = folder / "ids.json", folder / "steps.json"
    ids.write_text(json.dumps(steps))
    peak = memory.peak([sys.executable, ROOT / "scripts" / "bench" / "torch_run.py", "--model", args.model, "--ids", ids,
                        "--run", json.dumps(run), "--dtype", setting.peer, "--threads", args.threads, "--out", out,
                        *["--checkpointing"] * checkpointing])
    done = json.loads(out.read_text())
    return result(setting, [s["seconds"] for s in done], done[-1]["loss"], peak)


def medians(results):
    return {key: statistics.median(r[key] for r in results) for key in results[0]}


def alternate(repeat, first, second):
    """Medians of two measurements taken in turn, and each one's spread; who begins changes, so that neither always follows the other's heat."""
    got = ([], [])
    for i in range(repeat):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            got[which].append((first, second)[which]())
    return medians(got[0]), medians(got[1])


def compare(args):
    """A row of the table for each comparison, printed as it comes."""
    rows, free = [], {}
    plan = [(args.level, s, run, args.repeat) for s in args.settings for run in args.runs] if args.settings else main_rows()
    for level, setting, run, repeat in plan:
        name = level or "best"
        if time.monotonic() > args.until:
            print(f"left out, the time is over: {run} {setting.text} {name}", flush=True)
            rows.append([run, setting.text, name, "0", *["not measured"] * 2, *[""] * (len(COLUMNS) - 6)])
            continue
        steps, peer = batches(args, setting), dict(losses.RUNS[run][0])
        with held(level):
            ours, theirs = alternate(repeat, lambda: measure_lomo(args, setting, steps, run), lambda: measure_torch(args, setting, steps, peer))
        if run == "lomo":
            free[name, setting.text] = ours["tok_s"]
        price = free.get((name, setting.text), 0) / ours["tok_s"]
        rows.append([run, setting.text, name, str(repeat), f"{ours['tok_s']:.0f}", f"{theirs['tok_s']:.0f}", f"{ours['tok_s'] / theirs['tok_s']:.2f}",
                     f"{price:.2f}" if price else "", f"{ours['peak_mb']:.0f}", f"{theirs['peak_mb']:.0f}", f"{theirs['peak_mb'] / ours['peak_mb']:.1f}",
                     f"{ours['loss']:.4f}", f"{theirs['loss']:.4f}"])
        print(markdown(rows[-1]), flush=True)
    return rows


def context(args):
    """PyTorch's own SGD, which keeps every gradient and here every activation, as it is and compiled."""
    rows = []
    kinds = {"SGD": dict(optimizer="sgd", lr=0.01)}
    if shutil.which("c++") or shutil.which("g++"):
        kinds["SGD, torch.compile"] = dict(optimizer="sgd", lr=0.01, compile=True)
    else:
        print("torch.compile: not measured, there is no C++ compiler", file=sys.stderr)
    for setting in args.settings or [Setting("bf16:4x1024" if has("amx_bf16") else "f32:4x256")]:
        steps = batches(args, setting)
        for name, run in kinds.items():
            if time.monotonic() > args.until:
                print(f"left out, the time is over: {name}", flush=True)
                continue
            with held(args.level):
                got = measure_torch(args, setting, steps, run, checkpointing=False)
            rows.append([name, setting.text, f"{got['tok_s']:.0f}", f"{got['peak_mb']:.0f}", f"{got['loss']:.4f}"])
            print(markdown(rows[-1]), flush=True)
    return rows


COLUMNS = ["run", "setting", "level", "processes", "lomo tok/s", "PyTorch tok/s", "lomo / PyTorch", "price", "lomo MB", "PyTorch MB", "PyTorch / lomo", "lomo loss", "PyTorch loss"]
CONTEXT = ["PyTorch, no checkpointing", "setting", "tok/s", "MB", "loss"]


def markdown(cells):
    return "| " + " | ".join(cells) + " |"


def table(head, rows):
    return "\n".join([markdown(head), markdown(["---"] * len(head)), *map(markdown, rows)])


def machine(args):
    """The lines that say where and with what this was measured."""
    import torch

    total = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "lomo-optim"))
    with held(args.level):
        lomo = json.loads(common.lomo(args, "version", "--json"))
    by = f", held to {args.level} by {LEVELS[args.level]}" if args.level else ""
    command = f' ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else ""
    return [
        f"- Machine: {cpu().get('model name', 'unknown processor')}, {args.threads} threads, {total / 2**20:.0f} GiB; Linux",
        f"- lomo: {commit}, {lomo['go']}, level {lomo['cpu_level']} of {', '.join(lomo['cpu_levels'])}",
        f"- PyTorch: {versions}, {torch.backends.cpu.get_cpu_capability()}{by}",
        f"- Command: `make bench-peer{command}`, {datetime.date.today()}; the load when it began was {os.getloadavg()[0]:.1f}",
    ]


INTRO = """# lomo beside PyTorch

SmolLM2-135M, the same tokens and settings, gradient checkpointing on in both. Medians of the processes of each program, in turn; of a process, the
median of {steps} steps after one that is not counted. MB (10^6 bytes) is the process's peak resident memory (VmHWM). The loss is the last step's,
before its update. `lomo_norm` clips by the exact gradient norm; price is how many times as long as lomo's own `lomo` step a step takes. A setting is
DTYPE:ROWSxTOKENS, DTYPE/PEER where the two programs' types differ. Level: the machine's best, or what both programs are held to.
"""


def main():
    args = arguments()
    about = machine(args)
    busy = os.getloadavg()[0] > BUSY
    if busy:
        about.append("- **The machine was busy: these figures are worth nothing.**")
    print("\n".join(about), "", markdown(COLUMNS), sep="\n", flush=True)
    parts = [INTRO.format(steps=args.steps - 1), "\n".join(about), table(COLUMNS, compare(args))]
    if not args.no_context:
        print("", markdown(CONTEXT), sep="\n", flush=True)
        parts.append(table(CONTEXT, context(args)))
    if not args.no_file:
        name = re.sub(r"[^a-z0-9]+", "-", cpu().get("model name", "cpu").lower()).strip("-")
        path = ROOT / "benchmarks" / f"{datetime.date.today()}-{name}{'-' + args.level if args.level else ''}.md"
        path.write_text("\n\n".join(part.strip() for part in parts) + "\n")
        print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
