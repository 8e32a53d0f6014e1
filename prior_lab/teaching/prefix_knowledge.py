"""Lesson 6, what a prefix knows: contrastive learning as a picture, a finder across artists, the exercises' checks."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ipywidgets
import numpy as np
import torch
import xarray as xr
from jaxtyping import Bool, Float, Float32, Int64
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from prior_lab import figures
from prior_lab.data import ImageDataset
from prior_lab.errors import InputError
from prior_lab.figures.style import AXIS, FONT
from prior_lab.objectives import nt_xent
from prior_lab.results import Lead
from prior_lab.teaching.exercises import not_yet, number, require_answer, right
from prior_lab.widgets.pictures import readable

CLOSE = 1e-3  # how near a number has to come
TOGETHER, APART = figures.COLOURS["MBOP-ITD"], figures.COLOURS["PRIOR"]

# ------------------------------------------------------------ drawings of concepts


def drawn_by(data: ImageDataset, artist: str) -> dict[int, int]:
    """Where an artist's drawing of each concept is: concept -> position of the image.

    Raises
    ------
    InputError : if the data have no such artist.
    """
    column = data.taxonomies.index("artist") if "artist" in data.taxonomies else None
    if column is None or artist not in data.label_names[column]:
        raise InputError(f"{data.name} has no drawings by {artist!r}.")
    mine = data.labels[:, column] == data.label_names[column].index(artist)
    return {int(data.objects[place]): place for place in mine.nonzero()[:, 0].tolist()}


def pairs_of(data: ImageDataset, artists: tuple[str, str], concepts: Sequence[str]) -> Int64[Tensor, "view"]:
    """Positions of two artists' drawings of some concepts, partners side by side: views 2i and 2i + 1.

    Raises
    ------
    InputError : if one of the artists did not draw one of the concepts.
    """
    first, second = (drawn_by(data, artist) for artist in artists)
    places = []
    for concept in concepts:
        known = data.object_names.index(concept) if concept in data.object_names else -1
        if known not in first or known not in second:
            raise InputError(f"{' and '.join(artists)} did not both draw {concept!r} in the split {data.split}.")
        places += [first[known], second[known]]
    return torch.tensor(places)


def shared(data: ImageDataset, count: int, artists: tuple[str, str] = ("noto", "twemoji")) -> list[str]:
    """Some concepts that both artists drew, spread evenly over them."""
    first, second = (drawn_by(data, artist) for artist in artists)
    both = [data.object_names[concept] for concept in first if concept in second]
    return [both[place] for place in np.linspace(0, len(both) - 1, count).round().astype(int).tolist()]


# ------------------------------------------------------------ contrastive learning in one picture


class Scheme:
    """A drawing that shows itself as the last line of a cell."""

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return "Scheme(contrastive learning)"


def contrastive_scheme(
    data: ImageDataset, views: Int64[Tensor, "view"], cosines: Float[Tensor, "view view"], artists: tuple[str, str]
) -> Scheme:
    """Pairs of drawings, what becomes of them, and how alike their codes are.

    Parameters
    ----------
    views : positions of drawings, partners side by side.
    cosines : between the projections of these views; the darker a cell, the more alike.
    artists : who drew the first and the second of each pair.
    """
    pairs, side = len(views) // 2, 40
    left, height = 456, 92 + (side + 6) * pairs
    width = left + 54 + (side + 6) * pairs
    tiles = [_data_uri(data, place) for place in views.tolist()]
    parts = [*_two_columns(tiles, side, artists), *_pipeline(92 + (side + 6) * pairs / 2 - 3)]
    parts += _matrix(tiles, cosines[0::2, 1::2], side, left=left)
    ground = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="680" font-size="13"'
    ground += ' style="max-width:100%;height:auto"'
    return Scheme(f'{ground} font-family="{FONT}" fill="{figures.INK}">{"".join(parts)}</svg>')


def _data_uri(data: ImageDataset, place: int) -> str:
    buffer = io.BytesIO()
    Image.fromarray(data.images[place].permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _picture(uri: str, x: float | int, y: float | int, side: int) -> str:
    return f'<image href="{uri}" x="{x}" y="{y}" width="{side}" height="{side}"/>'


def _text(words: str, x: float | int, y: float | int, *, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" {more}>{words}</text>'


def _arrow(x: int, y: float | int, length: int) -> str:
    tip = x + length
    return (
        f'<path d="M{x} {y}H{tip - 2}" stroke="{figures.INK}" stroke-width="1.5"/>'
        f'<path d="M{tip} {y}l-8 -4.5v9z" fill="{figures.INK}"/>'
    )


def _two_columns(tiles: Sequence[str], side: int, artists: tuple[str, str]) -> list[str]:
    parts = [_text("two hands, one idea", 8, 26, anchor="start", more='font-weight="600"')]
    parts += [_text(artist, x, 74) for artist, x in zip(artists, (30, 86), strict=True)]
    for row, (first, second) in enumerate(zip(tiles[::2], tiles[1::2], strict=True)):
        y = 86 + row * (side + 6)
        parts += [_picture(first, 10, y, side), _picture(second, 66, y, side)]
        parts += [f'<path d="M50 {y + side / 2}h16" stroke="{TOGETHER}" stroke-width="3"/>']
    return parts


def _pipeline(middle: float) -> list[str]:
    """Encoder, code and its prefix, head."""
    box = f'fill="none" stroke="{figures.INK}" stroke-width="1.5"'
    parts = [_arrow(116, middle, 30), f'<rect x="148" y="{middle - 26}" width="72" height="52" rx="8" {box}/>']
    parts += [_text("encoder", 184, middle + 4), _arrow(222, middle, 24)]
    for level, count in enumerate((1, 2, 4)):
        for place in range(count):
            y = middle - 54 + 16 * (2**level - 1 + place)
            kept = level < 2
            look = f'fill="{APART}"' if kept else f'fill="none" stroke="{figures.INK}" stroke-dasharray="3 2"'
            parts.append(f'<rect x="252" y="{y}" width="38" height="12" rx="2" {look}/>')
    parts += [_text("code", 271, middle - 66, more='font-weight="600"')]
    cut = middle - 54 + 16 * 3 - 2
    parts += [f'<path d="M246 {cut}h60" stroke="{TOGETHER}" stroke-width="2"/>']
    parts += [_text("prefix", 310, cut - 20, anchor="start"), _text("not sent", 310, cut + 34, anchor="start")]
    parts += [_arrow(356, cut - 24, 22), f'<rect x="380" y="{cut - 46}" width="56" height="44" rx="8" {box}/>']
    return [*parts, _text("head", 408, cut - 20), _text("h", 450, cut - 19, more='font-style="italic" font-size="16"')]


def _matrix(tiles: Sequence[str], cosines: Tensor, side: int, *, left: int) -> list[str]:
    pairs, step = len(cosines), side + 6
    parts = [_text("how alike: cosine of h", left + 50 + step * pairs / 2, 26, more='font-weight="600"')]
    small = 30
    for row in range(pairs):
        x, y = left + 50 + row * step, 86 + row * step
        parts += [_picture(tiles[2 * row + 1], x + 5, 50, small), _picture(tiles[2 * row], left + 8, y + 5, small)]
        for column in range(pairs):
            value = float(cosines[row, column])
            x, own = left + 50 + column * step, row == column
            shade, digits = _shade(TOGETHER if own else APART, value)
            parts.append(
                f'<rect x="{x}" y="{y}" width="{side}" height="{side}" rx="4" fill="{shade}" '
                f'stroke="{TOGETHER if own else AXIS}" stroke-width="{3 if own else 0.7}"/>'
            )
            words = f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
            parts.append(_text(words, x + side / 2, y + side / 2 + 4, more=f'font-size="11" fill="{digits}"'))
    return parts


def _shade(colour: str, value: float) -> tuple[str, str]:
    """A cell's colour, from white to `colour`, and that of digits which are read on it."""
    depth = max(0.0, min(1.0, value))
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    mixed = "".join(f"{round(255 - depth * (255 - part)):02x}" for part in parts)
    return f"#{mixed}", "white" if depth > 0.7 else "#1f2328"


# ------------------------------------------------------------ a finder across artists


@dataclass(frozen=True, eq=False)
class Found:
    """What a drawing finds among another artist's at one budget.

    Attributes
    ----------
    concepts : those that are found, the most alike first.
    place : of the drawing's own concept, from 1; drawings as alike as that one stand before it.
    """

    concepts: list[int]
    place: int


class Finder:
    """A drawing, and what it finds among another artist's drawings with the first tokens of its code.

    Choose a concept, two artists and a budget; the row shows the most alike first, the right one in a frame.

    Parameters
    ----------
    data : drawings with the label level artist.
    features : of each drawing, by budget [token].
    concept : the one that is looked for first; the first that both artists drew, if not given.
    asking, answering : whose drawing asks, and among whose it looks.

    Attributes
    ----------
    widget : the controls and the row, as one widget.
    """

    COUNT, TILE = 6, 84

    def __init__(
        self,
        data: ImageDataset,
        features: Mapping[int, Float32[Tensor, "image feature"]],
        *,
        concept: str | None = None,
        asking: str = "noto",
        answering: str = "twemoji",
    ) -> None:
        self.data = data
        self._units = {budget: functional.normalize(values, dim=1) for budget, values in features.items()}
        self._drawn = {name: drawn_by(data, name) for name in self._artists}
        both = self._both(asking, answering)
        names = {readable(data.object_names[index]): index for index in both}
        start = both[0] if concept is None else data.object_names.index(concept)
        artists = [name for name in self._artists if self._drawn[name]]
        style = {"description_width": "initial"}
        words = [(f"{budget} token{'s' * (budget > 1)}", budget) for budget in features]
        self.budget = ipywidgets.SelectionSlider(options=words, description="prefix", style=style)
        self.concept = ipywidgets.Dropdown(options=names, value=start, description="concept", style=style)
        self.asking = ipywidgets.Dropdown(options=artists, value=asking, description="drawn by", style=style)
        self.answering = ipywidgets.Dropdown(options=artists, value=answering, description="find among", style=style)
        self.row = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        self.words = ipywidgets.HTML()
        controls = [ipywidgets.HBox(pair, layout={"flex_flow": "row wrap"}) for pair in self._pairs()]
        self.widget = ipywidgets.VBox([*controls, self.row, self.words]).add_class("prior-lab-finder")
        for control in (self.budget, self.concept, self.asking, self.answering):
            control.observe(self._show, "value")
        self._show()

    @property
    def _artists(self) -> tuple[str, ...]:
        return self.data.label_names[self.data.taxonomies.index("artist")]

    def _pairs(self) -> tuple[list[ipywidgets.Widget], list[ipywidgets.Widget]]:
        return [self.concept, self.asking], [self.budget, self.answering]

    def _both(self, asking: str, answering: str) -> list[int]:
        there = [index for index in self._drawn[asking] if index in self._drawn[answering]]
        return sorted(there, key=lambda index: self.data.object_names[index])

    # ------------------------------------------------------------ what is found

    def find(self, budget: int | None = None) -> Found | None:
        """What is found at a budget, that of the slider if not given; None where one of the two did not draw it."""
        concept, units = self.concept.value, self._units[self.budget.value if budget is None else budget]
        gallery = self._drawn[self.answering.value]
        if concept not in self._drawn[self.asking.value] or concept not in gallery:
            return None
        alike = units[list(gallery.values())] @ units[self._drawn[self.asking.value][concept]]
        concepts = list(gallery)
        own = alike[concepts.index(concept)]
        order = alike.argsort(descending=True, stable=True)[: self.COUNT].tolist()
        return Found([concepts[place] for place in order], int((alike >= own).sum()))

    def summary(self) -> str:
        """What is on screen, in words."""
        found = self.find()
        name = readable(self.data.object_names[self.concept.value])
        if found is None:
            lacking = [w.value for w in (self.asking, self.answering) if self.concept.value not in self._drawn[w.value]]
            return f"{name}: {' and '.join(dict.fromkeys(lacking))} did not draw it"
        count = len(self._drawn[self.answering.value])
        return (
            f"{name} by {self.asking.value}, {self.budget.label}: its own concept is at place {found.place} of {count} "
            f"drawings by {self.answering.value}"
        )

    def _show(self, _: object = None) -> None:
        self.row.value = _png(self._row(self.find()))
        self.words.value = f"<span>{self.summary()}</span>"

    # ------------------------------------------------------------ what is drawn

    def _row(self, found: Found | None) -> Image.Image:
        """The drawing that asks, and what it finds."""
        tile, gap = self.TILE, 8
        sheet = Image.new("RGBA", ((self.COUNT + 1) * (tile + gap) + 40, tile + gap), (0, 0, 0, 0))
        asking = self._drawn[self.asking.value].get(self.concept.value)
        if asking is not None:
            sheet.paste(self._tile(asking), (4, 4))
        _point(ImageDraw.Draw(sheet), tile + 14, 4 + tile // 2)
        for place, concept in enumerate(found.concepts if found else ()):
            x = tile + 44 + place * (tile + gap)
            if concept == self.concept.value:
                frame = (x - 4, 0, x + tile + 3, tile + 7)
                ImageDraw.Draw(sheet).rounded_rectangle(frame, 6, outline=TOGETHER, width=4)
            sheet.paste(self._tile(self._drawn[self.answering.value][concept]), (x, 4))
        return sheet

    def _tile(self, place: int) -> Image.Image:
        picture = Image.fromarray(self.data.images[place].permute(1, 2, 0).numpy())
        return picture.resize((self.TILE, self.TILE), Image.Resampling.BICUBIC)

    def ladder(self) -> Image.Image:
        """A row for every budget, for pages without a kernel."""
        budgets = list(self._units)
        rows = [self._row(self.find(budget)) for budget in budgets]
        left, (width, height) = 86, rows[0].size
        sheet = Image.new("RGBA", (left + width, len(rows) * (height + 4)), (0, 0, 0, 0))
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
        for place, (budget, row) in enumerate(zip(budgets, rows, strict=True)):
            y = place * (height + 4)
            sheet.paste(row, (left, y))
            words = f"{budget} token{'s' * (budget > 1)}"
            draw.text((left - 10, y + height // 2), words, fill=figures.INK, font=font, anchor="rm")
        return sheet

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        picture = base64.b64encode(_png(self.ladder())).decode()
        bundle = self.widget._repr_mimebundle_(**options) or {}
        return {**bundle, "image/png": picture, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"Finder({self.summary()})"


def _point(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.line((x, y, x + 16, y), fill=figures.INK, width=2)
    draw.polygon([(x + 22, y), (x + 14, y - 5), (x + 14, y + 5)], fill=figures.INK)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


# ------------------------------------------------------------ what the cells compute with


def bits_by_budget(arm: xr.DataTree | xr.Dataset) -> xr.DataArray:
    """The information in every prefix of an arm, eq. 7, the mean over its runs [bit]."""
    tokens = arm["information"].mean("seed").to_numpy() / np.log(2)
    spent = np.concatenate([[0.0], tokens.cumsum()])
    budgets = arm["budget"].to_numpy()
    return xr.DataArray(spent[budgets], coords={"budget": budgets}, attrs={"units": "bit"})


def candidates(study: xr.DataTree, taxonomy: str) -> xr.DataArray:
    """Every arm, run and budget of a study as one list: accuracies (candidate, object) at a label level.

    Objects without a label at that level are left out.
    """
    rows = {}
    for name, arm in study.children.items():
        of_level = arm.to_dataset()["accuracy_by_object"].sel(taxonomy=taxonomy, drop=True)
        for seed in of_level["seed"].values.tolist():
            for budget in of_level["budget"].values.tolist():
                rows[f"{name}, run {seed}, {budget} tokens"] = of_level.sel(seed=seed, budget=budget).to_numpy()
    table = np.stack(list(rows.values())).astype(np.float64)
    known = np.isfinite(table).all(axis=0)
    names = np.asarray(study["object"].values)[known]
    return xr.DataArray(table[:, known], coords={"candidate": list(rows), "object": names})


@dataclass(frozen=True)
class Halves:
    """What choosing the best of many candidates gives, the mean over random halvings of the objects.

    Attributes
    ----------
    told : of the winner, on the half that it won on.
    held : of the same winner, on the other half.
    """

    told: float
    held: float


def halvings(
    scores: xr.DataArray, honest: Callable[[np.ndarray, np.ndarray, np.ndarray], float], *, times: int = 100
) -> Halves:
    """Choose the best candidate on one half of the objects, and look at it on both."""
    values, generator = scores.to_numpy(), np.random.default_rng(0)
    told, held = [], []
    for _ in range(times):
        order = generator.permutation(values.shape[1])
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        told.append(values[:, first].mean(axis=1).max())
        held.append(float(honest(values, first, second)))
    return Halves(float(np.mean(told)), float(np.mean(held)))


def known_by_neighbour(
    features: Float32[Tensor, "image feature"], labels: Int64[Tensor, "image"], test: Bool[Tensor, "image"]
) -> Bool[Tensor, "tested"]:
    """Whether the most alike image outside `test` has the same label, for each image of `test`, by cosine."""
    units = functional.normalize(features, dim=1)
    nearest = (units[test] @ units[~test].T).argmax(dim=1)
    return labels[~test][nearest] == labels[test]


# ------------------------------------------------------------ exercise 1: NT-Xent


@dataclass(frozen=True, eq=False)
class _Mistakes:
    """Values that typical mistakes give, by what is wrong."""

    views: Float32[Tensor, "view channel"]
    temperature: float

    def _loss(
        self, *, unit: bool = True, own: bool = False, scale: float | None = None, partner: str = "next"
    ) -> Float[Tensor, "view"]:
        rows, count = functional.normalize(self.views, dim=1) if unit else self.views, len(self.views)
        place = torch.arange(count)
        logits = rows @ rows.T / (self.temperature if scale is None else scale)
        others = logits if own else logits.masked_fill(torch.eye(count, dtype=torch.bool), -torch.inf)
        chosen = place ^ 1 if partner == "next" else (place + count // 2) % count
        return others.logsumexp(dim=1) - logits[place, chosen]

    @cached_property
    def known(self) -> dict[str, float]:
        """Each mistake's value."""
        rows = functional.normalize(self.views, dim=1)
        logits = rows @ rows.T / self.temperature
        place = torch.arange(len(rows))
        without_partner = logits.masked_fill(torch.eye(len(rows), dtype=torch.bool), -torch.inf)
        without_partner[place, place ^ 1] = -torch.inf
        missing = without_partner.logsumexp(dim=1) - logits[place, place ^ 1]
        found = {
            "The sum in the denominator still has the view itself in it. Its cosine with itself is 1, so no view could "
            "ever find its partner: leave out k = i.": self._loss(own=True).mean(),
            "These are not cosines yet: bring every row of `views` to length one before you multiply.":
                self._loss(unit=False).mean(),
            "The temperature is missing: divide the cosines by it.": self._loss(scale=1.0).mean(),
            "The cosines are multiplied by the temperature; they are divided by it.":
                self._loss(scale=1 / self.temperature).mean(),
            "The sign is turned round: a loss falls as partners come closer, so it is minus the logarithm.":
                -self._loss().mean(),
            "Partners are neighbours here: view 0 and view 1, view 2 and view 3. Yours pairs view i with i + B.":
                self._loss(partner="half").mean(),
            "It is the sum over the views; take their mean.": self._loss().sum(),
            "The partner is missing in the denominator: the sum goes over all views but i itself.": missing.mean(),
            "That is the mean cosine of partners over the temperature: attraction alone. The denominator is what "
            "pushes others away.": -logits[place, place ^ 1].mean(),
        }  # fmt: skip
        return {words: float(value) for words, value in found.items()}


def check_nt_xent(answer: Any) -> None:
    """Exercise 1: the loss of 2B views, written by hand.

    Raises
    ------
    NotYet : if it is another function.
    """
    require_answer(answer)
    if not callable(answer):
        not_yet("`my_nt_xent` should be a function of views and temperature.")
    views = torch.randn(10, 6, generator=torch.Generator().manual_seed(6))
    for temperature in (0.5, 0.2):
        value = _called(answer, views, temperature)
        if isinstance(value, Tensor) and value.numel() != 1:
            not_yet(f"It gives {value.numel()} numbers; one is asked for, the mean over all views.")
        loss = number(value, "The loss")
        if abs(loss - float(nt_xent(views, temperature))) < CLOSE:
            continue
        for words, wrong in _Mistakes(views, temperature).known.items():
            if abs(loss - wrong) < CLOSE:
                not_yet(words)
        not_yet(
            f"For ten random views and a temperature of {temperature} it gives {loss:.3f}; "
            f"equation 9 gives {float(nt_xent(views, temperature)):.3f}."
        )
    right("Partners pull, all others push, and a view is never compared with itself.")


def _called(answer: Callable[..., Any], *arguments: Any) -> Any:
    """What a student's function returns.

    Raises
    ------
    NotYet : if it raises, with what it says.
    """
    try:
        return answer(*arguments)
    except Exception as error:
        not_yet(f"Your function stopped with {type(error).__name__}: {error}")


# ------------------------------------------------------------ exercise 2: equal bits


def check_budget_within(answer: Any, study: xr.DataTree) -> None:
    """Exercise 2: the longest prefix of an arm that costs no more than some bits.

    Raises
    ------
    NotYet : if it gives another prefix anywhere.
    """
    require_answer(answer)
    if not callable(answer):
        not_yet("`budget_within` should be a function of an arm and a number of bits.")
    purses = [
        (str(name), arm, bits_by_budget(arm), float(bits_by_budget(arm)[-1]) * share)
        for name, arm in study.children.items()
        for share in (0.1, 0.3, 0.6, 1.01)
    ]
    offers = [
        _Offer(name, spent, bits, number(_called(answer, arm, bits), "The budget"))
        for name, arm, spent, bits in purses
        if _longest(spent, bits)
    ]
    wrong = [offer for offer in offers if offer.given != _longest(offer.spent, offer.bits)]
    if wrong:
        _explain(wrong, offers)
    right("Where tokens cost differently, cut both codes where the money ends.")


@dataclass(frozen=True, eq=False)
class _Offer:
    """What a student's function gives for an arm and some bits."""

    arm: str
    spent: xr.DataArray
    bits: float
    given: float


def _explain(wrong: Sequence[_Offer], offers: Sequence[_Offer]) -> None:
    """What is wrong with all of the answers; else what is with the first."""
    if all(one.given == _longest(one.spent * np.log(2), one.bits) for one in offers):
        not_yet(f"`information` is in nats, and a bit is only {np.log(2):.3f} nat. Divide by log 2.")
    if all(one.given == _longest(_evened(one.spent), one.bits) for one in offers):
        not_yet("Tokens do not all cost the same: add up those that are in the prefix.")
    one = wrong[0]
    budgets = one.spent["budget"].values.tolist()
    told = f"Of {one.arm}, with {one.bits:,.0f} bits to spend, it gives {one.given:g} tokens"
    if one.given not in budgets:
        not_yet(f"{told}, which is none of the budgets {', '.join(map(str, budgets))}.")
    wanted = _longest(one.spent, one.bits)
    if one.given > wanted:
        not_yet(f"{told}, but these cost {float(one.spent.sel(budget=int(one.given))):,.0f} bits.")
    not_yet(f"{told}, but {wanted} tokens cost {float(one.spent.sel(budget=wanted)):,.0f} bits, which fits too.")


def _evened(spent: xr.DataArray) -> xr.DataArray:
    """What prefixes would cost if all tokens cost the same."""
    return spent["budget"] * float(spent[-1]) / int(spent["budget"][-1])


def _longest(spent: xr.DataArray, bits: float) -> int:
    fitting = spent["budget"].values[(spent <= bits).to_numpy()]
    return int(fitting.max()) if fitting.size else 0


# ------------------------------------------------------------ exercises 3 to 5: three ways to fool oneself


def check_honest(answer: Any) -> None:
    """Exercise 3: choose on some objects, report on others.

    Raises
    ------
    NotYet : if what it reports was chosen by what it reports on, or is something else.
    """
    require_answer(answer)
    if not callable(answer):
        not_yet("`honest` should be a function of scores, first and second.")
    generator = np.random.default_rng(3)
    scores = generator.uniform(size=(40, 60))
    order = generator.permutation(60)
    first, second = order[:30], order[30:]
    on_first, on_second = scores[:, first].mean(axis=1), scores[:, second].mean(axis=1)
    value = number(_called(answer, scores, first, second), "The accuracy")
    winner = int(on_first.argmax())
    known = {
        "You report the winner on the objects that it won on: that is the claim above, with its luck still in it.":
            float(on_first.max()),
        "You look for the best on `second` again. Then these objects have chosen too, and nothing is held out.":
            float(on_second.max()),
        "That is the number of the winner; its accuracy on the objects of `second` is asked for.": float(winner),
        "You report the winner on all objects; half of them helped to choose it.": float(scores[winner].mean()),
        "You choose the candidate with all objects, those of `second` among them.":
            float(on_second[scores.mean(axis=1).argmax()]),
        "That is the mean of all candidates; one is to be chosen, on `first`.": float(on_second.mean()),
    }  # fmt: skip
    if abs(value - float(on_second[winner])) < 1e-9:
        right("What is chosen on some objects is reported on others.")
        return
    for words, wrong in known.items():
        if abs(value - wrong) < 1e-9:
            not_yet(words)
    not_yet(f"It gives {value:.3f} for a table of random numbers; {float(on_second[winner]):.3f} is right.")


def check_split(
    answer: Any, objects: Int64[Tensor, "image"], labels: Int64[Tensor, "image"], names: Sequence[str]
) -> None:
    """Exercise 4: which images to test on, so that no concept is on both sides.

    Raises
    ------
    NotYet : if it is no mask, concepts are on both sides, too few or too many are tested, or labels are one-sided.
    """
    require_answer(answer)
    test = torch.as_tensor(answer)
    if test.dtype != torch.bool or test.shape != objects.shape:
        not_yet(f"`test` should be one true or false for each of the {len(objects):,} drawings.")
    tested, learnt = objects[test].unique(), objects[~test].unique()
    if len(tested) == 0 or len(learnt) == 0:
        not_yet("All drawings are on one side; about a third of the concepts should be tested.")
    shared = int(torch.isin(tested, learnt).sum())
    if shared:
        not_yet(
            f"{shared} of the {len(tested)} concepts that you test are also on the other side, drawn by someone else. "
            "Draw lots among concepts, `objects.unique()`, and not among drawings."
        )
    share = float(test.float().mean())
    if not 0.15 < share < 0.6:
        not_yet(f"{100 * share:.0f} % of the drawings are tested; about a third was asked for.")
    absent = [names[label] for label in labels[test].unique().tolist() if not (labels[~test] == label).any()]
    if absent:
        not_yet(
            f"No drawing of {', '.join(absent)} is left to learn from. Concepts stand in Unicode's order, group by "
            "group: shuffle them first."
        )
    right("No concept is on both sides. A test object is one that nothing was learnt from.")


def check_learnt(bits_before: Any, ahead: Any, study: xr.DataTree, arm: str) -> None:
    """Exercise 5: what a code carried before its first step, and by how much learning put it ahead.

    Parameters
    ----------
    bits_before : what the student says of the former [bit].
    ahead : the lead of the whole code over an untrained one, of the first run at the finest label level.

    Raises
    ------
    NotYet : if one of the two is something else.
    """
    require_answer(bits_before, ahead)
    _check_bits(number(bits_before, "`bits_before`"), study[arm].to_dataset())
    if not isinstance(ahead, Lead):
        not_yet("`ahead` should be one lead; `results.leads_over(...)` gives one for each run: take that of run 0, [0]")
    if abs(ahead.value - _ahead_of(study, arm, "untrained")) > CLOSE / 10:
        for baseline in study.to_dataset()["baseline"].values.tolist():
            if abs(ahead.value - _ahead_of(study, arm, baseline)) < CLOSE / 10:
                not_yet(
                    f"That is the lead over {baseline}; what *learning* brought is the lead over a code that learnt "
                    "nothing."
                )
        not_yet(f"`ahead` is {ahead}: another arm's, run's or label level's. That of {arm}, run 0, is asked for.")
    right("Bits and accuracy that were there before the first step are not what was learnt.")


def _ahead_of(study: xr.DataTree, arm: str, baseline: str) -> float:
    """What `leads_over` gives of run 0, without its interval, which takes longer."""
    code = study[arm].to_dataset()["accuracy_by_object"].isel(budget=-1, taxonomy=-1, seed=0)
    beside = study.to_dataset()["baseline_accuracy_by_object"].sel(baseline=baseline).isel(taxonomy=-1)
    return float(np.nanmean(code.to_numpy().astype(np.float64) - beside.to_numpy()))


def _check_bits(bits: float, arm: xr.Dataset) -> None:
    before, after = (float(arm[name].mean("seed").sum()) if "seed" in arm[name].dims else float(arm[name].sum())
                     for name in ("untrained_information", "information"))  # fmt: skip
    wanted, near = before / np.log(2), 1e-3
    known = {
        "That is in nats; divide by log 2.": before,
        "That is what the trained code carries; `untrained_information` is what it carried before its first step.":
            after / np.log(2),
        "That is one token's, on average; add up all of them.": wanted / arm.sizes["token"],
        "You multiplied by log 2; nats are divided by it to give bits.": before * np.log(2),
    }  # fmt: skip
    if abs(bits - wanted) <= near * wanted:
        return
    for words, wrong in known.items():
        if abs(bits - wrong) <= near * wrong:
            not_yet(f"`bits_before` is {bits:,.0f}. {words}")
    not_yet(f"`bits_before` is {bits:,.0f}; the tokens of the untrained code add up to another number.")
