"""Golden files of tiny models with mixtures of experts, in the form of families.py.

transformers keeps a layer's experts in two tensors. Optimizers that look at whole tensors (AdaLomo) would then mix experts with each other: lomo trains
each matrix of an expert as a tensor of its own, as the files on the hub have it. So the experts are taken apart here too, under the hub's names, after a
check that the logits stay what transformers computes. An expert to which no token comes has a gradient of zero, as in transformers' own module.

Run:  python scripts/golden/mixtures.py [NAME...]          (needs torch, transformers, lomo-optim, safetensors)
"""

import hashlib
import json
import pathlib
import sys

import families
import models
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

ROPE = families.ROPE
SMALL = families.SMALL | dict(num_experts_per_tok=2)
MODELS = {
    "qwen3_moe_idle": dict(model_type="qwen3_moe", num_experts=16, moe_intermediate_size=12, norm_topk_prob=False, mlp_only_layers=[1],
                           tie_word_embeddings=False, rope_parameters=ROPE),
    "qwen3_moe_renorm": dict(model_type="qwen3_moe", num_experts=6, num_experts_per_tok=3, moe_intermediate_size=20, norm_topk_prob=True, decoder_sparse_step=2,
                            num_hidden_layers=4, attention_bias=True, tie_word_embeddings=True, use_sliding_window=True, sliding_window=6, rope_parameters=ROPE),
    "mixtral_window": dict(model_type="mixtral", num_local_experts=4, sliding_window=5, tie_word_embeddings=False, rope_parameters=ROPE),
    "mixtral_fused": dict(model_type="mixtral", num_local_experts=3, num_hidden_layers=2, num_key_value_heads=4, tie_word_embeddings=True,
                          rope_parameters=dict(ROPE, rope_theta=1e6)),
}
EXPERT = {"qwen3_moe": ("gate_proj", "up_proj", "down_proj"), "mixtral": ("w1", "w3", "w2")}
idle = 0


def write_model(name, options, gen):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**(SMALL | options)), dtype=torch.float32)
    with torch.no_grad():
        for key, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=gen)
            if "norm" in key:
                p.copy_(1 + 0.2 * noise)
            elif p.dim() == 1:
                p.copy_(0.3 * noise)  # a bias
            elif "embed" in key or "lm_head" in key:
                p.copy_(0.4 * noise)
            else:
                p.copy_((2 if "mlp.gate." in key else 1) * noise / p.shape[-1] ** 0.5)
    model.save_pretrained(models.OUT / name, save_original_format=not name.endswith("fused"))
    (models.OUT / name / "generation_config.json").unlink(missing_ok=True)


class Apart(torch.nn.ModuleList):
    """Experts whose matrices are parameters of their own."""

    def __init__(self, experts, names):
        super().__init__()
        self.names = names
        for gate_up, down in zip(experts.gate_up_proj, experts.down_proj):
            expert = torch.nn.Module()
            for name, w in zip(names, (*gate_up.chunk(2), down)):
                linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
                linear.weight = torch.nn.Parameter(w.detach().clone())
                setattr(expert, name, linear)
            self.append(expert)

    def forward(self, hidden, index, weights):
        global idle
        out = torch.zeros_like(hidden)
        for e, expert in enumerate(self):
            gate, up, down = (getattr(expert, n) for n in self.names)
            token, choice = torch.where(index == e)
            idle += len(token) == 0
            x = hidden[token]
            out = out.index_add(0, token, down(torch.nn.functional.silu(gate(x)) * up(x)) * weights[token, choice, None])
        return out


def load(name, noise=0.0):
    model = AutoModelForCausalLM.from_pretrained(models.OUT / name, attn_implementation="eager", experts_implementation="eager", dtype=torch.float32)
    kind = model.config.model_type
    ids = torch.arange(40).remainder(SMALL["vocab_size"])[None]
    with torch.no_grad():
        before = model(input_ids=ids, use_cache=False).logits
        for layer in model.model.layers:
            if hasattr(layer.mlp, "experts"):
                layer.mlp.experts = Apart(layer.mlp.experts, EXPERT[kind])
        torch.testing.assert_close(model(input_ids=ids, use_cache=False).logits, before, rtol=1e-5, atol=1e-5)
    model.train()
    if noise:
        gen = torch.Generator().manual_seed(models.SEED + 1)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + noise * (2 * torch.randint(0, 2, p.shape, generator=gen) - 1))
    if kind == "mixtral":  # the hub's names
        named = model.named_parameters
        model.named_parameters = lambda *a, **k: ((n.replace(".mlp.", ".block_sparse_moe."), p) for n, p in named(*a, **k))
    return model


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    hashed = models.scripts

    def scripts():
        here = pathlib.Path(__file__).resolve()
        return hashed() | {str(here.relative_to(models.ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()}

    families.load = models.load = load
    models.packed, models.scripts = families.packed, scripts
    for name in sys.argv[1:] or MODELS:
        global idle
        idle = 0
        gen = torch.Generator().manual_seed(models.SEED + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]))
        write_model(name, dict(MODELS[name]), gen)
        models.golden(name, SMALL["vocab_size"], gen)
        print(name, "experts without tokens:", idle)
        assert idle or not name.endswith("idle")


if __name__ == "__main__":
    main()
