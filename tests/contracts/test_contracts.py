"""Every option is what its group's contract says; nothing has a default outside of YAML."""

import dataclasses
import importlib

import pytest

from tlcli.config import registry
from tlcli.contracts import GROUPS, backbone, head, schedule
from tlcli.contracts.data import ImageSource

NAMES = {"data": "DataSource", "distillation": "Method"}
OPTIONS = [(group, path.stem) for group in GROUPS
           for path in sorted((registry.PACKAGE / "options" / group).glob("[!_]*.py"))]  # fmt: skip


@pytest.mark.parametrize(("group", "name"), OPTIONS)
def test_every_option_is_what_its_contract_says(group, name):
    option = registry.option_class(group, name)
    contract = getattr(
        importlib.import_module(f"tlcli.contracts.{group}"), NAMES.get(group, group.capitalize())
    )
    if not getattr(contract, "_is_protocol", False):
        assert issubclass(option, contract)
    assert not getattr(option, "__abstractmethods__", None)
    # A field takes an inherited attribute for its default, unseen.
    given = [f.name for f in dataclasses.fields(option) if f.default is not dataclasses.MISSING]
    assert not given


def test_a_head_that_needs_no_data_fits_nothing():
    class Plain(head.Head):
        dropout = 0.0

        def build(self, features, num_classes):
            return features, features

    assert not Plain.needs_data
    assert Plain().fit(None, None) is None


def test_a_schedule_watches_nothing_unless_it_says_so():
    class Flat(schedule.Schedule):
        def values(self, total_steps, steps_per_epoch, batch_size=1):
            return [1.0] * total_steps

    flat = Flat()
    assert (flat.watches_validation, flat.momentum(3, 1.0)) == (False, None)
    assert flat.update(flat.initial_state(), 0.5) == {"factor": 1.0}


def test_a_backbone_is_its_own_resolved_form():
    class Own(backbone.Backbone):
        def build(self, images):
            return images

        def load(self, model):
            return backbone.LoadReport("random")

    own = Own()
    assert own.resolved() is own
    assert not own.resizable


def test_a_source_of_pictures_needs_no_more_than_their_pixels():
    class Black(ImageSource):
        def image(self, index, short_side=0, region=None):
            return [[[0, 0, 0]]]

    black = Black()
    assert (black.array, black.encoded, black.first_broken([0])) == (None, None, None)
