import io
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tlcli.contracts.data import Region
from tlcli.data.decode import decode_file, upright
from tlcli.data.encoded import EncodedImages, file_images
from tlcli.data.header import BY_JPEG, BY_PILLOW, inspect
from tlcli.data.scan import scan_files, stat_files
from tlcli.errors import DataError

LIMIT = 1_000_000


def by_pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def odd_images(encode, pixels):
    with_alpha = np.dstack([pixels, np.where(pixels[..., :1] > 99, 255, 0)]).astype(np.uint8)
    turned = Image.fromarray(pixels[::-1])
    return {
        "jpeg": encode(pixels, "JPEG", quality=90),
        "jpeg_progressive": encode(pixels, "JPEG", progressive=True),
        "jpeg_grey": encode(pixels, "JPEG", "L"),
        "jpeg_cmyk": encode(pixels, "JPEG", "CMYK"),
        "mpo": encode(pixels, "MPO", save_all=True, append_images=[turned]),
        "png": encode(pixels, "PNG"),
        "png_palette": encode(pixels, "PNG", "P"),
        "png_palette_transparent": encode(pixels, "PNG", "P", transparency=0),
        "png_two_colours": encode(pixels, "PNG", "1"),
        "png_grey_alpha": encode(with_alpha, "PNG", "LA"),
        "png_alpha": encode(with_alpha, "PNG"),
        "png_animated": encode(pixels, "PNG", save_all=True, append_images=[turned]),
        "bmp": encode(pixels, "BMP"),
        "bmp_ends_in_zeros": encode(np.zeros_like(pixels), "BMP"),
        "bmp_palette": encode(pixels, "BMP", "P"),
        "bmp_two_colours": encode(pixels, "BMP", "1"),
        "gif": encode(pixels, "GIF"),
        "gif_animated": encode(pixels, "GIF", save_all=True, append_images=[turned]),
        "webp": encode(pixels, "WEBP"),
        "webp_alpha": encode(with_alpha, "WEBP", lossless=True),
        "webp_animated": encode(
            pixels, "WEBP", lossless=True, save_all=True, append_images=[turned]
        ),
    }


def without_adobe_marker(data):
    """A CMYK JPEG as some scanners write it; TensorFlow gets it wrong by the whole range."""
    at = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[at + 2 : at + 4])[0]
    return data[:at] + data[at + 2 + length :]


def test_odd_images_decode_as_in_pillow_inside_tf_data(tmp_path, pixels, encode):
    images = odd_images(encode, pixels)
    images["jpeg_cmyk_plain"] = without_adobe_marker(images["jpeg_cmyk"])
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    scan = scan_files(stat_files(str(tmp_path), list(images)), LIMIT, tmp_path / "cache")
    assert scan.problems == {}
    source = file_images(f"{tmp_path}/", list(images), list(images), scan)
    decoded = list(tf.data.Dataset.range(len(images)).map(source.image))
    for (name, data), image in zip(images.items(), decoded, strict=True):
        expected = by_pillow(data)
        assert image.dtype == tf.uint8
        # Lossy WebP has no one right decoding; the rest is exact.
        assert np.abs(image.numpy().astype(int) - expected).max() <= (name == "webp"), name
        np.testing.assert_array_equal(decode_file(tmp_path / name, LIMIT), image)


def test_16_bit_png_keeps_its_brightness(tmp_path):
    deep = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    image = decode_file(tmp_path / "deep.png", LIMIT)
    np.testing.assert_array_equal(image, np.repeat((deep >> 8)[..., None], 3, axis=-1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_as_in_pillow(tmp_path, pixels, encode, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo"
    path.write_bytes(encode(pixels, kind, exif=exif))
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
    image = decode_file(path, LIMIT)
    assert image.shape == expected.shape
    assert np.abs(image - expected).max() <= (kind == "WEBP")
    header = inspect(path, LIMIT)
    assert (header.height, header.width) == expected.shape[:2]


@pytest.mark.parametrize(
    ("short_side", "ratio"), [(0, 1), (81, 1), (80, 2), (41, 2), (40, 4), (20, 8)]
)
def test_a_large_jpeg_comes_smaller_as_pillow_drafts_it(
    tmp_path, smooth, encode, short_side, ratio
):
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
def test_part_of_a_jpeg_has_the_pixels_of_the_whole(tmp_path, encode, subsampling, quality):
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
def test_each_of_many_files_is_found(tmp_path, encode, letter):
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
            decoders=BY_JPEG * ones,
            orientations=ones,
            heights=9 * ones,
            widths=9 * ones,
            sizes=ones,
            mtimes=ones,
            marks=ones,
        )
        names = [f"flowers/{row:08d}.jpg" for row in range(count)]
        source = file_images("/data/", names, names, headers)
        read = tf.function(source.image, autograph=False)
        graph = read.get_concrete_function(tf.TensorSpec((), tf.int64)).graph
        return graph.as_graph_def().ByteSize()

    assert abs(size(100_000) - size(50_000)) < 1000


def test_orientation_is_applied_per_sample_in_one_graph(tmp_path, pixels, encode):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        (tmp_path / str(orientation)).write_bytes(encode(pixels, "PNG", exif=exif))
    names = [str(number) for number in range(1, 9)]
    scan = scan_files(stat_files(str(tmp_path), names), LIMIT, tmp_path / "cache")
    source = file_images(f"{tmp_path}/", names, names, scan)
    for row, image in enumerate(tf.data.Dataset.range(8).map(source.image)):
        np.testing.assert_array_equal(image, upright(pixels, row + 1))


def test_a_broken_exif_block_counts_as_upright(encode, pixels):
    data = encode(pixels, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert inspect(data, LIMIT).orientation == 1


def test_format_is_judged_by_content(encode, pixels, tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(pixels, "PNG"))
    assert inspect(tmp_path / "a.jpg", LIMIT).format == "PNG"
    assert inspect(str(tmp_path / "a.jpg"), LIMIT).width == 32


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"not a picture\n", "is a text, not an image"),
        (b"<svg xmlns='x'></svg>", "is an SVG, XML or HTML text"),
        (b"II*\0" + bytes(50), "is a TIFF image"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "is a HEIC image"),
        (b"\x89PNG\r\n\x1a\n", "is not an image that is read, or its header is broken"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, data, problem):
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.jpg: {problem}.*Replace or remove"):
        inspect(tmp_path / "a.jpg", LIMIT)
    with pytest.raises(DataError, match=problem):
        decode_file(tmp_path / "a.jpg", LIMIT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_truncated_files_are_found_by_the_header_check(encode, smooth, kind, share):
    data = encode(smooth(1, 160, 200), kind)
    with pytest.raises(DataError, match=r"photo: (cannot be decoded|.*header is broken)"):
        inspect(data[: int(len(data) * share)], LIMIT, name="photo")


def test_a_damaged_png_is_found(encode, pixels):
    data = bytearray(encode(pixels, "PNG"))
    data[data.index(b"IDAT") + 9] ^= 255
    with pytest.raises(DataError, match="a checksum of the PNG is wrong"):
        inspect(bytes(data), LIMIT)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(tmp_path, encode, pixels):
    data = encode(pixels, "JPEG")
    (tmp_path / "a").write_bytes(data + bytes(5000))
    np.testing.assert_array_equal(decode_file(tmp_path / "a", LIMIT), by_pillow(data))


def test_pictures_above_the_limit_are_refused_before_decoding(encode, pixels):
    assert inspect(encode(pixels), 24 * 32).width == 32
    with pytest.raises(DataError, match="has 32x24 pixels, more than the limit of 767"):
        inspect(encode(pixels), 24 * 32 - 1)


def test_a_small_png_that_claims_to_be_huge_is_refused_quickly(encode, pixels):
    data = bytearray(encode(pixels))
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(DataError, match="more pixels than the limit"):
        inspect(bytes(data), LIMIT)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.png: there is no such file"):
        inspect(tmp_path / "none.png", LIMIT)


def test_the_broken_one_is_found_after_a_decoding_error(encode, pixels):
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


def test_pillow_decodes_only_what_tensorflow_gets_wrong(encode, pixels):
    decoders = {
        name: inspect(data, LIMIT).decoder for name, data in odd_images(encode, pixels).items()
    }
    slow = {name for name, decoder in decoders.items() if decoder == BY_PILLOW}
    assert slow == {
        *(
            "jpeg_cmyk",
            "bmp",
            "bmp_ends_in_zeros",
            "bmp_palette",
            "bmp_two_colours",
            "gif",
            "gif_animated",
        ),
        *("webp_alpha", "webp_animated"),
    }
