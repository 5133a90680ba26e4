"""Pictures that wait are looked at together, each with its own answer."""

import asyncio
import threading

import numpy as np
import pytest

from tlcli.serve.batching import Batcher


def image(value):
    return np.full((2, 2, 3), value, np.uint8)


def run(work, look, most=4, delay=0.0):
    """Run an async function of a batcher; gives what it gives and the sizes of the steps."""
    sizes = []

    async def whole():
        batcher = Batcher(look, most, delay, lambda count, seconds: sizes.append(count))
        task = asyncio.get_running_loop().create_task(batcher.run())
        try:
            return await asyncio.wait_for(work(batcher), 20)
        finally:
            task.cancel()

    return asyncio.run(whole()), sizes


def mean(images):
    return images.mean((1, 2, 3))[:, None], images[:, 0, 0, 0] / 2


def test_what_waits_goes_together_and_each_has_its_answer():
    async def work(batcher):
        return await asyncio.gather(*(batcher.submit(image(n)) for n in range(10)))

    found, sizes = run(work, mean)
    assert [(float(logits[0]), float(strange)) for logits, strange in found] == [
        (n, n / 2) for n in range(10)
    ]
    assert sizes == [4, 4, 2]


def test_pictures_gather_while_the_network_is_at_work():
    begun, go = threading.Event(), threading.Event()

    def slow(images):
        begun.set()
        assert go.wait(10)
        return mean(images)

    async def work(batcher):
        first = batcher.submit(image(1))
        await asyncio.get_running_loop().run_in_executor(None, begun.wait, 10)
        rest = [batcher.submit(image(n)) for n in (2, 3)]
        go.set()
        return await asyncio.gather(first, *rest)

    assert run(work, slow)[1] == [1, 2]


def test_it_waits_for_what_is_being_decoded_and_for_nothing_else():
    async def work(batcher):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await batcher.submit(image(1))
        alone = loop.time() - begun
        with batcher.expecting():
            first = batcher.submit(image(2))
            await asyncio.sleep(0.01)
            second = batcher.submit(image(3))
        await asyncio.gather(first, second)
        return alone

    alone, sizes = run(work, mean, delay=5.0)
    assert sizes == [1, 2]
    assert alone < 2


def test_the_delay_ends_the_waiting():
    async def work(batcher):
        with batcher.expecting():
            return await batcher.submit(image(7))

    (logits, _), sizes = run(work, mean, delay=0.01)
    assert (float(logits[0]), sizes) == (7, [1])


def test_a_step_that_fails_fails_its_pictures_alone():
    def look(images):
        if images.max() > 100:
            raise MemoryError("too much")
        return mean(images)

    async def work(batcher):
        bad = batcher.submit(image(200))
        with pytest.raises(MemoryError):
            await bad
        gone = batcher.submit(image(3))
        gone.cancel()
        return await batcher.submit(image(4))

    (logits, _), _ = run(work, look)
    assert float(logits[0]) == 4
