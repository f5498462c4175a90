"""Golden files of tiny models of other families than LLaMA, in the form of models.py, with a text continued beside them:

    greedy/prompt      (9) int32
    greedy/ids         (64) int32               the most likely token each time

Windows are shorter than the batches' sequences, so that they bind; norm gains are not 1.

Run:  python scripts/golden/families.py [NAME...]          (needs torch, transformers, lomo-optim, safetensors)
"""

import hashlib
import pathlib
import sys

import models
import torch
from transformers import AutoModelForCausalLM, AutoConfig
from transformers.utils import logging

SMALL = dict(hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8, vocab_size=64,
             max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=None)
ROPE = dict(rope_type="default", rope_theta=1e4)

MODELS = {
    "mistral_window": dict(model_type="mistral", sliding_window=5, tie_word_embeddings=False, rope_parameters=ROPE),
    "ministral_mixed": dict(model_type="ministral", sliding_window=4, tie_word_embeddings=True, rope_parameters=ROPE,
                            layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "qwen3_gqa": dict(model_type="qwen3", tie_word_embeddings=True, rope_parameters=dict(ROPE, rope_theta=1e6)),
    "qwen3_window": dict(model_type="qwen3", num_key_value_heads=4, tie_word_embeddings=False, rope_parameters=ROPE, use_sliding_window=True,
                         sliding_window=6, max_window_layers=1),
    "smollm3_nope": dict(model_type="smollm3", num_hidden_layers=4, head_dim=6, tie_word_embeddings=True, rope_parameters=dict(ROPE, rope_theta=2e6)),
    "smollm3_window": dict(model_type="smollm3", head_dim=6, num_key_value_heads=4, tie_word_embeddings=False, rope_parameters=ROPE,
                           no_rope_layers=[0, 1, 0], use_sliding_window=True, sliding_window=7),
    "llama_biases": dict(model_type="llama", head_dim=6, tie_word_embeddings=True, attention_bias=True, mlp_bias=True, rope_parameters=ROPE),
    "qwen2_gqa": dict(model_type="qwen2", head_dim=6, tie_word_embeddings=True, rope_parameters=dict(ROPE, rope_theta=1e6)),
    "qwen2_window": dict(model_type="qwen2", head_dim=6, num_key_value_heads=4, tie_word_embeddings=False, rope_parameters=ROPE, use_sliding_window=True,
                         sliding_window=5, layer_types=["sliding_attention", "full_attention", "full_attention"]),
    "olmo2_mha": dict(model_type="olmo2", head_dim=6, num_key_value_heads=4, tie_word_embeddings=False, rope_parameters=dict(ROPE, rope_theta=5e5)),
    "olmo2_gqa": dict(model_type="olmo2", head_dim=6, tie_word_embeddings=True, attention_bias=True, rope_parameters=ROPE),
    "granite_tied": dict(model_type="granite", head_dim=6, tie_word_embeddings=True, embedding_multiplier=3.5, logits_scaling=2.5, residual_multiplier=0.6,
                         attention_multiplier=0.3, rope_parameters=ROPE),
    "granite_untied": dict(model_type="granite", head_dim=6, num_key_value_heads=4, tie_word_embeddings=False, embedding_multiplier=1.5, logits_scaling=1.7,
                           residual_multiplier=0.4, attention_multiplier=0.25, attention_bias=True, mlp_bias=True, rope_parameters=ROPE),
}
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

    def scripts():
        here = pathlib.Path(__file__).resolve()
        return hashed() | {str(here.relative_to(models.ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()}

    models.load, models.packed, models.scripts = load, packed, scripts
    for name in sys.argv[1:] or MODELS:
        options = MODELS[name]
        gen = torch.Generator().manual_seed(models.SEED + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]))
        write_model(name, dict(options), gen)
        models.golden(name, SMALL["vocab_size"], gen)


if __name__ == "__main__":
    main()
