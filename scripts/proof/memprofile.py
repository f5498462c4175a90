"""Memory is predicted: `lomo memprofile --measure` within 5 % or 32 MiB of the measured peak, for LOMO, AdaLomo and AdamW on
SmolLM2-135M in bf16, 4 x 256 and 4 x 1024 tokens, with and without gradient checkpointing. Without --measure it answers in
2 seconds, for 65 billion weights too, and reads none."""

import itertools
import time

import common
import shakespeare

RELATIVE, ABSOLUTE, SECONDS = 0.05, 32 * 2**20, 2.0


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    folder = common.scratch(args, "memprofile")
    data = dict(datasets=shakespeare.settings(args, folder, 2)["datasets"], micro_batch_size=shakespeare.ROWS, max_steps=2, dtype="bf16")
    for optimizer, tokens, checkpointing in itertools.product(("lomo", "adalomo", "adamw"), (256, 1024), (True, False)):
        path = common.config(args, folder, **data, optimizer=optimizer, sequence_len=tokens, gradient_checkpointing=checkpointing)
        found = common.last_object(common.lomo(args, "memprofile", "--config", path, "--measure", "--json"))
        predicted, measured = found["peak_bytes"], found["measured_peak_bytes"]
        off, bound = abs(predicted - measured), max(RELATIVE * measured, ABSOLUTE)
        verdict.say(off <= bound, f"{optimizer:8} 4 x {tokens:4} checkpointing {'on ' if checkpointing else 'off'}: predicted {predicted / 1e6:7.1f} MB, "
                    f"measured {measured / 1e6:7.1f} MB, {100 * (predicted / measured - 1):+.1f} %, at {found['at']}")
    for model in (args.model, "llama-65b"):
        start = time.monotonic()
        found = common.last_object(common.lomo(args, "memprofile", "--model", model, "--optimizer", "lomo", "--json"))
        verdict.check(f"{model if isinstance(model, str) else model.name}: {found['peak_bytes'] / 1e9:.1f} GB predicted, seconds taken", time.monotonic() - start, SECONDS)
    verdict.exit()


if __name__ == "__main__":
    main()
