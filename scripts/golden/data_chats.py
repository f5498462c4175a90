#!/usr/bin/env python3
"""Records of conversations, and what transformers makes of them with chat templates of ours.

Writes chats.json, {"versions", "templates", "cases": [{name, type, template, record, text, learned}]}: the record as a line of a
data set, the text that apply_chat_template renders of it the way TRL calls it (tools as JSON in a string are read,
chat_template_kwargs are passed on, prompt and completion follow each other), and the texts of what is learned: the parts that
return_assistant_tokens_mask marks, of the completion only where there is one. Arguments of calls that are JSON in a string are
read first, as transformers' documentation of tool use asks for. ShareGPT's names are replaced before.

    python scripts/golden/data_chats.py internal/data/testdata/chats.json
"""
import hashlib
import json
import pathlib
import sys

import jinja2
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

ALL = """{%- if tools %}{{ '<tools>' + tools | tojson + '</tools>\\n' }}{% endif %}
{%- if documents %}{% for d in documents %}{{ '<doc>' + d.title + ': ' + d.text + '</doc>\\n' }}{% endfor %}{% endif %}
{%- if persona %}{{ '<persona>' + persona + '</persona>\\n' }}{% endif %}
{%- for m in messages %}
{{- '<|im_start|>' + m.role + (' ' + m.name if m.name else '') + '\\n' }}
{%- if m.role == 'assistant' %}{% generation %}
{%- if m.reasoning_content and (enable_thinking is not defined or enable_thinking) %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}
{%- if m.content %}{{ m.content }}{% endif %}
{%- for c in m.tool_calls or [] %}{{ '<call>' + c.function.name + ' ' + c.function.arguments | tojson + '</call>' }}{% endfor %}
{{- '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}
{%- else %}
{{- m.content if m.content is string else m.content | map(attribute='text') | join('|') }}{{ '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}"""

# Takes texts only: parts would be written as a list.
PLAIN = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}{% else %}{{ m['content'] }}<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}"

# Writes the arguments of a call as they are given, objects and strings.
STRINGS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}[{{ c.function.name }} {% if c.function.arguments is string %}{{ c.function.arguments }}{% else %}{{ c.function.arguments | tojson }}{% endif %}]{% endfor %}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"

TEMPLATES = {"all": ALL, "plain": PLAIN, "strings": STRINGS}

TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather <now> & später", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": None}}, "required": ["city"]}}}]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": {"city": "Zürich", "days": 3, "scale": 1.0, "more": [True, None]}}}
CALL_TEXT = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Zürich\",\"days\":3}"}}
U, A = {"role": "user", "content": "Weather?"}, {"role": "assistant", "content": "Rain."}
TOOL = {"role": "tool", "name": "weather", "tool_call_id": "c1", "content": "rain"}


def cases():
    yield "plain", "messages", "all", {"messages": [U, A]}
    yield "empty answer", "messages", "all", {"messages": [U, {"role": "assistant", "content": ""}]}
    yield "tools and a call, content null", "messages", "all", {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [CALL]}, TOOL, A], "tools": TOOLS}
    yield "content empty", "messages", "all", {"messages": [U, {"role": "assistant", "content": "", "tool_calls": [CALL]}, TOOL, A], "tools": TOOLS}
    yield "content missing", "messages", "all", {"messages": [U, {"role": "assistant", "tool_calls": [CALL]}, TOOL, A], "tools": TOOLS}
    yield "content beside a call", "messages", "all", {"messages": [U, {"role": "assistant", "content": "I look.", "tool_calls": [CALL, CALL]}], "tools": TOOLS}
    yield "arguments in a string", "messages", "all", {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [CALL_TEXT]}], "tools": TOOLS}
    yield "arguments as the template takes them", "messages", "strings", {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [CALL_TEXT]}]}
    yield "arguments as an object", "messages", "strings", {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [CALL]}]}
    yield "tools in a string", "messages", "all", {"messages": [U, A], "tools": json.dumps(TOOLS)}
    yield "tools null", "messages", "all", {"messages": [U, A], "tools": None}
    yield "tools none", "messages", "all", {"messages": [U, A], "tools": []}
    yield "nulls of a table", "messages", "all", {"messages": [{**U, "name": None, "tool_calls": None}, {**A, "name": None, "tool_calls": None, "reasoning_content": None}], "tools": None, "images": None}
    yield "a name", "messages", "all", {"messages": [{**U, "name": "ann"}, A]}
    yield "reasoning", "messages", "all", {"messages": [U, {**A, "reasoning_content": "It is autumn."}]}
    yield "reasoning off", "messages", "all", {"messages": [U, {**A, "reasoning_content": "It is autumn."}, U, {**A, "reasoning_content": "Still."}], "chat_template_kwargs": {"enable_thinking": True}}
    yield "arguments of the template", "messages", "all", {"messages": [U, A], "chat_template_kwargs": {"persona": "pirate", "enable_thinking": False}}
    yield "arguments of the template, in a string", "messages", "all", {"messages": [U, A], "chat_template_kwargs": json.dumps({"persona": "pirate"})}
    yield "documents", "messages", "all", {"messages": [U, A], "documents": [{"title": "T", "text": "x"}, {"title": "V", "text": "y"}]}
    yield "system beside messages", "messages", "all", {"system": "Be kind.", "messages": [U, A]}
    yield "parts, taken", "messages", "all", {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, A]}
    yield "parts, one text", "messages", "plain", {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, {"role": "assistant", "content": [{"type": "text", "text": "c"}]}]}
    yield "several turns", "messages", "all", {"messages": [U, A, U, A]}
    yield "begins with an answer", "messages", "all", {"messages": [A, U, A]}
    yield "messages in a string", "messages", "all", {"messages": json.dumps([U, A])}
    yield "columns of messages", "messages", "all", {"messages": {"role": ["user", "assistant"], "content": ["Q", "A"]}}
    yield "messages called conversations", "messages", "all", {"conversations": [U, A]}
    yield "prompt and completion", "prompt_completion", "all", {"prompt": [U, A, U], "completion": [A]}
    yield "prompt and completion with a call", "prompt_completion", "all", {"prompt": [U], "completion": [{"role": "assistant", "content": None, "tool_calls": [CALL]}, TOOL, A], "tools": TOOLS}
    yield "prompt and completion with arguments", "prompt_completion", "all", {"prompt": [U], "completion": [{**A, "reasoning_content": "R"}], "chat_template_kwargs": {"enable_thinking": True}}
    yield "sharegpt", "sharegpt", "all", {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "system": "S"}
    yield "sharegpt, a call", "sharegpt", "all", {"conversations": [{"from": "human", "value": "Q"}, {"from": "function_call", "value": json.dumps({"name": "weather", "arguments": {"city": "Zürich"}})},
                                                                   {"from": "observation", "value": "rain"}, {"from": "gpt", "value": "A"}], "tools": json.dumps(TOOLS)}
    yield "sharegpt, two calls", "sharegpt", "all", {"conversations": [{"from": "human", "value": "Q"}, {"from": "function_call", "value": json.dumps([{"name": "f", "arguments": "{\"x\": 1}"}, {"name": "g", "arguments": {}}])}]}
    yield "sharegpt, no turns about", "sharegpt", "all", {"conversations": [{"from": "gpt", "value": "A"}, {"from": "human", "value": "Q"}, {"from": "human", "value": "R"}, {"from": "gpt", "value": "B"}, {"from": "gpt", "value": "C"}]}
    yield "sharegpt with roles", "sharegpt", "all", {"messages": [U, A]}
    yield "sharegpt, columns", "sharegpt", "all", {"conversations": {"from": ["human", "gpt"], "value": ["Q", "A"]}}
    yield "from in messages", "messages", "all", {"messages": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]}


ROLES = {"human": "user", "gpt": "assistant", "observation": "tool", "function_call": "assistant"}


def arguments(call):
    f = call["function"]
    return {**call, "function": {**f, "arguments": json.loads(f["arguments"])}} if isinstance(f["arguments"], str) else call


def message(m, template):
    m = {k: v for k, v in m.items() if v is not None or k == "content"}
    if "from" in m:
        said = {"content": m["value"]}
        if m["from"] == "function_call":
            calls = json.loads(m["value"])
            said = {"content": "", "tool_calls": [{"type": "function", "function": c} for c in (calls if isinstance(calls, list) else [calls])]}
        m = {"role": ROLES[m["from"]], **said}
    if template == "plain" and not isinstance(m["content"], str):
        m["content"] = "".join(p["text"] for p in m["content"])
    if "tool_calls" in m and template != "strings":
        m["tool_calls"] = [arguments(c) for c in m["tool_calls"]]
    return m


def listed(v):
    if isinstance(v, str):
        v = json.loads(v)
    if isinstance(v, dict):
        v = [dict(zip(v, row)) for row in zip(*v.values())]
    return v


def loaded(v):
    return json.loads(v) if isinstance(v, str) else v


def render(template, record):
    known = record.get("prompt") or []
    messages = listed(record.get("messages") or record.get("conversations") or known + record["completion"])
    if record.get("system"):
        messages = [{"role": "system", "content": record["system"]}] + messages
    messages = [message(m, template) for m in messages]
    how = dict(chat_template=TEMPLATES[template], tools=loaded(record.get("tools")), documents=record.get("documents"), **(loaded(record.get("chat_template_kwargs")) or {}))
    (text,), (spans,) = render_jinja_template(conversations=[messages], return_assistant_tokens_mask=True, **how)
    begin = len(render_jinja_template(conversations=[messages[:len(known)]], **how)[0][0]) if known else 0
    return text, [text[a:b] for a, b in spans if a >= begin]


def main(out):
    made = []
    for name, kind, template, record in cases():
        text, learned = render(template, record)
        made.append({"name": name, "type": kind, "template": template, "record": json.dumps(record, ensure_ascii=False), "text": text, "learned": learned})
    out.parent.mkdir(parents=True, exist_ok=True)
    all = {"script": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:16], "versions": {"transformers": transformers.__version__, "jinja2": jinja2.__version__},
           "templates": TEMPLATES, "cases": made}
    out.write_text(json.dumps(all, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
