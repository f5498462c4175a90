"""The training data of the proofs: the ids of the whole text cut into lists of 1,024 (the tail dropped). Step s trains the
first 256 ids of lists 4s ... 4s+3; the first 512 ids of the last 8 lists are held out."""

import json

from common import write_jsonl

LIST, ROWS, TRAINED, HELD_OUT = 1024, 4, 256, 512


def lists(args):
    """All lists, tokenised once by the model's tokenizer in transformers and kept."""
    path = args.dir / "tinyshakespeare.json"
    if not path.exists():
        from transformers import AutoTokenizer

        text = (args.data / "tinyshakespeare.txt").read_text()
        ids = AutoTokenizer.from_pretrained(args.model).encode(text, add_special_tokens=False)
        path.write_text(json.dumps([ids[i : i + LIST] for i in range(0, len(ids) - LIST + 1, LIST)]))
    return json.loads(path.read_text())


def batches(args, steps, rows=ROWS, trained=TRAINED):
    """ids (rows, trained) of each step; every token but the first of a row is predicted."""
    import torch

    ids = torch.tensor(lists(args)[: rows * steps])[:, :trained]
    return [(rows, rows) for rows in ids.split(rows)]


def held_out(args):
    """ids (8, 512)."""
    import torch

    return torch.tensor(lists(args)[-8:])[:, :HELD_OUT]


def training_file(args, folder, steps, rows=ROWS):
    """The same steps for lomo: whole lists, which sequence_len cuts."""
    return write_jsonl(folder / "train.jsonl", [{"input_ids": row} for row in lists(args)[: rows * steps]])


def held_out_file(args, folder):
    return write_jsonl(folder / "held_out.jsonl", [{"input_ids": row[:HELD_OUT]} for row in lists(args)[-8:]])


def settings(args, folder, steps, rows=ROWS, trained=TRAINED):
    """Keys of a lomo run over these steps."""
    return dict(datasets=[dict(path=str(training_file(args, folder, steps, rows)), type="tokenized")], sequence_len=trained,
                micro_batch_size=rows, gradient_accumulation_steps=1, max_steps=steps, logging_steps=1)
