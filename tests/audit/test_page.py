import re
from html.parser import HTMLParser

import numpy as np

from tests.audit.test_findings import HOSTILE, errors, manifest, seen  # noqa: F401
from tests.audit.test_summary import made
from tlcli.audit import page
from tlcli.audit.cues import Cue
from tlcli.audit.odd import Odd


class Pictures:
    """Stands for views: a picture a row."""

    def batches(self, rows, views, batch):
        yield np.zeros((len(rows), 16, 16, 3), np.uint8)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.sources = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [v for name, v in attributes if name in ("src", "href")]


def test_a_page_shows_hostile_names_as_text_and_fetches_nothing(manifest):  # noqa: F811
    given = seen(errors=errors([1, 2]), odd=[Odd(0, 1.0, "exclude", HOSTILE)],
                 cues=[Cue("camera", 0, 0.9, 0.9, 0.01, HOSTILE)])  # fmt: skip
    text = page.page(made(manifest, given), Pictures(), 1, f"audit/{HOSTILE}.csv")
    found = Tags()
    found.feed(text)
    assert found.tags.count("script") == 1
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert all(source.startswith(("#", "data:")) for source in found.sources)
    assert not re.findall(r"https?://", text)
    # One of the two labels, and the odd picture.
    assert text.count("data:image/webp") == 2
    assert "1 of 2" in text


def test_a_page_without_pictures_or_findings(manifest):  # noqa: F811
    text = page.page(made(manifest, seen()), Pictures(), 0, "audit.csv")
    assert "data:image/webp" not in text
    assert "All findings" not in text
