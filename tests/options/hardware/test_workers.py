import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tlcli.errors import ConfigError, TlError
from tlcli.options.hardware import _workers
from tlcli.options.hardware._workers import Place, expand, find

TWO = ("a:1000", "b:1000")


def test_keys_go_before_the_environment():
    assert find(TWO, 1, {"TF_CONFIG": "broken"}, 1.0) == Place(TWO, 1)


def test_tf_config_with_workers_alone_and_with_a_chief():
    text = {"cluster": {"worker": list(TWO)}, "task": {"type": "worker", "index": 1}}
    assert find((), None, {"TF_CONFIG": json.dumps(text)}, 1.0) == Place(TWO, 1)
    text = {
        "cluster": {"chief": TWO[:1], "worker": TWO[1:]},
        "task": {"type": "worker", "index": 0},
    }
    assert find((), None, {"TF_CONFIG": json.dumps(text)}, 1.0) == Place(TWO, 1)


def test_slurm_variables_of_two_nodes_with_two_tasks_and_one():
    given = {
        "SLURM_PROCID": "2", "SLURM_NTASKS": "3", "SLURM_JOB_NODELIST": "n[08-09]",
        "SLURM_TASKS_PER_NODE": "2,1", "SLURM_JOB_ID": "41", "SLURM_LOCALID": "0",
    }  # fmt: skip
    assert find((), None, given, 1.0) == Place(("n08:20041", "n08:20042", "n09:20041"), 2, 0)


@pytest.mark.parametrize(
    ("short", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-3]", ["n1", "n2", "n3"]),
        ("a[01-02,7],b,c[9]-x", ["a01", "a02", "a7", "b", "c9-x"]),
        ("r[1-2]n[3-4]", ["r1n3", "r1n4", "r2n3", "r2n4"]),
    ],
)
def test_short_lists_of_nodes(short, names):
    assert expand(short) == names


def free_port():
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def test_processes_of_torchrun_meet_and_agree():
    port = free_port()
    found = {}

    def one(rank):
        given = {"RANK": str(rank), "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": str(port - 1), "LOCAL_RANK": str(rank),
                 "LOCAL_WORLD_SIZE": "3"}  # fmt: skip
        found[rank] = find((), None, given, 10.0)

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[rank].rank for rank in range(3)] == [0, 1, 2]
    assert [found[rank].local_rank for rank in range(3)] == [0, 1, 2]
    assert found[0].workers == found[1].workers == found[2].workers
    assert len(set(found[0].workers)) == 3


def test_a_meeting_that_nobody_comes_to_ends():
    given = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
             "MASTER_PORT": str(free_port() - 1)}  # fmt: skip
    with pytest.raises(TlError, match="did not meet"):
        find((), None, given, 0.2)


@pytest.mark.parametrize(
    ("workers", "rank", "given", "message"),
    [
        ((), None, {}, "nothing says who trains together"),
        (TWO, None, {}, r"hardware\.rank: no value"),
        (TWO, 2, {}, "rank 2 is not among 2 workers"),
        (("a:1", "a:1"), 0, {}, "names a worker twice"),
        (("a", "b:1"), 0, {}, "'a' is no host:port"),
        ((), None, {"TF_CONFIG": "{}"}, "TF_CONFIG: cannot be used"),
        ((), None, {"TF_CONFIG": '{"cluster": {"ps": []}, "task": {"type": "ps", "index": 0}}'},
         "other jobs than chief and worker"),
    ],
)  # fmt: skip
def test_what_is_refused(workers, rank, given, message):
    with pytest.raises(ConfigError, match=message):
        _workers.find(workers, rank, given, 1.0)


def test_a_guest_comes_again_when_its_connection_breaks():
    end = time.monotonic() + 20
    with ThreadPoolExecutor() as pool:
        with socket.create_server(("127.0.0.1", 0)) as between:
            meeting = "127.0.0.1", between.getsockname()[1]
            guest = pool.submit(_workers._visit, meeting, 1, end)
            for _ in range(2):
                between.accept()[0].close()
        with socket.create_server(meeting):  # nobody who answers, for a moment
            pass
        chief = pool.submit(_workers._host, meeting, 2, end, {})
        assert guest.result() == chief.result()
    assert len(chief.result()) == 2


def test_a_chief_waits_for_who_says_something():
    end = time.monotonic() + 20
    with socket.create_server(("127.0.0.1", 0)) as free:
        meeting = "127.0.0.1", free.getsockname()[1]
    with ThreadPoolExecutor() as pool:
        chief = pool.submit(_workers._host, meeting, 2, end, {})
        while True:
            try:
                with socket.create_connection(meeting) as silent:
                    silent.sendall(b"what?\n")
                break
            except OSError:
                time.sleep(0.02)
        assert pool.submit(_workers._visit, meeting, 1, end).result() == chief.result()
