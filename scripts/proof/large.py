"""Models larger than this machine is used to, made at random, measured and removed again. By hand, with nothing else running: what is in
parentheses is about how long it takes on two cores.

  disk      a model of 1.7 billion weights (3.4 GB in bf16) trains with offload: disk under a memory_limit of less than a third of that,
            with the losses of the run in memory to the last bit, by LOMO and by AdaLomo (10 minutes, 8 GB of disk)
  llama-7b  a model of LLaMA-7B's shape (13.5 GB) makes LOMO and AdaLomo steps of 512 tokens within 15.5 and 16.5 GB of memory, and a
            step's share of what `lomo bench` measures as the peak is told (15 minutes, 14 GB of disk)

Run:  python3 scripts/proof/large.py --lomo bin/lomo --dir SCRATCH llama-7b
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

TOKENS = 512


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("proof", choices=["disk", "llama-7b"])
    p.add_argument("--lomo", required=True, type=pathlib.Path, help="the program")
    p.add_argument("--dir", required=True, type=pathlib.Path, help="scratch; what is made there is removed")
    p.add_argument("--steps", type=int, default=2, help="of each run; the last one is timed")
    p.add_argument("--optimizers", nargs="+", default=["lomo", "adalomo"], choices=["lomo", "adalomo"])
    args = p.parse_args()
    args.lomo = args.lomo.resolve()
    args.dir = args.dir.resolve() / f"large-{args.proof}"
    return args


def run(*command, watch=None):
    """Runs lomo, shows what it says, and returns its standard output, the VmHWM of the process in bytes, and the processor time it had used, in
    seconds, when each line appeared in the file watch."""
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    most, used = 0, []
    while child.poll() is None:
        try:
            status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
            most = max([most] + [1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")])
            times = pathlib.Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        except (FileNotFoundError, ProcessLookupError):
            break
        if watch and watch.exists():
            lines = watch.read_text().count("\n")
            used += [sum(map(int, times)) / os.sysconf("SC_CLK_TCK")] * (lines - len(used))
        time.sleep(0.02)
    out = child.communicate()[0]
    if child.returncode != 0:
        sys.exit(f"FAIL {' '.join(map(str, command))}: exit {child.returncode}")
    return out, most, used


def make(args, preset, vocabulary):
    """A random model and a file of random tokens."""
    model = args.dir / "model"
    run(args.lomo, "new", preset, model, "--dtype", "bf16")
    draw = random.Random(1)
    with open(args.dir / "tokens.jsonl", "w") as f:
        for _ in range(args.steps):
            f.write(json.dumps({"input_ids": [draw.randrange(3, vocabulary) for _ in range(TOKENS)]}) + "\n")
    return model


def train(args, model, name, **keys):
    """The step lines of a run, its peak memory, and the processor seconds of its last step (of the whole run when it is the only one)."""
    settings = dict(model=str(model), output_dir=str(args.dir / name), dtype="bf16", datasets=[dict(path=str(args.dir / "tokens.jsonl"), type="tokenized")],
                    sequence_len=TOKENS, micro_batch_size=1, max_steps=args.steps, lr_scheduler="constant", packing=False, shuffle=False, save_final=False,
                    report_to=["json"]) | keys
    config = args.dir / "config.yaml"
    config.write_text(json.dumps(settings, indent=1))
    metrics = args.dir / name / "metrics.jsonl"
    _, peak, used = run(args.lomo, "train", "--config", config, watch=metrics)
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [line for line in lines if "loss" in line], peak, used[-1] - used[-2] if len(used) > 1 else (used or [0])[-1]


def check(ok, text):
    print("PASS" if ok else "FAIL", text, flush=True)
    return bool(ok)


RATES = {"lomo": 1e-3, "adalomo": 5e-4}


def disk(args):
    model = make(args, "1.7b", 49152)
    size = sum(f.stat().st_size for f in model.glob("*.safetensors"))
    limits = {"lomo": size // 4, "adalomo": size // 3}  # AdaLomo holds the gradient of the embedding, tied to the head, in float32
    good = True
    for name in args.optimizers:
        keys = dict(optimizer=name, learning_rate=RATES[name])
        memory, _, _ = train(args, model, "memory", **keys)
        lines, peak, _ = train(args, model, "disk", offload="disk", activation_offload="disk", memory_limit=str(limits[name]), **keys)
        shutil.rmtree(args.dir / "memory")
        shutil.rmtree(args.dir / "disk")
        good &= check(peak < limits[name] and 3 * limits[name] <= size,
                      f"{name}: {size / 1e9:.2f} GB of weights, memory_limit {limits[name] / 1e9:.2f} GB, VmHWM {peak / 1e9:.2f} GB")
        good &= check([line["loss"] for line in lines] == [line["loss"] for line in memory], f"{name}: losses {[line['loss'] for line in lines]} as in memory")
        print(f"     {name}: {lines[-1]['tok_s']:.1f} tokens/s, in memory {memory[-1]['tok_s']:.1f}", flush=True)
    return good


def llama7b(args):
    bench = [json.loads(line) for line in run(args.lomo, "bench", "--quick", "--json", "--model-shape", "135m")[0].splitlines()]
    peak_flops = max(line["gflop_s"] for line in bench if line["kind"] == "peak" and line["dtype"] == "bf16")
    model = make(args, "llama-7b", 32000)
    threads = next(line["threads"] for line in bench if line["kind"] == "machine")
    weights = sum(f.stat().st_size for f in model.glob("*.safetensors")) / 2
    computing = weights - 32000 * 4096  # the embedding is looked up
    good = True
    for name, bound in (("lomo", 15.5e9), ("adalomo", 16.5e9)):
        if name not in args.optimizers:
            continue
        lines, peak, processor = train(args, model, name, optimizer=name, learning_rate=RATES[name])
        shutil.rmtree(args.dir / name)
        seconds = lines[-1]["step_ms"] / 1e3
        made = 8 * computing * TOKENS / 1e9  # two forward, two again, four backward a weight and token; attention not counted
        share, by_processor = (100 * made / t / peak_flops for t in (seconds, processor / threads))
        good &= check(peak <= bound, f"{name}: VmHWM {peak / 1e9:.2f} GB, bound {bound / 1e9} GB")
        print(f"     {name}: {seconds:.1f} s a step, {TOKENS / seconds:.1f} tokens/s; of the peak of {peak_flops:.0f} GFLOP/s {share:.0f} %, by processor time "
              f"{by_processor:.0f} % ({0.75 * share:.0f} and {0.75 * by_processor:.0f} % without what is computed again); "
              f"loss {lines[-1]['loss']:.3f}; load {os.getloadavg()[0]:.1f}", flush=True)
    return good


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the files go all the same
    shutil.rmtree(args.dir, ignore_errors=True)
    args.dir.mkdir(parents=True)
    try:
        good = {"disk": disk, "llama-7b": llama7b}[args.proof](args)
    finally:
        shutil.rmtree(args.dir, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
