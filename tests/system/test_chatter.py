"""What libraries write to descriptors is not seen, and what we say is."""

import subprocess
import sys

from tests.helpers.runs import environment

CODE = """
import os, sys
from tlcli.system import console
from tlcli.system.chatter import silent
console.start_log(None)
with silent():
    os.write(1, b"library\\n")
    os.write(2, b"library\\n")
    print("library")
    console.say("heard")
with silent(2):
    os.write(2, b"library\\n")
    os.write(1, b"result\\n")
os.write(2, b"after\\n")
"""


def test_only_what_we_say_is_heard():
    done = subprocess.run([sys.executable, "-c", CODE], env=environment(), capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stderr == "heard\nafter\n"
    assert done.stdout == "result\n"
