"""Heat over pictures."""

import io

import numpy as np
from PIL import Image

from tlcli.system import heat


def test_where_nothing_speaks_the_picture_is_as_it_was():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(heat.overlaid(image, np.zeros((5, 7))), image)


def test_the_strongest_place_has_the_last_colour_in_part():
    image = np.zeros((1, 1, 3), np.uint8)
    expected = np.round(heat.STRENGTH * np.array(heat.RAMP[-1]))
    np.testing.assert_allclose(heat.overlaid(image, np.ones((1, 1)))[0, 0], expected, atol=1)


def test_colours_rise_in_lightness():
    found = heat.coloured(np.linspace(0, 1, 50)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(found) > 0).all()


def test_small_pictures_are_magnified_without_blur():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    found = heat.magnified(image, 5)
    assert found.shape == (6, 6, 3)
    np.testing.assert_array_equal(found[::3, ::3], image)


def test_smooth_heat_keeps_its_range():
    found = heat.smooth(np.array([[0.0, 1.0], [0.0, 0.0]]), 8)
    assert found.shape == (16, 16)
    assert 0 <= found.min() < 0.01 < 0.9 < found.max() <= 1


def test_encoded_pictures_are_read_back():
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(heat.encoded(image)))), image)
