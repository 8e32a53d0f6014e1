"""``Prefetcher``: what the next steps need is read in a thread while the current one computes."""

import threading
import weakref
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from prior_lab.errors import InputError

T = TypeVar("T")
GRACE = 0.5  # how long closing waits for a read under way [second]


class Prefetcher(Generic[T]):
    """Gives ``read(step)`` for one step after another, read ahead of time by a thread.

    Another step than the next may be asked for; reading then starts over there. At most ``ahead`` results are held. The
    thread ends when the prefetcher is closed or no longer used, and does not hold up the interpreter's exit.

    Parameters
    ----------
    read : gives what a step needs; called in the thread, for one step at a time.
    first : the step that is asked for first.
    ahead : how many steps are read ahead.

    Raises
    ------
    InputError : if `ahead` is less than 1.
    """

    def __init__(self, read: Callable[[int], T], first: int, *, ahead: int = 2) -> None:
        if ahead < 1:
            raise InputError(f"ahead={ahead} reads nothing ahead; expected at least 1")
        self._queue = _Queue[T](first, ahead)
        thread = threading.Thread(target=_work, args=(read, self._queue), name="prior_lab prefetcher", daemon=True)
        self._finalizer = weakref.finalize(self, _stop, self._queue, thread)  # runs at the interpreter's exit, too
        thread.start()

    def get(self, step: int) -> T:
        """What `read` gave for a step; waits until it is there.

        Raises
        ------
        RuntimeError : if the prefetcher is closed.
        Exception : whatever `read` raised for this step; asking again reads again.
        """
        result = self._queue.take(step)
        if isinstance(result, _Failure):
            raise result.error
        return result

    def close(self) -> None:
        """Stop reading; a read under way is waited for briefly, then left to end by itself."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Queue(Generic[T]):
    """Results of consecutive steps, between the thread that reads them and the one that uses them."""

    def __init__(self, first: int, ahead: int) -> None:
        self._changed = threading.Condition()
        self._ready: deque[T | _Failure] = deque()
        self._wanted = first  # the step of the first result
        self._ahead = ahead
        self._restarts = 0
        self._is_closed = False

    def take(self, step: int) -> T | _Failure:
        """The result of a step, waiting for it."""
        with self._changed:
            if step != self._wanted:
                self._ready.clear()
                self._wanted, self._restarts = step, self._restarts + 1
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._ready or self._is_closed)
            if self._is_closed:
                raise RuntimeError("the prefetcher is closed")
            self._wanted += 1
            self._changed.notify_all()
            return self._ready.popleft()

    def next_step(self) -> tuple[int, int] | None:
        """The step to read next and the number of restarts, waiting for room; none once closed."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._ready) < self._ahead or self._is_closed)
            return None if self._is_closed else (self._wanted + len(self._ready), self._restarts)

    def put(self, result: T | _Failure, restarts: int) -> None:
        """Hand over what was read, unless reading has started over since."""
        with self._changed:
            if restarts == self._restarts:
                self._ready.append(result)
                self._changed.notify_all()

    def close(self) -> None:
        """Wake everyone up for the end."""
        with self._changed:
            self._is_closed = True
            self._ready.clear()
            self._changed.notify_all()


def _work(read: Callable[[int], T], queue: _Queue[T]) -> None:
    while (following := queue.next_step()) is not None:
        step, restarts = following
        queue.put(_attempt(read, step), restarts)


def _attempt(read: Callable[[int], T], step: int) -> T | _Failure:
    try:
        return read(step)
    except BaseException as error:  # whatever it is, the caller is to see it
        return _Failure(error)


def _stop(queue: _Queue[T], thread: threading.Thread) -> None:
    queue.close()
    if thread is not threading.current_thread():
        thread.join(GRACE)
