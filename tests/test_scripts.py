"""Scripts that start workers, with programs that stand for SLURM and the training."""

import ast
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
# Notes its words and what it was told of its place; then ends as $FAKE says.
WORKER = """#!/usr/bin/env bash
place="$SLURM_PROCID-${LOCAL_RANK:-none}"
echo "worker $place $*"
case ${FAKE:-} in
  lose) exit 75 ;;
  fail) exit 2 ;;
esac
"""
PROGRAMS = {
    "srun": "#!/usr/bin/env bash\nshift\nworst=0\n"
    'for rank in 0 1; do SLURM_PROCID=$rank SLURM_LOCALID=$rank "$@" & pids+=($!); done\n'
    'for pid in "${pids[@]}"; do wait "$pid" || { c=$?; [ $c -gt $worst ] && worst=$c; }; done\n'
    "exit $worst\n",
    "scontrol": '#!/usr/bin/env bash\necho "$*" >>"$HERE/scontrol"\n',
    "nvidia-smi": '#!/usr/bin/env bash\nfor i in $(seq "${GPUS:-0}"); do echo "GPU $i"; done\n',
    "worker": WORKER,
}


@pytest.fixture
def start(tmp_path):
    """Start a script with the programs in front of the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    def run(script, *words, **variables):
        environment = {
            **os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HERE": str(tmp_path),
            "PYTHON": str(folder / "worker"), **variables,
        }  # fmt: skip
        return subprocess.Popen(
            ["bash", str(SCRIPTS / "run" / script), *words], env=environment, cwd=tmp_path,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return run


def ended(process):
    """Exit code, standard output and error."""
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_whole(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)


NAMED = re.compile(r"scripts/[\w/]+\.(?:py|sh)")
NAMING = [ROOT / ".ci" / "run", *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"),
          *SCRIPTS.rglob("*.sh"), *SCRIPTS.rglob("*.py"),
          *(ROOT / "configs").rglob("*.yaml")]  # fmt: skip


@pytest.mark.parametrize("path", sorted(NAMING), ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_that_are_named_are_there(path):
    for name in NAMED.findall(path.read_text()):
        assert (ROOT / name).is_file(), name


USING = [path for path in SCRIPTS.rglob("*.py") if "tlcli" in path.read_text()]


@pytest.mark.parametrize("path", sorted(USING), ids=lambda path: path.name)
def test_what_scripts_take_of_the_package_is_there(path):
    tree = ast.parse(path.read_text())
    held = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tlcli":
            for alias in node.names:
                found = pkgutil.resolve_name(f"{node.module}.{alias.name}")
                held[alias.asname or alias.name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = held.get(node.value.id)
            if isinstance(owner, ModuleType):
                assert hasattr(owner, node.attr), f"{owner.__name__} has no {node.attr}"


def test_several_gpus_are_launched_one_is_trained_on(start):
    assert ended(start("train_multi_gpu.sh", "epochs=3", GPUS="4"))[:2] == (
        0, "worker -none -m tlcli.cli launch 4 restarts=3 -- train epochs=3\n",
    )  # fmt: skip
    code, out, errors = ended(start("train_multi_gpu.sh", "epochs=3", GPUS="1"))
    assert (code, out) == (0, "worker -none -m tlcli.cli train epochs=3\n")
    assert "one process trains" in errors


def slurm(start, *words, **variables):
    return ended(
        start("train_slurm.sh", *words, SLURM_JOB_ID="77", SLURM_SUBMIT_DIR=str(ROOT), **variables)
    )


def test_each_slurm_task_trains_in_the_folder_of_the_job(start, tmp_path):
    code, out, _ = slurm(start, "epochs=3")
    assert code == 0
    end = "-m tlcli.cli train epochs=3 run_dir=runs/slurm/77 hardware=multi_worker"
    assert sorted(out.splitlines()) == [f"worker {n}-none {end}" for n in range(2)]
    assert not (tmp_path / "scontrol").exists()


@pytest.mark.parametrize(("fake", "count", "again"), [("lose", "0", True), ("lose", "10", False),
                                                      ("fail", "0", False)])  # fmt: skip
def test_a_slurm_job_is_queued_again_after_a_loss(start, tmp_path, fake, count, again):
    code, out, _ = slurm(start, "run_dir=r", FAKE=fake, SLURM_RESTART_COUNT=count)
    assert code == (75 if fake == "lose" else 2)
    assert "runs/slurm" not in out
    asked = tmp_path / "scontrol"
    assert (asked.read_text() if asked.exists() else "") == ("requeue 77\n" if again else "")


FEW = ("data.images_per_class=9", "batch_size=10", "epochs=1", "finetune=full", "run_dir=run",
       "hardware.threads=1")  # fmt: skip


@pytest.mark.slow
@pytest.mark.long
def test_a_slurm_job_trains(start, tmp_path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncd "$HERE" && PYTHONPATH={ROOT} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    variables = {
        "PYTHON": str(python), "SLURM_JOB_ID": str(os.getpid()), "SLURM_SUBMIT_DIR": str(ROOT),
        "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "localhost", "SLURM_TASKS_PER_NODE": "2",
    }  # fmt: skip
    process = start("train_slurm.sh", *FEW, f"run_dir={tmp_path / 'run'}", **variables)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert (tmp_path / "run" / "worker_1.log").is_file()
