"""Golden files of tiny models of other families than LLaMA, in the form of models.py, with a text continued beside them:

    greedy/prompt      (9) int32
    greedy/ids         (64) int32               the most likely token each time

A model is a file in the folder families: what its configuration has beside SMALL. Its golden file carries the hash of that file, so that a new model
asks for no other to be made anew. Windows are shorter than the batches' sequences, so that they bind, and so are caps; norm gains are not 1.

Run:  python scripts/golden/families.py [NAME...]          (needs torch, transformers, lomo-optim, safetensors)
"""

import hashlib
import json
import pathlib
import sys

import models
import torch
from transformers import AutoModelForCausalLM, AutoConfig
from transformers.utils import logging

SMALL = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8, vocab_size=64,
             max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=None)
MODELS = {p.stem: p for p in sorted((pathlib.Path(__file__).parent / "families").glob("*.json"))}
LENGTH = 64


def write_model(name, options, gen):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**(SMALL | options)), dtype=torch.float32)
    with torch.no_grad():
        for key, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=gen)
            if "norm" in key:
                p.copy_((0 if options["model_type"].startswith("gemma") else 1) + 0.2 * noise)
            elif p.dim() == 1:
                p.copy_(0.3 * noise)  # a bias
            elif "embed" in key or "lm_head" in key:
                p.copy_(0.4 * noise)
            else:
                p.copy_(noise / p.shape[1] ** 0.5)
    model.save_pretrained(models.OUT / name)
    (models.OUT / name / "generation_config.json").unlink(missing_ok=True)


def load(name, noise=0.0):
    model = AutoModelForCausalLM.from_pretrained(models.OUT / name, attn_implementation="eager", dtype=torch.float32)
    model.train()
    if noise:
        gen = torch.Generator().manual_seed(models.SEED + 1)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + noise * (2 * torch.randint(0, 2, p.shape, generator=gen) - 1))
    return model


def packed(name, vocab, gen):
    """As models.packed, but a mask for two documents would take the place of the windows' masks: each is run alone."""
    model = load(name)
    lengths = (5, 7)
    ids = torch.randint(0, vocab, (1, sum(lengths)), generator=gen)
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    labels = ids.clone()
    labels[positions == 0] = -100
    total, logits = 0.0, []
    for part, label in zip(ids.split(lengths, 1), labels.split(lengths, 1)):
        alone = model(input_ids=part, labels=label, use_cache=False)
        total = total + alone.loss * (part.shape[1] - 1)
        logits.append(alone.logits)
    loss = (total / (sum(lengths) - len(lengths))).detach()
    start = torch.tensor([[0] * lengths[0] + [lengths[0]] * lengths[1]])
    return {"packed/ids": ids, "packed/labels": labels, "packed/positions": positions, "packed/start": start,
            "packed/logits": torch.cat(logits, 1).detach(), "packed/loss": loss, "packed/separate_loss": loss.clone(), **greedy(model, vocab, gen)}


def greedy(model, vocab, gen):
    """Without a cache, so that no cache can be wrong here. A choice between tokens that are nearly equally likely would prove nothing."""
    model.eval()
    prompt = torch.randint(0, vocab, (9,), generator=gen)
    ids = prompt.clone()
    for _ in range(LENGTH):
        with torch.no_grad():
            best = model(input_ids=ids[None], use_cache=False).logits[0, -1].topk(2)
        assert best.values[0] - best.values[1] > 1e-4, "nearly a tie: take another seed"
        ids = torch.cat([ids, best.indices[:1]])
    return {"greedy/prompt": prompt, "greedy/ids": ids[len(prompt):]}


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    hashed = models.scripts

    models.load, models.packed = load, packed
    for name in sys.argv[1:] or MODELS:
        made_by = [pathlib.Path(p).resolve() for p in (__file__, MODELS[name])]
        models.scripts = lambda: hashed() | {str(p.relative_to(models.ROOT)): hashlib.sha256(p.read_bytes()).hexdigest() for p in made_by}
        options = json.loads(MODELS[name].read_text())
        gen = torch.Generator().manual_seed(models.SEED + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]))
        write_model(name, dict(options), gen)
        models.golden(name, SMALL["vocab_size"], gen)


if __name__ == "__main__":
    main()
