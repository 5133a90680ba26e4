"""Which blocks of a store are whole, and its head."""

import json

import pytest

from tlcli.distill.block_index import BlockIndex, read, write


class Words:
    """Items that are made of letters."""

    def __init__(self, text):
        self.text, self.asked = text, 0

    def __len__(self):
        return len(self.text)

    def named(self, places):
        return f"{places.start}-{places.stop}"

    def made_of(self, places):
        self.asked += 1
        return self.text[places.start : places.stop]


def test_blocks_are_found_by_what_they_were_made_of(tmp_path):
    index, words = BlockIndex(tmp_path / "index.jsonl"), Words("abcdef")
    index.read()
    assert index.place(words, range(3)) is None
    assert words.asked == 0  # Nothing of this name is there.
    for slot, places in enumerate((range(3), range(3, 6))):
        assert index.free == slot
        index.add(slot, words, places, f"sha{slot}")
    again = BlockIndex(tmp_path / "index.jsonl")
    again.read()
    assert again.place(words, range(3, 6)) == (1, "sha1")
    assert again.place(Words("abcxef"), range(3, 6)) is None
    assert again.free == 2


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"slot": -1, "made_of": "abc"}', b"\xff", b"7"])
def test_lines_that_are_damaged_say_nothing(tmp_path, line):
    path = tmp_path / "index.jsonl"
    index, words = BlockIndex(path), Words("abcdef")
    path.write_bytes(line)
    index.read()
    assert index.free == 0
    index.add(0, words, range(3), "sha")
    index.read()
    assert index.place(words, range(3)) == (0, "sha")


def test_a_head_is_what_was_written_or_nothing(tmp_path):
    path = tmp_path / "store.json"
    write(path, {"kept": 3, "facts": {"teacher": "abc"}})
    assert read(path) == {"kept": 3, "facts": {"teacher": "abc"}}
    text = path.read_text()
    path.write_text(text.replace("3", "4", 1))
    with pytest.raises(ValueError, match="its hash differs"):
        read(path)
    path.write_text(json.dumps({"kept": 3}))
    with pytest.raises(ValueError, match="another version wrote it"):
        read(path)
