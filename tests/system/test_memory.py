"""How much memory there is, and one line where it is not enough."""

import pytest

from tlcli.system import memory


def test_the_smallest_limit_counts(tmp_path):
    assert memory.total(tmp_path) == 2 << 30
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  8000 kB\nMemFree: 5 kB\n")
    assert memory.total(tmp_path) == 8000 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    assert memory.total(tmp_path) == 8000 * 1024
    (group / "memory.max").write_text("4096\n")
    assert memory.total(tmp_path) == 4096


def test_what_numpy_and_tensorflow_raise_is_one_line():
    import tensorflow as tf

    for error in (MemoryError(), tf.errors.ResourceExhaustedError(None, None, "of tensors")):
        with (
            pytest.raises(memory.OutOfMemory, match=r"^out of memory at step 3. Halve it.$"),
            memory.told("at step 3", "Halve it."),
        ):
            raise error
    with pytest.raises(KeyError), memory.told("at step 3", "Halve it."):
        raise KeyError
