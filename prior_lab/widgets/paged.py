"""What explorers of pictures share: pages of images, by number, by label, forwards, backwards and by chance."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from prior_lab.widgets.base import Explorer
from prior_lab.widgets.pictures import Selection


class PagedExplorer(Explorer):
    """An explorer that shows a page of images.

    Attributes
    ----------
    selection : the images on screen, as a plain object.
    """

    selection: Selection

    @property
    def images(self) -> tuple[int, ...]:
        """Numbers of the images on screen; set it to look at particular ones."""
        return self.selection.indices

    @images.setter
    def images(self, indices: object) -> None:
        self.selection.fix(indices)
        self._show_page()

    def choose(self, label: str) -> None:
        """Show images of one label, written "taxonomy: label"; "all" for all."""
        self.selection.choose(label)
        self._show_page()

    @abstractmethod
    def _show_page(self) -> None:
        """Bring the selected images to the screen, in one message."""

    def _turn(self, request: Mapping[str, Any]) -> None:
        """Show the images that the browser asks for."""
        match request:
            case {"action": "choose", "label": label}:
                self.selection.choose(label)
            case {"action": "next"}:
                self.selection.turn(1)
            case {"action": "previous"}:
                self.selection.turn(-1)
            case {"action": "shuffle"}:
                self.selection.shuffle()
        self._show_page()
