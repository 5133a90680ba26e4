import csv
from pathlib import Path

import pytest

from tlcli.export import licences

NETWORKS = Path(licences.__file__).parents[1] / "config" / "networks.csv"


def test_each_published_network_has_a_licence():
    with open(NETWORKS, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = {"weights": "imagenet", "constructor": row["constructor"]}
            assert licences.UNKNOWN not in licences.known({"backbone": values})["weights"]


@pytest.mark.parametrize(
    ("backbone", "told"),
    [({"weights": "imagenet", "constructor": "VGG16"}, "CC-BY-4.0"),
     ({"weights": "imagenet", "constructor": "ResNet50V2"}, "MIT, by the authors of ResNet"),
     ({"weights": "imagenet", "constructor": "Another"}, "not told"),
     ({"weights": "none"}, "at random"), ({"weights": "mine.h5"}, "given weights"),
     ({"weights": "run", "config": {"weights": "imagenet", "constructor": "NASNetLarge"}},
      "Apache"),
     (None, "given weights")],
)  # fmt: skip
def test_weights_are_told_by_where_they_began(backbone, told):
    assert told in licences.known({"backbone": backbone})["weights"]


def test_the_owner_of_data_is_asked():
    assert "owner" in licences.known({"data": {"name": "folder"}})["data"]
    assert "CC-BY-4.0" in licences.known({"data": {"name": "digits"}})["data"]
