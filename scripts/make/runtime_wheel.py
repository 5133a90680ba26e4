"""Make the wheel tlcli-runtime of the wheel tlcli.

It has the same code, and needs of the packages those that predicting from an export takes: a small
machine installs no TensorFlow.

python scripts/make/runtime_wheel.py dist/tlcli-VERSION-py3-none-any.whl [FOLDER]
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

NAME, SUMMARY = "tlcli-runtime", "Predict with exports of tlcli, without TensorFlow."
# What `tl predict checkpoint=EXPORT` imports, and the runtime that small machines have.
NEEDED = {"numpy", "pillow", "hydra-core", "omegaconf", "rich", "packaging", "pyyaml"}
RUNTIME = "ai-edge-litert"
EXTRAS = {"heif", "onnx", "serve"}


def main() -> None:
    """Write the wheel beside the one that it is made of, or into a folder."""
    source = Path(sys.argv[1]).resolve()
    target = Path(sys.argv[2] if len(sys.argv) > 2 else source.parent).resolve()
    with tempfile.TemporaryDirectory() as place:
        wheel("unpack", source, "--dest", place)
        (root,) = Path(place).iterdir()
        (info,) = root.glob("*.dist-info")
        metadata = (info / "METADATA").read_text(encoding="utf-8")
        (info / "METADATA").write_text(light(metadata), encoding="utf-8")
        info.rename(info.with_name(info.name.replace("tlcli-", "tlcli_runtime-", 1)))
        wheel("pack", root, "--dest-dir", target)


def wheel(*words: object) -> None:
    """Run the tool `wheel`, which also writes the hashes of the files."""
    subprocess.run([sys.executable, "-m", "wheel", *map(str, words)], check=True)


def light(metadata: str) -> str:
    """METADATA of the wheel with another name, and without what only trainings need."""
    head, blank, text = metadata.partition("\n\n")
    lines = []
    for line in head.splitlines():
        field, _, value = line.partition(": ")
        if field == "Name":
            line = f"Name: {NAME}"
        elif field == "Summary":
            line = f"Summary: {SUMMARY}"
        if field == "Provides-Extra" and value not in EXTRAS:
            continue
        if field == "Requires-Dist" and not is_needed(value):
            continue
        lines.append(line)
    runtime = re.search(rf"^Requires-Dist: ({RUNTIME}[^;]*)", head, re.MULTILINE)
    if runtime is None:
        sys.exit(f"the wheel names no {RUNTIME}")
    lines.append(f"Requires-Dist: {runtime[1].strip()}")
    return "\n".join(lines) + blank + text


def is_needed(value: str) -> bool:
    """Whether the runtime takes a requirement of the wheel."""
    required = Requirement(value)
    if required.marker is None:
        return required.name in NEEDED
    extra = re.search(r'extra == "([^"]+)"', str(required.marker))
    return extra is not None and extra[1] in EXTRAS


if __name__ == "__main__":
    main()
