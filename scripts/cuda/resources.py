#!/usr/bin/env python3
"""What each kernel takes of a card: the PTX assembled for sm_86.

    scripts/cuda/resources.py            the table, to internal/cudakern/ptx/resources.txt
    scripts/cuda/resources.py --check    exit 1 where a kernel spills, or takes more than the committed table says

The table is the ceiling: a kernel that grows must be looked at and its line committed. Registers times the largest
block must fit the 65536 of a multiprocessor, which __launch_bounds__ states and ptxas keeps.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PTX = ROOT / "internal/cudakern/ptx"
TABLE = PTX / "resources.txt"
HEADER = "# kernel, registers a thread, bytes of static shared memory, of stack (ptxas 11.8, sm_86; scripts/cuda/resources.py)\n"


def assemble(path):
    """{kernel: (registers, shared, stack)}, and the complaints."""
    with tempfile.TemporaryDirectory() as tmp:
        ptxas = ROOT / ".cuda/nvidia-cuda-nvcc-cu11/nvidia/cuda_nvcc/bin/ptxas"
        run = subprocess.run([ptxas, "-arch=sm_86", "-v", "-o", f"{tmp}/out", path], capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{path.name}: {run.stderr}")
    found, bad, name, stack = {}, [], None, 0
    for line in run.stderr.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            name = m[1]
        if m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            stack = int(m[1])
            if int(m[2]) or int(m[3]):
                bad.append(f"{path.name}: {name}: spills ({line.strip()})")
        if m := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            found[name] = (int(m[1]), int(shared[1]) if shared else 0, stack)
    if not found:
        raise SystemExit(f"{path.name}: ptxas names no kernel:\n{run.stderr}")
    return found, bad


def main():
    check = "--check" in sys.argv[1:]
    subprocess.run([ROOT / "scripts/cuda/fetch.sh", "nvidia-cuda-nvcc-cu11"], check=True)
    found, bad = {}, []
    for path in sorted(PTX.glob("*.ptx")):
        f, b = assemble(path)
        if twice := found.keys() & f.keys():
            bad.append(f"{path.name}: {', '.join(twice)}: another file has a kernel of this name")
        found |= f
        bad += b
    lines = [f"{name} {r} {s} {k}\n" for name, (r, s, k) in sorted(found.items())]
    if not check:
        TABLE.write_text(HEADER + "".join(lines), encoding="utf-8")
    else:
        known = {n: tuple(map(int, rest)) for n, *rest in (l.split() for l in TABLE.read_text(encoding="utf-8").splitlines() if not l.startswith("#"))}
        for name, takes in found.items():
            if name not in known:
                bad.append(f"{name}: not in {TABLE.name}: run make ptx")
            elif any(t > k for t, k in zip(takes, known[name])):
                bad.append(f"{name}: takes {takes}, more than the {known[name]} of {TABLE.name} (registers, shared memory, stack)")
        bad += [f"{name}: in {TABLE.name} but not in any PTX" for name in known.keys() - found.keys()]
        print("kernel registers shared stack")
        print("".join(lines), end="")
    if bad:
        raise SystemExit("\n".join(bad))


if __name__ == "__main__":
    main()
