"""Golden files of tiny models whose pad_token_id is an ordinary token of the batches, in the form of models.py.

PyTorch's embedding leaves the gradient of that row's lookups out (padding_idx); a tied head's part of it stays. The id stands
in about every fifth place of the batches, as the end of a turn does in a model whose padding token it is.

Run:  python scripts/golden/padding.py            (needs torch, transformers, lomo-optim, safetensors)
"""

import hashlib
import pathlib

import models
import torch
from transformers.utils import logging

MODELS = {
    "pad_tied": dict(hidden_size=24, intermediate_size=40, num_attention_heads=3, num_key_value_heads=1, vocab_size=64,
                     tie_word_embeddings=True, rms_norm_eps=1e-5, rope_theta=1e4, pad_token_id=2),
    "pad_untied": dict(hidden_size=24, intermediate_size=40, num_attention_heads=3, num_key_value_heads=3, vocab_size=48,
                       tie_word_embeddings=False, rms_norm_eps=1e-5, rope_theta=1e4, pad_token_id=-3),
}


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    drawn, hashed = models.draw_batches, models.scripts
    for number, (name, options) in enumerate(MODELS.items()):
        gen = torch.Generator().manual_seed(models.SEED + 7000 + 1000 * number)
        pad = options["pad_token_id"] % options["vocab_size"]

        def draw_batches(vocab, gen, pad=pad):
            ids, labels = drawn(vocab, gen)
            at = torch.rand(ids.shape, generator=gen) < 0.2
            at[:, 0, 3] = True  # in every batch at least once
            trained = labels != -100
            ids[at] = pad
            return ids, torch.where(trained, ids, labels)

        def scripts():
            here = pathlib.Path(__file__).resolve()
            return hashed() | {str(here.relative_to(models.ROOT)): hashlib.sha256(here.read_bytes()).hexdigest()}

        models.draw_batches, models.scripts = draw_batches, scripts
        models.write_model(name, dict(options), gen)
        check_padded(models.load(name), pad)
        models.golden(name, options["vocab_size"], gen)


def check_padded(model, pad):
    """The model must leave that row's lookups out, or the files would prove nothing."""
    assert model.model.embed_tokens.padding_idx == pad
    ids = torch.tensor([[1, pad, 3, pad]])
    model.model(input_ids=ids).last_hidden_state.sum().backward()
    grad = model.model.embed_tokens.weight.grad
    assert not grad[pad].any() and grad[3].any()


if __name__ == "__main__":
    main()
