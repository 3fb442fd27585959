"""The thread beside the loop: one thing after another, and nothing for whom nobody waits."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from gateway.estimator.aside import Aside

LEFT_BEHIND = """
import asyncio, hashlib
from gateway.estimator.aside import Aside

def work():
    hashlib.pbkdf2_hmac("sha256", b"", b"", 500_000)  # native work that takes a while
    print("done", flush=True)

async def leave():
    try:
        await Aside("aside").do(work, 0.01)
    except TimeoutError:
        print("late", flush=True)

asyncio.run(leave())
"""


async def test_work_is_done_on_one_thread_in_order() -> None:
    its, done = Aside("aside"), []

    def work(number: int) -> str:
        done.append(number)
        return threading.current_thread().name

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(its.do(lambda number=number: work(number), 5.0)) for number in range(5)]  # type: ignore[misc] # mypy cannot infer a lambda's default
    its.close()
    assert {task.result() for task in asked} == {"aside"}
    assert done == list(range(5))


async def test_whoever_waits_is_told_what_went_wrong() -> None:
    its = Aside("aside")
    with pytest.raises(ZeroDivisionError):
        await its.do(lambda: 1 // 0, 5.0)
    assert await its.do(lambda: 7, 5.0) == 7
    its.close()


async def test_what_is_late_is_given_up_and_what_nobody_waits_for_is_not_begun() -> None:
    its, go, begun = Aside("aside"), threading.Event(), []
    with pytest.raises(TimeoutError):
        await its.do(go.wait, 0.01)
    with pytest.raises(TimeoutError):
        await its.do(lambda: begun.append(1), 0.01)  # still behind the first
    go.set()
    assert await its.do(lambda: list(begun), 5.0) == []
    its.close()


async def test_it_ends_when_it_is_closed() -> None:
    its = Aside("aside")
    thread = await its.do(threading.current_thread, 5.0)
    its.close()
    thread.join(5.0)
    assert not thread.is_alive()


def test_a_loop_that_has_closed_is_told_nothing() -> None:
    its, begun, go = Aside("aside"), threading.Event(), threading.Event()

    def work() -> threading.Thread:
        begun.set()
        go.wait()
        return threading.current_thread()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await its.do(work, 0.01)

    asyncio.run(leave())
    assert begun.wait(5.0)
    go.set()
    assert asyncio.run(its.do(lambda: 7, 5.0)) == 7
    its.close()


def test_a_process_does_not_end_in_the_middle_of_work() -> None:
    ended = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout.split() == ["late", "done"]


async def test_it_is_idle_once_all_that_it_was_given_is_done_even_what_nobody_waits_for() -> None:
    its, go = Aside("aside"), threading.Event()
    assert its.idle
    with pytest.raises(TimeoutError):
        await its.do(go.wait, 0.01)
    assert not its.idle
    go.set()
    assert await its.do(lambda: its.idle, 5.0) is False
    assert its.idle
    its.close()
