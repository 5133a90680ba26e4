"""Where a student's classes stand among a teacher's."""

import pytest

from tlcli.distill.class_places import class_places, mapping_text
from tlcli.errors import ConfigError


def test_the_mapping_of_classes_is_told():
    known = ["cat", "dog", "car"]
    assert mapping_text(known, known, [0, 1, 2]) == "3 classes by name"
    places = class_places(["car", "cat"], known, "teacher")
    told = mapping_text(["auto", "cat"], known, places)
    assert told == "2 of its 3 classes by name, auto = car; not used: dog"
    many = [str(i) for i in range(1000)]
    assert mapping_text(["7"], many, [7]) == "1 of its 1,000 classes by name; 999 not used"
    with pytest.raises(ConfigError, match=r"does not know cats; it knows 1 of 2 .*mean cat\?"):
        class_places(["cats", "dog"], known, "teacher")
