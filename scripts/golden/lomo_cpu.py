"""The released lomo_optim package, made to run on a CPU, and the reference training step built on it.

The package moves AdaLomo's moments with Tensor.cuda(); on a machine without a GPU that call is made the identity. Nothing
else of the package is changed: its own fused hooks, its own norm pass (grad_norm) and its own update run here.
"""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

torch.Tensor.cuda = lambda self, *args, **kwargs: self

from lomo_optim import AdaLomo, Lomo  # noqa: E402  (after the patch)


def make(model, run):
    """The optimizer that a run describes: {"optimizer", "lr", ...options by their names in the package or in torch.optim}."""
    options = {k: v for k, v in run.items() if k not in ("optimizer", "lr")}
    match run["optimizer"]:
        case "lomo":
            return Lomo(model, lr=run["lr"], **options)
        case "adalomo":
            return AdaLomo(model, lr=run["lr"], **options)
        case "sgd":
            return torch.optim.SGD(model.parameters(), lr=run["lr"], **options)
        case "adamw":
            return torch.optim.AdamW(model.parameters(), lr=run["lr"], **options)
    raise ValueError(f"no optimizer {run['optimizer']!r}")


def loss_of(model, batch):
    """Mean loss over the trained tokens of batch: (ids, labels), each (B, T) int64; labels -100 are not trained."""
    ids, labels = batch
    return model(input_ids=ids, labels=labels, use_cache=False).loss


def step(model, optimizer, batch, lr):
    """One update. Returns the loss before it and, when the run clips by norm, the gradient's norm (else None)."""
    loss = loss_of(model, batch)
    if not isinstance(optimizer, (Lomo, AdaLomo)):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item(), None
    norm = None
    if optimizer.clip_grad_norm is not None:
        optimizer.grad_norm(loss)
        norm = torch.norm(optimizer.grad_norms, 2.0).item()
        loss = loss_of(model, batch)
    optimizer.fused_backward(loss, lr)
    return loss.item(), norm
