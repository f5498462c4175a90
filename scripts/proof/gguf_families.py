"""GGUF files of every family, made by llama.cpp's own converter of tiny random models (scripts/golden/gguf_families.py), are those folders to lomo: the
same logits, bit for bit, over a text longer than their windows. llama.cpp itself computes the same, and transformers' reader of GGUF gives the same
tensors where it knows the architecture. It needs neither data nor network, but llama.cpp's sources and llama-cpp-python.

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

BOUND = 2e-3  # of the largest logit, from llama.cpp: its tables and sums are of float32, its keys and values of float16 where it cannot do otherwise
LONG = 60  # more than phi3_long's original length: llama.cpp takes its factors for long texts whatever the length, since its smallest context is 256
THEIRS = {"llama_yarn": "llama.cpp does not take yarn_attn_factor, which its converter writes of attention_factor"}  # other logits than the folder's, and why
FIRST = {"phi3": 7}  # of so many positions: llama.cpp computes no window of phi3's

def lomo_logits(lomo, model, folder):
    done = subprocess.run([lomo, "debug", "logits", "--model", model, "--ids", folder / "ids.json", "--out", folder / "logits.safetensors"], capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip()
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


def unlike_tensors(got, want):
    """How many are not equal; those that transformers does not take from the file, as biases of a llama, keep their random start and are none."""
    taken = {k: v for k, v in want.items() if k in got and not k.endswith(".bias")}
    return sum(not torch.equal(got[k].float(), v.float()) for k, v in taken.items())


def main():
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    lomo, folder, sources, names = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4:]
    folder.mkdir(parents=True, exist_ok=True)
    failed = tried = 0
    for name, options in golden.MODELS.items():
        if names and name not in names:
            continue
        made = folder / "model"  # the converter writes its name, by which llama.cpp knows Phi-3's tokenizer
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        golden.write_model(dict(options), made, torch.Generator().manual_seed(len(name)))
        golden.write_tokenizer(made, options["model_type"] in ("gemma", "gemma2"))
        golden.convert(sources, made, folder / f"{name}.gguf")
        ids = [(i * i * 5 + i) % (golden.V - 1) for i in range(LONG)]
        (folder / "ids.json").write_text(json.dumps(ids))
        want, got = lomo_logits(lomo, made, folder), lomo_logits(lomo, folder / f"{name}.gguf", folder)
        if isinstance(want, str) or isinstance(got, str):
            print(f"{name:18} FAIL: {want if isinstance(want, str) else got}")
            failed, tried = failed + 1, tried + 1
            continue
        same = torch.equal(want, got)
        theirs = llama_logits(folder / f"{name}.gguf", ids)
        apart = theirs if isinstance(theirs, str) else (theirs - want)[:FIRST.get(name)].abs().max().item() / want.abs().max().item()
        try:
            state = AutoModelForCausalLM.from_pretrained(folder, gguf_file=f"{name}.gguf", dtype=torch.float32).state_dict()
            unlike = unlike_tensors(state, load_file(made / "model.safetensors"))
        except Exception as e:
            unlike = f"not read ({str(e).splitlines()[0][:60]})"
        ok = same and not isinstance(apart, str) and (apart < BOUND or name in THEIRS) and (isinstance(unlike, str) or unlike == 0)
        failed, tried = failed + (not ok), tried + 1
        apart = apart if isinstance(apart, str) else f"{apart:.1e}"
        named = f" ({THEIRS[name]})" if name in THEIRS else ""
        print(f"{name:18} {'PASS' if ok else 'FAIL'}: logits of file and folder {'the same' if same else 'DIFFER'}; llama.cpp {apart} apart{named}; transformers: tensors that differ {unlike}", flush=True)
    print(f"{tried} models, {failed} failed; llama-cpp-python {llama_cpp.__version__}")
    if failed or tried < (len(names) or 12):
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
