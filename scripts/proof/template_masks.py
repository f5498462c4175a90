"""What is learned of conversations in public chat templates, for templates.py: where a template has {% generation %} marks, the mask must be that of
transformers' apply_chat_template(return_assistant_tokens_mask=True); for some without marks the spans are written down here."""

import json
import re
import subprocess
import tempfile
import pathlib

MARKS = re.compile(r"\{%-?\s*generation\s*-?%\}")  # as transformers looks for them
MARKERS = re.compile(r"<\|[^|<>'\"{} ]+\|>|<｜[^｜<>'\"{} ]+｜>|</?[a-z_]+>|\[/?[A-Z_]+\]")

TURNS = [{"role": "user", "content": "is"}, {"role": "assistant", "content": "is"}, {"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}]

# From the first user's word on, learned parts between ⟦ and ⟧; (package:file, end token) as templates.py names them.
SPANS = {
    ("llama_cpp_python:meta-llama-Llama-3.1-8B-Instruct.jinja", "<|eot_id|>"):
        "is<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦is<|eot_id|>⟧<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦a<|eot_id|>⟧",
    ("llama_cpp_python:meta-llama-Llama-3.2-3B-Instruct.jinja", "<|eot_id|>"):
        "is<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦is<|eot_id|>⟧<|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦a<|eot_id|>⟧",
    ("axolotl:qwen_25.jinja", "<|im_end|>"):
        "is<|im_end|>\n<|im_start|>assistant\n⟦is<|im_end|>⟧\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦a<|im_end|>⟧\n",
    ("trl:qwen3.jinja", "<|im_end|>"):
        "is<|im_end|>\n<|im_start|>assistant\n⟦is<|im_end|>⟧\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦<think>\n\n</think>\n\na<|im_end|>⟧\n",
    ("llama_cpp_python:microsoft-Phi-3.5-mini-instruct.jinja", "</s>"):
        "is<|end|>\n<|assistant|>\n⟦is<|end|>⟧\n<|user|>\na<|end|>\n<|assistant|>\n⟦a<|end|>⟧\n</s>",
    ("llama_cpp_python:google-gemma-2-2b-it.jinja", "<end_of_turn>"):
        "is<end_of_turn>\n<start_of_turn>model\n⟦is<end_of_turn>⟧\n<start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\n⟦a<end_of_turn>⟧\n",
    ("llama_cpp_python:mistralai-Mistral-Nemo-Instruct-2407.jinja", "</s>"): "is[/INST]⟦is</s>⟧[INST]a[/INST]⟦a</s>⟧",
    ("llama_cpp_python:deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja", "<｜end▁of▁sentence｜>"): "is<｜Assistant｜>⟦is<｜end▁of▁sentence｜>⟧<｜User｜>a<｜Assistant｜>⟦a<｜end▁of▁sentence｜>⟧",
    ("llama_cpp_python:deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja", "<｜end▁of▁sentence｜>"): "is<｜Assistant｜>⟦is<｜end▁of▁sentence｜>⟧<｜User｜>a<｜Assistant｜>⟦a<｜end▁of▁sentence｜>⟧",
    ("llama_cpp_python:ibm-granite-granite-3.3-2B-Instruct.jinja", "<|end_of_text|>"):
        "is<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>⟦is<|end_of_text|>⟧\n<|start_of_role|>user<|end_of_role|>a<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>⟦a<|end_of_text|>⟧\n",
    ("llama_cpp_python:HuggingFaceTB-SmolLM3-3B.jinja", "<|im_end|>"):
        "is<|im_end|>\n<|im_start|>assistant\n⟦is<|im_end|>⟧\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦a<|im_end|>⟧\n",
    ("unsloth:zephyr_template", "</s>"): "is</s>\n<|assistant|>\n⟦is</s>⟧\n<|user|>\na</s>\n<|assistant|>\n⟦a</s>⟧\n",
    ("unsloth:vicuna_template", "</s>"): "is ASSISTANT:⟦ is</s>⟧USER: a ASSISTANT:⟦ a</s>⟧",
    ("llama_cpp_python:moonshotai-Kimi-K2.jinja", "<|im_end|>"):
        "is<|im_end|><|im_assistant|>assistant<|im_middle|>⟦is<|im_end|>⟧<|im_user|>user<|im_middle|>a<|im_end|><|im_assistant|>assistant<|im_middle|>⟦a<|im_end|>⟧",
}


def tokenizer(template, eos):
    """Single bytes, and the markers that the template names."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    t = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[]))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in sorted({"<s>", "</s>", eos, *MARKERS.findall(template)})])
    return PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token=eos)


def lomo(program, folder, template, record):
    """Ids and mask by lomo, or why there are none."""
    (folder / "data.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    (folder / "t.jinja").write_text(template, encoding="utf-8")
    r = subprocess.run([program, "inspect", str(folder / "data.jsonl"), "--type", "messages", "--model", str(folder), "--chat-template", str(folder / "t.jinja"),
                        "--sequence-len", "1000000", "--json"], capture_output=True, text=True)
    if r.returncode:
        return None, None, r.stderr.strip().splitlines()[0]
    tokens = json.loads(r.stdout.splitlines()[0])["tokens"]
    return [t["id"] for t in tokens], [int(t["label"] != -100) for t in tokens], None


def marked(program, found, conversations, reference, verdict):
    """Templates with marks against transformers."""
    equal, wrong, refused = 0, [], []
    names = [n for n, t in found.items() if MARKS.search(t)]
    for name in names:
        fast = tokenizer(found[name], "</s>")
        with tempfile.TemporaryDirectory() as d:
            folder = pathlib.Path(d)
            fast.save_pretrained(folder)
            for which, c in conversations.items():
                extra = {k: v for k, v in c.items() if k not in ("messages", "tools", "documents", "add_generation_prompt") and k in found[name]}  # lomo refuses others

                def mask_of(messages):
                    return fast.apply_chat_template(messages, chat_template=found[name], tools=c.get("tools"), documents=c.get("documents"), tokenize=True,
                                                    return_dict=True, return_assistant_tokens_mask=True, **extra)

                reference(found[name], {"messages": c["messages"]})  # fixes the day that the compiled template tells
                try:
                    want = mask_of(c["messages"])
                except Exception:  # templates.py looks at what is refused
                    continue
                record = {"messages": c["messages"], **{k: c[k] for k in ("tools", "documents") if k in c}}
                if extra:
                    record["chat_template_kwargs"] = extra
                ids, mask, error = lomo(program, folder, found[name], record)
                if not error and ids != want["input_ids"] and which == "parts":
                    want = mask_of([{**m, "content": "".join(p["text"] for p in m["content"])} for m in c["messages"]])  # lomo joins texts where a template takes no parts
                mask_wanted = [0, *want["assistant_masks"][1:]]  # nothing stands before the first token
                if error and "no sample has a token" in error and not any(mask_wanted):
                    equal += 1
                elif error:
                    refused.append(f"{name}, {which}: {error}")
                elif ids != want["input_ids"] or mask != mask_wanted:
                    wrong.append(f"{name}, {which}: {shown(fast, ids, mask)!r}, transformers {shown(fast, want['input_ids'], mask_wanted)!r}")
                else:
                    equal += 1
    loud = [r for r in refused if "leaves out" not in r and "only text" not in r]
    for line in wrong + loud:
        print("    ", line)
    verdict.say(not wrong and not loud, f"{len(names)} templates with marks: {equal} masks equal to transformers', {len(wrong)} different; {len(refused)} conversations that the template does not show whole refused")


def shown(fast, ids, mask):
    out, learned = "", False
    run = []
    for i, m in zip([*ids, None], [*mask, 0]):
        if i is None or bool(m) != learned:
            out, run = out + fast.decode(run), []
            if bool(m) != learned:
                out, learned = out + ("⟧" if learned else "⟦"), not learned
        if i is not None:
            run.append(i)
    return out


def unmarked(program, found, verdict):
    """Templates without marks against spans written by hand."""
    wrong, seen = [], 0
    for (name, eos), want in SPANS.items():
        if name not in found:
            wrong.append(f"{name} is not among the templates")
            continue
        seen += 1
        fast = tokenizer(found[name], eos)
        with tempfile.TemporaryDirectory() as d:
            folder = pathlib.Path(d)
            fast.save_pretrained(folder)
            ids, mask, error = lomo(program, folder, found[name], {"messages": TURNS})
        got = error or shown(fast, ids, mask)
        if not got.endswith(want):
            wrong.append(f"{name}: {got[-len(want) - 20:]!r}, want {want!r}")
    for line in wrong:
        print("    ", line)
    verdict.say(not wrong and seen >= 10, f"{seen} templates without marks: {seen - len(wrong)} learn what is written down, {len(wrong)} do not")
