"""Multiple choice against PyTorch: `lomo eval --task rte` (and boolq, on a few questions of our own) and the same prompts and
scoring in transformers. A choice's score is the sum of the log-probabilities of its tokens and of eos; a token belongs to the
choice when it covers any of its characters. The number of right answers agrees to one example."""

import json
import pathlib

import common

MAX_LEN = 1024  # tokens of a prompt and choice, eos not counted


def rte(r):
    return (f'{r["premise"]}\nDoes this mean that "{r["hypothesis"]}" is true? Yes or No?\nAnswer: ', ["Yes", "No"],
            {"entailment": 0, "not_entailment": 1}[r["label"]])


def boolq(r):
    return f'{r["passage"]} {r["question"]}\nAnswer: ', ["No", "Yes"], int(r["label"])


def score(model, tokenizer, prompt, choice):
    """Sum of log p over the choice's tokens and eos."""
    import torch

    found = tokenizer(prompt + choice, return_offsets_mapping=True, add_special_tokens=False)
    ids = found["input_ids"][-MAX_LEN:] + [tokenizer.eos_token_id]  # a long prompt loses its beginning
    counts = [end > len(prompt) for _, end in found["offset_mapping"][-MAX_LEN:]] + [True]
    keep = len(ids) - max(counts.index(True), 1) + 1  # only these positions' logits are needed
    with torch.no_grad():
        log_p = model(torch.tensor([ids]), logits_to_keep=keep).logits[0].log_softmax(-1)
    return sum(log_p[keep - 1 - back, ids[-back]].item() for back in range(1, keep) if counts[-back])


def reference(args, task, records, limit):
    """Index of the best choice of each example."""
    def make():
        import peer
        from transformers import AutoTokenizer

        model, tokenizer = peer.open_model(args.model).eval(), AutoTokenizer.from_pretrained(args.model)
        best = []
        for prompt, choices, _ in map(task, records):
            scores = [score(model, tokenizer, prompt, c) for c in choices]
            best.append(scores.index(max(scores)))
        return best

    return common.kept(args, "choice-" + task.__name__, dict(records=len(records), limit=limit), make)


def compare(args, verdict, task, path):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    best = reference(args, task, records, MAX_LEN)
    right = sum(b == task(r)[2] for b, r in zip(best, records))
    got = common.last_object(common.lomo(args, "eval", "--model", args.model, "--task", task.__name__, "--data", path, "--dtype", "f32", "--json"))
    ours = round(got["value"] * got["n"])
    verdict.say(got["n"] == len(records), f"{task.__name__}: {got['n']} examples of {len(records)}")
    verdict.check(f"{task.__name__}: {ours} right, PyTorch {right}: difference", abs(ours - right), 1)


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    compare(args, verdict, rte, args.data / "superglue" / "RTE" / "val.jsonl")
    compare(args, verdict, boolq, pathlib.Path(__file__).with_name("boolq.jsonl"))
    verdict.exit()


if __name__ == "__main__":
    main()
