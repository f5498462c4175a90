"""Makes the Hugging Face folder that PyTorch and lomo both open: SmolLM2-135M-Instruct in float32, from the GGUF file.

The gguf package dequantises; the query and key rows, which GGUF stores in Meta's order for this architecture, are put back;
the tokenizer is built with the tokenizers library from the vocabulary and merges in the file (single digits, then GPT-2's
byte-level pattern: what llama.cpp calls "smollm").

Run:  python prepare.py FILE.gguf FOLDER
"""

import pathlib
import sys

import common  # noqa: F401 first: it keeps this folder from hiding the library tokenizers
import gguf
import numpy
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def hugging_face_name(name):
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{BLOCK[parts[2]]}.weight"
    return TOP[parts[0]] + ".weight"


def half_split(w, heads):
    """Rows of each head from neighbouring pairs (Meta) to half-split pairs (Hugging Face)."""
    return w.reshape(heads, -1, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def weights(reader):
    """Hugging Face name -> float32 array, as the gguf package dequantises it."""
    heads = {"attn_q": value(reader, "llama.attention.head_count"), "attn_k": value(reader, "llama.attention.head_count_kv")}
    out = {}
    for t in reader.tensors:
        w = gguf.quants.dequantize(t.data, t.tensor_type).astype(numpy.float32)
        kind = t.name.split(".")[-2]
        out[hugging_face_name(t.name)] = half_split(w, heads[kind]) if kind in heads else w
    return {k: numpy.ascontiguousarray(w) for k, w in out.items()}


def value(reader, key):
    return reader.fields[key].contents()


def model_config(reader, tied):
    def get(key):
        return value(reader, "llama." + key)

    return LlamaConfig(vocab_size=get("vocab_size"), hidden_size=get("embedding_length"), intermediate_size=get("feed_forward_length"),
                       num_hidden_layers=get("block_count"), num_attention_heads=get("attention.head_count"),
                       num_key_value_heads=get("attention.head_count_kv"), max_position_embeddings=get("context_length"),
                       rms_norm_eps=round(get("attention.layer_norm_rms_epsilon"), 12), tie_word_embeddings=tied, dtype="float32",
                       rope_parameters={"rope_type": "default", "rope_theta": get("rope.freq_base")},
                       bos_token_id=value(reader, "tokenizer.ggml.bos_token_id"), eos_token_id=value(reader, "tokenizer.ggml.eos_token_id"),
                       pad_token_id=value(reader, "tokenizer.ggml.padding_token_id"), architectures=["LlamaForCausalLM"])


def tokenizer(reader):
    tokens, kinds = value(reader, "tokenizer.ggml.tokens"), value(reader, "tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ")) for m in value(reader, "tokenizer.ggml.merges")]
    t = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    control = gguf.TokenType.CONTROL
    t.add_special_tokens([AddedToken(token, normalized=False, special=True) for token, kind in zip(tokens, kinds) if kind == control])
    named = {kind + "_token": tokens[value(reader, f"tokenizer.ggml.{key}_token_id")]
             for kind, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))}
    return PreTrainedTokenizerFast(tokenizer_object=t, chat_template=value(reader, "tokenizer.chat_template"), clean_up_tokenization_spaces=False, **named)


def main():
    source, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    reader = gguf.GGUFReader(source)
    found = weights(reader)
    folder.mkdir(parents=True, exist_ok=True)
    model_config(reader, "lm_head.weight" not in found).save_pretrained(folder)
    tokenizer(reader).save_pretrained(folder)
    save_file(found, folder / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()
