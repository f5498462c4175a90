"""GGUF out: llama.cpp computes what lomo writes.

The tiny golden models of every family: llama.cpp's logits of the file in float32 are transformers' logits of the folder, or lomo refuses the model, or
warns of windows that llama.cpp leaves out. SmolLM2: the same greedy text in F16 as `lomo generate`, the same ids for 2,000 hard lines, a perplexity in Q8_0 within
0.5 % of the float32 model's, the tensors of transformers' own GGUF loading those of the folder, errors of each type within 2 % of ggml's on real
weights, and a GGUF file that is trained two steps and becomes one.
"""

import ctypes
import json
import math
import pathlib
import random
import shutil
import subprocess

import common

GOLDEN = common.ROOT / "testdata" / "golden"
REFUSED = {"gemma_mha", "gemma2_gqa", "gemma2_mha", "gemma3_gqa", "gemma3_mha", "olmo2_gqa", "olmo3_yarn", "smollm3_window"}  # what GGUF cannot say of them stands in job.TestConvertThereAndBack
BOUND = {"gemma": 1e-3}  # ggml looks gelu up in a table of float16


def byte_alphabet():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names, n = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in names:
            names[b], n = chr(256 + n), n + 1
    return [names[b] for b in range(256)]


def with_tokenizer(config, folder):
    """A copy of a golden model with a tokenizer of single bytes, as many as it has rows."""
    shutil.copytree(config.parent, folder)
    rows = json.loads(config.read_text())["vocab_size"]
    pre = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    vocab = {c: i for i, c in enumerate(byte_alphabet()[33:] + byte_alphabet()[:33]) if i < rows}
    (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": pre, "post_processor": None, "decoder": pre,
                                                       "model": {"type": "BPE", "vocab": vocab, "merges": []}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def families(args, verdict, folder):
    import numpy as np
    import torch
    from llama_cpp import Llama
    from transformers import AutoModelForCausalLM

    ids, held = [(i * i * 5 + i) % 47 for i in range(48)], set()
    for config in sorted(GOLDEN.glob("*/config.json")):
        name = config.parent.name
        with_tokenizer(config, folder / name)
        done = subprocess.run([args.lomo, "convert", folder / name, folder / f"{name}.gguf", "--dtype", "f32"], capture_output=True, text=True, env=common.environment())
        if done.returncode:
            verdict.say(name in REFUSED or "have no architecture in GGUF files" in done.stderr, f"{name}: {done.stderr.splitlines()[0]}")
            continue
        with torch.no_grad():
            want = AutoModelForCausalLM.from_pretrained(config.parent, attn_implementation="eager", dtype=torch.float32).eval()(torch.tensor([ids])).logits[0].numpy()
        model = Llama(str(folder / f"{name}.gguf"), n_ctx=64, n_batch=64, verbose=False, n_threads=1, logits_all=True, type_k=0, type_v=0)
        model.eval(ids)
        apart = np.abs(np.array(model.scores[: len(ids)]) - want).max(axis=1) / np.abs(want).max()
        model.close()
        rows = len(ids)
        if "without a window" in done.stderr:  # what fits into it is the same
            rows = json.loads(config.read_text())["sliding_window"]
        kind = json.loads(config.read_text())["model_type"]
        verdict.check(f"{name}: logits of the first {rows} tokens, of the largest", float(apart[:rows].max()), BOUND.get(kind, 1e-5))
        held.add(kind)
    verdict.say(len(held) >= 8, f"families that llama.cpp computed: {sorted(held)}")


def hard_lines():
    r = random.Random(7)
    parts = ["Hello", " world", "the", "  ", "   ", "\t", "1", "23", "456", "7890", " 12345", "don't", "I'M", "we'LL", "日本語", "中文字符", "한국어", "العربية", "हिन्दी", "ไทย", "🙂", "👩‍👩‍👧", "é", "e\u0301", "ñ", "ß", "…",
             "—", "«", "$", "€", "%", "#", "@", "_", "__", "{", "}", "();", "//", "http://x.y/z?a=b&c", "\u00a0", "\u200b", "İstanbul", "ﬁ", "²", "½", "Ⅳ", "０１", "\x00", "\x07", "\x1b", "a", "b", "Zürich", "foo_bar",
             "fooBar", "FooBAR", "x=1;", " <|im_end|>", "<s>", "</s>", "[INST]", "<think>"]
    lines = ["".join(r.choice(parts) + r.choice(["", " ", ""]) for _ in range(r.randint(1, 14))) for _ in range(2000)]
    return [*lines, "", " ", "  "]


def perplexity(model, ids, step=256):
    """Of ids in pieces of step tokens, each predicted from those before it in its piece."""
    import numpy as np

    total = count = 0
    for at in range(0, len(ids) - step, step):
        piece = ids[at : at + step]
        model.reset()
        model.eval(piece)
        z = np.array(model.scores[: step - 1], dtype=np.float64)
        z -= z.max(axis=1, keepdims=True)
        total += (np.log(np.exp(z).sum(axis=1)) - z[np.arange(step - 1), piece[1:]]).sum()
        count += step - 1
    return math.exp(total / count)


def smollm2(args, verdict, folder):
    import numpy as np
    from llama_cpp import Llama

    for dtype in ("f32", "f16", "q8_0"):
        common.lomo(args, "convert", args.model, folder / f"{dtype}.gguf", "--dtype", dtype)
    small = Llama(str(folder / "f16.gguf"), n_ctx=512, verbose=False)
    for prompt in ("The capital of France is", "def fibonacci(n):", "Once upon a time, in a village by the sea,"):
        ids, out = small.tokenize(prompt.encode(), add_bos=False, special=True), []
        small.reset()
        for t in small.generate(ids, top_k=1, temp=0.0):
            out.append(t)
            if len(out) == 48 or t == small.token_eos():
                break
        ours = common.last_object(common.lomo(args, "generate", "--model", folder / "f16.gguf", "--dtype", "f32", "--prompt", prompt, "--max-new-tokens", 48, "--json"))["token_ids"]
        n = min(len(ours), len(out))
        verdict.say(n > 8 and ours[:n] == out[:n], f"greedy text of F16 behind {prompt!r}: {n} tokens the same")
    lines = hard_lines()
    done = subprocess.run([args.lomo, "tokenize", "--model", args.model], input="\n".join(lines) + "\n", capture_output=True, text=True, env=common.environment(), check=True)
    ours = [json.loads(x) for x in done.stdout.splitlines()]
    other = sum(small.tokenize(line.encode(), add_bos=False, special=True) != ids for line, ids in zip(lines, ours, strict=True))
    verdict.say(other == 0, f"ids of {len(lines)} hard lines: {other} differ from llama.cpp's")
    ids = small.tokenize((args.data / "tinyshakespeare.txt").read_text()[:20000].encode(), add_bos=False)[:4096]
    small.close()
    measured = {}
    for dtype in ("f32", "q8_0"):
        model = Llama(str(folder / f"{dtype}.gguf"), n_ctx=256, n_batch=256, verbose=False, logits_all=True)
        measured[dtype] = perplexity(model, ids)
        model.close()
    verdict.check(f"perplexity in Q8_0 {measured['q8_0']:.4f}, in F32 {measured['f32']:.4f}, apart", abs(measured["q8_0"] / measured["f32"] - 1), 0.005)
    errors(args, verdict, folder)
    loaded(args, verdict, folder)
    trained(args, verdict, folder)


def errors(args, verdict, folder):
    """What each type loses of real matrices, beside what ggml's own quantiser loses of them. Blocks are of 256, so rows are put together."""
    import gguf
    import llama_cpp
    import numpy as np
    from gguf import GGMLQuantizationType as Q

    lib = ctypes.CDLL(str(next(pathlib.Path(llama_cpp.__file__).parent.glob("lib/libggml-base.so"))))
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    exact = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(folder / "f32.gguf").tensors}
    for dtype in ("q8_0", "q4_0", "q4_k", "q6_k"):
        if dtype != "q8_0":
            common.lomo(args, "convert", args.model, folder / f"{dtype}.gguf", "--dtype", dtype)
        worst, same, seen = 0.0, 0, {}
        for t in gguf.GGUFReader(folder / f"{dtype}.gguf").tensors:
            if t.tensor_type == Q.F32:
                continue
            x = np.ascontiguousarray(exact[t.name], dtype=np.float32)
            theirs = np.zeros(t.data.nbytes, np.uint8)
            lib.ggml_quantize_chunk(int(t.tensor_type), x.ctypes.data, theirs.ctypes.data, 0, x.shape[0], x.shape[1], None)
            loss = [np.sqrt(np.square(gguf.quants.dequantize(raw, t.tensor_type).reshape(x.shape) - x, dtype=np.float64).sum()) for raw in (t.data, theirs.reshape(t.data.shape))]
            worst, same = max(worst, loss[0] / loss[1] - 1), same + bool(np.array_equal(t.data.ravel(), theirs))
            seen[t.tensor_type.name] = seen.get(t.tensor_type.name, 0) + 1
        verdict.check(f"{dtype}: {seen}, {same} of them with ggml's bytes; the largest error above ggml's", worst, 0.02)


def loaded(args, verdict, folder):
    """transformers' own loading of the file."""
    import torch
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(folder, gguf_file="f32.gguf", dtype=torch.float32).state_dict()
    ours = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).state_dict()
    different = [n for n in ours if n not in theirs or not torch.equal(ours[n], theirs[n])]
    verdict.say(not different, f"transformers reads the same {len(ours)} tensors of the file and of the folder; different: {different[:3]}")


def trained(args, verdict, folder):
    from llama_cpp import Llama

    (folder / "data.jsonl").write_text("".join(json.dumps({"messages": [{"role": "user", "content": f"What is {i}?"}, {"role": "assistant", "content": f"A number, {i}."}]}) + "\n" for i in range(16)))
    common.lomo(args, "train", "--model", folder / "q8_0.gguf", "--output-dir", folder / "run", "--max-steps", 2, "--sequence-len", 64, "--export", "gguf", "--export-dtype", "f16",
                "--datasets", json.dumps([{"path": str(folder / "data.jsonl"), "type": "messages"}]))
    ours = common.last_object(common.lomo(args, "generate", "--model", folder / "run" / "model.gguf", "--dtype", "f32", "--prompt", "A number is", "--max-new-tokens", 24, "--json"))["token_ids"]
    model, out = Llama(str(folder / "run" / "model.gguf"), n_ctx=128, verbose=False), []
    for t in model.generate(model.tokenize(b"A number is", add_bos=False), top_k=1, temp=0.0):
        out.append(t)
        if len(out) == len(ours):
            break
    verdict.say(out == ours, f"a GGUF file, trained two steps, is a GGUF file with the same greedy text in llama.cpp: {len(ours)} tokens")
    model.close()


def main():
    args = common.arguments(__doc__)
    verdict = common.Verdict()
    folder = common.scratch(args, "gguf-out")
    families(args, verdict, folder)
    smollm2(args, verdict, folder)
    verdict.exit()


if __name__ == "__main__":
    main()
