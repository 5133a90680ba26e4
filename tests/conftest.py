import gc
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tlcli  # noqa: F401 - sets what TensorFlow reads when it is imported
from tests.helpers.pictures import smooth
from tests.helpers.runs import environment, process, train_digits
from tests.helpers.stopped import SHORT, Interrupted, states, stop_after
from tests.helpers.teachers import fit
from tlcli.options.data.digits import FILE

# TensorFlow leaves millions of objects; looking through them as often as Python does takes a sixth.
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory):
    """Keep caches, and options in the home folder, out of the tests."""
    home = tmp_path_factory.mktemp("home")
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"


def plain_log():
    """Undo what commands did to the log: its level, where it goes, and whether it is heard."""
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    for name in ("tlcli", *(n for n in logging.root.manager.loggerDict if n.startswith("tlcli."))):
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        logger.propagate, logger.disabled = True, False
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()


@pytest.fixture(autouse=True)
def _plain_log():
    """Let tests not hear of each other's commands."""
    plain_log()
    yield
    plain_log()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    """Let no test hear of commands that made what it shares with others."""
    try:
        return (yield)
    finally:
        if fixturedef.scope != "function":
            plain_log()


@pytest.fixture
def tl(tmp_path):
    """Run `tl` as a process in an empty folder."""
    return lambda *words, **options: process(*words, cwd=tmp_path, **options)


@pytest.fixture
def start_tl(tmp_path):
    """Start `tl` as a process in an empty folder."""
    return lambda *words: subprocess.Popen(
        [sys.executable, "-m", "tlcli.cli", *map(str, words)],
        cwd=tmp_path, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A finished run on digits with the defaults but for its length."""
    return train_digits(tmp_path_factory.mktemp("shared") / "digits")


@pytest.fixture(scope="session")
def teacher(tmp_path_factory):
    """A run that knows the digits 5 to 9 well."""
    folder = tmp_path_factory.mktemp("teachers") / "tiny"
    return fit(
        folder, "epochs=8", f"cache_dir={folder.parent}/cache", "optimizer.learning_rate=0.003"
    )


@pytest.fixture
def pixels():
    return smooth()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of class folders `round` and `square`, 12 pictures each."""
    from PIL import Image, ImageDraw

    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for name in ("round", "square"):
        (root / name).mkdir()
        for index in range(12):
            picture = Image.fromarray(random.integers(0, 60, (24, 30, 3)).astype(np.uint8))
            draw = ImageDraw.Draw(picture)
            left, top = (int(v) for v in random.integers(0, 10, 2))
            shape = draw.ellipse if name == "round" else draw.rectangle
            shape((left, top, left + 12, top + 12), fill=(200, 220, 240))
            picture.save(root / name / f"{index}.png")
    return root


@pytest.fixture
def small_disk(tmp_path, request):
    """A disk of 64 KiB or as parametrised; gives its folder and a function to remount it."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
            capture_output=True, check=False,
        ).returncode  # fmt: skip

    if os.geteuid() != 0 or mount(f"size={getattr(request, 'param', '64k')}"):
        pytest.skip("mounting needs root")
    yield place, lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", place], check=True)


@pytest.fixture(scope="session")
def stopped(tmp_path_factory):
    """A run that was broken off with two states."""
    run_dir = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            train_digits(run_dir, "finetune=linear_probe", *SHORT)
    assert len(states(run_dir)) == 2
    return run_dir


@pytest.fixture
def broken_off(stopped, tmp_path):
    return Path(shutil.copytree(stopped, tmp_path / "run"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """60 scans of the digits 5 to 9, some in a folder below, and a text."""
    root = tmp_path_factory.mktemp("photos")
    (root / "more").mkdir()
    with np.load(FILE) as file:
        rows = np.flatnonzero(file["labels"] >= 5)[:60]
        scans = (file["images"][rows] * (255 / 16)).astype(np.uint8)
    for index, scan in enumerate(scans):
        Image.fromarray(scan).save(root / ("more" if index % 2 else ".") / f"{index:02d}.png")
    (root / "notes.txt").write_text("no picture")
    return root
