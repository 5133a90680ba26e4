"""Imports point down, and the command line starts without TensorFlow."""

import ast
from pathlib import Path

import pytest

import tlcli
from tlcli.contracts import GROUPS

ROOT = Path(tlcli.__file__).parent

LAYERS = (
    {"__init__", "errors", "lazy"},
    {"cluster", "memory"},
    {"options", "files", "resize", "order", "gradients", "metrics", "graph", "imagenet", "tta",
     "hdf5"},
    {*GROUPS, "weights", "table_file", "recipe", "fold", "fused_batch_norm", "image_dropout"},
    {"model", "block_table", "lora", "pipeline", "settings", "console", "chain"},
    {"cache", "loop", "checkpoint", "state", "rate_curve"},
    {"phase", "precision", "spread", "evaluate", "likeness", "balance", "plain_keras", "pictures"},
    {"setup", "teach", "peers", "listing", "predict", "preview", "prepare",
     "batch_size"},
    {"result", "generations", "auto"},
    {"trainer"},
    {"train", "verify", "bench", "find_lr"},
    {"compare"},
    {"cli", "compose", "sweep", "launch"},
)  # fmt: skip
# A teacher may be a finished run.
ALLOWED = {("teacher", "checkpoint"), ("teacher", "pipeline"), ("teacher", "cache"),
           ("teacher", "evaluate"), ("teacher", "model")}  # fmt: skip


def level(name):
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def imported(path):
    """Modules of tlcli that a file names in its imports, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "tlcli":
            yield from (a.name for a in node.names if a.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tlcli."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("tlcli."))


FILES = sorted(p for p in ROOT.rglob("*.py") if "configs" not in p.relative_to(ROOT).parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    name = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for other in imported(path):
        if other != name and (name, other) not in ALLOWED:
            assert level(other) <= level(name), f"{name} imports {other}, which is above it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_can_run_what_it_reads(path):
    text = path.read_text()
    for word in ("import pickle", "yaml.load(", "_target_", "allow_pickle=True", "safe_mode=False"):
        assert word not in text
    calls = {n.func.id for n in ast.walk(ast.parse(text))
             if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}  # fmt: skip
    assert not calls & {"eval", "exec", "compile", "__import__"}
