"""What all explorers share: a canvas in its frame, errors on screen, questions from the browser, picture and export.

A new explorer is its state (a plain object that refuses what does not fit), its drawing (a script beside `Canvas`
traits) and a subclass that joins the two.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar

import ipywidgets

from prior_lab.errors import InputError
from prior_lab.widgets.canvas import Canvas
from prior_lab.widgets.export import export_html


def reported(callback: Callable[..., None]) -> Callable[..., None]:
    """A method of an explorer that the browser calls: one at a time, and what goes wrong is told under the widget.

    People look there; the error is raised as well, for the log. What was refused is taken back in the browser.
    """

    @wraps(callback)
    def wrapper(self: "Explorer", *arguments: object) -> None:
        try:
            self.canvas.problem = ""
            with self._lock:
                callback(self, *arguments)
        except Exception as error:
            self._tell(error)
            self._take_back()
            raise

    return wrapper


class Explorer(ABC):
    """What all explorers share; made by `explore` and its like.

    Attributes
    ----------
    settings : what browser and state agree on: traits of the canvas, attributes of the state.
    state : what is shown, as a plain object.
    canvas : the widget in the browser.
    widget : the same, framed.
    """

    settings: ClassVar[tuple[str, ...]]
    state: Any
    canvas: Canvas

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._lock = RLock()  # the browser's messages may be handled in a thread of their own
        self.widget = ipywidgets.VBox([canvas]).add_class("prior-lab")
        canvas.observe(self._changed, list(self.settings))
        canvas.on_msg(self._asked)

    # ------------------------------------------------------------ what each explorer tells

    @property
    @abstractmethod
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""

    @abstractmethod
    def summary(self) -> str:
        """The numbers on screen, as text."""

    @abstractmethod
    def picture(self) -> dict[str, str]:
        """What a stored notebook shows where the live widget was, by MIME type."""

    @abstractmethod
    def _change(self, name: str, value: Any) -> None:
        """Follow a setting that was chosen in the browser, or by an attribute of this object."""

    @abstractmethod
    def _answer(self, request: Mapping[str, Any]) -> None:
        """Do what the browser asks for."""

    @abstractmethod
    def _prepare(self) -> None:
        """Have on screen what the browser would ask for: it is answered only when all cells of a notebook have run."""

    def _exported(self) -> dict[str, Any]:
        """What an exported page needs beyond the traits of the canvas, having no kernel to ask."""
        return {}

    # ------------------------------------------------------------ what all of them can do

    def to_html(self, path: str | Path) -> Path:
        """Write one file that shows this explorer without a kernel and without a network.

        Raises
        ------
        InputError : if the file cannot be written; an older file of that name then stays whole.
        """
        with self._lock:
            return export_html(path, self.title, self.canvas, self._exported)

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        picture: dict[str, str] = {}
        for step in (self._prepare, lambda: picture.update(self.picture())):
            try:
                step()
            except Exception as error:  # the live widget shows it
                self._tell(error)
        return {**self.widget._repr_mimebundle_(**options), **picture, "text/plain": repr(self)}

    # ------------------------------------------------------------ keeping browser and state in step

    def _set(self, name: str, value: object) -> None:
        """Set what is checked first, so that a wrong value leaves browser and state as they were."""
        setattr(self.state, name, value)
        setattr(self.canvas, name, getattr(self.state, name))

    @contextlib.contextmanager
    def _working(self, words: str) -> Iterator[None]:
        """A notice while something takes its time."""
        self.canvas.notice = words
        try:
            yield
        finally:
            self.canvas.notice = ""

    def _tell(self, error: Exception) -> None:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        self.canvas.problem = f"{kind}{error}"

    def _take_back(self) -> None:
        """Bring the canvas to what the state says, where it was set to something that was refused."""
        stated = {name: getattr(self.state, name) for name in self.settings}
        stated = {name: list(value) if isinstance(value, tuple) else value for name, value in stated.items()}
        self.canvas.unobserve(self._changed, list(self.settings))
        with self.canvas.hold_sync():
            for name, value in stated.items():
                setattr(self.canvas, name, value)
        self.canvas.observe(self._changed, list(self.settings))

    @reported
    def _changed(self, change: Mapping[str, Any]) -> None:
        self._change(change["name"], change["new"])

    @reported
    def _asked(self, _: object, request: Mapping[str, Any], __: object) -> None:
        """A question of the browser: it is told at once that it was heard, and at the end that it is answered."""
        self.canvas.send({"heard": True})
        try:
            self._answer(request)
        finally:
            self.canvas.send({"answered": True})
