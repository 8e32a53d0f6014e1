"""What the next steps need is read ahead of time, in order, by one thread that ends when it should."""

import gc
import subprocess
import sys
import threading
import time

import pytest

from prior_lab import InputError
from prior_lab.data.feeding.prefetch import GRACE, Prefetcher

PATIENCE = 20  # how long a test waits for what is to happen at once [second]


class _Reader:
    """Gives ten times the step; each read waits for a permission and is told."""

    def __init__(self, permissions: int = 0) -> None:
        self.begun: list[int] = []
        self.threads: set[threading.Thread] = set()
        self._begins = threading.Semaphore(0)
        self._permissions = threading.Semaphore(permissions)

    def __call__(self, step: int) -> int:
        self.begun.append(step)
        self.threads.add(threading.current_thread())
        self._begins.release()
        assert self._permissions.acquire(timeout=PATIENCE)
        return 10 * step

    def permit(self, reads: int = 1) -> None:
        self._permissions.release(reads)

    def await_begin(self, reads: int = 1) -> None:
        for _ in range(reads):
            assert self._begins.acquire(timeout=PATIENCE)

    def ended(self) -> bool:
        for thread in self.threads:
            thread.join(PATIENCE)
        return not any(thread.is_alive() for thread in self.threads)


def test_steps_come_in_order_from_one_thread():
    reader = _Reader(permissions=100)
    with Prefetcher(reader, 7) as prefetcher:
        assert [prefetcher.get(step) for step in range(7, 40)] == [10 * step for step in range(7, 40)]
    assert reader.begun[:33] == list(range(7, 40))
    assert len(reader.threads) == 1
    assert threading.current_thread() not in reader.threads


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_as_many_steps_are_read_ahead_as_were_asked_for_and_no_more(ahead: int):
    reader = _Reader(permissions=100)
    with Prefetcher(reader, 0, ahead=ahead) as prefetcher:
        reader.await_begin(ahead)  # before anything is asked for
        assert prefetcher.get(0) == 0
        reader.await_begin()
        assert reader.begun == list(range(ahead + 1))
    assert reader.ended()
    assert reader.begun == list(range(ahead + 1))


def test_another_step_starts_over_there():
    reader = _Reader(permissions=100)
    with Prefetcher(reader, 0) as prefetcher:
        assert [prefetcher.get(step) for step in (0, 1, 50, 51, 3, 3, 4, 52)] == [0, 10, 500, 510, 30, 30, 40, 520]


def test_a_read_under_way_is_dropped_when_reading_starts_over():
    reader = _Reader()
    with Prefetcher(reader, 0) as prefetcher:
        reader.await_begin()
        results: list[int] = []
        caller = threading.Thread(target=lambda: results.append(prefetcher.get(9)))
        caller.start()
        reader.permit(100)
        caller.join(PATIENCE)
        assert results == [90]
        assert prefetcher.get(10) == 100


def test_what_read_raises_is_raised_for_its_step_only_and_asking_again_reads_again():
    chances = iter([OSError("the disk is away"), None])

    def read(step: int) -> int:
        if step == 2 and (error := next(chances)) is not None:
            raise error
        return step

    with Prefetcher(read, 0) as prefetcher:
        assert [prefetcher.get(0), prefetcher.get(1)] == [0, 1]
        with pytest.raises(OSError, match="the disk is away"):
            prefetcher.get(2)
        assert [prefetcher.get(step) for step in (2, 3, 4)] == [2, 3, 4]


def test_nothing_is_given_after_closing():
    reader = _Reader(permissions=100)
    prefetcher = Prefetcher(reader, 0)
    prefetcher.get(0)
    prefetcher.close()
    prefetcher.close()
    assert reader.ended()
    with pytest.raises(RuntimeError, match="closed"):
        prefetcher.get(1)


def test_closing_does_not_wait_for_a_read_that_hangs():
    reader = _Reader()
    prefetcher = Prefetcher(reader, 0)
    reader.await_begin()
    start = time.perf_counter()
    prefetcher.close()
    assert time.perf_counter() - start < GRACE + 5
    assert not reader.permit()
    assert reader.ended()
    assert reader.begun == [0]


def test_closing_wakes_whoever_waits():
    reader = _Reader()
    prefetcher = Prefetcher(reader, 0)
    told: list[str] = []

    def wait() -> None:
        try:
            prefetcher.get(0)
        except RuntimeError as error:
            told.append(str(error))

    caller = threading.Thread(target=wait)
    caller.start()
    reader.await_begin()
    prefetcher.close()
    caller.join(PATIENCE)
    assert told == ["the prefetcher is closed"]
    reader.permit()


def test_a_prefetcher_that_nobody_uses_stops():
    reader = _Reader(permissions=100)
    prefetcher = Prefetcher(reader, 0)
    prefetcher.get(0)
    del prefetcher
    gc.collect()
    assert reader.ended()


def test_results_are_not_kept_once_they_are_given():
    class Batch:
        alive = 0

        def __init__(self) -> None:
            Batch.alive += 1

        def __del__(self) -> None:
            Batch.alive -= 1

    most = 0
    with Prefetcher(lambda step: Batch(), 0, ahead=2) as prefetcher:
        for step in range(200):
            batch = prefetcher.get(step)
            most = max(most, Batch.alive)
            del batch
    assert most <= 4  # the one in hand, two ahead, and one that is being handed over


def test_waiting_takes_no_processor_time():
    release = threading.Event()
    with Prefetcher(lambda step: release.wait(PATIENCE), 0) as prefetcher:
        timer = threading.Timer(1.0, release.set)
        start = time.process_time()
        timer.start()
        prefetcher.get(0)
        assert time.process_time() - start < 0.5


def test_nothing_read_ahead_is_told():
    with pytest.raises(InputError, match="ahead=0 reads nothing ahead; expected at least 1"):
        Prefetcher(lambda step: step, 0, ahead=0)


@pytest.mark.parametrize("read", ["threading.Event().wait()", "torch.randn(300, 300) @ torch.randn(300, 300)"])
def test_the_end_of_the_interpreter_is_not_held_up(read: str):
    code = f"""
import threading, torch
from prior_lab.data.feeding.prefetch import Prefetcher
begun = threading.Event()
def read(step):
    begun.set()
    return {read}
prefetcher = Prefetcher(read, 0, ahead=1_000_000)
begun.wait()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
