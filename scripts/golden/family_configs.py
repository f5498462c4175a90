"""What transformers makes of config.json files of families beside LLaMA: which layers have a window, which rotate, and what missing keys mean.
It writes testdata/golden/family_configs.json.

Run:  python scripts/golden/family_configs.py          (needs torch, transformers)
"""

import copy
import hashlib
import json
import pathlib
from importlib import metadata

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "testdata" / "golden" / "family_configs.json"
TINY = dict(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=2)
SLIDING, FULL = "sliding_attention", "full_attention"
MIXED = [SLIDING, FULL, SLIDING, FULL, FULL, SLIDING]

CASES = [  # model_type alone: what is missing
    dict(model_type="llama"), dict(model_type="mistral"), dict(model_type="ministral"), dict(model_type="qwen3"), dict(model_type="smollm3"),
    dict(model_type="qwen2"), dict(model_type="olmo2"), dict(model_type="granite"), dict(model_type="gemma"), dict(model_type="gemma3_text"),
    dict(model_type="gemma2"), dict(model_type="phi3"), dict(model_type="exaone4"), dict(model_type="olmo3"),
    dict(TINY, model_type="qwen2", use_sliding_window=True, sliding_window=5, max_window_layers=2),
    dict(TINY, model_type="qwen2", use_sliding_window=True, sliding_window=5, layer_types=MIXED),
    dict(TINY, model_type="olmo2", pad_token_id=None),
    dict(TINY, model_type="granite", embedding_multiplier=12, logits_scaling=8),
    dict(TINY, model_type="mistral", sliding_window=None),
    dict(TINY, model_type="mistral", sliding_window=7),
    dict(TINY, model_type="ministral", head_dim=4, sliding_window=7, layer_types=MIXED),
    dict(TINY, model_type="ministral", head_dim=4, sliding_window=None),
    dict(TINY, model_type="ministral", head_dim=4, sliding_window=3),
    dict(TINY, model_type="qwen3", head_dim=8),
    dict(TINY, model_type="qwen3", sliding_window=7, max_window_layers=2),
    dict(TINY, model_type="qwen3", use_sliding_window=True, max_window_layers=4),
    dict(TINY, model_type="qwen3", use_sliding_window=True, sliding_window=5, max_window_layers=2),
    dict(TINY, model_type="qwen3", use_sliding_window=True, sliding_window=5, layer_types=MIXED),
    dict(TINY, model_type="qwen3", use_sliding_window=True, sliding_window=None, max_window_layers=0),
    dict(TINY, model_type="smollm3", pad_token_id=None),
    dict(TINY, model_type="smollm3", pad_token_id=3, no_rope_layer_interval=2),
    dict(TINY, model_type="smollm3", pad_token_id=None, no_rope_layers=[1, 0, 0, 1, 1, 1]),
    dict(TINY, model_type="smollm3", pad_token_id=None, no_rope_layers=[1, 0, 0, 1, 1, 1, 0, 0]),
    dict(TINY, model_type="smollm3", pad_token_id=None, use_sliding_window=True, sliding_window=9),
    dict(TINY, model_type="smollm3", pad_token_id=None, use_sliding_window=True, sliding_window=9, layer_types=MIXED),
    dict(TINY, model_type="smollm3", pad_token_id=None, sliding_window=9, tie_word_embeddings=False),
    dict(TINY, model_type="gemma", hidden_size=24, hidden_act="gelu", hidden_activation="gelu_pytorch_tanh", head_dim=8, rope_theta=3e4),
    dict(TINY, model_type="gemma", pad_token_id=None, rope_scaling=dict(rope_type="linear", factor=2.0)),
    dict(TINY, model_type="gemma2", hidden_size=20, sliding_window=5, query_pre_attn_scalar=144),
    dict(TINY, model_type="gemma2", hidden_act="gelu_pytorch_tanh", cache_implementation="hybrid", head_dim=4, layer_types=MIXED, sliding_window=3, final_logit_softcapping=None),
    dict(TINY, model_type="gemma2", attn_logit_softcapping=None, sliding_window=None, layer_types=[FULL] * 6, rope_theta=2e4, pad_token_id=3),
    dict(TINY, model_type="gemma3_text", hidden_size=24, num_hidden_layers=8, head_dim=8, sliding_window=5),
    dict(TINY, model_type="gemma3_text", sliding_window=5, sliding_window_pattern=3, rope_local_base_freq=2e4),
    dict(TINY, model_type="gemma3_text", sliding_window_pattern=1, sliding_window=None, query_pre_attn_scalar=7),
    dict(TINY, model_type="gemma3_text", sliding_window=5, sliding_window_pattern=3, layer_types=MIXED, final_logit_softcapping=None),
    dict(TINY, model_type="gemma3_text", sliding_window=7, rope_theta=5e5, rope_scaling=dict(rope_type="linear", factor=8.0), query_pre_attn_scalar=256),
    dict(TINY, model_type="gemma3_text", final_logit_softcapping=30.0,
         rope_parameters=dict(full_attention=dict(rope_type="linear", factor=8.0, rope_theta=2e6), sliding_attention=dict(rope_type="default", rope_theta=3e4))),
    dict(TINY, model_type="gemma3_text", rope_parameters=dict(full_attention=dict(rope_type="linear", factor=4.0), sliding_attention=None), rope_theta=7e5),
    dict(TINY, model_type="phi3", pad_token_id=None, sliding_window=5),
    dict(TINY, model_type="phi3", pad_token_id=3, partial_rotary_factor=0.5, rope_theta=3e4),
    dict(TINY, model_type="phi3", pad_token_id=None, head_dim=10, partial_rotary_factor=0.7),
    dict(TINY, model_type="phi3", pad_token_id=None, head_dim=10, partial_rotary_factor=0.75),
    dict(TINY, model_type="phi3", pad_token_id=None, rope_parameters=dict(rope_type="default", partial_rotary_factor=0.5), partial_rotary_factor=1.0),
    dict(TINY, model_type="phi3", pad_token_id=None, max_position_embeddings=131072, rope_scaling=dict(type="longrope", short_factor=[1.1, 1.2], long_factor=[3, 4])),
    dict(TINY, model_type="phi3", pad_token_id=None, max_position_embeddings=131072, rope_scaling=dict(type="longrope", short_factor=[1.1, 1.2], long_factor=[3, 4],
                                                                                                      original_max_position_embeddings=1024)),
    dict(TINY, model_type="phi3", pad_token_id=None, max_position_embeddings=64, original_max_position_embeddings=16,
         rope_scaling=dict(type="su", short_factor=[1.1, 1.2], long_factor=[3, 4], original_max_position_embeddings=16)),
    dict(TINY, model_type="phi3", pad_token_id=None, max_position_embeddings=64, original_max_position_embeddings=16, partial_rotary_factor=0.5,
         rope_scaling=dict(type="yarn", factor=4.0, short_factor=[1.1], long_factor=[3.0])),
    dict(TINY, model_type="phi3", pad_token_id=None, max_position_embeddings=64, original_max_position_embeddings=16,
         rope_scaling=dict(rope_type="longrope", factor=2.5, attention_factor=1.4, short_factor=[1.1, 1.3], long_factor=[3, 4])),
    dict(TINY, model_type="exaone4", sliding_window=5),
    dict(TINY, model_type="exaone4", sliding_window=5, sliding_window_pattern=2),
    dict(TINY, model_type="exaone4", sliding_window=5, sliding_window_pattern="LLLG", layer_types=MIXED),
    dict(TINY, model_type="exaone4", sliding_window=None, sliding_window_pattern=None, layer_types=[FULL] * 6, rope_theta=1e6),
    dict(TINY, model_type="olmo3", pad_token_id=None, sliding_window=5),
    dict(TINY, model_type="granitemoehybrid", num_local_experts=0, layer_types=["attention"] * 6, shared_intermediate_size=24, position_embedding_type="rope",
         attention_multiplier=0.3, mamba_n_heads=4, mamba_d_head=8),
    dict(TINY, model_type="granitemoehybrid", num_local_experts=0, layer_types=[FULL] * 6, shared_intermediate_size=24, mamba_n_heads=4, mamba_d_head=8),
    dict(TINY, model_type="olmo3", pad_token_id=3, sliding_window=5, layer_types=MIXED, rope_theta=7e5),
    dict(TINY, model_type="olmo3", pad_token_id=3, max_position_embeddings=65536,
         rope_scaling=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=8192, attention_factor=1.2079441541679836, beta_fast=32.0, beta_slow=1.0)),
    dict(TINY, model_type="olmo3", pad_token_id=None, rope_parameters=dict(full_attention=dict(rope_type="linear", factor=4.0, rope_theta=3e5), sliding_attention=dict(rope_type="default", rope_theta=2e4))),
    dict(TINY, model_type="olmo3", pad_token_id=None, max_position_embeddings=65536,
         rope_parameters=dict(full_attention=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=8192, rope_theta=1e4, truncate=False),
                              sliding_attention=dict(rope_type="default", rope_theta=2e4))),
    dict(TINY, model_type="gemma3_text", pad_token_id=None, max_position_embeddings=65536, head_dim=4,
         rope_scaling=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=8192, truncate=False), rope_theta=1e4),
    dict(TINY, model_type="llama", max_position_embeddings=65536,
         rope_scaling=dict(rope_type="yarn", factor=8.0, original_max_position_embeddings=8192, truncate=False), rope_theta=1e4),
]


def read(case):
    given = copy.deepcopy(case)  # transformers writes into its dictionaries
    config = AutoConfig.for_model(**case)
    types = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None) if config.model_type != "llama" else None
    layers = range(config.num_hidden_layers)
    rotates = getattr(config, "no_rope_layers", None)
    if config.model_type == "exaone4" and window:
        rotates = [t == SLIDING for t in types]
    if config.model_type == "granitemoehybrid" and config.position_embedding_type != "rope":
        rotates = [False for _ in layers]
    found = {k: getattr(config, k) for k in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                                             "num_key_value_heads", "max_position_embeddings", "tie_word_embeddings", "rms_norm_eps")}
    found |= {"head_dim": getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
              "rope_theta": config.rope_parameters.get("full_attention", config.rope_parameters)["rope_theta"],
              "local_theta": config.rope_parameters.get("sliding_attention", {}).get("rope_theta", 0),
              "windows": [(window or 0) if types is None or types[i] == SLIDING else 0 for i in layers],
              "rotates": [bool(rotates[i]) if rotates else True for i in layers]}
    if "hidden_size" in case:  # what the modules themselves say
        model = AutoModelForCausalLM.from_config(config)
        found["padding_idx"] = model.model.embed_tokens.padding_idx
        rotary = model.model.rotary_emb
        found["inv_freq"] = getattr(rotary, "full_attention_inv_freq" if hasattr(rotary, "full_attention_inv_freq") else "inv_freq", None)
        found["inv_freq"] = None if found["inv_freq"] is None else found["inv_freq"].tolist()
        found["attention_factor"] = getattr(rotary, "attention_scaling", getattr(rotary, "full_attention_attention_scaling", 1.0))
        found["score_scale"] = model.model.layers[0].self_attn.scaling
        found["embed_scale"] = {str(dt)[6:]: getattr(model.to(dt).model.embed_tokens, "embed_scale", torch.tensor(1.0)).to(dt).item()
                                for dt in (torch.float32, torch.bfloat16)}
        found["logit_cap"] = getattr(config, "final_logit_softcapping", None) or 0
        # Gemma 3's own attention does not hand the cap on: what its configuration says is not computed
        found["score_cap"] = (config.model_type == "gemma2" and config.attn_logit_softcapping) or 0
        for i, layer in enumerate(model.model.layers):
            attention = layer.self_attn
            if hasattr(attention, "sliding_window"):
                slides = getattr(attention, "is_sliding", True)  # where sliding_window is the model's
                assert (attention.sliding_window or 0) * slides == found["windows"][i], (case, i)
            if hasattr(attention, "use_rope"):
                assert bool(attention.use_rope) == found["rotates"][i], (case, i)
    else:
        found["padding_idx"] = config.pad_token_id
    return {"config": given, **found}


def main():
    logging.set_verbosity_error()
    here = pathlib.Path(__file__).resolve()
    meta = {"scripts": {str(here.relative_to(ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()},
            "versions": {n: metadata.version(n) for n in ("torch", "transformers")}}
    OUT.write_text(json.dumps({**meta, "cases": [read(c) for c in CASES]}, indent=0) + "\n")
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
