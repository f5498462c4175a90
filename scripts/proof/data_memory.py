"""Memory of data: a set of text of 20 MB, of random words, takes at most three times its file beyond the same run on one long text, whatever its records are."""

import json
import random
import shutil
import string

import common
from memory import peak

SIZE, BOUND = 20e6, 3.0


def words(rnd, n):
    return " ".join("".join(rnd.choices(string.ascii_lowercase, k=rnd.randint(2, 10))) for _ in range(n))


def kinds():
    """Name, type of the records, and what makes the lines of a file."""
    rnd = random.Random(7)
    pool = words(rnd, 400_000)

    def some(n):
        at = rnd.randrange(len(pool) - n)
        return pool[at : at + n]

    turn = lambda: [dict(role=role, content=some(12)) for role in ("user", "assistant")]
    yield "plain text", "text", ".txt", lambda: some(79)
    yield "one word a line", "text", ".jsonl", lambda: json.dumps(dict(text=some(5)))
    yield "short texts", "text", ".jsonl", lambda: json.dumps(dict(text=some(60)))
    yield "long texts", "text", ".jsonl", lambda: json.dumps(dict(text=some(20_000)))
    yield "answers", "prompt_completion", ".jsonl", lambda: json.dumps(dict(prompt=some(80), completion=some(40)))
    yield "ids", "tokenized", ".jsonl", lambda: json.dumps(dict(input_ids=[rnd.randrange(49152) for _ in range(200)]))
    yield "40 short messages", "messages", ".jsonl", lambda: json.dumps(dict(messages=[m for _ in range(20) for m in turn()]))


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    folder = common.scratch(args, "data_memory")
    settings = dict(sequence_len=256, micro_batch_size=1, max_steps=1, dtype="bf16", optimizer="lomo", sample_prompts=0, save_final=False, chat_template="chatml")

    base = folder / "base.txt"
    base.write_text(words(random.Random(1), 5000))

    def measured(*more):  # the step is of the first text in all runs
        shutil.rmtree(folder / "out", ignore_errors=True)
        return peak([args.lomo, "train", "--resume", "none", "--config", common.config(args, folder, **settings, datasets=[dict(path=str(path), type=kind) for path, kind in ((base, "text"), *more)])])

    least = measured()
    for number, (name, kind, ending, line) in enumerate(kinds()):
        path = folder / f"set{number}{ending}"
        size = 0
        with path.open("w") as f:
            while size < SIZE:
                size += f.write(line() + "\n")
        for packing in (True, False):
            settings["packing"] = packing
            verdict.check(f"{name}, packing {packing}: memory beyond that of one text, times the file", (measured((path, kind)) - least) / size, BOUND)
        path.unlink()
    verdict.exit()


if __name__ == "__main__":
    main()
