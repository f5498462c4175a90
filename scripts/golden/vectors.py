"""Golden vectors of LOMO and AdaLomo on one linear layer, small enough to follow by hand: testdata/golden/vectors.json.

y = x·Wᵀ + b, loss = ½Σy², two steps with a constant lr of 0.1, float32, computed by the released lomo_optim package. For every
run: the loss before each update, the norms and κ of a run that clips, and after each update W, b and AdaLomo's moments.
adalomo_imp has no released code: it is the definition in float64, with no package behind it.

Run:  python scripts/golden/vectors.py           (needs torch, transformers, lomo-optim)
"""

import hashlib
import json
import pathlib
from importlib import metadata

import numpy
import torch

import lomo_cpu

ROOT = pathlib.Path(__file__).resolve().parents[2]
W = [[0.5, -0.25, 1], [0.125, 0.75, -0.5]]
BIAS = [0.5, -1.5]
BATCHES = [[[1, 2, -1], [0.5, -1, 3]], [[-2, 1, 0.5]]]
LR = 0.1

RUNS = {
    "adalomo": dict(optimizer="adalomo"),
    "adalomo_decay": dict(optimizer="adalomo", weight_decay=0.1),
    "lomo": dict(optimizer="lomo"),
    "lomo_decay": dict(optimizer="lomo", weight_decay=0.01),
    "lomo_norm": dict(optimizer="lomo", clip_grad_norm=1.0),
    "lomo_value": dict(optimizer="lomo", clip_grad_value=0.5),
    "sgd_momentum": dict(optimizer="sgd", momentum=0.9, weight_decay=0.1),
    "adamw": dict(optimizer="adamw", weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8),
}


class Layer(torch.nn.Linear):
    """The linear layer with the reply of a transformers model: an object with a loss."""

    def __init__(self):
        super().__init__(3, 2)
        with torch.no_grad():
            self.weight.copy_(torch.tensor(W))
            self.bias.copy_(torch.tensor(BIAS))

    def forward(self, input_ids, labels, use_cache):
        self.loss = 0.5 * super().forward(input_ids).square().sum()
        return self


def numbers(t):
    """Float32 values by nine digits, which name them exactly."""
    if t.dim():
        return [numbers(row) for row in t]
    return float(f"{t.item():.9g}")


def run(options):
    layer = Layer()
    optimizer = lomo_cpu.make(layer, dict(options, lr=LR))
    steps = []
    for x in BATCHES:
        loss, norm = lomo_cpu.step(layer, optimizer, (torch.tensor(x, dtype=torch.float32), None), LR)
        found = {"loss": float(f"{loss:.9g}"), "w": numbers(layer.weight), "b": numbers(layer.bias)}
        if norm is not None:
            found.update(norm=float(f"{norm:.9g}"), norms=numbers(optimizer.grad_norms), clip_coef=numbers(optimizer.clip_coef))
        if options["optimizer"] == "adalomo":
            found.update(row=numbers(optimizer.exp_avg_sq_row["weight"]), col=numbers(optimizer.exp_avg_sq_col["weight"]),
                         v=numbers(optimizer.exp_avg_sq["bias"]))
        steps.append(found)
    return {"options": options, "steps": steps}


def importance(alpha=1.0, lo=0.5, hi=2.0, eps=(1e-30, 1e-3), threshold=1.0):
    """First step of importance-weighted AdaLomo on W, in float64: m is the weight of each element's update."""
    w, x = numpy.array(W), numpy.array(BATCHES[0])
    g = (x @ w.T + numpy.array(BIAS)).T @ x
    q = g * g + eps[0]
    row, col = q.mean(1), q.mean(0)
    u = g / numpy.sqrt(row / row.mean())[:, None] / numpy.sqrt(col)
    s = (abs(g) * abs(w)) ** alpha
    m = lo + (hi - lo) * s / (s + s.mean())
    m /= m.mean()
    u *= m
    u /= max(1.0, numpy.sqrt((u * u).mean()) / threshold)
    return {"g": g.tolist(), "m": m.tolist(), "w": (w - LR * max(eps[1], numpy.sqrt((w * w).mean())) * u).tolist()}


def main():
    torch.set_num_threads(1)
    here = pathlib.Path(__file__).resolve().parent
    out = {
        "scripts": {str((here / n).relative_to(ROOT)): hashlib.sha256((here / n).read_bytes()).hexdigest() for n in ("vectors.py", "lomo_cpu.py")},
        "versions": {n: metadata.version(n) for n in ("torch", "transformers", "lomo-optim", "numpy")},
        "w": W, "b": BIAS, "batches": BATCHES, "lr": LR,
        "runs": {name: run(options) for name, options in RUNS.items()},
        "adalomo_imp": importance(),
    }
    path = ROOT / "testdata" / "golden" / "vectors.json"
    path.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
