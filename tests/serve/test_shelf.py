"""A new version takes the place of an old one, which answers what it was given."""

import asyncio
import threading
from pathlib import Path

import pytest

from tests.helpers.serving import ask, look, toy
from tlcli.errors import DataError
from tlcli.serve.refused import Refused
from tlcli.serve.shelf import Source


class Folder:
    """A folder that changes when it is told to."""

    def __init__(self):
        self.stamp, self.version, self.problem = 0, "000000000000", None
        self.opened = 0

    def open(self, name, _):
        self.opened += 1
        if self.problem:
            raise self.problem
        return toy(name, self.version)

    def change(self, version, problem=None):
        self.version, self.problem = version, problem
        self.stamp += 1

    @property
    def source(self):
        return Source(Path("nowhere"), lambda _: self.stamp, self.open)


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came")


def test_a_new_version_is_taken_and_the_old_one_ends_what_it_began():
    folder, begun, go = Folder(), threading.Event(), threading.Event()

    def slow(images):
        begun.set()
        assert go.wait(10)
        return look(images)

    async def work(client, service):
        raw = {"content-type": "image/png"}
        infer = {"name": "images", "datatype": "UINT8", "shape": [1, 4, 4, 3], "data": [9] * 48}
        under_way = asyncio.ensure_future(
            client.post("/v2/models/toy/infer", json={"inputs": [infer]}, headers=raw)
        )
        await asyncio.get_running_loop().run_in_executor(None, begun.wait, 10)
        with service.shelf.held("toy") as old:
            folder.change("222222222222")
            await until(lambda: service.shelf.models()[0].version == "222222222222")
            new = (await client.get("/v2/models/toy")).json()["versions"]
            gone = (await client.get("/v2/models/toy/versions/111111111111")).status_code
            go.set()
            answer = (await under_way).json()
            assert old.retired
            assert not old._task.done()
        await until(old._task.done)
        return new, gone, answer["model_version"], (await client.get("/metrics")).text

    first = toy("toy", "111111111111", look=slow)
    new, gone, answered, figures = ask(work, first, every=0.005, source=folder.source)
    assert (new, gone, answered) == (["222222222222"], 404, "111111111111")
    assert 'tl_reloads_total{model="toy",outcome="taken"} 1.0' in figures
    assert 'version="111111111111"' not in figures


def test_a_faulty_version_leaves_the_old_one(capsys):
    folder = Folder()

    async def work(client, service):
        for problem in (DataError("model", "is damaged", "Export again."), ValueError("odd")):
            count = folder.opened
            folder.change("333333333333", problem)
            await until(lambda count=count: folder.opened > count)
        await asyncio.sleep(0.05)
        assert folder.opened == 2  # each was tried once
        before = service.shelf.models()[0].version
        folder.stamp = None  # an export that is just being replaced
        await asyncio.sleep(0.03)
        folder.stamp = 99
        folder.change("444444444444")
        await until(lambda: service.shelf.models()[0].version == "444444444444")
        return before

    assert ask(work, toy(), every=0.005, source=folder.source) == "0123456789ab"


def test_a_model_that_is_not_there():
    async def work(client, service):
        for name, version in (("x", None), ("toy", "9"), ("", None)):
            with pytest.raises(Refused) as problem, service.shelf.held(name, version):
                pass
            assert problem.value.status == 404
        with service.shelf.held(None) as found:
            return found.model.name

    assert ask(work) == "toy"
