from tests.helpers.pictures import encode, make_classes, smooth
from tests.helpers.words import checked
from tlcli.training.looks import median_side


def test_the_side_is_that_of_the_middle_picture_and_damaged_ones_tell_nothing(tmp_path):
    make_classes(tmp_path, {"a": 5, "b": 5})
    for number, side in enumerate((16, 24, 32)):
        (tmp_path / "a" / f"large{number}.png").write_bytes(encode(smooth(number, side, 64)))
    job = checked("train", "data=folder", f"data.path={tmp_path}").job
    assert median_side(job.data.manifest(0, tmp_path / "cache")) == 8
