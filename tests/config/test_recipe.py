import pytest

from tlcli.config import recipe
from tlcli.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def written(text, name="mine.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def test_both_notations_say_the_same(write):
    plain = recipe.parse(write("backbone: vgg16\ndata: {option: npy, path: d}\nepochs: 3\n"))
    hydra = recipe.parse(
        write(
            "defaults:\n  - override /backbone: vgg16\n  - override /data: npy\n  - _self_\n"
            "data:\n  path: d\nepochs: 3\n"
        )
    )
    assert plain == hydra
    assert plain.groups == {"backbone": "vgg16", "data": "npy"}
    assert plain.values == {"data.path": "d", "epochs": 3}
    assert plain.name == "mine"


def test_a_list_of_methods_is_their_sum(write):
    found = recipe.parse(write("distillation: [{name: kd}, {name: at}]\n"))
    assert found.groups == {"distillation": "sum"}
    assert found.values == {"distillation.methods": [{"name": "kd"}, {"name": "at"}]}


def test_an_empty_file_asks_for_nothing(write):
    found = recipe.parse(write("# nothing\n"))
    assert (found.groups, found.values) == ({}, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hydra:\n  callbacks: {a: {_target_: os.system}}\n", "hydra: there is no such key"),
        ("hydra.callbacks: {a: 1}\n", "is no name of a key"),
        ("hydra/launcher: joblib\n", "is no name of a key"),
        ("defaults:\n  - override /hydra/launcher: joblib\n", "defaults: got override /hydra/lau"),
        ("defaults:\n  - hydra/callbacks: x\n", "defaults: got hydra/callbacks: x"),
        ("defaults:\n  - override /backbon: vgg16\n", "defaults: got override /backbon"),
        ("defaults:\n  - override /data: ../../etc\n", r"defaults: got override /data: \.\./"),
        ("defaults:\n  - other\n", "defaults: got 'other'"),
        ("defaults: 3\n", "defaults"),
        ("data: {_target_: os.system}\n", r"data\._target_: is no name of a key"),
        ("_target_: os.system\n", "_target_: is no name of a key"),
        ("distillation: [{_target_: os.system}]\n", "_target_: is no name of a key"),
        ("+hydra.callbacks.x._target_: numpy.load\n", "is no name of a key"),
        ("++hydra.callbacks: {}\n", "is no name of a key"),
        ("~data: null\n", "is no name of a key"),
        ("teacher: {option: saved_model, trust: true}\n", "trust counts only where a person"),
        ("teacher.trust: true\n", "trust counts only where a person"),
        ("epochs: 3\nseed: 1\nepochs: 4\n", r":3: has epochs again, which is in line 1"),
        ("epohs: 3\n", r"epohs: there is no such key\. Did you mean epochs"),
        ("epochs: 3\n---\nepochs: 4\n", ":2: is no YAML: but found another document"),
        ("? [a, b]\n: 1\n", "has a key that is no word"),
        ("a: &x 1\n", ":1: uses a YAML anchor"),
        ("epochs: 3\na: *x\n", ":2: uses a YAML alias"),
        ("a: !!python/object/apply:os.system [ls]\n", ":1: uses a YAML tag"),
        ("name: ${oc.env:HOME}\n", "name: has an interpolation"),
        ("data: {path: ['${x}']}\n", "data.path: has an interpolation"),
        ("- a\n- b\n", "is no mapping"),
        ("just words\n", "is no mapping"),
        ("a: [1\n", "is no YAML"),
        (b"a: \xff\xfe\n", "is not UTF-8 text"),
        ("a: " + "x" * 70000 + "\n", "65,536 are the most for recipe"),
        ("a: " + "[" * 5000 + "\n", ":1: is nested too deep"),
    ],
)
def test_the_gate_refuses(write, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        recipe.parse(write(text))
    assert "\n" not in str(caught.value)


def test_a_recipe_is_found_by_name_or_path(write):
    assert recipe.read_recipe("quickstart").groups["backbone"] == "tiny"
    assert recipe.read_recipe(str(write("epochs: 3\n"))).values == {"epochs": 3}


def test_an_unknown_recipe_is_told():
    with pytest.raises(ConfigError, match=r"no recipe 'quikstart'\. Did you mean quickstart\?"):
        recipe.read_recipe("quikstart")
    with pytest.raises(ConfigError, match=r"config: there is no file mine\.yaml"):
        recipe.read_recipe("mine.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-3", -3), ("010", 10), ("0", 0),
        ("true", True), ("False", False), ("null", None), ("~", None), ("yes", "yes"), ("on", "on"),
        ("2020-13-45", "2020-13-45"), ("2020-01-02", "2020-01-02"), ("190:20:30", "190:20:30"),
        ("'1e-4'", "1e-4"), ('"true"', "true"), ("0x10", "0x10"), ("1_000", "1_000"),
        (".inf", ".inf"),
        ("None", "None"), ("0,001", "0,001"), ("tRuE", "tRuE"), ("[1e-3, 010]", [1e-3, 10]),
    ],
)  # fmt: skip
def test_words_are_read_as_they_are_meant(write, text, value):
    found = recipe.parse(write(f"epochs: {text}\n")).values["epochs"]
    assert found == value
    assert type(found) is type(value)
