#!/usr/bin/env python3
"""Golden renderings of expressions and templates, by jinja2 in transformers' environment for chat templates.

Writes internal/jinja/testdata/golden.json: the variables, and for each case its template and the text, or true for an error. The ranges of
{% generation %} blocks are given in bytes.

    python scripts/golden/jinja.py internal/jinja/testdata/golden.json
"""
import json
import sys
import warnings

import jinja2
import markupsafe
import transformers
from jinja_cases import EXPRESSIONS, TEMPLATES, VARS
from transformers.utils.chat_template_utils import _compile_jinja_template

warnings.filterwarnings("ignore")


def render(template):
    """The text and the marks, or None where jinja2 refuses."""
    try:
        compiled = _compile_jinja_template(template)
        blocks, marks = [], []
        with compiled.environment.activate_tracker(blocks, marks):
            for block in compiled.generate(**VARS):
                blocks.append(block)
        text = "".join(blocks)
        text.encode()
        return text, [[len(text[:a].encode()), len(text[:b].encode())] for a, b in marks]
    except Exception:
        return None


def main():
    cases = []
    for template in ["{{ " + e + " }}" for e in EXPRESSIONS] + TEMPLATES:
        got = render(template)
        case = {"t": template}
        if got is None:
            case["e"] = True
        else:
            if " at 0x" in got[0]:  # an address: another one in each run
                case["address"] = True
            else:
                case["w"] = got[0]
            if got[1]:
                case["g"] = got[1]
        cases.append(case)
    versions = {"python": sys.version.split()[0], "jinja2": jinja2.__version__, "markupsafe": markupsafe.__version__, "transformers": transformers.__version__}
    with open(sys.argv[1], "w") as f:
        f.write('{"versions": ' + json.dumps(versions) + ',\n"vars": ' + json.dumps(VARS, ensure_ascii=False) + ',\n"cases": [\n')
        f.write(",\n".join(json.dumps(c, ensure_ascii=False) for c in cases))
        f.write("\n]}\n")
    print(len(cases), "cases,", sum("e" in c for c in cases), "errors,", sum("address" in c for c in cases), "addresses")


main()
