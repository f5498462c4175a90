"""Golden files of internal/checkpoint for what PyTorch writes: files of torch.save, and checkpoints as Meta publishes them.

    pip install torch numpy safetensors
    python scripts/golden/torch_files.py

Writes into internal/checkpoint/testdata (seeded; versions and this script's hash are in the metadata of each safetensors file):
  torch/pytorch_model.bin, torch.safetensors      views, shared storages, a Parameter, every dtype; and their values
  torch_old.bin                                   the format before PyTorch 1.6
  meta2/, meta2.safetensors                       two parts, the embedding cut by columns (Llama 1 and 2), float16
  meta3/, meta3.safetensors                       two parts, the embedding cut by rows (Llama 3), bfloat16, fewer key heads
The safetensors beside a Meta folder hold the same model under Hugging Face names, its query and key rows put in order by the
formula of the conversion in the transformers library.
"""

import collections
import hashlib
import importlib.metadata
import json
import pathlib

import torch
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parents[2] / "internal" / "checkpoint" / "testdata"
META = {p: importlib.metadata.version(p) for p in ("torch", "safetensors")} | {
    "script": "torch_files.py",
    "sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest(),
}


def save_values(name, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, OUT / name, metadata=META)


def torch_file():
    base = torch.randn(6, 5)
    state = collections.OrderedDict(
        f32=base,
        transposed=base.t(),
        rows=base[2:5],
        columns=base[:, 1:4],
        permuted=torch.randn(2, 3, 4).permute(2, 0, 1),
        bf16=torch.randn(3, 7).bfloat16(),
        f16=torch.randn(9).half(),
        f64=torch.randn(2, 2, dtype=torch.float64),
        i64=torch.arange(5) - 2,
        scalar=torch.tensor(3.25),
        empty=torch.zeros(0, 4),
        parameter=torch.nn.Parameter(torch.randn(4, 3)),
    )
    state._metadata = collections.OrderedDict(version=1)
    (OUT / "torch").mkdir(exist_ok=True)
    torch.save(state, OUT / "torch" / "pytorch_model.bin")
    save_values("torch.safetensors", {k: v for k, v in state.items() if v.is_floating_point()})
    torch.save({"a": base}, OUT / "torch_old.bin", _use_new_zipfile_serialization=False)


def hugging_face_rows(w, heads):
    out, width = w.shape
    return w.view(heads, out // heads // 2, 2, width).transpose(1, 2).reshape(out, width)


def meta_folder(name, dtype, kv_heads, rows, params):
    dim, heads, layers, hidden, vocab, parts = 16, 4, 2, 24, 14, 2
    head = dim // heads
    m, hf = {}, {}

    def add(meta, hugging, *shape, cut=None, permute=0):
        w = torch.randn(*shape).to(dtype)
        m[meta] = (w, cut)
        hf[hugging] = hugging_face_rows(w, permute) if permute else w

    add("tok_embeddings.weight", "model.embed_tokens.weight", vocab, dim, cut=0 if rows else 1)
    for i in range(layers):
        a, b = f"layers.{i}.", f"model.layers.{i}."
        add(a + "attention.wq.weight", b + "self_attn.q_proj.weight", dim, dim, cut=0, permute=heads)
        add(a + "attention.wk.weight", b + "self_attn.k_proj.weight", kv_heads * head, dim, cut=0, permute=kv_heads)
        add(a + "attention.wv.weight", b + "self_attn.v_proj.weight", kv_heads * head, dim, cut=0)
        add(a + "attention.wo.weight", b + "self_attn.o_proj.weight", dim, dim, cut=1)
        add(a + "feed_forward.w1.weight", b + "mlp.gate_proj.weight", hidden, dim, cut=0)
        add(a + "feed_forward.w2.weight", b + "mlp.down_proj.weight", dim, hidden, cut=1)
        add(a + "feed_forward.w3.weight", b + "mlp.up_proj.weight", hidden, dim, cut=0)
        add(a + "attention_norm.weight", b + "input_layernorm.weight", dim)
        add(a + "ffn_norm.weight", b + "post_attention_layernorm.weight", dim)
    add("norm.weight", "model.norm.weight", dim)
    add("output.weight", "lm_head.weight", vocab, dim, cut=0)
    m["rope.freqs"] = (torch.randn(head // 2).to(dtype), None)

    folder = OUT / name
    folder.mkdir(exist_ok=True)
    for p in range(parts):
        part = {k: w if cut is None else w.chunk(parts, cut)[p].clone() for k, (w, cut) in m.items()}
        torch.save(part, folder / f"consolidated.{p:02d}.pth")
    params = {"dim": dim, "n_layers": layers, "n_heads": heads, "multiple_of": 8, "vocab_size": -1} | params
    (folder / "params.json").write_text(json.dumps(params) + "\n")
    save_values(name + ".safetensors", hf)


def main():
    torch.manual_seed(20261126)
    torch_file()
    meta_folder("meta2", torch.float16, 4, False, {"norm_eps": 1e-5})
    meta_folder("meta3", torch.bfloat16, 2, True, {"n_kv_heads": 2, "norm_eps": 1e-5, "rope_theta": 500000.0, "use_scaled_rope": True})


if __name__ == "__main__":
    main()
