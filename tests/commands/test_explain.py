"""`tl explain` writes heat over pictures, of networks of every kind."""

import csv

import numpy as np
import pytest
from PIL import Image

from tests.helpers.runs import train_digits
from tests.helpers.words import checked
from tlcli.commands import explain
from tlcli.errors import ConfigError


@pytest.fixture(scope="module")
def shapes_run(pictures, tmp_path_factory):
    return train_digits(
        tmp_path_factory.mktemp("shapes") / "run", "data=folder", f"data.path={pictures}",
        "finetune=full", "epochs=6",
    )  # fmt: skip


def explained(run, folder, *words):
    """Exit code, and rows of the table."""
    code = explain.run(checked("explain", *words, f"checkpoint={run}", f"output={folder}"))
    with open(folder / "explained.csv", newline="") as file:
        return code, list(csv.DictReader(file))


def test_a_picture_a_class_is_written(shapes_run, pictures, tmp_path, capsys):
    code, rows = explained(shapes_run, tmp_path / "why", pictures / "round", "batch_size=5")
    assert code == 0
    assert len(rows) == 12
    for row in rows:
        picture = np.asarray(Image.open(row["output"]))
        assert picture.shape == (224, 224, 3)
        assert row["method"].startswith("grad_cam")
        assert row["class"] in ("round", "square")
        assert float(row["probability"]) >= 0.5
    assert capsys.readouterr().out.count("\n") == 12


def test_the_class_that_is_asked_about_is_explained(shapes_run, pictures, tmp_path):
    given = (pictures / "round" / "0.png", "class=[round,square]", "method=occlusion")
    _, rows = explained(shapes_run, tmp_path / "why", *given)
    assert [row["class"] for row in rows] == ["round", "square"]
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(1, abs=1e-5)
    with pytest.raises(ConfigError, match=r"no class 'rund'\. Did you mean round"):
        explained(shapes_run, tmp_path / "other", given[0], "class=rund")
    assert not (tmp_path / "other").exists()


def test_a_stranger_s_file_stays(shapes_run, pictures, tmp_path):
    folder = tmp_path / "why"
    folder.mkdir()
    (folder / "0.round.png").write_bytes(b"mine")
    given = (pictures / "round" / "0.png", "class=round")
    with pytest.raises(ConfigError, match="tl did not write it"):
        explained(shapes_run, folder, *given)
    assert (folder / "0.round.png").read_bytes() == b"mine"
    assert explained(shapes_run, folder, *given, "overwrite=true")[0] == 0
    assert explained(shapes_run, folder, *given)[0] == 0


def test_unreadable_pictures_are_told_and_the_others_explained(shapes_run, pictures, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    code, rows = explained(shapes_run, tmp_path / "why", bad, pictures / "round" / "1.png")
    assert code == 1
    assert rows[0]["error"]
    assert not rows[0]["output"]
    assert rows[1]["output"]


def test_pictures_of_one_name_do_not_meet(shapes_run, pictures, tmp_path):
    same = [pictures / name / "0.png" for name in ("round", "square")]
    _, rows = explained(shapes_run, tmp_path / "why", *same, "class=round")
    assert [row["output"].rpartition("/")[2] for row in rows] == ["0.round.png", "0.round_2.png"]


@pytest.mark.parametrize(
    ("text", "name"),
    [("a cat", "a_cat"), ("../../etc/x", "etc_x"), ("<script>", "script"), ("", "picture"),
     ("-rf", "rf"), ("a" * 500, "a" * 60), ("Käse", "Käse")],
)  # fmt: skip
def test_names_of_files_hold_nothing_but_letters(text, name):
    assert explain.plain(text) == name


def test_independent_classes_are_explained_one_by_one(tmp_path, pictures):
    lines = ["path,label,split"]
    for index in range(12):
        both = "round|square" if index % 3 == 0 else "round"
        lines += [f"round/{index}.png,{both},train", f"square/{index}.png,square,train"]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    words = ("data=csv", f"data.path={table}", f"data.image_root={pictures}", "loss=bce",
             "data.multi_label=true", "data.validation_fraction=0.25")  # fmt: skip
    run = train_digits(tmp_path / "run", *words)
    _, rows = explained(run, tmp_path / "why", pictures / "round")
    assert len({row["path"] for row in rows}) == 12
    assert len({row["output"] for row in rows}) == len(rows)


def test_a_student_with_a_borrowed_head_and_a_cut_one(teacher, tmp_path, pictures):
    words = ("data.classes=[5,6,7,8,9]", "epochs=1")
    taught = train_digits(tmp_path / "simkd", *words, "distillation=simkd", "teacher=run",
                          f"teacher.path={teacher}")  # fmt: skip
    cut = train_digits(tmp_path / "cut", *words, "backbone.output_layer=tiny_block3")
    for run in (taught, cut):
        code, rows = explained(run, tmp_path / f"why_{run.name}", pictures / "square" / "0.png")
        assert code == 0
        assert rows[0]["class"] in "56789"
