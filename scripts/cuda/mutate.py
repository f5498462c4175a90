#!/usr/bin/env python3
"""Takes each barrier and each wait for copies out of the kernels' PTX, one at a time, and looks whether the kernels' tests fail.

    scripts/cuda/mutate.py [--file gemm_bf16] [--out FILE]

It shows two things at once: that the interpreter's checks see what is missing, and that the tests come to the place. One line
for each mutant: file, kernel, line, what was taken out, and what the tests said. Those that nothing noticed are named again at the end, for
a person to judge: needless, or not tested. Needless are the first barrier of blockSum and blockMax where a kernel calls them once (it is there
for the call before), and the last wait of the products, for groups of copies that are empty by then. Takes half an hour."""
import argparse
import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PTX = ROOT / "internal/cudakern/ptx"
SITE = re.compile(r"^\s*(?:@!?%p\d+ )?(bar\.sync|bar\.warp\.sync|barrier\.sync|cp\.async\.wait_all|cp\.async\.wait_group\s+(\d+))")
ENTRY = re.compile(r"\.entry (\w+)")

# The tests of a file's kernels, the rest of the package's tests follow if these notice nothing.
FIRST = {
    "adalomo": "TestSuite/.*/AdaLomo", "attention_bf16": "TestSuite/.*/Attention", "attention_f32": "TestSuite/.*/Attention",
    "gemm_bf16": "TestSuite/.*/(MatMul|Outer)|TestTilings", "gemm_f32": "TestSuite/.*/(MatMul|Outer)|TestTilings",
    "norm": "TestSuite/.*/RMSNorm", "probe": "TestFragments|TestDraws", "softmax": "TestSuite/.*/Softmax",
    "rows": "TestSuite/.*/(Rows|GatherScatter)", "reduce": "TestSuite/.*/(SumSq|AbsMax|Rows|AdaLomo|RMSNorm)",
}
REST = "TestSuite|TestTilings|TestFragments|TestDraws|TestUpdateBits|TestRowsUpdateBits|TestComm$"


def mutants(path):
    """yields kernel, line number, what is taken out, and the text without it."""
    lines = path.read_text().split("\n")
    kernel = ""
    for i, line in enumerate(lines):
        if m := ENTRY.search(line):
            kernel = m[1]
        m = SITE.match(line)
        if not m:
            continue
        new = "// taken out"
        if m[2] is not None:  # wait for one group less
            new = line.replace(m[1], f"cp.async.wait_group {int(m[2]) + 1}")
        yield kernel, i + 1, m[1], "\n".join(lines[:i] + [new] + lines[i + 1:])


def test(binary, folder, pattern):
    """what the tests say of the PTX in folder: "" if they pass."""
    try:
        r = subprocess.run([binary, "-test.run", pattern, "-test.failfast"], cwd=ROOT / "internal/cudakern", capture_output=True, text=True,
                           timeout=300, env={**os.environ, "LOMO_PTX_DIR": str(folder)})
    except subprocess.TimeoutExpired:
        return "time is up"
    if r.returncode == 0:
        return ""
    for kind in ("shared memory race", "missing cp.async wait", "read of unwritten shared memory", "deadlock", "race of a block's threads",
                 "blocks in conflict", "out of bounds"):
        if kind in r.stdout + r.stderr:
            return kind
    return "wrong result"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--file", help="only this PTX file, without .ptx")
    p.add_argument("--out", help="where the lines go too")
    a = p.parse_args()
    missed, total = [], 0
    out = open(a.out, "w") if a.out else None
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        binary = tmp / "cudakern.test"
        subprocess.run(["go", "test", "-c", "-o", binary, "./internal/cudakern"], cwd=ROOT, check=True)
        (tmp / "ptx").mkdir()
        for f in PTX.glob("*.ptx"):
            (tmp / "ptx" / f.name).write_text(f.read_text())
        for f in sorted(PTX.glob((a.file or "*") + ".ptx")):
            for kernel, line, what, text in mutants(f):
                (tmp / "ptx" / f.name).write_text(text)
                said = test(binary, tmp, FIRST.get(f.stem, REST)) or test(binary, tmp, REST)
                report = f"{f.stem} {kernel} line {line} without {what}: {said or 'NOT NOTICED'}"
                print(report, flush=True)
                if out:
                    print(report, file=out, flush=True)
                total += 1
                if not said:
                    missed.append(report)
            (tmp / "ptx" / f.name).write_text(f.read_text())
    print(f"{total} mutants, {total - len(missed)} noticed", *missed, sep="\n")


if __name__ == "__main__":
    main()
