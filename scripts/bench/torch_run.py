"""One measured process of the peer: trains some steps on the CPU and writes each step's loss and seconds as JSON.

compare.py starts it, so that its peak memory is that of these steps alone. The run's options are lomo_cpu.make's; in addition
"compile" runs the model through torch.compile.
"""

import argparse
import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "proof"), str(ROOT / "scripts" / "golden")]

import lomo_cpu  # noqa: E402  (after the path)
import peer  # noqa: E402
import torch  # noqa: E402


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", required=True)
    p.add_argument("--ids", required=True, help="JSON: a list of rows of ids for each step")
    p.add_argument("--run", required=True, type=json.loads, help="JSON: optimizer, lr, its options, compile")
    p.add_argument("--dtype", required=True, choices=["bf16", "f32"])
    p.add_argument("--threads", required=True, type=int)
    p.add_argument("--checkpointing", action="store_true")
    p.add_argument("--out", required=True)
    args = p.parse_args()
    torch.set_num_threads(args.threads)

    model = peer.open_model(args.model, dict(bf16=torch.bfloat16, f32=torch.float32)[args.dtype], args.checkpointing)
    compiled = args.run.pop("compile", False)
    optimizer = lomo_cpu.make(model, args.run)
    if compiled:
        model = torch.compile(model)
    steps = []
    for rows in json.loads(pathlib.Path(args.ids).read_text()):
        ids = torch.tensor(rows)
        began = time.perf_counter()
        loss, _ = lomo_cpu.step(model, optimizer, (ids, ids), args.run["lr"])
        steps.append(dict(loss=loss, seconds=time.perf_counter() - began))
    pathlib.Path(args.out).write_text(json.dumps(steps))


if __name__ == "__main__":
    main()
