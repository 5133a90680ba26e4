"""Commands whose rows are shared: by jobs that know nothing of each other, or by several workers.

Workers are called in turn here; that they can be at it together is shown by `test_sharing.py` and
`test_crew.py`.
"""

import json
import shutil

import numpy as np
import pytest

from tests.helpers.words import checked
from tlcli.commands import audit, evaluate, gather, predict, prepare
from tlcli.errors import ConfigError, DataError
from tlcli.system.crew import PART
from tlcli.system.files import WriteError


def workers(rank, size, folder):
    """Words that make a command one of several."""
    hosts = ",".join(f"h{number}:1" for number in range(size))
    return ("hardware=multi_worker", f"hardware.workers=[{hosts}]", f"hardware.rank={rank}",
            f"shared={folder}")  # fmt: skip


def in_turn(run, word, folder, *words):
    """A command by two workers: the second does all it can, half of that is lost, the first ends.

    Gives exit codes of both.
    """
    second = run(checked(word, *words, *workers(1, 2, folder)))
    lost = sorted(folder.glob(f"*/*{PART}"))
    for path in lost[::2]:
        path.unlink()
    assert lost
    return second, run(checked(word, *words, *workers(0, 2, folder)))


@pytest.fixture
def some(pictures, tmp_path):
    """A folder of pictures with one that is none."""
    folder = tmp_path / "some"
    shutil.copytree(pictures, folder)
    (folder / "round" / "3.png").write_bytes(b"nonsense")
    return folder


def test_shares_and_workers_say_what_one_process_says(digits_run, some, tmp_path, capsys):
    words = (some, f"checkpoint={digits_run}", "batch_size=5")
    whole, gathered, table = (tmp_path / name for name in ("whole.jsonl", "all.jsonl", "all.csv"))
    assert predict.run(checked("predict", *words, f"output={whole}")) == 1
    parts = [tmp_path / f"part-{share}.jsonl" for share in (1, 2, 3)]
    for share, part in enumerate(parts, 1):
        code = predict.run(checked("predict", *words, f"shard={share}/3", f"output={part}"))
        assert code == (share == 2)  # the sixth name is 3.png
    assert gather.run(checked("gather", *parts[::-1], f"output={gathered}")) == 1
    assert "1 of 24 pictures could not be read" in capsys.readouterr().err
    assert gathered.read_bytes() == whole.read_bytes()
    rows = [json.loads(line) for line in whole.read_text().splitlines()]
    assert len(rows) == 24
    assert sum("error" in row for row in rows) == 1
    gather.run(checked("gather", *parts, f"output={table}"))
    capsys.readouterr()
    predict.run(checked("predict", *words, "format=csv"))
    assert capsys.readouterr().out == table.read_text()
    assert in_turn(predict.run, "predict", tmp_path / "shared", *words, "format=jsonl") == (0, 1)
    assert capsys.readouterr().out == whole.read_text()
    # The last share alone has fewer pictures than a batch, which changes nothing.
    few = (tmp_path / f"few-{share}.jsonl" for share in (1, 2))
    for share, part in enumerate(few, 1):
        words = (some / "square", f"checkpoint={digits_run}", "batch_size=10", f"shard={share}/2")
        predict.run(checked("predict", *words, f"output={part}"))
    ended = [json.loads(line) for line in (tmp_path / "few-2.jsonl").read_text().splitlines()]
    assert [len(ended), ended[-1]["tl_share"]["rows"]] == [3, 2]


def test_refusals_leave_no_file(digits_run, pictures, tmp_path):
    words = (pictures, f"checkpoint={digits_run}")
    first = tmp_path / "part-1.jsonl"
    predict.run(checked("predict", *words, "shard=1/2", f"output={first}"))
    with pytest.raises(DataError, match="1 of 2 shares are missing: 2"):
        gather.run(checked("gather", first, f"output={tmp_path / 'all.jsonl'}"))
    with pytest.raises(ConfigError, match="is one of the shares"):
        gather.run(checked("gather", first, f"output={first}"))
    with pytest.raises(ConfigError, match=r"^images: standard input cannot be shared"):
        predict.run(checked("predict", "-", words[1], *workers(0, 2, tmp_path / "shared")))
    with pytest.raises(ConfigError, match=r"^shared: no value, and there are 2 workers"):
        predict.run(checked("predict", *words, *workers(0, 2, "")[:3]))
    assert not (tmp_path / "all.jsonl").exists()


@pytest.mark.parametrize("knows_strangers", [True, False])
def test_figures_and_predictions_of_workers_are_those_of_one(
    digits_run, tmp_path, capsys, knows_strangers
):
    run = shutil.copytree(digits_run, tmp_path / "run")
    if not knows_strangers:
        (run / "strangers.npz").unlink()

    def words(name):
        return (f"checkpoint={run}", "batch_size=32", "format=json",
                f"output={tmp_path / name}.json", f"predictions={tmp_path / name}.npz")  # fmt: skip

    assert evaluate.run(checked("eval", *words("one"))) == 0
    capsys.readouterr()
    assert in_turn(evaluate.run, "eval", tmp_path / "shared", *words("two")) == (0, 0)
    assert capsys.readouterr().out == (tmp_path / "one.json").read_text()
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        assert list(one) == list(two)
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


def test_shards_and_findings_of_workers_are_those_of_one(pictures, tmp_path, capsys):
    data = ("data=folder", f"data.path={pictures}", f"cache_dir={tmp_path / 'cache'}")
    for kind in ("one", "two"):
        packed = ("shard_size=1", f"output={tmp_path / kind}", *data)
        looked = (*data, "backbone=tiny", "batch_size=4", f"output={tmp_path / f'{kind}-audit'}",
                  "thumbnails=0")  # fmt: skip
        if kind == "one":
            assert prepare.run(checked("prepare", *packed)) == 0
            assert audit.run(checked("audit", *looked)) == 0
            continue
        assert in_turn(prepare.run, "prepare", tmp_path / "shared", *packed) == (0, 0)
        assert in_turn(audit.run, "audit", tmp_path / "looking", *looked) == (0, 0)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {path.name for path in (tmp_path / "two").iterdir()}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    for name in ("scores.csv", "audit.csv"):
        one, two = (tmp_path / f"{kind}-audit" / name for kind in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    capsys.readouterr()


def test_more_shares_than_batches_are_joined_as_well(digits_run, pictures, tmp_path, capsys):
    words = (pictures, f"checkpoint={digits_run}", "batch_size=10")
    whole = tmp_path / "whole.jsonl"
    assert predict.run(checked("predict", *words, f"output={whole}")) == 0
    parts = [tmp_path / f"part-{share}.jsonl" for share in range(1, 6)]
    for share, part in enumerate(parts, 1):
        assert predict.run(checked("predict", *words, f"shard={share}/5", f"output={part}")) == 0
    assert [len(part.read_text().splitlines()) - 1 for part in parts] == [10, 10, 4, 0, 0]
    order = [parts[number] for number in (4, 1, 0, 3, 2)]
    assert gather.run(checked("gather", *order, f"output={tmp_path / 'all.jsonl'}")) == 0
    assert (tmp_path / "all.jsonl").read_bytes() == whole.read_bytes()
    other = tmp_path / "other.jsonl"
    predict.run(checked("predict", *words[:2], "batch_size=8", "shard=5/5", f"output={other}"))
    with pytest.raises(DataError, match="of different predictions: batch_size"):
        gather.run(checked("gather", *parts[:4], other, f"output={tmp_path / 'no.jsonl'}"))
    for shard in ("0/4", "5/4", "1/0", "-1/4", "1/100001", "1.5/4"):
        with pytest.raises(ConfigError, match=r"^shard: .*N from 1 to OF"):
            checked("predict", *words, f"shard={shard}", f"output={other}")
    capsys.readouterr()


def test_parts_of_pictures_that_changed_since_are_not_taken(digits_run, some, tmp_path, capsys):
    words = (some, f"checkpoint={digits_run}", "batch_size=2", "format=jsonl")
    shared = tmp_path / "shared"
    for change in (None, "content", "other words", "a name"):
        if change == "content":
            shutil.copyfile(some / "square" / "1.png", some / "round" / "1.png")
        if change == "other words":
            words = (*words, "top=1")
        if change == "a name":
            (some / "round" / "4.png").rename(some / "round" / "40.png")
        predict.run(checked("predict", *words))
        alone = capsys.readouterr().out
        for rank in (1, 0):
            predict.run(checked("predict", *words, *workers(rank, 2, shared)))
        assert capsys.readouterr().out == alone, change


@pytest.mark.parametrize("small_disk", ["12k"], indirect=True)
def test_a_shared_folder_that_is_full_or_a_file_is_told_in_one_line(
    digits_run, some, small_disk, tmp_path, capsys
):
    (tmp_path / "file").write_text("mine")
    for shared, told in ((small_disk[0], "No space left"), (tmp_path / "file", "file")):
        words = ("eval", f"checkpoint={digits_run}", "data=digits", "split=all", "batch_size=8")
        with pytest.raises(WriteError, match=told) as error:
            evaluate.run(checked(*words, *workers(0, 2, shared)))
        assert "\n" not in str(error.value)
    assert (tmp_path / "file").read_text() == "mine"
    capsys.readouterr()
