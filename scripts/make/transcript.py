"""What a terminal of some width shows while commands run, as plain text.

    python scripts/make/transcript.py 60 80 120 -- "tl train photos" "tl predict new.jpg"

Runs the commands in the current folder on a pseudo-terminal of each width, one after another, and
prints a fenced block for each width: what was drawn over is gone, as on a screen. Runs made in
runs/ are removed between the widths, so that each begins alike.
"""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

CONTROL = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


def typed(command: str, width: int) -> str:
    """What the command writes on a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    words = command.split()
    if words[0] == "tl":
        words[:1] = [sys.executable, "-m", "tlcli.cli"]
    env = {**os.environ, "TERM": "xterm-256color", "TF_CPP_MIN_LOG_LEVEL": "3"}
    running = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    if running.wait():
        raise SystemExit(f"{command}\n{said.decode(errors='replace')}")
    return screen(said.decode(errors="replace"))


def screen(said: str) -> str:
    """The lines that are left: the last of what was written into each, without colours."""
    lines: list[str] = []
    for line in said.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            plain = CONTROL.sub("", part)
            shown = plain if "\x1b[2K" in part or "\x1b[K" in part else plain + shown[len(plain) :]
        lines.append(shown.rstrip())
    return "\n".join(lines).strip("\n")


def main() -> None:
    """Print the blocks."""
    cut = sys.argv.index("--")
    for width in map(int, sys.argv[1:cut]):
        shutil.rmtree(Path("runs"), ignore_errors=True)
        print(f"### {width} columns\n\n```text")
        for command in sys.argv[cut + 1 :]:
            print(f"$ {command}\n{typed(command, width)}")
        print("```\n", flush=True)


if __name__ == "__main__":
    main()
