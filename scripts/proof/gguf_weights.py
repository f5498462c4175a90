"""GGUF in: the weights that lomo reads from SmolLM2's GGUF file are, bit for bit, those that the gguf package dequantises, and
the tokenizer files it writes for them open in transformers and give the same ids as the tokenizers library on the whole text."""

import pathlib

import common


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    import gguf
    import numpy
    from safetensors.numpy import load_file
    from transformers import AutoTokenizer

    import prepare

    source = next(pathlib.Path(args.dir).rglob("*.gguf"))
    want = prepare.weights(gguf.GGUFReader(source))
    folder = common.scratch(args, "gguf")
    common.lomo(args, "debug", "export", "--model", source, "--out", folder / "out", "--dtype", "f32")
    got = {}
    for shard in (folder / "out").glob("*.safetensors"):
        got.update(load_file(shard))
    verdict.say(got.keys() == want.keys(), f"names: {len(got)} tensors, {len(want)} wanted, not in both: {sorted(got.keys() ^ want.keys())[:4]}")
    different = [n for n in got.keys() & want.keys()
                 if got[n].shape != want[n].shape or not numpy.array_equal(got[n].view(numpy.uint32), want[n].view(numpy.uint32))]
    values = sum(w.size for w in want.values())
    verdict.say(not different, f"bits of {values:,} weights: {len(different)} tensors differ {different[:4]}")
    text = (args.data / "tinyshakespeare.txt").read_text()[:100_000] + " <|im_start|>user\nčau 🙂 1234  \t x<|im_end|>"
    ours, theirs = (AutoTokenizer.from_pretrained(f) for f in (folder / "out", args.model))
    ids = ours.encode(text)
    verdict.say(ids == theirs.encode(text), f"the tokenizer written opens with AutoTokenizer: {len(ids)} ids")
    verdict.say(ours.chat_template == theirs.chat_template and ours.eos_token_id == theirs.eos_token_id, "its chat template and end token are the file's")
    verdict.exit()


if __name__ == "__main__":
    main()
