"""How much memory there is, and one line where it is not enough."""

import weakref

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


def test_a_budget_is_shared_and_never_below_nothing():
    whole = memory.Budget(100)
    some = whole.after("weights", 30).after("tables", 50).after("nothing", 0)
    assert (whole.left, some.left) == (100, 20)
    assert some.taken == (("weights", 30), ("tables", 50))
    assert some.after("what must be", 70).left == 0


def test_a_budget_is_a_share_of_what_is_free(monkeypatch):
    monkeypatch.setattr(memory, "free", lambda: 1000)
    assert memory.Budget.of(0.25).size == 250


def test_what_is_let_go_of_is_freed_with_its_cycles():
    class Big:
        def __init__(self):
            self.own = self

    owner = Big()
    owner.phase = Big()
    seen = weakref.ref(owner.phase)
    memory.let_go(owner, "phase")
    assert seen() is None
    memory.let_go(owner, "phase")


@pytest.mark.parametrize(
    ("told", "folder", "limit", "usage", "cache"),
    [
        ("0::/user/app", "user", "memory.max", "memory.current", "file 300"),
        ("4:memory:/user/app", "memory/user/app", "memory.limit_in_bytes",
         "memory.usage_in_bytes", "total_cache 300"),
        ("4:memory:/of/the/host", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
         "total_cache 300"),
    ],
)  # fmt: skip
def test_the_limit_of_every_group_that_the_process_is_in_counts(
    tmp_path, told, folder, limit, usage, cache
):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 8000 kB\nMemAvailable: 8000 kB\n")
    (tmp_path / "proc/self/cgroup").write_text(f"9:name=systemd:/\n8:cpu,cpuset:/x\n{told}\n")
    group = tmp_path / "sys/fs/cgroup" / folder
    group.mkdir(parents=True)
    (group / limit).write_text("4096\n")
    (group / usage).write_text("1300\n")
    (group / "memory.stat").write_text(f"other 1\n{cache}\n")
    assert memory.total(tmp_path) == 4096
    assert memory.free(tmp_path) == 4096 - (1300 - 300)
