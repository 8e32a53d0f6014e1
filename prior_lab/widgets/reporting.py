"""Errors in what the browser calls: shown under the widget, where people look, and still raised for the log."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from prior_lab.errors import InputError


def reported(callback: Callable[..., None]) -> Callable[..., None]:
    """A method of an explorer that tells in `canvas.problem` what goes wrong in it; one at a time, by `_lock`."""

    @wraps(callback)
    def wrapper(self: Any, *arguments: object) -> None:
        try:
            self.canvas.problem = ""
            with self._lock:
                callback(self, *arguments)
        except Exception as error:
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            self.canvas.problem = f"{kind}{error}"
            raise

    return wrapper
