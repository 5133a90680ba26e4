import pytest

from tests.helpers.words import checked
from tlcli.config.many_settings import Gather, Launch, check_share, hosts_of, share_of
from tlcli.errors import ConfigError


def launch(words, **changes):
    values = {"hosts": None, "restarts": 0, "grace": 1.0, "elastic": None, "returns": 1,
              "ssh": "ssh", "python": None, "port": None}  # fmt: skip
    return Launch(words, **{**values, **changes})


def test_a_share_is_a_number_of_how_many():
    assert share_of("3/16") == (3, 16)
    for wrong in ("0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/1000000", "1/2/3"):
        with pytest.raises(ConfigError, match=r"^shard: got .*Write N/OF"):
            share_of(wrong)


def test_a_share_needs_a_file_of_its_own():
    check_share(None, None)
    check_share("3/16", "x.JSONL")
    for output in (None, "x.csv"):
        with pytest.raises(ConfigError, match=r"^output: .*part-3-16\.jsonl"):
            check_share("3/16", output)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Gather((), "x.jsonl", False), r"^parts: no value"),
        (lambda: Gather(("a",), "x.npy", False), r"^output: got 'x.npy'"),
        (lambda: launch(("0", "--")), r"^launch: .*N from 1 to 256"),
        (lambda: launch(("2", "explain")), r"^launch: got '2 explain'"),
        (lambda: launch(("2", "train"), restarts=-1), r"^restarts: got -1"),
        (lambda: launch(("2", "train"), returns=-1), r"^returns: got -1"),
        (lambda: launch(("2", "train"), elastic=3), r"^elastic: got 3. Give 1 to 2"),
        (lambda: launch(("2", "eval"), elastic=1), r"^elastic: tl eval goes on"),
        (lambda: launch(("2", "train"), hosts="a"), r"^launch: got '2 train'. Write tl launch ho"),
        (lambda: launch(("train",), hosts="a,b", elastic=3), r"^elastic: got 3. Give 1 to 2"),
        (lambda: launch(("train",), hosts="a", ssh="'"), r"^ssh: got"),
        (lambda: launch(("train",), hosts="a", port=65_280), r"^port: got 65280. Give 1 to 65279"),
    ],
)
def test_mistakes_are_told(made, message):
    with pytest.raises(ConfigError, match=message):
        made()


def test_the_words_of_launch():
    found = launch(("2", "train", "data=folder"), elastic=1)
    assert (found.count, found.command) == (2, ("train", "data=folder"))
    assert not found.shares_rows
    assert launch(("2", "predict", "x")).shares_rows


def test_each_worker_has_a_host():
    assert hosts_of("a,me@b.example:2,10.0.0.1") == (
        "a",
        "me@b.example",
        "me@b.example",
        "10.0.0.1",
    )
    found = launch(("train", "x"), hosts="a,b:2", elastic=3)
    assert (found.count, found.command) == (3, ("train", "x"))
    assert launch(("2", "train")).places == ()


@pytest.mark.parametrize(
    "given", ["", "a,,b", "-oProxyCommand=x", "me@-x", "a b", "a:0", "a:257", "a:200,b:57", "a;b",
              "$(x)", "[::1]", "a:", "@b", "ü"],
)  # fmt: skip
def test_what_is_no_host_is_refused(given):
    with pytest.raises(ConfigError, match=r"^hosts: got .*Write hosts=HOST"):
        hosts_of(given)


def test_hosts_of_a_file(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("# mine\na  # the first\n\nme@b:2\n")
    assert hosts_of(str(path)) == ("a", "me@b", "me@b")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no text"):
        hosts_of(str(path))
    path.write_text("a\n" * 60_000)
    with pytest.raises(ConfigError, match=r"^hosts: got"):
        hosts_of(str(path))
    with pytest.raises(ConfigError, match="No such file"):
        hosts_of(str(tmp_path / "missing"))


def test_hosts_and_programs_are_typed_as_they_are():
    words = ("hosts=a,me@b:2", "ssh=ssh -p 2222 -i 'my key'", "python=/opt/a b/python", "port=4000")
    found = checked("launch", *words, "--", "train", "epochs=1").settings
    assert found.places == ("a", "me@b", "me@b")
    assert (found.ssh, found.python) == ("ssh -p 2222 -i 'my key'", "/opt/a b/python")
    assert found.port == 4000


@pytest.mark.parametrize(
    ("typed", "numbers"), [("1,2,4", (1, 2, 4)), ("3", (3,)), ("[2,1]", (2, 1)), ("null", None)]
)
def test_numbers_of_workers_are_typed_as_a_list(typed, numbers):
    found = checked("bench scale", f"workers={typed}", "--", "train").settings
    assert found.workers == numbers


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("workers=0", r"^workers: got \(0,\). Give numbers from 1 to 256"),
        ("workers=[]", r"^workers: got \(\)"),
        ("forecast=0", r"^forecast: got"),
        ("steps=9", r"^steps: got 9"),
        ("images=0", r"^images: got 0"),
        ("cores=0", r"^cores: got 0"),
        ("latency=0", r"^latency: got 0"),
        ("bandwidth=-1", r"^bandwidth: got -1"),
        ("grace=0", r"^grace: got 0"),
        ("port=0", r"^port: got 0"),
        ("hosts=-x", r"^hosts: got"),
    ],
)
def test_mistakes_of_a_bench_of_workers_are_told(word, message):
    with pytest.raises(ConfigError, match=message):
        checked("bench scale", word, "--", "train")


def test_a_bench_of_workers_is_of_a_training():
    with pytest.raises(ConfigError, match=r"^words: got 'eval'. Write tl bench scale"):
        checked("bench scale", "--", "eval")
    with pytest.raises(ConfigError, match=r"^workers: got \(3,\). Give numbers from 1 to 2"):
        checked("bench scale", "hosts=a,b", "workers=3", "--", "train")
