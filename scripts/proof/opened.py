"""A folder that lomo has trained, opened by others: transformers, a reader that takes every *.safetensors of a folder as servers do,
and llama.cpp's converter (convert_hf_to_gguf.py of the source package of llama-cpp-python). The same tensors, ids, chat template,
tokens that end a text, and logits as lomo's own, for SmolLM2-135M trained from its GGUF file and a model of `lomo new`; the finished
folder and a checkpoint.

The packages are fetched into the scratch folder when this runs. LLAMA_CPP_SOURCE names a folder with the converter if it is there
already. Logits of the converted file are computed by lomo: llama.cpp itself is not built here."""

import json
import os
import pathlib
import subprocess
import sys
import tarfile

import common

BOUND = 1e-3
LINES = ["Hello  world's 123abc\n\n x", "<|im_start|>user\nčau 🙂<|im_end|>\n", "  two\tspaces ", "日本語 and עברית", "1601, 3.14 and 10^-5", "", "ﬁ é e\u0301 \u00a0 \u200b", "def f(x):\n    return x**2\n"]
CHAT = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "In Marl."}, {"role": "user", "content": "Since when?"}]


def converter(args):
    """Path of convert_hf_to_gguf.py, with the gguf package it was made for beside it."""
    given = os.environ.get("LLAMA_CPP_SOURCE")
    folder = pathlib.Path(given) if given else args.dir / "llama.cpp"
    script = folder / "convert_hf_to_gguf.py"
    if script.exists():
        return script
    archive = args.dir / "llama-cpp-python"
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", archive, "llama-cpp-python==0.3.36"], check=True)
    with tarfile.open(next(archive.glob("*.tar.gz"))) as t:
        for m in t.getmembers():
            _, found, name = m.name.partition("/vendor/llama.cpp/")
            if found and m.isfile() and (name == script.name or name.startswith(("conversion/", "gguf-py/gguf/"))):
                m.name = name
                t.extract(m, folder, filter="data")
    return script


def source_gguf(args):
    """SmolLM2's GGUF file, from the wheel that setup.sh has fetched."""
    found = sorted(pathlib.Path(args.dir).rglob("SmolLM2*.gguf"))
    if not found:
        sys.exit("opened: no SmolLM2*.gguf below --dir: scripts/proof/run.sh fetches it")
    return found[0]


def train(args, name, model, **keys):
    """Trains a few steps on chats and returns the folder and its last checkpoint."""
    folder = common.scratch(args, "opened-" + name)
    data = common.write_jsonl(folder / "data.jsonl", [{"messages": CHAT[:2]}, {"messages": [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "In 1312."}]}] * 4)
    common.lomo(args, "train", "--config", common.config(args, folder, model=str(model), datasets=[{"path": str(data), "type": "messages"}], optimizer="adalomo",
                learning_rate=5e-4, micro_batch_size=2, sequence_len=128, max_steps=3, save_steps=2, save_final=True, device="cpu", **keys))
    return folder / "out", folder / "out" / "checkpoint-2"


def tensors(folder, dtype="f32", args=None):
    """All tensors of a model, as lomo reads them, by name."""
    from safetensors.torch import load_file

    out = common.scratch(args, "opened-export")
    common.lomo(args, "debug", "export", "--model", folder, "--out", out / "m", "--dtype", dtype)
    found = {}
    for shard in (out / "m").glob("model*.safetensors"):
        found.update(load_file(shard))
    return found


def globbed(folder):
    """What a server loads that takes every *.safetensors but, where there is an index, only the files that it names."""
    from safetensors import safe_open

    files = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.exists():
        named = set(json.loads(index.read_text())["weight_map"].values())
        files = [f for f in files if f.name in named]
    names = []
    for f in files:
        with safe_open(f, "pt") as s:
            names += s.keys()
    return names


def encoded(args, model, special=False):
    """Ids of LINES by lomo; a line's own ends are written as spaces, since the command reads lines."""
    text = "".join(line.replace("\n", " ") + "\n" for line in LINES)
    done = subprocess.run([str(args.lomo), "tokenize", "--model", str(model)] + ["--special"] * special, input=text, capture_output=True, text=True, check=True, env=common.environment())
    return [json.loads(line) for line in done.stdout.splitlines()]


def stops(args, folder):
    return sorted(common.last_object(common.lomo(args, "inspect", folder, "--json"))["tokenizer"]["eos_token_ids"])


def as_list(ids):
    return sorted(ids if isinstance(ids, list) else [ids])


def by_transformers(args, verdict, name, folder, template):
    """One folder, opened by transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from logits import lomo_logits

    model, said = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    wrong = {k: sorted(v)[:3] for k, v in said.items() if v}
    verdict.say(not wrong, f"{name}: transformers finds every tensor and no other {wrong or ''}")
    written = {json.loads((folder / "config.json").read_text()).get(k) for k in ("dtype", "torch_dtype")} - {None}
    verdict.say(written == {str(model.dtype).removeprefix("torch.")}, f"{name}: dtype of config.json {written} is the weights' {model.dtype}")
    tok = AutoTokenizer.from_pretrained(folder)
    ours = encoded(args, folder)
    theirs = [tok.encode(line.replace("\n", " "), add_special_tokens=False) for line in LINES]
    verdict.say(ours == theirs, f"{name}: ids of {len(LINES)} lines, {sum(map(len, ours))} ids")
    verdict.say(encoded(args, folder, True) == [tok.encode(line.replace("\n", " ")) for line in LINES], f"{name}: ids with special tokens")
    verdict.say(as_list(model.generation_config.eos_token_id) == stops(args, folder), f"{name}: tokens that end a text {stops(args, folder)}")
    verdict.say(tok.chat_template == template, f"{name}: chat template, {len(template or '')} characters")
    ids = [i for line in ours for i in line][:96]
    with torch.no_grad():
        want = model.eval().float()(torch.tensor([ids])).logits[0]
    got = lomo_logits(args, common.scratch(args, "opened-logits"), folder, ids)
    verdict.check(f"{name}: logits of {len(ids)} tokens, largest difference", (got - want).abs().max().item(), BOUND)
    return got, ids


def by_converter(args, verdict, name, folder, logits, ids, template):
    """The folder, converted by llama.cpp and read by lomo."""
    import numpy
    from logits import lomo_logits

    script = converter(args)
    out = common.scratch(args, "opened-gguf") / "m.gguf"
    env = os.environ | {"PYTHONPATH": str(script.parent / "gguf-py")}
    done = subprocess.run([sys.executable, str(script), str(folder), "--outfile", str(out), "--outtype", "f32"], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        verdict.say(False, f"{name}: llama.cpp's converter: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}")
        return
    import gguf

    reader = gguf.GGUFReader(out)
    field = lambda key: reader.fields[key].contents() if key in reader.fields else None
    source, back = tensors(folder, args=args), tensors(out, args=args)
    same = source.keys() == back.keys() and all(numpy.array_equal(source[k].numpy(), back[k].numpy()) for k in source)
    verdict.say(same, f"{name}: {len(back)} tensors of the converted file are the folder's, bit for bit")
    listed = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = listed["model"]["vocab"] | {t["content"]: t["id"] for t in listed["added_tokens"]}
    tokens = field("tokenizer.ggml.tokens")
    verdict.say(all(tokens[i] == t for t, i in vocabulary.items()), f"{name}: its {len(tokens)} tokens, pre-tokenizer {field('tokenizer.ggml.pre')!r}")
    verdict.say(field("tokenizer.chat_template") == template, f"{name}: its chat template")
    ends = {field("tokenizer.ggml." + k + "_token_id") for k in ("eos", "eot", "eom")} - {None}
    verdict.say(ends <= set(stops(args, folder)) and field("tokenizer.ggml.eos_token_id") is not None, f"{name}: its ends {sorted(ends)} are among the folder's {stops(args, folder)}")
    verdict.say(encoded(args, out) == encoded(args, folder), f"{name}: its ids, read by lomo")
    got = lomo_logits(args, common.scratch(args, "opened-logits"), out, ids)
    verdict.check(f"{name}: its logits, read by lomo, largest difference", (got - logits).abs().max().item(), 0)


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    import gguf

    small = common.scratch(args, "opened-new") / "m"
    common.lomo(args, "new", "tiny", small, "--seed", "1", "--dtype", "f32")
    source = source_gguf(args)
    reader = gguf.GGUFReader(source)
    template = reader.fields["tokenizer.chat_template"].contents()
    own = json.loads((small / "tokenizer_config.json").read_text()).get("chat_template")
    for name, model, want, keys in (("lomo new", small, own, {}), ("SmolLM2", source, template, {}), ("SmolLM2 in bf16", source, template, {"dtype": "bf16"})):
        final, step = train(args, name.replace(" ", "-"), model, **keys)
        for what, folder in ((name, final), (name + ", checkpoint", step)):
            names = globbed(folder)
            verdict.say(len(names) == len(set(names)) and not any(n.startswith(("r/", "c/", "v/")) for n in names), f"{what}: a reader of all *.safetensors finds {len(names)} weights and no state")
            if not keys: # in bf16 the two programs round at different places
                logits, ids = by_transformers(args, verdict, what, folder, want)
                if model == source and folder == final: # the converter knows a tokenizer by a table of hashes, which has none of `lomo new`
                    by_converter(args, verdict, name, final, logits, ids, want)
        if keys:
            import torch
            from transformers import AutoModelForCausalLM

            opened, said = AutoModelForCausalLM.from_pretrained(final, output_loading_info=True)
            verdict.say(opened.dtype == torch.bfloat16 and not any(said.values()), f"{name}: transformers opens it as {opened.dtype}")
    verdict.exit()


if __name__ == "__main__":
    main()
