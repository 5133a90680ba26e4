"""The tables of published networks and their files hold what the options need."""

import dataclasses

import pytest

from tlcli.config import registry
from tlcli.config.published import (
    files_of,
    network_of,
    networks,
    option_of,
    weight_files,
)
from tlcli.options.backbone.keras_applications import CONSTRUCTORS, SIZES, WIDTHS


def test_every_constructor_is_in_the_table_in_all_its_widths():
    expected = {(c, alpha) for c in CONSTRUCTORS for alpha in WIDTHS.get(c, (None,))}
    assert {(n.constructor, n.alpha) for n in networks()} == expected


@pytest.mark.parametrize("network", networks(), ids=lambda n: n.title)
def test_a_row_fits_its_option_and_is_possible(network):
    values = registry.defaults("backbone", network.name)
    option = registry.build("backbone", {**values, "alpha": network.alpha})
    assert option.constructor == network.constructor
    assert option.default_image_size == network.pixels
    assert option_of(network.constructor) == network.name
    assert network_of(network.name, network.alpha) is network
    assert 45 < network.top1 < 90
    assert 0 < network.backbone_parameters < network.parameters
    assert network.source
    for field in dataclasses.fields(network):
        if field.type in (int, float):
            assert getattr(network, field.name) > 0


@pytest.mark.parametrize(
    ("name", "alpha", "parameters", "multiply_adds", "top1"),
    [
        # Published figures: Keras' documentation and the papers.
        ("mobilenet_v2", 1.0, 3_538_984, 0.300e9, 71.3),
        ("mobilenet", 1.0, 4_253_864, 0.569e9, 70.4),
        ("resnet50", None, 25_636_712, 3.87e9, 74.9),
        ("efficientnet_b0", None, 5_330_571, 0.39e9, 77.1),
        ("convnext_tiny", None, 28_589_128, 4.5e9, 81.3),
        ("vgg16", None, 138_357_544, 15.3e9, 71.3),
    ],
)
def test_rows_are_the_published_figures(name, alpha, parameters, multiply_adds, top1):
    network = network_of(name, alpha)
    assert network.parameters == parameters
    assert network.gflops == pytest.approx(2 * multiply_adds / 1e9, rel=0.04)
    assert network.top1 == top1


def test_mobilenet_v2_is_what_times_are_told_beside():
    assert network_of("mobilenet_v2", 1.0).relative_time == pytest.approx(1.0, abs=0.25)


def test_every_network_has_a_file_with_and_without_its_classes():
    for network in networks():
        sizes = len(SIZES.get(network.constructor, (0,)))
        for top in (False, True):
            found = files_of(network.name, network.alpha, top, network.pixels)
            assert len(found) == sizes
            assert len({one.file for one in found}) == sizes
            for one in found:
                assert one.url.startswith("https://storage.googleapis.com/")
                assert one.file.endswith(".h5")
                assert len(one.hash) in (0, 32, 64)
                assert one.algorithm == ("sha256" if len(one.hash) == 64 else "md5")
                # Keras knows hashes of all but the first two MobileNets.
                assert bool(one.hash) == (network.constructor not in SIZES)
    assert len({one.hash for one in weight_files().values() if one.hash}) == sum(
        bool(one.hash) for one in weight_files().values()
    )


def test_sizes_are_those_of_the_numbers_and_a_little_more():
    known = [one for one in weight_files().values() if one.bytes]
    assert len(known) >= 40
    for one in known:
        # MobileNet's file without the classes is as large as that with them.
        numbers = network_of(one.name, one.alpha).parameters if one.hash == "" else one.parameters
        assert 4 * one.parameters <= one.bytes < 1.2 * 4 * numbers, one.file


def test_of_a_size_without_a_file_that_of_224_comes_first_then_the_nearest():
    assert [f.pixels for f in files_of("mobilenet", 0.25, False, 128)] == [128, 160, 192, 224]
    assert [f.pixels for f in files_of("mobilenet", 0.25, False, 64)] == [224, 192, 160, 128]
    assert [f.pixels for f in files_of("mobilenet_v2", 1.0, True, 160)] == [160, 192, 128, 224, 96]
