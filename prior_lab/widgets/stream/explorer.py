"""Watch files arrive: pictures of their first bytes, by ordered codes and by still-image codecs."""

from collections.abc import Iterable, Mapping
from typing import Any

import plotly.graph_objects as go
import xarray as xr

from prior_lab import figures
from prior_lab.checks import whole_number
from prior_lab.codec import Codec
from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.models import Autoencoder
from prior_lab.widgets.canvas import palette
from prior_lab.widgets.paged import PagedExplorer
from prior_lab.widgets.pictures import Pictures, Selection
from prior_lab.widgets.sources import study_images, study_name
from prior_lab.widgets.stream.canvas import StreamCanvas
from prior_lab.widgets.stream.curves import stream_curves
from prior_lab.widgets.stream.gallery import Page, StreamGallery
from prior_lab.widgets.stream.sources import first_arms, given_arms, study_arms
from prior_lab.widgets.stream.state import RATES, StreamState
from prior_lab.widgets.stream.streams import Arm
from prior_lab.widgets.stream.summary import summary_text

SCALE = "Viridis"  # of levels


def explore_stream(
    source: xr.DataTree | Autoencoder | Codec | Mapping[str, Autoencoder | Codec],
    images: object = None,
    *,
    train: object = None,
    shown: Iterable[str] | None = None,
    cut: int | None = None,
    target: float = 0.8,
    count: int = 4,
) -> "StreamExplorer":
    """Watch files of pictures arrive byte by byte, beside WebP, JPEG and JPEG XL at as many bytes.

    Where no codec is bundled for a model, one is made of training images: some seconds, once.

    Parameters
    ----------
    source : a study of `prior_lab.load_study`, whose models are loaded when they are looked at; or a model or its
        codec; or several of these by name.
    images : what is sent: a data set of `prior_lab.load_dataset`, or uint8 images [n, 3, height, width] or
        [n, height, width, 3]. A study brings its own test images.
    train : images to make a codec of, likewise; the training images of a bundled data set, if not given.
    shown : labels of one or two models; PRIOR and an ordering by masking, with discrete tokens, if not given.
    cut : bytes of each file that have arrived; where the last level but one of the first file ends, if not given.
    target : the SSIM that files reach under the adaptive policy.
    count : images on a page.

    Returns
    -------
    An object that shows itself as the last line of a cell.

    Raises
    ------
    InputError : if the source, the images, the labels or the numbers do not fit, or a model has no codec.

    Examples
    --------
    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-ema-vq")
    >>> data = pl.load_dataset("household", split="test").select(slice(0, 64, 16))
    >>> explorer = pl.explore_stream(model, data, cut=60)
    >>> explorer
    StreamExplorer(household; PRIOR; 60 of 700 bytes)
    """
    if whole_number("count", count) < 1:
        raise InputError(f"count is {count}; show at least one image.")
    if isinstance(source, xr.DataTree):
        arms, name = study_arms(source, train), study_name(source)
        images = study_images(source, images)
    else:
        arms = given_arms(source, images, train)
        if images is None:
            raise InputError("A model alone has no images; give them too: explore_stream(model, images).")
        name = images.name if isinstance(images, ImageDataset) else "own images"
    pictures = Pictures.of(images)
    return StreamExplorer(arms, pictures, name=name, shown=shown, cut=cut, target=target, count=int(count))


class StreamExplorer(PagedExplorer):
    """Pictures of the first bytes of their files; made by `explore_stream`.

    Attributes
    ----------
    state : bytes, arms, policy and the chosen file, as a plain object.
    selection : the images on screen, as a plain object.
    page : the same images with the files and pictures of every method.

    Examples
    --------
    What an attribute is set to, the widget shows:

    >>> import prior_lab as pl
    >>> model = pl.load_model("household/reconstruction/prior-ema-vq")
    >>> explorer = pl.explore_stream(model, pl.load_dataset("household", split="test").select(range(2)))
    >>> explorer.cut, explorer.adaptive, explorer.target = 100, True, 0.7
    >>> explorer.file[:2]  # as much of it as has arrived
    b'PO'
    >>> explorer.cut = -1
    Traceback (most recent call last):
        ...
    prior_lab.errors.InputError: ...
    """

    settings = ("cut", "rate", "adaptive", "target", "chosen", "shown")
    state: StreamState
    canvas: StreamCanvas

    def __init__(
        self,
        arms: Mapping[str, Arm],
        pictures: Pictures,
        *,
        name: str,
        shown: Iterable[str] | None,
        cut: int | None,
        target: float,
        count: int,
    ) -> None:
        self.name = name
        self.gallery, self.selection = StreamGallery(arms, pictures), Selection(pictures, count)
        indices = self.selection.indices
        labels = first_arms(arms) if shown is None else shown
        self.state = StreamState(tuple(arms), 0, len(indices), labels, target=target)  # type: ignore[arg-type]
        self.page: Page = self.gallery.page(indices, self.state.shown)
        self.state.fit(self.page.longest, len(indices))
        first = self.page.arms[0].streams[0].needs
        self.state.cut = first[max(0, len(first) - 2)] if cut is None else cut
        super().__init__(self._make_canvas())

    # ------------------------------------------------------------ what a user sets and reads

    @property
    def cut(self) -> int:
        """Bytes of each file that have arrived; set it to move the slider."""
        return self.state.cut

    @cut.setter
    def cut(self, cut: int) -> None:
        self._set("cut", cut)

    @property
    def rate(self) -> int:
        """Of the play button [bit/s]: 100, 1,000 or 10,000."""
        return self.state.rate

    @rate.setter
    def rate(self, rate: int) -> None:
        self._set("rate", rate)

    @property
    def adaptive(self) -> bool:
        """Whether each file ends with the level that reaches the target."""
        return self.state.adaptive

    @adaptive.setter
    def adaptive(self, adaptive: bool) -> None:
        self._set("adaptive", adaptive)

    @property
    def target(self) -> float:
        """The SSIM that files reach under the adaptive policy."""
        return self.state.target

    @target.setter
    def target(self, target: float) -> None:
        self._set("target", target)

    @property
    def chosen(self) -> tuple[int, int]:
        """Whose file is shown byte by byte: the number of the arm on screen, and that of the image."""
        return self.state.chosen

    @chosen.setter
    def chosen(self, chosen: tuple[int, int]) -> None:
        self._set("chosen", chosen)

    @property
    def shown(self) -> tuple[str, ...]:
        """Labels of the arms on screen, one or two; set it to look at others."""
        return self.state.shown

    @shown.setter
    def shown(self, labels: Iterable[str]) -> None:
        with self._lock:
            self._open(labels)

    @property
    def file(self) -> bytes:
        """As much of the chosen file as has arrived."""
        arm, image = self.state.chosen
        stream = self.page.arms[arm].streams[image]
        end = stream.needs[stream.last(self.target)] if self.adaptive else len(stream.file)
        return stream.file[: min(self.cut, end)]

    @property
    def figure(self) -> go.Figure:
        """The mean SSIM of the images on screen against the bytes of each, with the cursor at the cut."""
        return stream_curves(self.page, self.cut)

    @property
    def title(self) -> str:
        """What is shown, as the heading of an exported page."""
        return f"Streams of bytes: {self.name}"

    def summary(self) -> str:
        """The numbers on screen, as text."""
        return summary_text(self.name, self.page, self.state)

    def picture(self) -> dict[str, str]:
        """What a stored notebook shows where the live widget was: quality against bytes."""
        return {"image/svg+xml": figures.to_svg(self.figure)}

    def __repr__(self) -> str:
        """What a notebook stores where the live widget was."""
        return f"StreamExplorer({self.name}; {'; '.join(self.shown)}; {self.cut} of {self.page.longest} bytes)"

    # ------------------------------------------------------------ keeping browser and state in step

    def _make_canvas(self) -> StreamCanvas:
        return StreamCanvas(
            arms=list(self.state.arms),
            choices=self.gallery.pictures.choices(),
            rates=list(RATES),
            size=list(self.page.truth.shape[1:3]),
            raw=self.page.raw,
            rate=self.rate,
            adaptive=self.adaptive,
            target=self.target,
            **self._page_traits(),
        )

    def _page_traits(self) -> dict[str, Any]:
        """What of the canvas belongs to the images and arms on screen."""
        levels = max(stream.steps for method in self.page.arms for stream in method.streams)
        page = self.page.for_browser() | {
            "choice": self.selection.choice,
            "position": self.selection.position,
            "order": [self.shown, self.images],
        }
        return {
            "palette": palette(SCALE, max(2, levels)),
            "shown": list(self.shown),
            "cut": self.cut,
            "chosen": list(self.chosen),
            "pixels": self.page.packed(),
            "page": page,
        }

    def _open(self, labels: object) -> None:
        """Make other arms those that are shown; what cannot be loaded leaves everything as it was."""
        wanted = self.state.labels(labels)
        for label in wanted:
            if not self.gallery.arms[label].is_open:
                words = f"Opening {label}: if no codec is bundled, one is made of training images, some seconds, once."
                with self._working(words):
                    _ = self.gallery.arms[label].codec
        page = self.gallery.page(self.images, wanted)
        self.state.shown = wanted
        self._bring(page)

    def _show_page(self) -> None:
        with self._lock:
            self._bring(self.gallery.page(self.selection.indices, self.shown))

    def _bring(self, page: Page) -> None:
        """Everything of a page to the screen, in one message."""
        self.page = page
        self.state.fit(page.longest, len(page.indices))
        with self.canvas.hold_sync():
            for name, value in self._page_traits().items():
                setattr(self.canvas, name, value)

    def _change(self, name: str, value: Any) -> None:
        if name == "shown":
            if tuple(value) != self.shown:
                self._open(value)
        elif value != getattr(self.state, name):
            setattr(self.state, name, value)

    def _answer(self, request: Mapping[str, Any]) -> None:
        """Other images, or other arms."""
        match request:
            case {"action": "prepare"}:  # while people look at this page, the next one is made
                self.gallery.page(self.selection.indices_after(1), self.shown)
            case {"action": "arm", "place": int(place), "label": str(label)}:
                self._open(self._with(place, label))
            case _:
                self._turn(request)

    def _with(self, place: int, label: str) -> tuple[str, ...]:
        """The arms with another one in a place; one that is there already changes places with it."""
        labels = list(self.shown)
        if label in labels:
            labels[labels.index(label)] = labels[place]
        labels[place] = label
        return tuple(labels)

    def _prepare(self) -> None:
        """The first page is there from the beginning."""
