import pytest

from tests.helpers.words import checked, config
from tlcli.config import compose
from tlcli.errors import ConfigError


@pytest.fixture
def recipe(tmp_path):
    def written(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return f"config={path}"

    return written


def test_defaults_alone_train_on_digits():
    found = config("train")
    assert (found["data"]["name"], found["backbone"]["name"]) == ("digits", "tiny")
    assert "hydra" not in found


def test_the_command_line_goes_before_the_recipe(recipe):
    given = recipe("epochs: 3\nseed: 4\noptimizer: {learning_rate: 0.5}\n")
    found = config("train", given, "epochs=7", "optimizer.learning_rate=0.25")
    assert (found["epochs"], found["seed"]) == (7, 4)
    assert found["optimizer"]["learning_rate"] == 0.25
    found = config("train", "epochs=7", given)
    assert found["epochs"] == 7


def test_a_recipe_names_the_run(recipe):
    assert config("train", recipe("epochs: 3\n"))["name"] == "mine"
    assert config("train", recipe("epochs: 3\n"), "name=other")["name"] == "other"
    assert config("train", recipe("name: inside\n"))["name"] == "inside"


def test_another_option_of_a_group_drops_the_recipes_values_of_it(recipe):
    given = recipe("optimizer: {option: sgd, momentum: 0.5}\nhead: {option: mlp, hidden: [3]}\n")
    found = config("train", given, "optimizer=adamw")
    assert found["optimizer"]["name"] == "adamw"
    assert "momentum" not in found["optimizer"]
    assert found["head"]["hidden"] == [3]


def test_both_notations_compose_alike(recipe):
    first = config("train", recipe("optimizer: {option: sgd, momentum: 0.5}\n"))
    second = config(
        "train", recipe("defaults: [override /optimizer: sgd]\noptimizer: {momentum: 0.5}\n")
    )
    assert first == second


@pytest.mark.parametrize(
    "path",
    [
        "a b=c", "it's", "a'b\\", "c\\'d", "{x}", "a,b c", "ümläut/日本", "#1", "a:b", "$HOME",
        "$(x)", "50%", "~/x y", "(1)", "[x", "tr'ue,=", "\"q\"x'", "a\\b", "3", "true", "1e3",
        "x\\",
    ],
)  # fmt: skip
def test_paths_arrive_as_typed(path):
    found = config("train", "data=folder", f"data.path={path}", f"run_dir={path}")
    assert found["data"]["path"] == found["run_dir"] == path


def test_recipe_values_arrive_as_written(recipe):
    found = config("train", recipe("data: {option: folder, path: \"it's a 'b' = c\\\\\"}\n"))
    assert found["data"]["path"] == "it's a 'b' = c\\"


@pytest.mark.parametrize(
    "value",
    [None, True, False, 3, -1.5, 1e-7, "true", "null", "3", "a'b", "a\\", [1, "x y"], {"a": "b"},
     "", "${x", "x,y", "[a]", "{b: 1}"],
)  # fmt: skip
def test_a_literal_is_read_back(value):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    item = OverridesParser.create().parse_override(f"key={compose.literal(value)}")
    assert item.value() == value or str(item.value()) == value


def test_a_list_of_methods_on_the_command_line_is_their_sum():
    found = config("train", "distillation=[{name: kd},{name: at}]")["distillation"]
    assert found["name"] == "sum"
    assert [m["name"] for m in found["methods"]] == ["kd", "at"]


def test_pictures_of_predict_are_told_from_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.png").write_bytes(b"")
    found = config("predict", "x.jpg", "a=b.png", "top=2", "it's.png", "--", "top=3", "-")
    assert found["images"] == ["x.jpg", "a=b.png", "it's.png", "top=3", "-"]
    assert found["top"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["backbone=tinny"], r"backbone: there is no option 'tinny'\. Did you mean tiny\?"),
        (["epochs"], "epochs: is not key=value"),
        (["--cgf", "job"], r"--cgf: is no flag of tl\. Did you mean --cfg\?"),
        (["--config-dir", "nowhere"], "--config-dir: 'nowhere' is no folder"),
        (["epochs=[1"], "configuration|epochs"),
        (["data=folder", "data.path=${oc.env:NOPE}"], "NOPE|interpolation"),
        (["optimizer={a:1}"], "optimizer"),
        (["backbone=null"], "backbone"),
    ],
)
def test_mistakes_are_one_line(words, message):
    with pytest.raises(ConfigError, match=message) as caught:
        checked("train", *words)
    assert "\n" not in str(caught.value)


def test_options_of_the_users_own_folder(tmp_path):
    (tmp_path / "optimizer").mkdir()
    source = (compose.config_root() / "optimizer" / "sgd.yaml").read_text()
    (tmp_path / "optimizer" / "mine.yaml").write_text(source.replace("0.9", "0.7"))
    words = ["optimizer=mine", "--config-dir", str(tmp_path)]
    assert config("train", *words)["optimizer"]["momentum"] == 0.7
    with pytest.raises(ConfigError, match="no option 'mine'"):
        config("train", "optimizer=mine")
