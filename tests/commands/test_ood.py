"""Pictures of something else are told from a run's own, marked, and counted."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.words import checked
from tlcli.commands import evaluate, predict
from tlcli.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Pictures that are no digits, one of them none at all."""
    folder = tmp_path_factory.mktemp("noise")
    random = np.random.default_rng(0)
    for number in range(12):
        pixels = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG")
    return folder


def test_eval_tells_how_well_strangers_are_told_apart(digits_run, noise, capsys):
    words = (f"checkpoint={digits_run}", f"ood={noise}")
    assert evaluate.run(checked("eval", *words, "format=json")) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert "1 of 13 pictures cannot be read" in captured.err
    assert found["ood_samples"] == 12
    assert found["ood_auroc"] > 0.9
    assert found["ood_auroc_low"] <= found["ood_auroc"] <= found["ood_auroc_high"]
    assert found["stranger_share"] < 0.2 < found["ood_marked"]
    stored = json.loads((digits_run / "metrics.json").read_text())["test"]
    assert found["stranger_share"] == pytest.approx(stored["stranger_share"], abs=0.02)
    evaluate.run(checked("eval", *words))
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told[-2:]] == ["strangers", "ood"]


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_predict_marks_strangers(digits_run, noise, capsys, tta):
    words = (f"images=[{noise / '0.png'}]", f"checkpoint={digits_run}", f"tta={tta}")
    predict.run(checked("predict", *words, "format=json"))
    marked = json.loads(capsys.readouterr().out)[0]["stranger"]
    predict.run(checked("predict", *words, "format=csv"))
    header, row = capsys.readouterr().out.splitlines()
    assert header == "path,label,probability,stranger,error"
    assert row.split(",")[3] == str(marked).lower() == "true"
    predict.run(checked("predict", *words))
    assert capsys.readouterr().out.endswith("  unlike the training images\n")


def test_a_run_that_knows_none_is_refused_in_one_line(digits_run, noise, tmp_path):
    import shutil

    run = shutil.copytree(digits_run, tmp_path / "run")
    (run / "strangers.npz").unlink()
    with pytest.raises(ConfigError, match=r"^ood: .* has no strangers.npz.*strangers=0.95"):
        evaluate.run(checked("eval", f"checkpoint={run}", f"ood={noise}"))


def test_a_folder_without_pictures_is_refused(digits_run, tmp_path):
    with pytest.raises((ConfigError, DataError)):
        evaluate.run(checked("eval", f"checkpoint={digits_run}", f"ood={tmp_path}"))
