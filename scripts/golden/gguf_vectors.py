"""Golden files of internal/checkpoint: what the reference libraries write and read.

    pip install gguf==0.19.0 safetensors==0.8.0 huggingface_hub==2.4.0 numpy torch transformers accelerate
    python scripts/golden/gguf_vectors.py

Writes (seeded; versions and this script's hash are in the metadata of each safetensors file):
  gguf/testdata/blocks.gguf, blocks.safetensors   every encoding, and its values by gguf.quants.dequantize
  testdata/llama.gguf, llama.safetensors          a small llama model, and its weights as transformers loads them
  safetensors/testdata/mixed.safetensors          every dtype, names that need escapes, a scalar, an empty tensor
  testdata/split.json                             how huggingface_hub spreads tensors over files
"""

import hashlib
import importlib.metadata
import json
import pathlib

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).parents[2] / "internal" / "checkpoint"
PACKAGES = ("gguf", "safetensors", "huggingface_hub", "numpy", "torch", "transformers")
META = {p: importlib.metadata.version(p) for p in PACKAGES} | {
    "script": "gguf_vectors.py",
    "sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest(),
}
RNG = np.random.default_rng(20261124)
LATER = np.random.default_rng(20261128)  # of encodings that came later, so that the other files stay as they are

# Where the float16 scales of a block lie, for random blocks that decode to finite numbers.
HALVES = {Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2], Q.Q8_0: [0], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
LATER_HALVES = {Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.IQ4_NL: [0], Q.IQ4_XS: [0]}


def random_blocks(kind, n):
    """n blocks of random bits; the scales are finite float16 of every size, subnormal and negative ones too."""
    size = gguf.GGML_QUANT_SIZES[kind][1]
    rng = RNG if kind in HALVES else LATER
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for at in (HALVES | LATER_HALVES)[kind]:
        bits = rng.integers(0, 1 << 16, n, dtype=np.uint16)
        bits = np.where(bits & 0x7C00 == 0x7C00, bits ^ 0x4000, bits).astype("<u2")
        blocks[:, at : at + 2] = bits.view(np.uint8).reshape(n, 2)
    return blocks


def write_blocks():
    """Two rows of one 256-element block each (or eight 32-element ones) in every encoding; metadata of every type."""
    path = ROOT / "gguf" / "testdata" / "blocks.gguf"
    w = gguf.GGUFWriter(path, "test")
    w.add_uint8("t.u8", 200)
    w.add_int8("t.i8", -100)
    w.add_uint16("t.u16", 60000)
    w.add_int16("t.i16", -30000)
    w.add_uint32("t.u32", 4000000000)
    w.add_int32("t.i32", -2000000000)
    w.add_float32("t.f32", 1e-5)
    w.add_bool("t.bool", True)
    w.add_string("t.string", "größer ▁")
    w.add_uint64("t.u64", 1 << 63)
    w.add_int64("t.i64", -(1 << 62))
    w.add_float64("t.f64", 0.1)
    w.add_array("t.strings", ["a b", "", "▁c"])
    w.add_array("t.ints", [1, -2, 3])
    w.add_array("t.floats", [0.5, -1.25])
    want = {}
    for kind in HALVES | LATER_HALVES:
        block, _ = gguf.GGML_QUANT_SIZES[kind]
        raw = random_blocks(kind, 2 * 256 // block).reshape(2, -1)
        w.add_tensor(kind.name, raw, raw_dtype=kind)
        with np.errstate(over="ignore"):
            want[kind.name] = gguf.quants.dequantize(raw, kind).reshape(2, 256)
    f16 = (RNG.standard_normal((3, 5)) * 1e-3).astype(np.float16)
    w.add_tensor("F16", f16)
    want["F16"] = f16.astype(np.float32)
    f32 = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    w.add_tensor("F32", f32)
    want["F32"] = f32
    bf16 = gguf.quants.quantize(RNG.standard_normal((3, 5)).astype(np.float32), Q.BF16)
    w.add_tensor("BF16", bf16, raw_dtype=Q.BF16)
    want["BF16"] = gguf.quants.dequantize(bf16, Q.BF16)
    close(w)
    save_file(want, path.with_suffix(".safetensors"), META)


def close(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


V, H, I, L, A, K, D = 24, 32, 64, 2, 4, 2, 8
THETA, FACTOR, LOW, HIGH, ORIGINAL = 5e5, 8.0, 1.0, 4.0, 8192


def rope_freqs():
    """The divisors as llama.cpp's conversion computes them (conversion/llama.py, generate_extra_tensors)."""
    freqs = 1.0 / (THETA ** (torch.arange(0, D, 2, dtype=torch.float32) / D))
    out = []
    for freq in freqs:
        wavelen = 2 * np.pi / freq
        if wavelen < ORIGINAL / HIGH:
            out.append(1)
        elif wavelen > ORIGINAL / LOW:
            out.append(FACTOR)
        else:
            smooth = (ORIGINAL / wavelen - LOW) / (HIGH - LOW)
            out.append(1 / ((1 - smooth) / FACTOR + smooth))
    return np.array(out, np.float32)


def write_llama():
    """A llama model in several encodings. Whatever is random is fine for q and k: transformers undoes the permutation."""
    path = ROOT / "testdata" / "llama.gguf"
    w = gguf.GGUFWriter(path, "llama")
    w.add_block_count(L)
    w.add_context_length(64)
    w.add_embedding_length(H)
    w.add_feed_forward_length(I)
    w.add_head_count(A)
    w.add_head_count_kv(K)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(D)
    w.add_rope_freq_base(THETA)
    w.add_vocab_size(V)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([chr(ord("a") + i) for i in range(V)])  # single letters: longer tokens would want merges
    w.add_token_types([1] * V)
    w.add_token_merges([])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_tensor("rope_freqs.weight", rope_freqs())

    def add(name, shape, kind):
        x = RNG.standard_normal(shape).astype(np.float32)
        w.add_tensor(name, gguf.quants.quantize(x, kind), raw_dtype=kind)

    add("token_embd.weight", (V, H), Q.BF16)
    add("output_norm.weight", (H,), Q.F32)
    for i in range(L):
        b = f"blk.{i}."
        add(b + "attn_norm.weight", (H,), Q.F32)
        add(b + "ffn_norm.weight", (H,), Q.F32)
        add(b + "attn_q.weight", (A * D, H), Q.Q8_0)
        add(b + "attn_k.weight", (K * D, H), Q.F16 if i else Q.F32)
        add(b + "attn_v.weight", (K * D, H), Q.Q5_0)
        add(b + "attn_output.weight", (H, A * D), Q.Q4_0)
        add(b + "ffn_gate.weight", (I, H), Q.Q4_1)
        add(b + "ffn_up.weight", (I, H), Q.Q5_1)
        add(b + "ffn_down.weight", (H, I), Q.F16)
    close(w)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    config = {k: getattr(model.config, k) for k in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings", "bos_token_id", "eos_token_id")}
    state = {k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_torch(state, path.with_suffix(".safetensors"), META | {"config": json.dumps(config)})


def write_mixed():
    """Every dtype lomo reads. The order of the names is not that of the file."""
    path = ROOT / "safetensors" / "testdata" / "mixed.safetensors"

    def normal(shape, dtype):
        return torch.from_numpy(RNG.standard_normal(shape)).to(dtype)

    tensors = {
        "z.f32": normal((2, 3), torch.float32),
        "a.f32": normal(4, torch.float32),
        "bf16": normal((2, 2), torch.bfloat16),
        "f16": normal(3, torch.float16),
        "f64": normal(2, torch.float64),
        "i64": torch.arange(3, dtype=torch.int64),
        "i32": torch.arange(3, dtype=torch.int32),
        "i16": torch.arange(3, dtype=torch.int16),
        "i8": torch.arange(3, dtype=torch.int8),
        "u8": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros((0, 4)),
        'odd "name" \\ <é>\u2028\n\x01\x7f': torch.tensor([7], dtype=torch.uint8),
    }
    save_torch(tensors, path, {"format": "pt"})


def write_split():
    """File names and their tensors, for sizes around the limit of 100 bytes."""
    cases = []
    for sizes in ([10], [100], [101], [40, 60, 1], [40, 61], [40, 150, 50, 60], [150, 150], [30, 30, 30, 30, 200, 10]):
        state = {f"t{i}": torch.zeros(n, dtype=torch.uint8) for i, n in enumerate(sizes)}
        s = split_torch_state_dict_into_shards(state, filename_pattern="model{suffix}.safetensors", max_shard_size=100)
        cases.append({"sizes": sizes, "files": s.filename_to_tensors, "total_size": s.metadata["total_size"]})
    text = json.dumps({"meta": META, "limit": 100, "cases": cases}, indent=1)
    (ROOT / "testdata" / "split.json").write_text(text + "\n")


if __name__ == "__main__":
    write_blocks()
    write_llama()
    write_mixed()
    write_split()
