#!/usr/bin/env python3
"""Golden renderings of chat templates, by transformers (jinja2 in its own environment).

Writes testdata/tokenizer/chat.json: for each case the template, the messages, whether a generation prompt was
wanted, and the text, the ranges of {% generation %} blocks (in bytes) or the fact that transformers refused it.

    python scripts/golden/tokenizer_chat.py testdata/tokenizer/chat.json
"""
import hashlib
import json
import sys

import jinja2
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}

# Templates in the shapes that LLaMA-family models use, written out for this test.
TEMPLATES = {
    "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "default system": """{% for message in messages %}
{% if loop.first and messages[0]['role'] != 'system' %}
{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}
{% endif %}
{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}
{% endif %}
""",
    "llama-2": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "llama-3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    "llama-3.1": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message comes out first: a comment. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {{- raise_exception("tools") }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "mistral": "{%- if messages[0][\"role\"] == \"system\" %}\n    {%- set system_message = messages[0][\"content\"] %}\n    {%- set loop_messages = messages[1:] %}\n"
    "{%- else %}\n    {%- set loop_messages = messages %}\n{%- endif %}\n\n{{- bos_token }}\n{%- for message in loop_messages %}\n"
    "    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\n        {{- raise_exception('roles must alternate') }}\n    {%- endif %}\n"
    "    {%- if message[\"role\"] == \"user\" %}\n        {%- if loop.first and system_message is defined %}\n"
    "            {{- \" [INST] \" + system_message + \"\\n\\n\" + message[\"content\"] + \" [/INST]\" }}\n        {%- else %}\n"
    "            {{- \" [INST] \" + message[\"content\"] + \" [/INST]\" }}\n        {%- endif %}\n    {%- elif message[\"role\"] == \"assistant\" %}\n"
    "        {{- \" \" + message[\"content\"] + eos_token}}\n    {%- endif %}\n{%- endfor %}\n",
    "last user": "{%- set user_messages = messages | selectattr('role', 'equalto', 'user') | list %}{{ bos_token }}"
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {% if m == user_messages[-1] %}LAST: {% endif %}{{ m.content }}[/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content|trim }}{{ eos_token }}{% endif %}{% endfor %}",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "qwen": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "qwen3 thinking": """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}",
    "generation": "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}<|im_end|>\n"
    "{% endgeneration %}{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "macro": "{%- macro turn(role, text, end='<|im_end|>') -%}\n  <|im_start|>{{ role }}\n{{ text }}{{ end }}\n{%- endmacro -%}\n"
    "{% for m in messages %}{{ turn(m.role, m.content) }}\n{% endfor %}{{ turn('x', 'y', end='!') }}",
    "whitespace": "  {# c #}\n  {%- set a = 1 -%}  \n\n  x {% if true %}  y  {% endif %} z\n   {% if a == 1 %}   \n  in\t\n  {%+ if true %}plus{% endif +%}\n"
    "  {% endif %}\n{{ a }}\n  {{- a -}}  \n b { {{ 'c' }} } {#- gone -#}   d\n\t{% for i in range(3) %}\n\t{{ i }},\n\t{% endfor %}\nend\n\n",
    "literals": "{{ 'it\\'s' }}|{{ \"say \\\"hi\\\"\" }}|{{ 'a\\\\' }}|{{ 'tab\\tnl\\nend' }}|{{ '\\u00e9\\x41' }}|{{ '%} }} {{ {%' }}|{{ '🙂' }}|{{ 'two\nlines' }}",
    "expressions": "{{ 1 + 2 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ 'a' ~ 1 ~ 'b' }} {{ not false and true }} {{ 'x' if false else 'y' }} {{ [1, 2, 3][-1] }} "
    "{{ {'a': {'b': 2}}['a']['b'] }} {{ 'abc'[1:] }} {{ 'abc'[::-1] }} {{ messages|length }} {{ undefined_thing }}| {{ undefined_thing is defined }} "
    "{{ 'b' in 'abc' }} {{ 'z' not in ['a'] }} {{ messages[0] is mapping }} {{ messages is sequence }} {{ none is none }} {{ 1 is string }} "
    "{{ 1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3 and 1 != 2 }} {{ -1 }} {{ (1, 2)|join('-') }} {{ 3.5 }} {{ true }} {{ 7 / 2 }} {{ 'A' == 'A' }}",
    "filters": "{{ ' x '|trim }}|{{ 'ab'|upper }}|{{ 'AB'|lower }}|{{ 'hello world'|title }}|{{ 'hello'|capitalize }}|{{ [3,1,2]|sort|join(',') }}|"
    "{{ messages|map(attribute='role')|join(' ') }}|{{ messages|selectattr('role', 'equalto', 'user')|list|length }}|"
    "{{ messages|rejectattr('role', 'equalto', 'user')|map(attribute='content')|first }}|{{ (messages|last).content }}|{{ nothing|default('dflt') }}|"
    "{{ 'a-b-c'|replace('-', '+') }}|{{ 5|string ~ 'x' }}|{{ 'l1\nl2\n\nl3'|indent(2) }}|{{ '12'|int + 1 }}|{{ [1,2,3]|reject('equalto', 2)|list }}",
    "json": "{{ messages|tojson }}|{{ {'a': '<b> & \"c\"', 'n': none, 't': true, 'f': 1.5, 'l': [1, []], 'e': {}} | tojson }}|{{ [1, {'k': 'é'}]|tojson(indent=2) }}",
    "methods": "{{ ' a b '.strip() }}|{{ 'xxaxx'.lstrip('x') }}|{{ 'xxaxx'.rstrip('x') }}|{{ 'a,b,c'.split(',')[-1] }}|{{ 'abc'.startswith('ab') }}|"
    "{{ 'abc'.endswith('c') }}|{{ 'abc'.replace('b', 'x') }}|{{ 'abc'.upper() }}|{{ {'k': 1}.get('k') }}|{{ {'k': 1}.get('z', 'no') }}|"
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}|{{ 'a b'.split() | length }}|{{ 'x'.join(['1', '2']) }}|{{ 'aXbX'.find('X') }}",
    "loops": "{% for m in messages if m.role != 'system' %}{{ loop.index }}/{{ loop.length }}{{ ':' if not loop.last }}{% else %}none{% endfor %} "
    "{% for x in [] %}{{ x }}{% else %}empty{% endfor %} {% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}"
    "{{ i }}{% endfor %} {% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = m.content %}{% endif %}"
    "{% endfor %}{{ ns.found }} {% set out %}block {{ messages|length }}{% endset %}{{ out }} {% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{% endfor %}{{ x }}"
    " {% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '^' }}>{{ loop.nextitem.role if loop.nextitem is defined else '$' }} {% endfor %}",
    "date": "{{ strftime_now('%Y') | length }}",
    "unknown filter": "{{ 'a'|no_such_filter }}",
    "raise": "{{ raise_exception('Only user and assistant roles are supported!') }}",
}

S, U1, A1, U2 = ("system", "S"), ("user", "U1"), ("assistant", "A1"), ("user", "U2")
CONVERSATIONS = [
    [S, U1, A1, U2],
    [U1],
    [U1, A1],
    [U1, A1, U2, ("assistant", "A 2\nlines with  spaces ")],
    [U1, ("assistant", "<think>\nhm\n</think>\n\nYes"), U2, ("assistant", "<think>\nso\n</think>\n\nNo")],
    [("user", " é <b>\"q\"</b> & 日本 "), ("assistant", "it's {{ fine }} {% ok %}")],
    [A1, U1],
]


def spans_in_bytes(text, spans):
    return [[len(text[:a].encode()), len(text[:b].encode())] for a, b in spans]


def main(path):
    cases = []
    for name, template in TEMPLATES.items():
        for conversation in CONVERSATIONS:
            messages = [{"role": r, "content": c} for r, c in conversation]
            for prompt in (False, True):
                case = {"name": name, "messages": messages, "prompt": prompt}
                extra = {} if name == "date" else {"date_string": "26 Jul 2024"}
                try:
                    rendered, spans = render_jinja_template(
                        [messages], chat_template=template, add_generation_prompt=prompt,
                        return_assistant_tokens_mask="generation %}" in template, **SPECIAL, **extra)
                    case["want"] = rendered[0]
                    if spans:
                        case["spans"] = spans_in_bytes(rendered[0], spans[0])
                except (jinja2.exceptions.TemplateError, TypeError, AttributeError) as e:
                    case["error"] = str(e)
                cases.append(case)
    header = {
        "jinja2": jinja2.__version__,
        "transformers": transformers.__version__,
        "script_sha256": hashlib.sha256(open(__file__, "rb").read()).hexdigest(),
    }
    with open(path, "w") as f:
        json.dump({"made_by": header, "special": SPECIAL, "templates": TEMPLATES, "cases": cases}, f, ensure_ascii=False, indent=1)
        f.write("\n")
    print(len(cases), "cases,", sum("error" in c for c in cases), "errors")


if __name__ == "__main__":
    main(sys.argv[1])
