"""A recipe with a real score: SmolLM2-135M-Instruct learns grade-school mathematics from 240 worked answers. Held-out loss on
200 test problems before and after 60 steps of AdaLomo, in lomo and in PyTorch on the same tokens, both float32. Only the
answer is trained (type prompt_completion)."""

import json

import common

STEPS, ROWS, TOKENS, LR, TEST = 60, 4, 256, 3e-4, 200
IMPROVES, BOUND_BEFORE, BOUND_AFTER = 0.10, 1e-3, 5e-3


def problems(path, count):
    """The first count problems as {prompt, completion}."""
    lines = path.read_text().splitlines()[:count]
    return [dict(prompt=f"Question: {r['question']}\nAnswer:", completion=" " + r["answer"]) for r in map(json.loads, lines)]


def tokens(records, tokenizer):
    """(ids, labels) of each problem, eos after the answer, at most TOKENS."""
    out = []
    for r in records:
        prompt = tokenizer.encode(r["prompt"], add_special_tokens=False)
        answer = tokenizer.encode(r["completion"], add_special_tokens=False) + [tokenizer.eos_token_id]
        out.append(((prompt + answer)[:TOKENS], ([-100] * len(prompt) + answer)[:TOKENS]))
    return out


def padded(rows, pad):
    """One batch of right-padded rows. Causal attention never looks at what follows, so no mask is needed."""
    import torch

    longest = max(len(ids) for ids, _ in rows)
    return (torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows]),
            torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in rows]))


def reference(args):
    """PyTorch: held-out loss before and after, and the training losses."""
    def make():
        import peer
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(args.model)
        pad = tokenizer.pad_token_id
        rows = tokens(problems(args.data / "gsm8k" / "train.jsonl", STEPS * ROWS), tokenizer)
        test = [padded([row], pad) for row in tokens(problems(args.data / "gsm8k" / "test.jsonl", TEST), tokenizer)]
        model = peer.open_model(args.model)
        before = peer.mean_loss(model, test)
        losses = peer.train(model, [padded(rows[i : i + ROWS], pad) for i in range(0, len(rows), ROWS)], dict(optimizer="adalomo", lr=LR), "pytorch gsm8k")
        return dict(before=before, after=peer.mean_loss(model, test), losses=losses)

    return common.kept(args, "gsm8k", dict(steps=STEPS, rows=ROWS, tokens=TOKENS, lr=LR, test=TEST), make)


def held_out(args, model, data):
    return common.last_object(common.lomo(args, "eval", "--model", model, "--data", data, "--type", "prompt_completion",
                                          "--sequence-len", TOKENS, "--dtype", "f32", "--json"))["loss"]


def main():
    args = common.arguments(__doc__, reference_only="compute and keep PyTorch's figures only")
    verdict = common.Verdict()
    want = reference(args)
    if args.reference_only:
        return print(json.dumps(want))
    folder = common.scratch(args, "gsm8k")
    train = common.write_jsonl(folder / "train.jsonl", problems(args.data / "gsm8k" / "train.jsonl", STEPS * ROWS))
    test = common.write_jsonl(folder / "test.jsonl", problems(args.data / "gsm8k" / "test.jsonl", TEST))
    before = held_out(args, args.model, test)
    lines = common.train(args, folder, datasets=[dict(path=str(train), type="prompt_completion")], sequence_len=TOKENS, micro_batch_size=ROWS,
                         max_steps=STEPS, optimizer="adalomo", learning_rate=LR, save_final=True)
    after = held_out(args, folder / "out", test)
    print(f"held-out loss on {TEST} problems  before    after\n  lomo                       {before:.4f}   {after:.4f}\n"
          f"  pytorch                    {want['before']:.4f}   {want['after']:.4f}")
    verdict.check("before, against PyTorch", abs(before - want["before"]), BOUND_BEFORE)
    verdict.check("after, against PyTorch", abs(after - want["after"]), BOUND_AFTER)
    verdict.check("training losses, largest difference", max(abs(g["loss"] - w) for g, w in zip(lines, want["losses"], strict=True)), BOUND_AFTER)
    verdict.say(after < before * (1 - IMPROVES), f"held-out loss falls by {100 * (1 - after / before):.1f} %, wanted {100 * IMPROVES:.0f} %")
    verdict.exit()


if __name__ == "__main__":
    main()
