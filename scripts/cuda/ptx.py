#!/usr/bin/env python3
"""Compiles the kernels to PTX.

    scripts/cuda/ptx.py                      internal/cudakern/kernels/*.cu -> internal/cudakern/ptx/*.ptx
    scripts/cuda/ptx.py --check              compiles again and compares with the committed text; exit 1 where they differ
    scripts/cuda/ptx.py --compiler clang --out DIR   a second compiler's PTX, for the tests (LOMO_PTX_DIR=DIR)
    scripts/cuda/ptx.py gemm attention       only these

The committed PTX comes from NVRTC 11.8 (PTX 7.8, which drivers from 520 on take). No CUDA toolkit is needed:
scripts/cuda/fetch.sh installs the compiler's package. clang is clang-16 with the headers and libdevice of CUDA 11.8.
"""

import argparse
import ctypes
import difflib
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ROOT / "internal/cudakern/kernels"
PTX = ROOT / "internal/cudakern/ptx"
CUDA = ROOT / ".cuda"
OPTIONS = ["--gpu-architecture=compute_86", "--std=c++17", "-default-device"]


def fetch(*packages):
    subprocess.run([ROOT / "scripts/cuda/fetch.sh", *packages], check=True)


class NVRTC:
    """NVRTC by ctypes. Headers are given by text, so that no path of this machine can reach the PTX."""

    def __init__(self):
        fetch("nvidia-cuda-nvrtc-cu11")
        self.lib = ctypes.CDLL(CUDA / "nvidia-cuda-nvrtc-cu11/nvidia/cuda_nvrtc/lib/libnvrtc.so.11.2")
        self.headers = sorted(KERNELS.glob("*.cuh"))

    def compile(self, source):
        program = ctypes.c_void_p()
        texts = strings([h.read_text(encoding="utf-8") for h in self.headers])
        names = strings([h.name for h in self.headers])
        code = self.lib.nvrtcCreateProgram(ctypes.byref(program), source.read_bytes(), source.name.encode(), len(self.headers), texts, names)
        if code != 0:
            raise SystemExit(f"{source.name}: nvrtcCreateProgram failed with {code}")
        try:
            code = self.lib.nvrtcCompileProgram(program, len(OPTIONS), strings(OPTIONS))
            log = self.text(program, "ProgramLog").strip()
            if log:
                print(log, file=sys.stderr)
            if code != 0:
                raise SystemExit(f"{source.name}: does not compile")
            return self.text(program, "PTX")
        finally:
            self.lib.nvrtcDestroyProgram(ctypes.byref(program))

    def text(self, program, what):
        size = ctypes.c_size_t()
        getattr(self.lib, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
        buf = ctypes.create_string_buffer(size.value)
        getattr(self.lib, f"nvrtcGet{what}")(program, buf)
        return buf.value.decode()


def terse(text):
    """Without empty lines and the marks around inline assembly, a third of the text."""
    kept = [line for line in text.splitlines() if line.strip() and line.strip() not in ("// begin inline asm", "// end inline asm")]
    return "\n".join(kept) + "\n"


def strings(items):
    return (ctypes.c_char_p * len(items))(*[s.encode() for s in items])


class Clang:
    """clang-16 as a CUDA compiler: a second opinion on what the sources mean."""

    def __init__(self):
        self.clang = shutil.which("clang-16")
        if self.clang is None:
            raise SystemExit("clang-16 is not installed (apt-get install clang-16)")
        fetch("nvidia-cuda-runtime-cu11", "nvidia-cuda-nvcc-cu11")
        self.sdk = CUDA / "clang-sdk"
        if not self.sdk.exists():
            self.link()

    def link(self):
        """clang wants one folder as a toolkit would lay it out."""
        runtime = CUDA / "nvidia-cuda-runtime-cu11/nvidia/cuda_runtime/include"
        nvcc = CUDA / "nvidia-cuda-nvcc-cu11/nvidia/cuda_nvcc"
        part = CUDA / "clang-sdk.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(runtime, part / "include")
        shutil.copytree(nvcc / "include", part / "include", dirs_exist_ok=True)
        shutil.copytree(nvcc / "nvvm", part / "nvvm", ignore=shutil.ignore_patterns("lib64"))
        (part / "bin").mkdir()
        # clang's CUDA wrapper includes this header of another package, and needs nothing of it.
        (part / "include/curand_mtgp32_kernel.h").touch()
        part.rename(self.sdk)

    def compile(self, source):
        with tempfile.TemporaryDirectory() as tmp:
            out = pathlib.Path(tmp) / "out.ptx"
            subprocess.run([self.clang, "-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch=sm_86", f"--cuda-path={self.sdk}", "-nocudalib",
                            "-Xclang", "-mlink-builtin-bitcode", "-Xclang", str(self.sdk / "nvvm/libdevice/libdevice.10.bc"),
                            "-Xclang", "-target-feature", "-Xclang", "+ptx78", "-O3", "-ffp-contract=off", "-std=c++17", "-Wno-unknown-cuda-version",
                            "-S", "-o", str(out), str(source)], check=True)
            return out.read_text(encoding="utf-8")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", help="kernels without .cu; all of them by default")
    p.add_argument("--check", action="store_true", help="compare instead of writing")
    p.add_argument("--compiler", choices=["nvrtc", "clang"], default="nvrtc")
    p.add_argument("--out", type=pathlib.Path, default=PTX)
    args = p.parse_args()
    if args.compiler != "nvrtc" and (args.check or args.out == PTX):
        p.error("the committed PTX is NVRTC's; give --out for another compiler's")

    sources = sorted(KERNELS.glob("*.cu"))
    if args.names:
        sources = [KERNELS / f"{n}.cu" for n in args.names]
    compiler = NVRTC() if args.compiler == "nvrtc" else Clang()
    args.out.mkdir(parents=True, exist_ok=True)
    stale = []
    for source in sources:
        text, path = terse(compiler.compile(source)), args.out / f"{source.stem}.ptx"
        if not args.check:
            path.write_text(text, encoding="utf-8")
            continue
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old != text:
            stale.append(source.name)
            diff = difflib.unified_diff(old.splitlines(), text.splitlines(), f"committed {path.name}", "compiled", lineterm="", n=1)
            print("\n".join(list(diff)[:20]), file=sys.stderr)
    if args.check:
        extra = [f.name for f in args.out.glob("*.ptx") if not (KERNELS / f"{f.stem}.cu").exists()]
        if stale or extra:
            raise SystemExit(f"ptx: not what the sources give: {', '.join(stale + extra)}; run make ptx and commit")
        print(f"ptx: {len(sources)} files are what their sources give")


if __name__ == "__main__":
    main()
