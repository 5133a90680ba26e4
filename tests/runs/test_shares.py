"""Shares of a prediction: dealt out in whole batches, joined in order, refused when not whole."""

import io
import json

import pytest

from tlcli.errors import DataError
from tlcli.runs import shares
from tlcli.runs.shares import Deal, Facts

PATHS = [f"{n}.png" for n in range(23)]


def write(folder, share, of, paths=PATHS, batch=4, network="n", told=()):
    """A share whose rows are the paths."""
    deal = Deal(paths, batch, share, of)
    lines = ((json.dumps({"path": p}).encode() + b"\n", p == "5.png") for p in deal.mine())

    def facts(**own):
        return Facts(of=of, batch_size=batch, pictures=deal.pictures, names=deal.names,
                     network=network, told=told, share=share, **own)  # fmt: skip

    file = io.BytesIO()
    shares.write(file, lines, facts)
    path = folder / f"{share}-of-{of}.jsonl"
    path.write_bytes(file.getvalue())
    return path


@pytest.mark.parametrize(("of", "batch"), [(1, 4), (2, 4), (3, 4), (3, 1), (7, 5), (9, 40)])
def test_shares_in_any_order_are_all_pictures_in_order(tmp_path, of, batch):
    paths = [write(tmp_path, share, of, batch=batch) for share in range(1, of + 1)]
    found, facts = shares.ordered(paths[::-1])
    assert found == paths
    assert [row["path"] for row in shares.joined(found, facts)] == PATHS
    assert sum(shares.read_facts(path).failed for path in paths) == 1


def test_a_batch_is_never_taken_apart():
    for share in (1, 2, 3):
        mine = [int(p.partition(".")[0]) for p in Deal(PATHS, 4, share, 3).mine()]
        expected = [n for n in range(23) if n // 4 % 3 == share - 1]
        assert mine == expected
    assert (Deal(PATHS, 23, 2, 2).many, Deal(PATHS, 24, 1, 2).many) == (True, False)


def test_the_rows_that_a_share_is_to_have_are_counted_without_counting():
    for pictures in range(30):
        for of in (1, 2, 3, 5):
            for share in range(1, of + 1):
                deal = Deal(map(str, range(pictures)), 4, share, of)
                rows = len(list(deal.mine()))
                facts = Facts(of, 4, pictures, "", "", (), share, rows, 0, "")
                assert facts.expected == rows


def test_holes_doubles_and_strangers_are_refused(tmp_path):
    one, two, three = (write(tmp_path, share, 3) for share in (1, 2, 3))
    with pytest.raises(DataError, match=r"^parts: 1 of 3 shares are missing: 2\. Name them with"):
        shares.ordered([one, three])
    with pytest.raises(DataError, match=r"is share 1 of 3, as .*1-of-3.jsonl is\. Give each"):
        shares.ordered([one, two, one])
    (tmp_path / "other").mkdir()
    for changes, word in (
        ({"network": "m"}, "network or its options"),
        ({"batch": 5}, "batch_size"),
        ({"paths": PATHS[:-1]}, "pictures"),
        ({"paths": ["x", *PATHS[1:]]}, "pictures"),
        ({"of": 2}, "number of shares"),
    ):
        other = write(tmp_path / "other", 2, **{"of": 3, **changes})
        with pytest.raises(DataError, match=f"of different predictions: .*{word}"):
            shares.ordered([one, other, three])


def test_what_was_cut_off_or_changed_is_refused(tmp_path):
    one, two = (write(tmp_path, share, 2) for share in (1, 2))
    content = two.read_bytes()
    lines = content.splitlines(keepends=True)
    rows, facts = b"".join(lines[:-1]), lines[-1]
    for broken in (
        content[:-1], content[:-20], rows, b"".join(lines[1:]), b"", b'{"tl_share": 3}\n',
        b"\xff\n", facts.replace(b'"share": 2', b'"share": 9'),
        rows + facts.replace(b'"rows": 11', b'"rows": 12'), rows + b'{"path": "more"}\n' + facts,
        # A number of shares that would take years to count.
        rows + facts.replace(b'"of": 2', b'"of": 99999999999999999'), content + b"\n",
    ):  # fmt: skip
        two.write_bytes(broken)
        if broken.endswith(lines[-1]):
            with pytest.raises(DataError, match="was changed since it was written"):
                list(shares.joined(*shares.ordered([one, two])))
            continue
        with pytest.raises(DataError, match="is no whole share of a prediction"):
            shares.ordered([one, two])
    two.write_bytes(content.replace(b'{"path": "7.png"}', b"7.png is no row!!"))
    with pytest.raises(DataError, match=r"2-of-2\.jsonl: holds a line that is no row"):
        list(shares.joined(*shares.ordered([one, two])))
    two.write_bytes(content.replace(b"7.png", b"6.png"))
    with pytest.raises(DataError, match="was changed since it was written"):
        list(shares.joined(*shares.ordered([one, two])))
