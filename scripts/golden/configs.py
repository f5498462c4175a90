"""What transformers makes of config.json files: spellings of the rotary settings, padding rows, windows.

Each case is the config.json of the golden model gqa_untied with some keys over it (and some taken out); the model is opened as a
user would and takes one batch. It writes testdata/golden/configs.json:

    cases: [{name, config,
             error                      the exception's class where transformers refuses it, else "" and
             model_type, inv_freq, attention_factor, padding_idx, loss   of the batch, in training mode without dropout}]
    ids                                 the batch, every position predicted from those before it
    long_ids                            one of 40 tokens, for cases whose name ends in "long"

and the versions, and the hashes of this script and of the weights. inv_freq and padding_idx are the model's own.

Run:  python scripts/golden/configs.py          (needs torch, transformers, safetensors)
"""

import hashlib
import json
import pathlib
import tempfile
from importlib import metadata

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "testdata" / "golden"
MODEL = OUT / "gqa_untied"

LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
LONG = dict(rope_type="longrope", short_factor=[1.0, 1.5, 1.75, 2], long_factor=[2.0, 3.5, 6.25, 9], original_max_position_embeddings=32)
GONE = object()  # a key that is taken out
ROPE = dict(rope_parameters=GONE, rope_scaling=GONE, rope_theta=GONE)


def rope(**keys):
    return ROPE | keys


CASES = {
    "nothing": rope(),
    "theta": rope(rope_theta=5e4),
    "theta, null scaling": rope(rope_theta=5e4, rope_scaling=None),
    "theta null": rope(rope_theta=None),
    "theta null, dictionary has one": rope(rope_theta=None, rope_parameters=dict(rope_type="default", rope_theta=3e4)),
    "parameters": rope(rope_parameters=dict(rope_type="default", rope_theta=3e4)),
    "parameters without type": rope(rope_parameters=dict(rope_theta=3e4)),
    "parameters without theta": rope(rope_theta=5e4, rope_parameters=dict(rope_type="default")),
    "parameters theta null": rope(rope_theta=5e4, rope_parameters=dict(rope_type="default", rope_theta=None)),
    "two thetas": rope(rope_theta=5e4, rope_parameters=dict(rope_type="default", rope_theta=3e4)),
    "theta within scaling": rope(rope_theta=5e4, rope_scaling=dict(type="linear", factor=2.0, rope_theta=3e4)),
    "linear, old type": rope(rope_theta=5e4, rope_scaling=dict(type="linear", factor=2.0)),
    "linear, new type": rope(rope_scaling=dict(rope_type="linear", factor=2)),
    "linear, both types": rope(rope_scaling=dict(rope_type="linear", type="dynamic", factor=2.0)),
    "linear, old type null": rope(rope_scaling=dict(rope_type="linear", type=None, factor=2.0)),
    "linear, only the old type, null": rope(rope_scaling=dict(type=None, factor=2.0)),
    "linear, below 1": rope(rope_scaling=dict(rope_type="linear", factor=0.5)),
    "linear without factor": rope(rope_scaling=dict(rope_type="linear")),
    "linear, parameters": rope(rope_parameters=dict(rope_type="linear", rope_theta=3e4, factor=4.0)),
    "scaling and parameters": rope(rope_scaling=dict(rope_type="linear", factor=8.0), rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=3e4)),
    "scaling and parameters, theta": rope(rope_theta=5e4, rope_scaling=dict(rope_type="linear", factor=8.0), rope_parameters=dict(rope_type="default", rope_theta=3e4)),
    "empty scaling": rope(rope_theta=5e4, rope_scaling={}),
    "empty scaling and parameters": rope(rope_scaling={}, rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=3e4)),
    "scaling and empty parameters": rope(rope_scaling=dict(rope_type="linear", factor=4.0), rope_parameters={}),
    "default in scaling hides parameters": rope(rope_scaling=dict(rope_type="default"), rope_parameters=dict(rope_type="linear", factor=4.0)),
    "type null": rope(rope_scaling=dict(rope_type=None, factor=4.0)),
    "type unknown": rope(rope_scaling=dict(rope_type="bent", factor=4.0)),
    "llama3": rope(rope_scaling=LLAMA3 | dict(original_max_position_embeddings=128)),
    "llama3, theta": rope(rope_theta=5e4, rope_scaling=LLAMA3 | dict(original_max_position_embeddings=128)),
    "llama3, parameters": rope(rope_parameters=LLAMA3 | dict(original_max_position_embeddings=64, rope_theta=3e4)),
    "llama3, original missing": rope(rope_scaling=LLAMA3),
    "llama3, original on top": rope(original_max_position_embeddings=64, rope_scaling=LLAMA3),
    "llama3, two originals": rope(original_max_position_embeddings=64, rope_scaling=LLAMA3 | dict(original_max_position_embeddings=128)),
    "llama3 without low": rope(rope_scaling=dict(rope_type="llama3", factor=8.0, high_freq_factor=4.0, original_max_position_embeddings=128)),
    "original on top, default": rope(original_max_position_embeddings=64, rope_theta=5e4),
    "dynamic": rope(rope_scaling=dict(type="dynamic", factor=4.0)),
    "dynamic, theta": rope(rope_theta=5e4, rope_scaling=dict(rope_type="dynamic", factor=2.5)),
    "dynamic, exactly at its end, long": rope(max_position_embeddings=40, rope_scaling=dict(type="dynamic", factor=4.0)),
    "dynamic without factor": rope(rope_scaling=dict(type="dynamic")),
    "linear beyond its positions, long": rope(max_position_embeddings=16, rope_scaling=dict(type="linear", factor=2.0)),
    "beyond the positions, long": rope(max_position_embeddings=16),
    "yarn": rope(rope_scaling=YARN),
    "yarn, old type, theta, long": rope(rope_theta=5e4, rope_scaling=dict(type="yarn", factor=2.5, original_max_position_embeddings=16)),
    "yarn, original missing": rope(rope_scaling=dict(rope_type="yarn", factor=4.0)),
    "yarn, two originals": rope(original_max_position_embeddings=32, rope_scaling=YARN),
    "yarn without factor": rope(rope_scaling=dict(rope_type="yarn", original_max_position_embeddings=64)),
    "yarn, factor null": rope(rope_scaling=YARN | dict(factor=None)),
    "yarn, factor below 1": rope(rope_scaling=YARN | dict(factor=0.5)),
    "yarn, betas": rope(rope_scaling=YARN | dict(original_max_position_embeddings=300, rope_theta=50.0, beta_fast=16, beta_slow=2.5)),
    "yarn, betas null and 0": rope(rope_scaling=YARN | dict(beta_fast=None, beta_slow=0)),
    "yarn, betas swapped": rope(rope_scaling=YARN | dict(original_max_position_embeddings=300, rope_theta=50.0, beta_fast=1, beta_slow=32)),
    "yarn, betas equal": rope(rope_scaling=YARN | dict(original_max_position_embeddings=300, rope_theta=50.0, beta_fast=4, beta_slow=4, truncate=False)),
    "yarn, not truncated": rope(rope_scaling=YARN | dict(original_max_position_embeddings=300, rope_theta=50.0, truncate=False, beta_fast=16, beta_slow=2)),
    "yarn, truncate null": rope(rope_scaling=YARN | dict(original_max_position_embeddings=300, rope_theta=50.0, truncate=None, beta_fast=16, beta_slow=2)),
    "yarn, attention factor": rope(rope_scaling=YARN | dict(attention_factor=1.75)),
    "yarn, attention factor null": rope(rope_scaling=YARN | dict(attention_factor=None)),
    "yarn, mscale": rope(rope_scaling=YARN | dict(mscale=0.7, mscale_all_dim=2.0)),
    "yarn, one mscale": rope(rope_scaling=YARN | dict(mscale=0.7)),
    "yarn, mscale 0": rope(rope_scaling=YARN | dict(mscale=0.7, mscale_all_dim=0)),
    "yarn, mscale and attention factor": rope(rope_scaling=YARN | dict(mscale=0.7, mscale_all_dim=2.0, attention_factor=0.9)),
    "yarn, parameters": rope(rope_parameters=YARN | dict(rope_theta=3e4)),
    "yarn, mistral": rope(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=None, rope_scaling=YARN),
    "yarn, keys of others": rope(rope_scaling=YARN | dict(low_freq_factor=1.0, short_factor=[1.0])),
    "linear, keys of yarn": rope(rope_scaling=dict(rope_type="linear", factor=2.0, beta_fast=16)),
    "longrope": rope(rope_scaling=LONG),
    "longrope, long": rope(rope_scaling=LONG),
    "longrope, factor": rope(rope_scaling=LONG | dict(factor=6.0)),
    "longrope, factor 1, long": rope(rope_scaling=LONG | dict(factor=1)),
    "longrope, attention factor, long": rope(rope_scaling=LONG | dict(attention_factor=1.25)),
    "longrope, original on top, long": rope(original_max_position_embeddings=20, rope_scaling=LONG),
    "longrope, exactly the original, long": rope(original_max_position_embeddings=40, rope_scaling=dict(type="longrope", short_factor=[1, 2, 3, 4], long_factor=[4, 8, 12, 16])),
    "longrope without long": rope(rope_scaling=dict(rope_type="longrope", short_factor=[1.0, 1.5, 2, 3], original_max_position_embeddings=32)),
    "longrope, three factors": rope(rope_scaling=LONG | dict(long_factor=[2.0, 3.5, 4.0]), original_max_position_embeddings=8),
    "su": rope(rope_scaling=dict(LONG, rope_type="su")),
    "proportional": rope(rope_parameters=dict(rope_type="proportional", partial_rotary_factor=0.5, rope_theta=1e4)),
    "proportional, factor, long": rope(rope_parameters=dict(rope_type="proportional", partial_rotary_factor=0.5, factor=3.0, rope_theta=3e4)),
    "proportional, whole": rope(rope_parameters=dict(rope_type="proportional", rope_theta=3e4)),
    "yarn, partial": rope(rope_scaling=YARN | dict(partial_rotary_factor=0.5)),
    "partial, default": rope(rope_theta=5e4, partial_rotary_factor=0.5),
    "pad": dict(pad_token_id=7),
    "pad null": dict(pad_token_id=None),
    "pad 0": dict(pad_token_id=0),
    "pad is the last row": dict(pad_token_id=71),
    "pad -1": dict(pad_token_id=-1),
    "pad -72": dict(pad_token_id=-72),
    "pad beyond": dict(pad_token_id=72),
    "pad -73": dict(pad_token_id=-73),
    "pad is a text": dict(pad_token_id="7"),
    "mistral, null window": dict(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=None),
    "mistral, window": dict(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=40),
    "mistral, window as long, long": dict(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=40),
    "mistral, no window given": dict(model_type="mistral", architectures=["MistralForCausalLM"]),
    "mistral, dynamic": rope(model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=None, rope_scaling=dict(type="dynamic", factor=4.0)),
    "llama with a window, long": dict(sliding_window=40),
    "pretraining_tp": dict(pretraining_tp=2),
    "swish": dict(hidden_act="swish"),
    "keys in another case": dict(Rope_Theta=5e5, PAD_TOKEN_ID=5, Head_Dim=4),
    "cache and names": dict(use_cache=False, _name_or_path="x", unsloth_version="1", task_specific_params=None, is_llama_config=True),
}


def folder(dir, keys):
    config = json.loads((MODEL / "config.json").read_text()) | keys
    config = {k: v for k, v in config.items() if v is not GONE}
    (dir / "config.json").write_text(json.dumps(config))
    save_file(load_file(MODEL / "model.safetensors"), dir / "model.safetensors", {"format": "pt"})
    return config


def case(name, keys, ids):
    with tempfile.TemporaryDirectory() as dir:
        config = folder(pathlib.Path(dir), keys)
        found = {"name": name, "config": config, "error": ""}
        try:
            model = AutoModelForCausalLM.from_pretrained(dir, attn_implementation="eager", dtype=torch.float32).train()
            loss = model(input_ids=ids, labels=ids, use_cache=False).loss.item()
        except Exception as e:  # whatever it is, the file is refused
            return found | {"error": type(e).__name__}
        inner = model.model
        return found | {"model_type": model.config.model_type, "inv_freq": inner.rotary_emb.inv_freq.tolist(), "attention_factor": inner.rotary_emb.attention_scaling, "padding_idx": inner.embed_tokens.padding_idx, "loss": loss}


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    gen = torch.Generator().manual_seed(20230617)
    ids, long = torch.randint(0, 72, (1, 12), generator=gen), torch.randint(0, 72, (1, 40), generator=gen)
    cases = [case(name, keys, long if name.endswith("long") else ids) for name, keys in CASES.items()]
    for c in cases:
        print(f"{c['name']:40} {c['error'] or c['loss']}")
    here = pathlib.Path(__file__).resolve()
    meta = {"scripts": {str(here.relative_to(ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()},
            "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
            "versions": {n: metadata.version(n) for n in ("torch", "transformers", "safetensors")}}
    head = {**meta, "ids": ids[0].tolist(), "long_ids": long[0].tolist()}
    lines = ",\n".join(json.dumps(c) for c in cases)
    (OUT / "configs.json").write_text(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
