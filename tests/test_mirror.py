"""Tests mirror the package: every module of the frame has its test file."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "tlcli"
MODULES = sorted(
    path.relative_to(PACKAGE)
    for path in PACKAGE.glob("*/**/*.py")
    if path.stem != "__init__" and "options" not in path.parts
)
# Tests of a topic that import a module by its name stand for a file of its own.
TOPICS = ("behaviour", "hostile", "reality")
# What only means something within whole trainings or whole commands is tested there.
ELSEWHERE = {
    "cli/__main__": "cli/test_main.py",
    "commands/bench_arms": "commands/test_bench.py",
    "commands/bench_scale_worker": "commands/test_bench_scale.py",
    "commands/clean": "commands/test_pack.py",
    "commands/export_namer": "commands/test_export.py",
    "commands/namer": "commands/test_predict.py",
    "commands/own_folder": "commands/test_train.py",
    "commands/predict_shares": "commands/test_gather.py",
    "commands/run_namer": "commands/test_predict.py",
    "commands/run_heat": "commands/test_serve.py",
    "commands/run_page": "commands/test_report.py",
    "commands/served": "commands/test_serve.py",
    "config/extending": "reality/test_own_run.py",
    "export/timing": "commands/test_bench_export.py",
    "export/contract": "commands/test_export.py",
    "export/network": "commands/test_export.py",
    **{f"export/formats/{name}": "commands/test_export.py"
       for name in ("keras", "litert", "onnx", "openvino", "saved_model")},
    **{f"serve/{name}": "serve/test_app.py"
       for name in ("meter", "model", "predicting", "protocol_v2", "refused", "said", "service")},
    "serve/openapi_schemas": "serve/test_openapi.py",
    "serve/server": "commands/test_serve.py",
    "data/arrow": "options/data/test_parquet.py",
    "data/arrow_file": "options/data/test_hf.py",
    "data/packed": "options/data/test_tfrecord.py",
    "data/parquet": "options/data/test_parquet.py",
    "data/tar": "options/data/test_webdataset.py",
    "data/tfds": "options/data/test_tfds.py",
    "data/tfds_file": "options/data/test_tfds.py",
    "distill/network_teacher": "behaviour/test_distill.py",
    "distill/peers": "behaviour/test_peers.py",
    "models/head_rows": "reality/test_own_run.py",
    "runs/remote_claim": "runs/test_remote_folder.py",
    "runs/remote_copy": "runs/test_remote_folder.py",
    "system/remote_listing": "system/test_remote.py",
    "system/remote_room": "system/test_remote_cache.py",
    "training/feed": "behaviour/test_distill.py",
    "training/result": "commands/test_train.py",
    "training/step_parts": "training/test_step.py",
}  # fmt: skip


def own_file(module):
    """tests/<package>/test_<module>.py, or one named after the package."""
    inner = module.parent
    return [
        TESTS / inner / f"test_{module.stem}.py",
        TESTS / inner.parent / f"test_{inner.name}.py",
        TESTS / inner / f"test_{inner.name}.py",
    ]


def imported(path):
    """Dotted names that a file imports, at the top or within its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


IMPORTED = set().union(
    *(imported(path) for topic in TOPICS for path in (TESTS / topic).glob("*.py"))
)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_its_test_file(module):
    name = module.with_suffix("").as_posix()
    own = [path for path in own_file(module) if path.is_file()]
    tested = own or f"tlcli.{name.replace('/', '.')}" in IMPORTED
    if name not in ELSEWHERE:
        assert tested, f"write tests/{module.parent}/test_{module.stem}.py"
        return
    assert not tested, f"{name} has tests of its own: take it out of ELSEWHERE"
    assert (TESTS / ELSEWHERE[name]).is_file()


def test_no_exception_outlives_its_module():
    assert set(ELSEWHERE) <= {module.with_suffix("").as_posix() for module in MODULES}


def test_no_test_file_outlives_its_module():
    """A test file in a package's folder names a module, or a package, of it."""
    packages = {path.parts[0] for path in MODULES}
    known = {(m.parent.as_posix(), m.stem) for m in MODULES}
    known |= {(m.parent.parent.as_posix(), m.parent.name) for m in MODULES}
    known |= {(package, package) for package in packages}
    for package in packages:
        for path in (TESTS / package).glob("**/test_*.py"):
            place = path.parent.relative_to(TESTS).as_posix()
            assert (place, path.stem.removeprefix("test_")) in known, path
