"""What transformers makes of config.json files of mixtures of experts: which layers have experts, how many, and what missing keys mean.
It writes testdata/golden/mixture_configs.json.

Run:  python scripts/golden/mixture_configs.py          (needs torch, transformers)
"""

import hashlib
import json
import pathlib
from importlib import metadata

import torch
from transformers import AutoConfig, AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "testdata" / "golden" / "mixture_configs.json"
TINY = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2)
SMALL = dict(TINY, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8)

CASES = [
    dict(model_type="qwen3_moe"), dict(model_type="mixtral"),
    dict(SMALL, model_type="qwen3_moe"),
    dict(SMALL, model_type="qwen3_moe", head_dim=8, norm_topk_prob=True),
    dict(SMALL, model_type="qwen3_moe", mlp_only_layers=[0, 4]),
    dict(SMALL, model_type="qwen3_moe", decoder_sparse_step=2),
    dict(SMALL, model_type="qwen3_moe", decoder_sparse_step=3, mlp_only_layers=[2]),
    dict(SMALL, model_type="qwen3_moe", mlp_only_layers=None, sliding_window=5),
    dict(SMALL, model_type="qwen3_moe", use_sliding_window=True, sliding_window=5),
    dict(TINY, model_type="qwen3_moe", num_local_experts=3, num_experts_per_tok=1),
    dict(TINY, model_type="mixtral", num_local_experts=5),
    dict(TINY, model_type="mixtral", num_experts=3, sliding_window=7),
    dict(TINY, model_type="mixtral", num_local_experts=2, num_experts_per_tok=1, head_dim=8),
]


def read(case):
    given = dict(case)
    config = AutoConfig.for_model(**case)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    mlps = [layer.mlp for layer in model.model.layers]
    mixed = [hasattr(m, "experts") for m in mlps]
    first = mlps[mixed.index(True)]
    return {"config": given, "experts": first.experts.num_experts, "per_token": first.gate.top_k, "size": first.experts.intermediate_dim,
            "renorm": getattr(first.gate, "norm_topk_prob", True), "mixed": mixed, "head_dim": model.model.layers[0].self_attn.head_dim,
            "window": config.sliding_window or 0, "theta": config.rope_parameters["rope_theta"], "eps": config.rms_norm_eps, "positions": config.max_position_embeddings,
            "kv_heads": config.num_key_value_heads, "params": sum(p.numel() for p in model.parameters())}


def main():
    here = pathlib.Path(__file__).resolve()
    meta = {"scripts": {str(here.relative_to(ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()},
            "versions": {n: metadata.version(n) for n in ("torch", "transformers")}}
    OUT.write_text(json.dumps({**meta, "cases": [read(c) for c in CASES]}, indent=0) + "\n")
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
