"""Golden file of internal/checkpoint/gguf: what ggml's own quantisers make of numbers.

    pip install llama-cpp-python==0.3.36 safetensors numpy
    python scripts/golden/gguf_quantize.py

Writes gguf/testdata/quantized.safetensors: "x", rows of 512 float32, and for each type the bytes that ggml_quantize_chunk of
libggml (built with llama-cpp-python) makes of them. Rows: normal numbers of several sizes, heavy tails, all positive, all
negative, one outlier, mostly zeros, constants, ramps, numbers near float16's smallest, and halves of a step, which show how ties are rounded.
"""

import ctypes
import hashlib
import importlib.metadata
import pathlib

import llama_cpp
import numpy as np
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).parents[2] / "internal" / "checkpoint" / "gguf" / "testdata"
TYPES = {"Q4_0": (2, 32, 18), "Q5_0": (6, 32, 22), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210)}
COLS = 512


def rows():
    rng = np.random.default_rng(20261128)
    normal = rng.standard_normal((12, COLS)) * np.array([1, 0.02, 3e-3, 40, 1, 1, 1, 1, 1, 1, 1, 1])[:, None]
    out = [row for row in normal]
    out += [row for row in rng.standard_t(2, (4, COLS)) * 0.03]
    out += [np.abs(rng.standard_normal(COLS)), -np.abs(rng.standard_normal(COLS)), rng.uniform(2, 3, COLS), rng.uniform(-3, -2, COLS)]
    one = rng.standard_normal(COLS) * 0.01
    one[[17, 300]] = [5, -7]
    zeros = np.zeros(COLS)
    zeros[40:44] = [1, -2, 0.5, 3]
    half = np.arange(COLS) % 64 - 32 + 0.5
    out += [one, zeros, np.zeros(COLS), np.full(COLS, 0.25), np.full(COLS, -3.5), np.linspace(-1, 1, COLS), np.linspace(0, 4, COLS), half, half * 4]
    out += [rng.standard_normal(COLS) * 1e-7, rng.standard_normal(COLS) * 1e-30, np.round(rng.standard_normal(COLS) * 8) / 8]
    return np.stack(out).astype("<f4")


def quantize(lib, number, size, block, x):
    out = np.zeros(x.size // block * size, np.uint8)
    lib.ggml_quantize_chunk.restype = ctypes.c_size_t
    lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    wrote = lib.ggml_quantize_chunk(number, x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1], None)
    assert wrote == out.size, (wrote, out.size)
    return out.reshape(x.shape[0], -1)


def main():
    lib = ctypes.CDLL(str(next(pathlib.Path(llama_cpp.__file__).parent.glob("lib/libggml-base.so"))))
    x = rows()
    tensors = {"x": x} | {name: quantize(lib, n, size, block, x) for name, (n, block, size) in TYPES.items()}
    meta = {"llama-cpp-python": importlib.metadata.version("llama-cpp-python"), "script": "gguf_quantize.py", "sha256": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()}
    save_file(tensors, ROOT / "quantized.safetensors", metadata=meta)
    print({k: v.shape for k, v in tensors.items()})


main()
