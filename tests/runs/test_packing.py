import shutil

import pytest

from tlcli.errors import DataError
from tlcli.runs import packing, sealed


@pytest.fixture
def run(digits_run, tmp_path):
    """A run with a state, a teacher of its own, an export and a torn file."""
    folder = shutil.copytree(digits_run, tmp_path / "run")
    shutil.copytree(digits_run, folder / "teacher")
    for name in ("state/1.npz", "teacher/state/1.npz", "export/onnx/model.onnx", ".a.unfinished"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_a_run_is_carried_with_the_runs_inside_it(run):
    names = packing.files_of_run(run)
    assert {*sealed.NEEDED, "metadata.json", "run.sha256", "split.csv"} <= set(names)
    assert "teacher/model.weights.h5" in names
    assert not any("state" in name or "export" in name or "unfinished" in name for name in names)


def test_states_and_torn_files_are_needless(run):
    found = {path.relative_to(run).as_posix() for path in packing.needless(run)}
    assert found == {"state", "teacher/state", ".a.unfinished"}


def test_a_run_that_did_not_finish_keeps_what_it_goes_on_from(run):
    (run / "model.weights.h5").unlink()
    for asked in (packing.files_of_run, packing.needless):
        with pytest.raises(DataError, match="did not finish"):
            asked(run)
