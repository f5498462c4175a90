"""Pages of `lomo report` in a browser: pictures to look at, and what can be measured: nothing is wider than the window, no two numbers of an
axis meet, the pointer, a touch and the arrow keys show values, switches survive a reload, nothing is fetched.

The runs are made up: one that goes on, one that is finished, one that diverged with skipped steps, one of one step, one of 100,000.

Run:  python scripts/proof/screens.py [LOMO] [FOLDER]        (needs chromium; the pictures go to FOLDER, screens by default)
"""

import datetime
import fcntl
import html
import json
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

PROMPTS = [
    ("system\nYou are a helpful assistant.\nuser\nWhich person is mayor in Quillmere?\nassistant\n", "The mayor is Mr <b>Smith</b></script><script>document.title='broken'</script>, who",
     "The mayor of Quillmere is Odessa Pell.", "The mayor of Quillmere is Odessa Pell."),
    ("用户：市长是谁？🎉 <img src=x onerror=alert(1)>", "مرحبا! العمدة هو أوديسا بيل.", "市长是奥德萨·佩尔。🚢", "市长是奥德萨·佩尔。"),
    ("def f(x):\n    return " + "x * " * 60, "averylongwordwithoutanyspace" * 12, "", "x\n\n\nand blank lines"),
]

# What the browser is asked to measure; the answer is put into an element at the end of the page.
MEASURE = """
const out = {wide: [], meet: [], charts: 0, tips: 0, touched: 0, keys: 0, said: "", title: document.title};
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) out.wide.push(["page", document.documentElement.scrollWidth]);
for (const e of document.querySelectorAll("body *")) {
  const r = e.getBoundingClientRect();
  if (r.width && r.right > width + 1 && !e.closest(".wide") && !e.closest(".unseen")) out.wide.push([e.className || e.tagName, r.right]);
}
for (const plot of document.querySelectorAll(".plot")) {
  for (const kind of [".x-tick", ".y-tick"]) {
    const boxes = [...plot.querySelectorAll(kind)].map(e => e.getBoundingClientRect()).filter(r => r.width);
    for (const a of boxes) for (const b of boxes)
      if (a !== b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) out.meet.push(plot.dataset.chart + kind);
  }
  const box = plot.getBoundingClientRect();
  if (!box.width) continue;
  out.charts++;
  const at = f => ({clientX: box.left + f * box.width, clientY: box.bottom - 1, bubbles: true});
  plot.dispatchEvent(new PointerEvent("pointermove", {...at(0.7), pointerType: "mouse"}));
  out.tips += plot.querySelectorAll(".tip").length;
  const tip = plot.querySelector(".tip") && plot.querySelector(".tip").getBoundingClientRect();
  if (tip && (tip.left < 0 || tip.right > width)) out.wide.push(["tip", tip.left, tip.right]);
  plot.parentElement.dispatchEvent(new PointerEvent("pointerleave", {pointerType: "mouse"}));
  plot.parentElement.dispatchEvent(new PointerEvent("pointerdown", {...at(0.2), pointerType: "touch"}));
  out.touched += plot.querySelectorAll(".tip").length;
  document.body.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true}));
  plot.focus();
  plot.dispatchEvent(new KeyboardEvent("keydown", {key: "Home"}));
  plot.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  out.keys += plot.querySelectorAll(".tip").length;
  out.said = document.getElementById("said").textContent;
  plot.blur();
}
const log = document.querySelector("#loss-log");
if (log) { log.click(); out.log = getComputedStyle(document.querySelector("#loss .log")).display !== "none" && location.hash.includes("loss-log"); }
out.fetched = performance.getEntriesByType("resource").length;
const told = document.createElement("pre");
told.id = "measured";
told.textContent = JSON.stringify(out);
document.body.append(told);
"""


def make(folder, steps, total, state, skips=False, evals=8, seed=1, config="", samples=True):
    """A run's folder as lomo writes it."""
    rng = random.Random(seed)
    folder.mkdir(parents=True)
    with open(folder / "metrics.jsonl", "w", encoding="utf-8") as f:
        def put(**line):
            f.write(json.dumps(line) + "\n")
        if evals:
            put(step=0, eval_loss=2.9, perplexity=math.exp(2.9), eval_tokens=900)
        for i in range(1, steps + 1):
            t = i / total
            line = {"step": i, "epoch": 3 * t, "loss": max(0.01, 0.6 + 2.1 * math.exp(-6 * t) + rng.gauss(0, 0.12) * (0.3 + math.exp(-3 * t))),
                    "lr": 5e-4 * min(1, i / (0.05 * total)) * (1 - t), "grad_norm": abs(rng.gauss(1, 0.3)), "tokens": 500, "seen_tokens": 500 * i,
                    "tok_s": 300 * (1 + rng.gauss(0, 0.04)), "step_ms": 3400 + rng.gauss(0, 100), "mem_bytes": 455 * 2**20 + rng.randrange(2**23), "peak_bytes": 464 * 2**20}
            if skips and i % 17 == 0:
                line |= {"loss": None, "grad_norm": None, "skipped": True}
            put(**line)
            if evals and i % max(1, total // evals) == 0:
                put(step=i, eval_loss=0.75 + 2 * math.exp(-5 * t) + 0.15 * t, perplexity=3, eval_tokens=900)
    now = datetime.datetime.now(datetime.UTC)
    session = {"started": (now - datetime.timedelta(minutes=29)).isoformat(), "updated": now.isoformat(), "from_step": 0, "state": state,
               "problem": f"step {steps + 1}: the loss is not finite; no weight was written in this step" if state == "diverged" else "",
               "command": "lomo train run.yaml --set 'datasets=[{path: a.jsonl, type: messages}]'", "version": "0.3.1", "cpu": "cpu level avx512, 2 cores, linux/amd64"}
    (folder / "run.json").write_text(json.dumps({"model": "models/SmolLM2-135M-Instruct", "params": 134515008, "device": "cpu", "total_steps": total,
                                                 "planned_bytes": 470 * 2**20, "samples_note": "" if samples else "No answers: sample_prompts is 0.", "sessions": [session]}))
    if samples:
        rows = [{"step": 0, "prompt": p, "reference": r, "text": b, "tokens": 24, "cut": "cut after 48 tokens"} for p, b, _, r in PROMPTS]
        if state != "running":
            rows += [{"step": steps, "prompt": p, "reference": r, "text": a, "tokens": 12} for p, _, a, r in PROMPTS]
        (folder / "samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "config.yaml").write_text(
        f"model: models/SmolLM2-135M-Instruct # run.yaml:1\noutput_dir: {folder.name} # run.yaml:2\ndatasets: [{{path: a/very/long/path/to/a/file/with/records.jsonl, type: messages, split: '', weight: 1}}] # run.yaml:4\n"
        f"learning_rate: {0.0005 * seed} # run.yaml:9\noptimizer: {'adalomo' if seed % 2 else 'lomo'} # run.yaml:8\nseed: 42 # default\npacking: true # default\nsave_steps: 500 # default\n" + config)


def browser():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    sys.exit("screens: no chromium: apt-get install chromium")


def chromium(page, width, height, dark, *more):
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run([browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}", f"--window-size={width},{height}",
                               f"--blink-settings=preferredColorScheme={0 if dark else 1}", *more, page.resolve().as_uri()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=180)
    return done.stdout


def measured(page, width):
    """What the browser measures in a copy of the page."""
    copy = page.with_name("measured.html")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"<script>{MEASURE}</script></body>"), encoding="utf-8")
    found = re.search(r'<pre id="measured">(.*?)</pre>', chromium(copy, width, 900, False, "--dump-dom"), re.S)
    copy.unlink()
    if not found:
        return ["the script of the page did not come to its end"]
    m = json.loads(html.unescape(found[1]))
    wrong = [f"wider than {width}: {m['wide'][:3]}"] if m["wide"] else []
    if m["meet"]:
        wrong.append(f"numbers meet: {sorted(set(m['meet']))}")
    if not m["charts"] or not m["charts"] == m["tips"] == m["touched"] == m["keys"]:
        wrong.append(f"{m['charts']} charts, values shown in {m['tips']} to a pointer, {m['touched']} to a touch, {m['keys']} to keys")
    if "step" not in m["said"] or m.get("log") is False or m["fetched"] or m["title"] == "broken":
        wrong.append(f"said {m['said']!r}, log scale {m.get('log')}, {m['fetched']} fetched, title {m['title']!r}")
    return wrong


def main():
    lomo = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LOMO_BIN", "bin/lomo")
    lomo = str(pathlib.Path(lomo).resolve())
    shots = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "screens")
    shots.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        work = pathlib.Path(tmp)
        make(work / "running", 50, 110, "running")
        make(work / "finished", 110, 110, "finished", seed=2)
        make(work / "diverged", 200, 300, "diverged", skips=True, seed=3)
        make(work / "one", 1, 1, "finished", evals=0, samples=False)
        make(work / "long", 100_000, 100_000, "finished", evals=500, seed=5, config="".join(f"key_{i}: {'x' * 90} # run.yaml:{i}\n" for i in range(60)))
        with open(work / "running/.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # as the run's process holds it
            pages = []
            for name in ("running", "finished", "diverged", "one", "long"):
                subprocess.run([lomo, "report", name], cwd=work, check=True, stdout=subprocess.DEVNULL)
                pages.append((name, work / name / "report.html"))
            subprocess.run([lomo, "report", "running", "finished", "diverged", "long"], cwd=work, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            pages.append(("compare", work / "compare.html"))
        for name, page in pages:
            for width, height in ((1280, 2300), (400, 4200)):
                wrong = measured(page, width)
                for w in wrong:
                    print(f"{name}, {width} wide: {w}")
                failed += len(wrong)
                for dark in (False, True) if name in ("running", "compare") else (width == 400,):
                    shot = f"{name}-{width}-{'dark' if dark else 'light'}.png"
                    chromium(page, width, height, dark, f"--screenshot={shots.resolve() / shot}")
            size = page.stat().st_size
            failed += size > 2**20
            print(f"{name}: {size:,} bytes")
    print(f"screens: {'FAILED' if failed else 'passed'}; look at {shots}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
