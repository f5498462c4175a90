"""Golden files of tiny LLaMA models: what PyTorch, transformers and lomo-optim compute, for the Go tests to compare with.

For every model of MODELS it writes, under testdata/golden,

    NAME/config.json, NAME/model.safetensors    the model as a Hugging Face folder, float32
    NAME.golden.safetensors                     inputs and results:
        ids, labels        (10, 2, 12) int32    ten batches; a label of -100 is not trained
        logits             (2, 12, V)           of batch 0
        loss               ()                   of batch 0
        grad/PARAM                              of that loss; a tied embedding's is the sum of both uses
        losses/RUN         (10)                 before each update; RUN names the keys of RUNS, batch s at step s
        norms/RUN          (10)                 the gradient's norm at each step of a run that clips by it
        final/RUN/PARAM                         the weights after ten steps, for the runs of FINAL
        packed/...                              two documents in one sequence beside each alone (see packed)
    and as metadata, a JSON object in the key "golden": the versions, the seed, the options of every run, how far rounding
    noise moves its losses, and the hashes of the scripts and of the model.

Run:  python scripts/golden/models.py            (needs torch, transformers, lomo-optim, safetensors)
"""

import hashlib
import json
import pathlib
import sys
from importlib import metadata

import torch
from safetensors.torch import save_file

import lomo_cpu
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "testdata" / "golden"
SEED = 20230616
STEPS, B, T = 10, 2, 12

COMMON = dict(max_position_embeddings=256, num_hidden_layers=2, hidden_act="silu", attention_bias=False, mlp_bias=False,
              bos_token_id=1, eos_token_id=2)

MODELS = {
    "mha_tied": dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=3,
                     vocab_size=64, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_theta=1e5),
    "mha_untied": dict(hidden_size=32, intermediate_size=40, num_attention_heads=4, num_key_value_heads=4,
                       vocab_size=64, tie_word_embeddings=False, rms_norm_eps=1e-6, rope_theta=1e4),
    "gqa_tied": dict(hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2,
                     vocab_size=96, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_theta=1e5),
    "gqa_untied": dict(hidden_size=24, intermediate_size=56, num_attention_heads=3, num_key_value_heads=1,
                       vocab_size=72, tie_word_embeddings=False, rms_norm_eps=1e-6, rope_theta=1e4),
    # Wavelengths of head_dim 8 at theta 1e4: 6.3, 63, 630, 6300. With 128/4 = 32 and 128/1 = 128 as the bounds the first is
    # kept, the second interpolated and the others divided by the factor.
    "gqa_llama3": dict(hidden_size=32, intermediate_size=24, num_attention_heads=4, num_key_value_heads=1,
                       vocab_size=64, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_theta=1e4,
                       rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                         original_max_position_embeddings=128)),
    "gqa_headdim": dict(hidden_size=32, intermediate_size=24, num_attention_heads=4, num_key_value_heads=1, head_dim=12,
                        vocab_size=64, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_theta=1e4),
}

# Learning rates are constant. torch's AdamW and SGD decay every tensor, norm gains too, as lomo_optim does.
RUNS = {
    "lomo": dict(optimizer="lomo", lr=0.05),
    "lomo_norm": dict(optimizer="lomo", lr=0.1, clip_grad_norm=0.5),
    "lomo_value": dict(optimizer="lomo", lr=0.1, clip_grad_value=0.02, weight_decay=0.1),
    "adalomo": dict(optimizer="adalomo", lr=0.01),
    "adalomo_decay": dict(optimizer="adalomo", lr=0.01, weight_decay=0.5),
    "sgd": dict(optimizer="sgd", lr=0.05),
    "sgd_momentum": dict(optimizer="sgd", lr=0.02, momentum=0.9, weight_decay=0.01),
    "adamw": dict(optimizer="adamw", lr=0.002, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8),
}
FINAL = ("lomo", "adalomo")

# Rounding noise of 2⁻²⁴ in every weight must not move a loss of a run by more than this: else the run is too sensitive for
# two correct programs to agree on it, and the settings above must be changed.
MAX_NOISE = 1e-5


def write_model(name, options, gen):
    """Draws the weights and writes the Hugging Face folder. Norm gains are not 1 and no matrix is near zero, so that
    nothing cancels; the scale keeps ten steps well conditioned."""
    theta, scaling = options.pop("rope_theta"), options.pop("rope_scaling", None)
    rope = dict(scaling or {"rope_type": "default"}, rope_theta=theta)
    model = LlamaForCausalLM(LlamaConfig(**(COMMON | options), rope_parameters=rope, dtype=torch.float32))
    with torch.no_grad():
        for key, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=gen)
            if p.dim() == 1:
                p.copy_(1 + 0.2 * noise)
            elif "embed" in key or "lm_head" in key:
                p.copy_(0.4 * noise)
            else:
                p.copy_(noise / p.shape[1] ** 0.5)
    model.save_pretrained(OUT / name)
    (OUT / name / "generation_config.json").unlink(missing_ok=True)
    if scaling:
        write_old_spelling(OUT / name / "config.json", theta, scaling)


def write_old_spelling(path, theta, scaling):
    """Rewrites the rotary keys and the dtype as transformers before version 5 spelled them."""
    config = json.loads(path.read_text())
    del config["rope_parameters"]
    config["torch_dtype"] = config.pop("dtype")
    config.update(rope_theta=theta, rope_scaling=scaling)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load(name, noise=0.0):
    """Opens the folder as any user of transformers would; noise multiplies every weight by 1 ± noise."""
    model = LlamaForCausalLM.from_pretrained(OUT / name, attn_implementation="eager", dtype=torch.float32)
    model.train()
    if noise:
        gen = torch.Generator().manual_seed(SEED + 1)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + noise * (2 * torch.randint(0, 2, p.shape, generator=gen) - 1))
    return model


def draw_batches(vocab, gen):
    """Ten batches with a prompt of each sequence, single tokens in the middle and a tail not trained."""
    ids = torch.randint(0, vocab, (STEPS, B, T), generator=gen)
    labels = ids.clone()
    for s in range(STEPS):
        labels[s, 0, : 1 + s % 4] = -100
        labels[s, 0, 6] = -100
        labels[s, 1, T - 1 - s % 3 :] = -100
    return ids, labels


def gradients(name, ids, labels):
    model = load(name)
    out = model(input_ids=ids[0], labels=labels[0], use_cache=False)
    out.loss.backward()
    found = {"logits": out.logits.detach(), "loss": out.loss.detach()}
    for key, p in model.named_parameters():  # a tied embedding is listed once
        found["grad/" + key] = p.grad
    return found


def trajectory(name, run, ids, labels, noise=0.0):
    model = load(name, noise)
    optimizer = lomo_cpu.make(model, run)
    losses, norms = [], []
    for s in range(STEPS):
        loss, norm = lomo_cpu.step(model, optimizer, (ids[s], labels[s]), run["lr"])
        losses.append(loss)
        norms.append(norm)
    return losses, norms, {key: p.detach() for key, p in model.named_parameters()}


def packed(name, vocab, gen):
    """Documents of 5 and 7 tokens in one sequence: positions restart, no query sees a key of the other document, and the
    first token of a document is not predicted. separate/loss is the mean over both documents run alone."""
    model = load(name)
    lengths = (5, 7)
    ids = torch.randint(0, vocab, (1, sum(lengths)), generator=gen)
    document = torch.cat([torch.full((n,), d) for d, n in enumerate(lengths)])
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    labels = ids.clone()
    labels[positions == 0] = -100
    seen = (document[:, None] == document[None, :]).tril()
    mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]
    out = model(input_ids=ids, position_ids=positions, attention_mask=mask, labels=labels, use_cache=False)
    total, logits = 0.0, []
    for part, label in zip(ids.split(lengths, 1), labels.split(lengths, 1)):
        alone = model(input_ids=part, labels=label, use_cache=False)
        total = total + alone.loss * (part.shape[1] - 1)
        logits.append(alone.logits)
    separate = total / (sum(lengths) - len(lengths))
    torch.testing.assert_close(out.loss, separate, rtol=1e-6, atol=0)
    torch.testing.assert_close(out.logits, torch.cat(logits, 1), rtol=0, atol=1e-5)
    start = torch.where(document == 0, 0, lengths[0])[None]
    return {"packed/ids": ids, "packed/labels": labels, "packed/positions": positions, "packed/start": start,
            "packed/logits": out.logits.detach(), "packed/loss": out.loss.detach(), "packed/separate_loss": separate.detach()}


def scripts():
    """Hashes of what made the files; the Go tests compare them with the scripts in the repository."""
    here = pathlib.Path(__file__).resolve().parent
    return {str((here / n).relative_to(ROOT)): hashlib.sha256((here / n).read_bytes()).hexdigest() for n in ("models.py", "lomo_cpu.py")}


def golden(name, vocab, gen):
    ids, labels = draw_batches(vocab, gen)
    found = {"ids": ids, "labels": labels, **gradients(name, ids, labels), **packed(name, vocab, gen)}
    noise = {}
    for key, run in RUNS.items():
        losses, norms, final = trajectory(name, run, ids, labels)
        moved, _, _ = trajectory(name, run, ids, labels, noise=2.0**-24)
        noise[key] = max(abs(a - b) for a, b in zip(losses, moved))
        print(f"{name:12} {key:14} {losses[0]:.4f} -> {losses[-1]:.4f}  noise {noise[key]:.1e}", norms[0] or "")
        if noise[key] > MAX_NOISE:
            sys.exit(f"{name} {key}: weights rounded otherwise move a loss by {noise[key]:.1e}, more than {MAX_NOISE}")
        found["losses/" + key] = torch.tensor(losses)
        if norms[0] is not None:
            if max(run["clip_grad_norm"] / n for n in norms) >= 1:
                sys.exit(f"{name} {key}: a step is not clipped, norms {norms}")
            found["norms/" + key] = torch.tensor(norms)
        if key in FINAL:
            found.update({f"final/{key}/{n}": w for n, w in final.items()})
    meta = {"seed": SEED, "scripts": scripts(), "runs": RUNS, "noise": noise,
            "model_sha256": hashlib.sha256((OUT / name / "model.safetensors").read_bytes()).hexdigest(),
            "versions": {n: metadata.version(n) for n in ("torch", "transformers", "lomo-optim", "safetensors")}}
    tensors = {k: (v.to(torch.int32) if v.dtype == torch.int64 else v).contiguous() for k, v in found.items()}
    save_file(tensors, OUT / f"{name}.golden.safetensors", {"golden": json.dumps(meta, sort_keys=True)})


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # the sums' order must not depend on the machine's cores
    torch.use_deterministic_algorithms(True)
    for number, (name, options) in enumerate(MODELS.items()):
        gen = torch.Generator().manual_seed(SEED + 1000 * number)
        write_model(name, dict(options), gen)
        golden(name, options["vocab_size"], gen)


if __name__ == "__main__":
    main()
