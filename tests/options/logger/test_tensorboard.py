import io

import numpy as np
from PIL import Image
from tensorboard.plugins.hparams import metadata

from tests.helpers.loggers import begun, events, figures, logger, told


def test_its_own_reader_finds_what_was_told(tmp_path):
    told(logger("tensorboard").open(begun(tmp_path)), tmp_path)
    found = events(tmp_path / "tensorboard")
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(1, 2.0), (2, 1.5)]
    assert found.Scalars("test/accuracy")[0].value == 0.875
    assert sorted(found.Tags()["images"]) == ["confusion/test", "views/0"]
    row = np.asarray(Image.open(io.BytesIO(found.Images("views/0")[0].encoded_image_string)))
    assert row.shape == (8, 16, 3)
    assert row[0, 0].tolist() == [255, 0, 0]
    assert row[0, 15].tolist() == [0, 255, 255]


def test_hparams_have_what_was_chosen_and_the_end(tmp_path):
    told(logger("tensorboard").open(begun(tmp_path)), tmp_path)
    found = events(tmp_path / "tensorboard").PluginTagToContent("hparams")
    start = metadata.parse_session_start_info_plugin_data(found[metadata.SESSION_START_INFO_TAG])
    assert start.hparams["backbone"].string_value == "tiny"
    assert start.hparams["epochs"].number_value == 2.0
    assert start.hparams["calibrate"].bool_value is False
    assert metadata.SESSION_END_INFO_TAG in found


def test_a_training_that_goes_on_takes_the_place_of_later_steps(tmp_path):
    writer = logger("tensorboard").open(begun(tmp_path))
    writer.figures([figures(step, loss=float(step)) for step in (1, 2, 3)])
    # No close: it was killed.
    writer = logger("tensorboard").open(begun(tmp_path, step=2))
    writer.figures([figures(3, loss=30.0), figures(4, loss=40.0)])
    writer.close("finished")
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
    found = [(e.step, e.value) for e in events(tmp_path / "tensorboard").Scalars("loss")]
    assert found == [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]
