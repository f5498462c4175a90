"""Losses of SmolLM2-135M in float32 against PyTorch and lomo-optim: LOMO, LOMO with norm clipping and AdaLomo, 20 steps of
4 x 256 tokens with a constant learning rate. Every loss of the first 12 and of all 20 steps within 1e-3.

Much of what remains is PyTorch's: its float32 cross-entropy over 49,152 words is 9e-6 below the same logits' in float64, which
is what lomo's loss equals to 2e-7 (first row of the first step)."""

import common
import shakespeare

STEPS, BOUND = 20, 1e-3
RUNS = {
    "lomo": (dict(optimizer="lomo", lr=0.01), dict(optimizer="lomo", learning_rate=0.01)),
    "lomo_norm": (dict(optimizer="lomo", lr=0.05, clip_grad_norm=0.5),
                  dict(optimizer="lomo", learning_rate=0.05, max_grad_norm=0.5, clip_policy="exact")),
    "adalomo": (dict(optimizer="adalomo", lr=5e-4), dict(optimizer="adalomo", learning_rate=5e-4)),
}


def reference(args, name):
    """Twenty losses of PyTorch; kept, for they take minutes."""
    def make():
        import peer

        return peer.train(peer.open_model(args.model), shakespeare.batches(args, STEPS), RUNS[name][0], f"pytorch {name}")

    return common.kept(args, "losses-" + name, dict(steps=STEPS, run=RUNS[name][0]), make)


def main():
    args = common.arguments(__doc__, reference_only="compute and keep PyTorch's losses only",
                            fault="let lomo's learning rate be 2 % too large: the proof must fail")
    verdict = common.Verdict()
    for name, (_, keys) in RUNS.items():
        want = reference(args, name)
        if args.reference_only:
            continue
        folder = common.scratch(args, "losses-" + name)
        if args.fault:
            keys = keys | dict(learning_rate=1.02 * keys["learning_rate"])
        got = [line["loss"] for line in common.train(args, folder, **shakespeare.settings(args, folder, STEPS), **keys)]
        print(f"{name}: step, lomo, pytorch, difference")
        for s, (g, w) in enumerate(zip(got, want, strict=True), 1):
            print(f"  {s:3} {g:9.5f} {w:9.5f} {g - w:+.1e}")
        for steps in (12, STEPS):
            verdict.check(f"{name}, {steps} steps: largest difference", max(abs(g - w) for g, w in zip(got[:steps], want[:steps])), BOUND)
    verdict.exit()


if __name__ == "__main__":
    main()
