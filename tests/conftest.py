import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tlcli  # noqa: F401 - sets what TensorFlow reads when it is imported
from tests.helpers.pictures import encode, make_classes, pixels, smooth  # noqa: F401
from tests.helpers.teachers import configure, fit, metadata, teacher  # noqa: F401

ROOT = Path(__file__).parent.parent
FEW = ("data.images_per_class=8", "batch_size=10")


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory):
    """Keep caches, and options in the home folder, out of the tests."""
    home = tmp_path_factory.mktemp("home")
    os.environ["XDG_CACHE_HOME"] = str(home / "cache")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"


@pytest.fixture(autouse=True)
def _plain_log():
    """Undo what a command did to the log, so that tests do not hear of each other."""
    yield
    for name in ("tlcli", "tlcli.models.fold"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()


def composed(command, *words):
    """The plain configuration that a command line stands for."""
    from tlcli.config import compose

    return compose.plain(compose.read(command, [str(word) for word in words]))


def checked_words(command, *words):
    """What a command is given for a command line."""
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    return check_request(compose.read(command, [str(word) for word in words]))


def trained(run_dir, *words):
    """A short training on digits in this process; gives its folder."""
    from tlcli.commands import train

    given = {word.partition("=")[0] for word in words}
    few = [word for word in FEW if word.partition("=")[0] not in given and "data" not in given]
    code = train.run(checked_words("train", f"run_dir={run_dir}", "epochs=2", *few, *words))
    assert code == 0
    return Path(run_dir)


def weights_of(run_dir):
    """Arrays of a run's weights file by name."""
    import h5py

    found = {}
    with h5py.File(Path(run_dir) / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    return found


def process(*words, cwd, **options):
    """`tl` as a process, ended."""
    return subprocess.run(
        [sys.executable, "-m", "tlcli.cli", *map(str, words)],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120, check=False,
        **options,
    )  # fmt: skip


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}


@pytest.fixture(scope="session")
def config():
    return composed


@pytest.fixture(scope="session")
def checked():
    return checked_words


@pytest.fixture(scope="session")
def train_digits():
    return trained


@pytest.fixture(scope="session")
def read_weights():
    return weights_of


@pytest.fixture(scope="session")
def same_weights():
    """Compare the weights files of two runs."""

    def compare(first, second, **tolerance):
        first, second = weights_of(first), weights_of(second)
        assert list(first) == list(second)
        for name, array in first.items():
            if tolerance:
                np.testing.assert_allclose(array, second[name], err_msg=name, **tolerance)
            else:
                np.testing.assert_array_equal(array, second[name], err_msg=name)

    return compare


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
    return trained(tmp_path_factory.mktemp("shared") / "digits")


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
