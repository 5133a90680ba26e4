"""Finished runs as checkpoints."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.words import checked
from tlcli.runs import checkpoint


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_an_unfinished_run_is_no_checkpoint(broken_off):
    from tlcli.commands import evaluate
    from tlcli.errors import DataError

    with pytest.raises(DataError, match=r"did not finish\. Go on with it: tl train resume="):
        evaluate.run(checked("eval", f"checkpoint={broken_off}"))


def test_a_damaged_checkpoint_is_refused(digits_run, tmp_path):
    from tlcli.errors import DataError

    copy = Path(shutil.copytree(digits_run, tmp_path / "run"))
    flip(copy / "model.weights.h5")
    with pytest.raises(DataError, match="is not the file that was written"):
        checkpoint.read_run(copy)
