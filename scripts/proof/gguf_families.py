"""GGUF files of every family, made by llama.cpp's own converter of the tiny golden models of testdata, are those folders to lomo: the same tensors and
the same logits, bit for bit, over a text longer than their windows; transformers' reader of GGUF gives the same tensors where it knows the
architecture, and llama.cpp itself the same logits. It needs neither data nor network, but llama.cpp's sources and llama-cpp-python.

Run:  python scripts/proof/gguf_families.py LOMO FOLDER LLAMA_CPP [NAME...]
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.pop(0)  # this folder, whose tokenizers.py is not the package
sys.path.append(str(HERE.parent / "golden"))

import llama_cpp
import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.utils import logging

import gguf_families as golden

GOLDEN = HERE.parents[1] / "testdata" / "golden"
BOUND = 2e-3  # of the largest logit, from llama.cpp: its tables and sums are of float32, its keys and values of float16 where it cannot do otherwise
LONG = 48

# What llama.cpp's converter or llama.cpp leaves out, so that its file is another model than the folder. Each is told in docs/models.md.
LOST = {
    "mistral": "the window, which the converter does not write", "ministral": "no architecture of llama.cpp's", "qwen2_window": "the windows",
    "qwen3_window": "the windows", "smollm3_window": "the windows, and other layers without rotation than every fourth",
}


def lost(name, config):
    kind = config["model_type"]
    if kind == "mistral" and config.get("sliding_window") or kind == "ministral":
        return LOST[kind]
    if name.endswith("_window") and kind != "gemma3_text":
        return LOST.get(name)
    return None


def lomo_logits(lomo, model, folder):
    subprocess.run([lomo, "debug", "logits", "--model", model, "--ids", folder / "ids.json", "--out", folder / "logits.safetensors"], check=True, capture_output=True)
    return load_file(folder / "logits.safetensors")["logits"]


def llama_logits(path, ids):
    fd, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        m = llama_cpp.Llama(str(path), n_ctx=LONG, n_batch=LONG, n_threads=1, logits_all=True, verbose=False, type_k=0, type_v=0, flash_attn=False, n_gpu_layers=0)
        m.eval(ids)
        return torch.tensor(np.array(m.scores[:len(ids)]))
    except Exception as e:
        return str(e)
    finally:
        os.dup2(fd, 2)


def same_tensors(got, want):
    """How many are not equal."""
    return sum(k not in got or not torch.equal(got[k].float(), v.float()) for k, v in want.items())


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    lomo, folder, sources, names = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
    folder.mkdir(parents=True, exist_ok=True)
    failed = tried = 0
    for path in sorted(GOLDEN.glob("*/config.json")):
        name, config = path.parent.name, json.loads(path.read_text())
        if names and name not in names or config["vocab_size"] > 4096:
            continue
        if why := lost(name, config):
            print(f"{name:18} left out: {why}")
            continue
        made = folder / name
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(path.parent, made)
        golden.V = config["vocab_size"]
        golden.write_tokenizer(made, config["model_type"] in ("gemma", "gemma2"))
        golden.convert(sources, made, folder / f"{name}.gguf")
        ids = [(i * i * 5 + i) % (config["vocab_size"] - 1) for i in range(LONG)]
        (folder / "ids.json").write_text(json.dumps(ids))
        want, got = lomo_logits(lomo, path.parent, folder), lomo_logits(lomo, folder / f"{name}.gguf", folder)
        same = torch.equal(want, got)
        theirs = llama_logits(folder / f"{name}.gguf", ids)
        apart = theirs if isinstance(theirs, str) else (theirs - want).abs().max().item() / want.abs().max().item()
        try:
            state = AutoModelForCausalLM.from_pretrained(folder, gguf_file=f"{name}.gguf", dtype=torch.float32).state_dict()
            unlike = same_tensors(state, load_file(path.parent / "model.safetensors"))
        except Exception as e:
            unlike = f"not read ({str(e).splitlines()[0][:60]})"
        ok = same and not isinstance(apart, str) and apart < BOUND and (isinstance(unlike, str) or unlike == 0)
        failed, tried = failed + (not ok), tried + 1
        apart = apart if isinstance(apart, str) else f"{apart:.1e}"
        print(f"{name:18} {'PASS' if ok else 'FAIL'}: logits of file and folder {'the same' if same else 'DIFFER'}; llama.cpp {apart} apart; transformers: tensors that differ {unlike}", flush=True)
    print(f"{tried} models, {failed} failed; llama-cpp-python {llama_cpp.__version__}")
    if failed or tried < (len(names) or 12):
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
