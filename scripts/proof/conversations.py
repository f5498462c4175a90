"""Conversations for the proofs: worked problems of gsm8k as chats of one, two and three questions, every other one with a system
turn. What PyTorch trains on is made here from the rendered text alone: the ids of the whole conversation, and as labels the
answers with the marker that ends them."""

import json

ROWS, TOKENS = 1, 256
OPEN, CLOSE = "<|im_start|>assistant\n", "<|im_end|>"


def conversations(args, count):
    """The first count conversations, as messages."""
    problems = [json.loads(line) for line in (args.data / "gsm8k" / "train.jsonl").read_text().splitlines()[: 3 * count]]
    out = []
    for i in range(count):
        turns = [{"role": "system", "content": "You solve problems step by step."}] if i % 2 else []
        for p in problems[3 * i : 3 * i + 1 + i % 3]:
            turns += [{"role": "user", "content": p["question"]}, {"role": "assistant", "content": p["answer"]}]
        out.append(turns)
    return out


def tokens(turns, tokenizer):
    """(ids, labels) of one conversation, at most TOKENS."""
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    found = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    answers, at = [], 0
    while (start := text.find(OPEN, at)) >= 0:
        start += len(OPEN)
        at = text.index(CLOSE, start) + len(CLOSE)
        answers.append((start, at))
    labels = [i if any(a <= start and end <= b for a, b in answers) else -100 for i, (start, end) in zip(found["input_ids"], found["offset_mapping"])]
    return found["input_ids"][:TOKENS], labels[:TOKENS]


def batches(args, steps):
    """(ids, labels) of each step, padded on the right, where causal attention never looks."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    rows = [tokens(c, tokenizer) for c in conversations(args, ROWS * steps)]
    out = []
    for i in range(0, len(rows), ROWS):
        longest = max(len(ids) for ids, _ in rows[i : i + ROWS])
        out.append((torch.tensor([ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids, _ in rows[i : i + ROWS]]),
                    torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in rows[i : i + ROWS]])))
    return out


def settings(args, folder, steps):
    """Keys of a lomo run over the same conversations, which lomo renders and masks itself."""
    from common import write_jsonl

    path = write_jsonl(folder / "chat.jsonl", [{"messages": c} for c in conversations(args, ROWS * steps)])
    return dict(datasets=[dict(path=str(path), type="messages")], sequence_len=TOKENS, micro_batch_size=ROWS, max_steps=steps, logging_steps=1)
