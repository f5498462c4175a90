"""Losses of SmolLM2-135M in float32 against PyTorch and lomo-optim. Every loss within 1e-3.

First the model as it is: LOMO, LOMO with norm clipping and AdaLomo, 20 steps of 4 x 256 tokens of a text with a constant learning
rate. Then 10 steps each of CASES. Conversations, whose turns end in the model's padding token, train the model as it is. The
others take the same weights over 128 tokens a step under other config.json files: padding rows that the text is full of, tied and
untied; rotary settings in several spellings that disagree; dynamic scaling within its positions; mistral without a window and with
one as long as the sequences. The reference is what transformers makes of the file.

Much of what remains is PyTorch's: its float32 cross-entropy over 49,152 words is 9e-6 below the same logits' in float64, which
is what lomo's loss equals to 2e-7 (first row of the first step)."""

import json
import os

import common
import conversations
import shakespeare

STEPS, SHORT, BOUND = 20, 10, 1e-3
LOMO = (dict(optimizer="lomo", lr=0.01), dict(optimizer="lomo", learning_rate=0.01))
LOMO_NORM = (dict(optimizer="lomo", lr=0.05, clip_grad_norm=0.5),
             dict(optimizer="lomo", learning_rate=0.05, max_grad_norm=0.5, clip_policy="exact"))
ADALOMO = (dict(optimizer="adalomo", lr=5e-4), dict(optimizer="adalomo", learning_rate=5e-4))
RUNS = {"lomo": LOMO, "lomo_norm": LOMO_NORM, "adalomo": ADALOMO}


class few:
    """Smaller steps over the text."""

    SIZE = dict(rows=1, trained=128)

    def batches(args, steps):
        return shakespeare.batches(args, steps, **few.SIZE)

    def settings(args, folder, steps):
        return shakespeare.settings(args, folder, steps, **few.SIZE)


GONE = "gone"  # a key that is taken out
LLAMA3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0)
MISTRAL = dict(model_type="mistral", architectures=["MistralForCausalLM"])
COMMA = 28  # "," in the text: every fifteenth token or so
CASES = {  # name: (config.json over the model's, data, run)
    "chat": ({}, conversations, LOMO),
    "chat_norm": ({}, conversations, LOMO_NORM),
    "chat_adalomo": ({}, conversations, ADALOMO),
    "padding_in_text": (dict(pad_token_id=COMMA), few, LOMO),
    "padding_from_the_end": (dict(pad_token_id=COMMA - 49152), few, ADALOMO),
    "padding_untied": (dict(pad_token_id=COMMA, tie_word_embeddings=False), few, LOMO_NORM),
    "scaling_over_parameters": (dict(rope_theta=5e4, rope_scaling=dict(type="linear", factor=2.0), rope_parameters=dict(rope_type="default", rope_theta=1e5)), few, LOMO),
    "two_thetas": (dict(rope_theta=5e4, rope_scaling={}, rope_parameters=dict(rope_type="default", rope_theta=2e4)), few, LOMO),
    "two_originals": (dict(rope_theta=1e5, original_max_position_embeddings=128, rope_parameters=GONE, rope_scaling=LLAMA3 | dict(original_max_position_embeddings=64)), few, LOMO),
    "dynamic": (dict(rope_theta=1e5, rope_parameters=GONE, rope_scaling=dict(type="dynamic", factor=4.0), max_position_embeddings=128), few, LOMO),
    "mistral": (MISTRAL | dict(sliding_window=None), few, LOMO),
    "mistral_window": (MISTRAL | dict(sliding_window=128), few, ADALOMO),
}


def folder_of(args, name, keys):
    """The model's folder with other keys in config.json: the weights are linked; an untied head is a copy of the embedding."""
    if not keys:
        return args.model
    folder = common.scratch(args, "model-" + name)
    for path in args.model.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            os.symlink(path, folder / path.name)
    config = json.loads((args.model / "config.json").read_text()) | keys
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v != GONE}))
    if config["tie_word_embeddings"]:
        os.symlink(args.model / "model.safetensors", folder / "model.safetensors")
        return folder
    from safetensors.torch import load_file, save_file

    weights = load_file(args.model / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def reference(args, name, model, data, steps, run, keys):
    """The losses of PyTorch; kept, for they take minutes."""
    def make():
        import peer

        return peer.train(peer.open_model(model), data.batches(args, steps), run, f"pytorch {name}")

    return common.kept(args, "losses-" + name, dict(steps=steps, run=run) | (dict(config=keys, data=data.__name__) if keys is not None else {}), make)


def compare(args, verdict, name, model, data, steps, run, keys=None):
    theirs, ours = run
    want = reference(args, name, model, data, steps, theirs, keys)
    if args.reference_only:
        return
    folder = common.scratch(args, "losses-" + name)
    if args.fault:
        ours = ours | dict(learning_rate=1.02 * ours["learning_rate"])
    got = [line["loss"] for line in common.train(args, folder, **data.settings(args, folder, steps), **ours, model=str(model))]
    print(f"{name}: step, lomo, pytorch, difference")
    for s, (g, w) in enumerate(zip(got, want, strict=True), 1):
        print(f"  {s:3} {g:9.5f} {w:9.5f} {g - w:+.1e}")
    for n in sorted({min(12, steps), steps}):
        verdict.check(f"{name}, {n} steps: largest difference", max(abs(g - w) for g, w in zip(got[:n], want[:n])), BOUND)


def main():
    args = common.arguments(__doc__, reference_only="compute and keep PyTorch's losses only", cases_only="the other config.json files only",
                            fault="let lomo's learning rate be 2 % too large: the proof must fail")
    verdict = common.Verdict()
    if not args.cases_only:
        for name, run in RUNS.items():
            compare(args, verdict, name, args.model, shakespeare, STEPS, run)
    for name, (keys, data, run) in CASES.items():
        compare(args, verdict, name, folder_of(args, name, keys), data, SHORT, run, keys)
    verdict.exit()


if __name__ == "__main__":
    main()
