"""The folder that lomo writes is the trained model: transformers opens it with its tokenizer, and its logits equal lomo's own
to 1e-3 in float32."""

import json

import common
import shakespeare

STEPS, TOKENS, BOUND = 3, 128, 1e-3


def lomo_logits(args, folder, model, ids):
    """(T, V) of one sequence."""
    from safetensors.torch import load_file

    path = folder / "ids.json"
    path.write_text(json.dumps(ids))
    common.lomo(args, "debug", "logits", "--model", model, "--ids", path, "--out", folder / "logits.safetensors")
    return load_file(folder / "logits.safetensors")["logits"]


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    import peer
    import torch
    from transformers import AutoTokenizer

    folder = common.scratch(args, "logits")
    lines = common.train(args, folder, **shakespeare.settings(args, folder, STEPS), optimizer="adalomo", learning_rate=5e-4, save_final=True)
    trained, ids = folder / "out", shakespeare.lists(args)[-1][:TOKENS]
    model = peer.open_model(trained).eval()
    with torch.no_grad():
        want = model(torch.tensor([ids])).logits[0]
    before = peer.open_model(args.model).eval()
    with torch.no_grad():
        moved = (before(torch.tensor([ids])).logits[0] - want).abs().max().item()
    verdict.say(moved > 0.1, f"training moved the logits: by up to {moved:.2f} in {len(lines)} steps")
    verdict.check("logits of the trained folder: largest difference", (lomo_logits(args, folder, trained, ids) - want).abs().max().item(), BOUND)
    text = "To be, or not to be: 1601 <|im_start|>user\nčau 🙂<|im_end|>"
    ours, theirs = AutoTokenizer.from_pretrained(trained), AutoTokenizer.from_pretrained(args.model)
    verdict.say(ours.encode(text) == theirs.encode(text), "the folder's tokenizer opens with AutoTokenizer and gives the same ids")
    verdict.say(ours.eos_token_id == theirs.eos_token_id and ours.chat_template == theirs.chat_template, "its end token and chat template are kept")
    verdict.exit()


if __name__ == "__main__":
    main()
