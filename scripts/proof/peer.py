"""The reference: transformers' LlamaForCausalLM with the lomo_optim package, on the CPU."""

import lomo_cpu
import torch
import common  # noqa: F401 first: it keeps this folder from hiding the library tokenizers
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def open_model(folder, dtype=torch.float32, checkpointing=False):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    model.config.use_cache = False
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.train()


def train(model, batches, run, talk=None):
    """Trains one step a batch. run is {"optimizer", "lr", options of the package}. Returns the losses before each update."""
    optimizer = lomo_cpu.make(model, run)
    losses = []
    for batch in batches:
        loss, _ = lomo_cpu.step(model, optimizer, batch, run["lr"])
        losses.append(loss)
        if talk:
            print(f"  {talk} step {len(losses)}/{len(batches)}: {loss:.5f}", flush=True)
    return losses


@torch.no_grad()
def mean_loss(model, batches):
    """Mean loss over all trained tokens of (ids, labels) batches, summed over tokens and not over batches."""
    model.eval()
    total, count = 0.0, 0
    for ids, labels in batches:
        logits = model(input_ids=ids, use_cache=False).logits.float()
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")
        total, count = total + loss.item(), count + (labels[:, 1:] != -100).sum().item()
    model.train()
    return total / count
