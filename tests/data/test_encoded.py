"""Pictures in files, decoded one by one inside tf.data."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.pictures import encode, smooth
from tlcli.contracts.data import Region
from tlcli.data.decode import decode_file, upright
from tlcli.data.encoded import EncodedImages, file_images
from tlcli.data.header import BY_JPEG
from tlcli.data.scan import scan_files, stat_files

LIMIT = 1_000_000


@pytest.mark.parametrize(
    ("short_side", "ratio"), [(0, 1), (81, 1), (80, 2), (41, 2), (40, 4), (20, 8)]
)
def test_a_large_jpeg_comes_smaller_as_pillow_drafts_it(tmp_path, short_side, ratio):
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(smooth(height=160, width=200), "JPEG", quality=92))
    with Image.open(path) as drafted:
        drafted.draft("RGB", (-(-200 // ratio), -(-160 // ratio)))
        wanted = np.asarray(drafted)
    found = decode_file(path, LIMIT, short_side)
    assert found.shape == (160 // ratio, 200 // ratio, 3)
    np.testing.assert_allclose(found.astype(int), wanted, atol=2)
    source = file_images(
        "",
        [str(path)],
        ["a"],
        scan_files(stat_files(str(tmp_path), ["a.jpg"]), LIMIT, tmp_path / "cache"),
    )
    rows = tf.data.Dataset.range(1).map(lambda row: source.image(row, short_side))
    np.testing.assert_array_equal(next(iter(rows)), found)


@pytest.mark.parametrize("quality", [30, 95])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_part_of_a_jpeg_has_the_pixels_of_the_whole(tmp_path, subsampling, quality):
    rng = np.random.default_rng(quality)
    noise = rng.integers(0, 256, (113, 158, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, extra in (("a.jpg", {}), ("b.jpg", {"exif": exif})):
        data = encode(noise, "JPEG", quality=quality, subsampling=subsampling, **extra)
        (tmp_path / name).write_bytes(data)
    names = ["a.jpg", "b.jpg"]
    scan = scan_files(stat_files(str(tmp_path), names), LIMIT, tmp_path / "cache")
    source = file_images(f"{tmp_path}/", names, names, scan)

    @tf.function(autograph=False)
    def part(row, box):
        return source.image(row, 0, Region(lambda sides: box, False))

    middle = Region(lambda sides: tf.concat([sides // 3, sides // 2], -1), True)
    for row, name in enumerate(names):
        whole = decode_file(tmp_path / name, LIMIT)
        edges = [(0, 0, *whole.shape[:2]), (16, 32, 40, 48), (15, 31, 1, 1), (32, 16, 64, 64)]
        edges += [(top, left, rng.integers(1, 113 - top), rng.integers(1, 113 - left))
                  for top, left in rng.integers(0, 100, (20, 2))]  # fmt: skip
        for top, left, tall, wide in edges:
            found = part(tf.constant(row, tf.int64), tf.constant([top, left, tall, wide]))
            expected = whole[top : top + tall, left : left + wide]
            np.testing.assert_array_equal(found, expected)
        top, left, tall, wide = middle.box(tf.constant(whole.shape[:2])).numpy()
        expected = whole[top : top + tall, left : left + wide]
        found = tf.data.Dataset.range(row, row + 1).map(lambda r: source.image(r, 0, middle))
        np.testing.assert_array_equal(next(iter(found)), expected)


@pytest.mark.parametrize("letter", ["u", "ü€"])
def test_each_of_many_files_is_found(tmp_path, letter):
    names = []
    for row in range(600):
        names.append(f"{letter * (row % 7)}{row}.png")
        (tmp_path / names[row]).write_bytes(encode(np.full((2, 2, 3), row % 251, np.uint8)))
    scan = scan_files(stat_files(str(tmp_path), names), LIMIT, tmp_path / "cache")
    source = file_images(f"{tmp_path}/", names, names, scan)
    read = tf.data.Dataset.range(600).map(source.image)
    assert [int(image[0, 0, 0]) for image in read] == [row % 251 for row in range(600)]
    assert source.encoded(300) == (tmp_path / names[300]).read_bytes()


def test_a_graph_does_not_grow_with_the_files():
    def size(count):
        ones = np.ones(count, np.uint8)
        headers = SimpleNamespace(
            decoders=BY_JPEG * ones, orientations=ones, heights=9 * ones, widths=9 * ones,
            sizes=ones, marks=ones,
        )  # fmt: skip
        names = [f"flowers/{row:08d}.jpg" for row in range(count)]
        source = file_images("/data/", names, names, headers)
        read = tf.function(source.image, autograph=False)
        graph = read.get_concrete_function(tf.TensorSpec((), tf.int64)).graph
        return graph.as_graph_def().ByteSize()

    assert abs(size(100_000) - size(50_000)) < 1000


def test_orientation_is_applied_per_sample_in_one_graph(tmp_path, pixels):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        (tmp_path / str(orientation)).write_bytes(encode(pixels, "PNG", exif=exif))
    names = [str(number) for number in range(1, 9)]
    scan = scan_files(stat_files(str(tmp_path), names), LIMIT, tmp_path / "cache")
    source = file_images(f"{tmp_path}/", names, names, scan)
    for row, image in enumerate(tf.data.Dataset.range(8).map(source.image)):
        np.testing.assert_array_equal(image, upright(pixels, row + 1))


def test_the_broken_one_is_found_after_a_decoding_error(pixels):
    # Checksums right, but the compressed stream is not: only decoding shows it.
    good = encode(pixels, "JPEG")
    data = tf.constant([good, good, good[: len(good) // 2]])
    headers = SimpleNamespace(
        decoders=np.zeros(3, np.uint8), orientations=np.ones(3, np.uint8),
        heights=np.full(3, pixels.shape[0]), widths=np.full(3, pixels.shape[1]),
    )  # fmt: skip
    source = EncodedImages(lambda index: tf.gather(data, index), ["a", "b", "c"], headers)
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(tf.data.Dataset.range(3).map(source.image))
    assert source.first_broken([0, 1]) is None
    assert str(source.first_broken([0, 1, 2])).startswith("c: cannot be decoded: ")
    headers.heights[1] += 1
    assert str(source.first_broken([0, 1])).startswith("b: is another picture")
