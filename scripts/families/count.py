"""What each family took: the lines of its declaration, and the lines elsewhere that name it. docs/adding-a-family.md ends with this table.

Run:  python scripts/families/count.py
"""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAMILIES = ROOT / "internal" / "model" / "families"


def declarations():
    """Lines of `var NAME = Family{…}` with its comment, by NAME, and the file."""
    found = {}
    for path in sorted(FAMILIES.glob("*.go")):
        lines = path.read_text().splitlines()
        for i, line in enumerate(lines):
            m = re.match(r"var (\w+) = Family\{", line)
            if not m:
                continue
            end, depth = i, 0
            while True:
                depth += lines[end].count("{") - lines[end].count("}")
                if depth <= 0:
                    break
                end += 1
            begin = i
            while begin > 0 and lines[begin - 1].startswith("//"):
                begin -= 1
            found[m.group(1)] = (path.name, end - begin + 1)
    return found


def naming(path, kind):
    """Lines that name a model_type."""
    return sum(bool(re.search(rf'["`]{kind}["`]', line)) for line in (ROOT / path).read_text().splitlines())


def main():
    said = declarations()
    table = dict(re.findall(r'^\t"(\w+)":\s+(\w+),$', (FAMILIES / "families.go").read_text(), re.M))
    models = [json.loads(p.read_text())["model_type"] for p in sorted((ROOT / "scripts/golden/families").glob("*.json"))]
    print("| family | file | lines of the family | tiny models | spellings | refusals | other lines of code |\n| --- | --- | --- | --- | --- | --- | --- |")
    for kind, name in sorted(table.items()):
        file, lines = said[name]
        refused = sum(f'"model_type": "{kind}"' in line for line in (FAMILIES / "families_test.go").read_text().splitlines())
        other = 1 + naming("internal/train/families_test.go", kind)  # its line in the table of families, and its model among those of every run
        print(f"| {kind} | {file} | {lines} | {models.count(kind)} | {naming('scripts/golden/family_configs.py', kind)} | {refused} | {other} |")


if __name__ == "__main__":
    main()
