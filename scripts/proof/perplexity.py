"""Perplexity of a text longer than a sequence: `lomo eval --type text`, in pieces and through a window (--stride), and the loop of
transformers' guide on perplexity, on the same text in float32. The number of predicted tokens is the same, the loss to 1e-4."""

import common

CHARACTERS, LENGTH, STRIDES, BOUND = 6000, 256, (256, 128, 192), 1e-4


def reference(args, text):
    """[tokens, loss] for each stride."""
    def make():
        import peer
        import torch
        from transformers import AutoTokenizer

        tokenizer, model = AutoTokenizer.from_pretrained(args.model), peer.open_model(args.model).eval()
        ids = torch.tensor(tokenizer.encode(text, add_special_tokens=False) + [tokenizer.eos_token_id])
        return [windows(model, ids, stride) for stride in STRIDES]

    return common.kept(args, "perplexity", dict(characters=CHARACTERS, length=LENGTH, strides=STRIDES), make)


def windows(model, ids, stride):
    import torch

    total, count, before = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + LENGTH, len(ids))
        part, labels = ids[begin:end], ids[begin:end].clone()
        labels[: len(part) - (end - before)] = -100
        with torch.no_grad():
            logits = model(input_ids=part[None], use_cache=False).logits[0]
        total += torch.nn.functional.cross_entropy(logits[:-1].double(), labels[1:], ignore_index=-100, reduction="sum").item()
        count, before = count + (labels[1:] != -100).sum().item(), end
        if end == len(ids):
            return [count, total / count]


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    text = (args.data / "tinyshakespeare.txt").read_text()[:CHARACTERS]
    path = common.scratch(args, "perplexity") / "text.txt"
    path.write_text(text)
    for stride, (count, want) in zip(STRIDES, reference(args, text), strict=True):
        window = [] if stride == LENGTH else ["--stride", stride]
        got = common.last_object(common.lomo(args, "eval", "--model", args.model, "--data", path, "--type", "text", "--sequence-len", LENGTH, "--dtype", "f32", "--json", *window))
        verdict.say(got["tokens"] == count, f"stride {stride}: {got['tokens']} tokens, PyTorch {count}")
        verdict.check(f"stride {stride}: loss {got['loss']:.6f}, PyTorch {want:.6f}: difference", abs(got["loss"] - want), BOUND)
    verdict.exit()


if __name__ == "__main__":
    main()
