from tlcli.models.imagenet import class_names, wnids


def test_there_are_a_thousand_classes_in_order():
    assert len(class_names()) == len(set(wnids())) == 1000
    assert list(wnids()) == sorted(wnids())
    assert (class_names()[0], class_names()[2], class_names()[999]) == (
        "tench",
        "great_white_shark",
        "toilet_tissue",
    )
