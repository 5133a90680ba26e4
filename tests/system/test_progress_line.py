import pytest

from tlcli.system.progress_line import duration, progress_line


def line(width, done=1024, total=5000, unit="images", speed=350.0, ascii_only=False):
    return progress_line("evaluating", done, total, unit, 3.0, speed, width, ascii_only)


def test_what_a_bar_how_many_how_fast_how_long_still():
    # 3,976 are left: 11.4 s at 350 a second. A fifth of 30 blocks is full.
    assert line(100) == f"evaluating  {'━' * 6}{'─' * 24} 1,024/5,000 images  350/s  11s left"
    assert line(100, ascii_only=True).isascii()


@pytest.mark.parametrize("width", range(8, 101, 4))
@pytest.mark.parametrize("total", [5000, None])
@pytest.mark.parametrize("speed", [350.0, 0.5, None])
def test_no_line_is_longer_than_its_terminal(width, total, speed):
    found = line(width, total=total, speed=speed)
    assert len(found) <= width
    assert found.startswith("evaluating"[:width])


def test_the_shortest_form_is_the_share_that_is_done():
    assert line(16) == "evaluating  20%"
    assert line(30) == "evaluating  20%  11s left"


def test_without_a_total_it_tells_the_count_or_the_time():
    assert line(100, total=None) == "evaluating  1,024 images  350/s  3s"
    assert line(100, done=0, total=None, speed=None) == "evaluating  3s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.4, "12s"), (59.6, "1m00"), (185, "3m05"), (7800, "2h10")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
