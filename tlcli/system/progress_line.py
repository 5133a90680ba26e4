"""How far a stage of work is, in one line: what, a bar, how many, how fast, how long still."""

BAR = (8, 30)  # least and most characters


def duration(seconds: float) -> str:
    """12s, 3m05, 2h10."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02d}"


def progress_line(  # noqa: PLR0913
    what: str, done: int, total: float | None, unit: str, seconds: float, speed: float | None,
    width: int, ascii_only: bool,
) -> str:  # fmt: skip
    """The line, of no more characters than a width.

    Args:
        what: The stage.
        done: Units done.
        total: Units in all, or None where nobody knows.
        unit: What is counted, in the plural; empty where nothing is.
        seconds: Since it began.
        speed: Units a second, or None while nobody knows.
        width: Characters there are.
        ascii_only: Whether the terminal has no other characters.
    """
    for tail in _tails(done, total, unit, seconds, speed):
        room = width - len(what) - len(tail) - 2
        if room >= 0:
            bar = _bar(done, total, min(room - 1, BAR[1]), ascii_only)
            return f"{what}  {bar}{tail}"
    return what[:width]


def _tails(
    done: int, total: float | None, unit: str, seconds: float, speed: float | None
) -> list[str]:
    """What follows the bar, the longest form first."""
    if not total:
        count = f"{done:,} {unit}" if done and unit else ""
        rate = f"{speed:,.0f}/s" if speed and count else ""
        parts = [p for p in (count, rate, duration(seconds)) if p]
        return ["  ".join(parts), parts[-1], ""]
    count, share = f"{done:,}/{total:,.0f} {unit}", f"{100 * done / total:.0f}%"
    if not speed:
        return [f"{count}  {duration(seconds)}", count, share, ""]
    rate = f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.2g}/s"
    left = f"{duration(max(0.0, total - done) / speed)} left"
    return [f"{count}  {rate}  {left}", f"{count}  {left}", f"{share}  {left}", share, ""]


def _bar(done: int, total: float | None, width: int, ascii_only: bool) -> str:
    """A bar with a space behind it; nothing where there is no room or no total."""
    if not total or width < BAR[0]:
        return ""
    full, empty = ("#", "-") if ascii_only else ("━", "─")
    filled = min(width, int(width * done / total))
    return full * filled + empty * (width - filled) + " "
