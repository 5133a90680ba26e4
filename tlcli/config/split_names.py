"""What folders for splits are called: `train`, `Training`, `test_set`, `seg_train`, `val2017`."""

import re

from tlcli.contracts.data import TEST, TRAIN, VALIDATION

_SPLITS = {
    TRAIN: ("train", "training", "trn"),
    VALIDATION: ("validation", "val", "valid", "validate", "dev", "devel", "development", "eval",
                 "evaluation"),
    TEST: ("test", "testing", "tst"),
}  # fmt: skip
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
# What stands beside the word in a folder's name and says nothing.
_BESIDE = (
    r"sets?|data|datasets?|images?|imgs?|pics?|pictures?|photos?|samples?|split|folder|seg|\d+"
)
_WORD = re.compile(
    rf"(?:{_BESIDE})*({'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))})(?:{_BESIDE})*"
)


def split_of(name: str) -> int | None:
    """Split that a folder's name says: `Training`, `test_set`, `seg_train`, `val2017`; or None."""
    word = re.sub(r"[^a-z0-9]+", "", name.lower())
    found = _WORD.fullmatch(word)
    return _SPLIT_OF[found[1]] if found else None
