"""GGUF in: the weights that lomo reads from SmolLM2's GGUF file are, bit for bit, those that the gguf package dequantises."""

import pathlib

import common


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    import gguf
    import numpy
    from safetensors.numpy import load_file

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
    verdict.exit()


if __name__ == "__main__":
    main()
