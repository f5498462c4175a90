"""Golden files of internal/checkpoint/testdata/families: tiny random models of every family that llama.cpp knows, as its own converter writes
them, and the same as Hugging Face folders have them (the config.json is in the metadata of the safetensors file).

Run:  python scripts/golden/gguf_families.py LLAMA_CPP [NAME...]      (LLAMA_CPP: its sources; needs torch, transformers, safetensors, sentencepiece)
"""

import hashlib
import importlib.metadata
import json
import pathlib
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from sentencepiece import sentencepiece_model_pb2 as spm
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

OUT = pathlib.Path(__file__).resolve().parents[2] / "internal" / "checkpoint" / "testdata" / "families"
V = 24
SMALL = dict(hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=V,
             max_position_embeddings=96, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, pad_token_id=None)
ROPE = dict(rope_type="default", rope_theta=1e4)

MODELS = {
    "llama3": dict(model_type="llama", head_dim=8, tie_word_embeddings=True, max_position_embeddings=16384,
                   rope_parameters=dict(rope_type="llama3", rope_theta=5e5, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)),
    "llama_biases": dict(model_type="llama", head_dim=4, tie_word_embeddings=False, attention_bias=True, mlp_bias=True,
                         rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.5)),
    "mistral": dict(model_type="mistral", head_dim=8, tie_word_embeddings=False, sliding_window=None, rope_parameters=dict(ROPE, rope_theta=1e6)),
    "smollm3": dict(model_type="smollm3", head_dim=4, num_hidden_layers=5, tie_word_embeddings=True, rope_parameters=dict(ROPE, rope_theta=2e6)),
    "qwen2": dict(model_type="qwen2", head_dim=4, tie_word_embeddings=True, rope_parameters=dict(ROPE, rope_theta=1e6)),
    "qwen3_yarn": dict(model_type="qwen3", head_dim=8, tie_word_embeddings=True, max_position_embeddings=128,
                       rope_parameters=dict(rope_type="yarn", rope_theta=1e6, factor=4.0, original_max_position_embeddings=32)),
    "llama_yarn": dict(model_type="llama", head_dim=8, tie_word_embeddings=True, max_position_embeddings=128,
                       rope_parameters=dict(rope_type="yarn", rope_theta=1e4, factor=2.5, original_max_position_embeddings=48, attention_factor=1.3, beta_fast=16.0, beta_slow=2.0)),
    "qwen3": dict(model_type="qwen3", head_dim=8, tie_word_embeddings=False, rope_parameters=dict(ROPE, rope_theta=1e6)),
    "olmo2": dict(model_type="olmo2", head_dim=4, tie_word_embeddings=False, rope_parameters=dict(ROPE, rope_theta=5e5)),
    "olmo3": dict(model_type="olmo3", head_dim=4, num_hidden_layers=5, tie_word_embeddings=False, sliding_window=6,
                  rope_parameters={"full_attention": dict(rope_type="yarn", rope_theta=3e5, factor=2.0, original_max_position_embeddings=48), "sliding_attention": dict(ROPE, rope_theta=3e5)}),
    "granite": dict(model_type="granite", head_dim=4, tie_word_embeddings=True, embedding_multiplier=3.5, logits_scaling=2.5, residual_multiplier=0.6,
                    attention_multiplier=0.3, rope_parameters=ROPE),
    "granite_biases": dict(model_type="granite", head_dim=4, tie_word_embeddings=False, embedding_multiplier=12.0, logits_scaling=8.0, residual_multiplier=0.22,
                           attention_multiplier=0.015625, attention_bias=True, mlp_bias=True, rope_parameters=dict(ROPE, rope_theta=1e7)),
    "gemma": dict(model_type="gemma", head_dim=8, rope_parameters=ROPE, pad_token_id=0),
    "gemma2": dict(model_type="gemma2", head_dim=8, num_hidden_layers=3, sliding_window=6, attn_logit_softcapping=40.0, final_logit_softcapping=20.0,
                   query_pre_attn_scalar=8, rope_parameters=ROPE, pad_token_id=0),
    "gemma3": dict(model_type="gemma3_text", head_dim=8, num_hidden_layers=7, sliding_window=6, query_pre_attn_scalar=8, pad_token_id=0,
                   rope_parameters={"sliding_attention": ROPE, "full_attention": dict(rope_type="linear", rope_theta=1e6, factor=8.0)}),
    "phi3": dict(model_type="phi3", head_dim=4, tie_word_embeddings=False, sliding_window=7, rope_parameters=dict(ROPE, partial_rotary_factor=1.0),
                 original_max_position_embeddings=96),
    "phi3_long": dict(model_type="phi3", hidden_size=32, num_attention_heads=4, head_dim=8, tie_word_embeddings=True, sliding_window=None, max_position_embeddings=96,
                      original_max_position_embeddings=48,
                      rope_parameters=dict(rope_type="longrope", rope_theta=1e4, partial_rotary_factor=0.75, original_max_position_embeddings=48,
                                           short_factor=[1.0, 1.1, 1.25], long_factor=[1.5, 2.5, 4.75])),
}


SPLIT = {"qwen3": 9}  # tensors a file


def write_model(options, folder, gen):
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**(SMALL | options)), dtype=torch.float32)
    with torch.no_grad():
        for key, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=gen)
            if "norm" in key:  # coarse, so that adding one and taking it away again loses nothing
                p.copy_(((0 if options["model_type"].startswith("gemma") else 1) + 0.2 * noise).to(torch.float16).mul(256).round().div(256))
            else:
                p.copy_(noise * (0.3 if p.dim() == 1 else p.shape[-1] ** -0.5))
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def write_tokenizer(folder, sentencepiece):
    """Of letters. What is in it does not matter here, but the converter wants one."""
    tokens = ["<pad>", "<s>", "</s>"] + [chr(ord("a") + i) for i in range(V - 4)] + ["ab"]
    if sentencepiece:
        m = spm.ModelProto()
        for i, t in enumerate(["<unk>"] + tokens[1:]):
            m.pieces.add(piece=t, score=-float(i), type=2 if i == 0 else 3 if i < 3 else 1)
        m.trainer_spec.model_type = 2
        (folder / "tokenizer.model").write_bytes(m.SerializeToString())
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GemmaTokenizer", "bos_token": "<s>", "eos_token": "</s>"}))
        return
    t = Tokenizer(BPE({x: i for i, x in enumerate(tokens)}, [("a", "b")]))
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    text = json.loads((folder / "tokenizer_config.json").read_text())
    text["tokenizer_class"] = "GPT2Tokenizer" if "phi3" in (folder / "config.json").read_text() else "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(text))


def convert(llama_cpp, folder, out, *flags):
    """Runs the converter here: to start it anew for each model takes longer than all the rest. It knows tokenizers by a hash of what they make of a
    text, and transformers adds tokens of some families to every tokenizer of theirs: this one is taken as it stands, and is GPT-2's."""
    if llama_cpp not in sys.path:
        sys.path.insert(0, llama_cpp)
    import convert_hf_to_gguf
    from conversion import base

    def vocab(self):
        ids = json.loads((self.dir_model / "tokenizer.json").read_text())["model"]["vocab"]
        tokens = sorted(ids, key=ids.get)
        return tokens, [3 if t.startswith("<") else 1 for t in tokens], "gpt-2"

    base.TextModel.get_vocab_base = vocab
    argv, sys.argv = sys.argv, ["convert_hf_to_gguf.py", str(folder), "--outfile", str(out), "--outtype", "f32", *flags]
    try:
        convert_hf_to_gguf.main()
    finally:
        sys.argv = argv


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    llama_cpp, names = sys.argv[1], sys.argv[2:] or list(MODELS)
    meta = {p: importlib.metadata.version(p) for p in ("torch", "transformers", "gguf")} | {
        "script": "gguf_families.py", "sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()}
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names:
        options = MODELS[name]
        gen = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]))
        with tempfile.TemporaryDirectory() as tmp:
            folder = pathlib.Path(tmp) / name
            folder.mkdir()
            write_model(dict(options), folder, gen)
            write_tokenizer(folder, options["model_type"] in ("gemma", "gemma2"))
            for old in OUT.glob(f"{name}-0*.gguf"):
                old.unlink()
            convert(llama_cpp, folder, OUT / f"{name}.gguf", *(["--split-max-tensors", str(SPLIT[name])] if name in SPLIT else []))
            save_file(load_file(folder / "model.safetensors"), OUT / f"{name}.safetensors", meta | {"config": (folder / "config.json").read_text()})
        print(name, *(p.stat().st_size for p in OUT.glob(f"{name}*.gguf")))


if __name__ == "__main__":
    main()
