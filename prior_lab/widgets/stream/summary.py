"""The numbers of the stream explorer as text, and its curves as a table."""

from dataclasses import dataclass

import numpy as np

from prior_lab.widgets.stream.gallery import Page
from prior_lab.widgets.stream.state import StreamState
from prior_lab.widgets.stream.streams import Method, Stream
from prior_lab.widgets.words import wrapped


@dataclass(frozen=True)
class Outcome:
    """What files of a page are worth together.

    Attributes
    ----------
    bytes : of a file, on average.
    ssim : mean over those images that have a picture; not a number where none has.
    reached : how many reach the target.
    """

    bytes: float
    ssim: float
    reached: int


def own_ends(method: Method, target: float) -> Outcome:
    """Every file ends with the level that reaches the target."""
    places = [stream.last(target) for stream in method.streams]
    return _outcome(method, places, target)


def same_cut(method: Method, target: float, cut: int) -> Outcome:
    """Every file is cut at the same byte."""
    places = [stream.at(cut) for stream in method.streams]
    found = _outcome(method, places, target)
    return Outcome(float(np.mean([min(cut, len(stream.file)) for stream in method.streams])), found.ssim, found.reached)


def _outcome(method: Method, places: list[int], target: float) -> Outcome:
    pairs = [(stream, at) for stream, at in zip(method.streams, places, strict=True) if at >= 0]
    worth = [stream.ssim[at] for stream, at in pairs]
    size = sum(stream.needs[at] for stream, at in pairs) / len(places)
    return Outcome(size, float(np.mean(worth)) if worth else np.nan, sum(value >= target for value in worth))


def shown_place(stream: Stream, state: StreamState, kind: str) -> int:
    """The picture on screen, or -1."""
    at = stream.at(state.cut)
    return min(at, stream.last(state.target)) if state.adaptive and kind == "arm" else at


def summary_text(name: str, page: Page, state: StreamState) -> str:
    """The bytes, every method, the chosen file and, if it is on, the adaptive policy."""
    share = 100 * state.cut / page.raw
    lines = [f"{name}: {state.cut} bytes of each file ({share:.2f} % of {page.raw:,} raw)", ""]
    count = len(page.captions)
    lines += wrapped(f"{count} image{'s' * (count > 1)} shown: {', '.join(page.captions)}")
    width = max(len(method.label) for method in page.methods)
    lines += [f"  {method.label:<{width}}  {_row(method, state)}" for method in page.methods]
    lines += wrapped(page.origins)
    arm, image = state.chosen
    method = page.arms[arm]
    words = file_text(method.streams[image], state)
    lines += ["", *wrapped(f"File of {page.captions[image]} by {method.label}: {words}")]
    if state.adaptive:
        lines += ["", f"Files that end with the first level of SSIM {state.target:g}, and files cut at the same size:"]
        lines += [line for method in page.arms for line in _policy(method, state.target, width)]
    return "\n".join(lines)


def _row(method: Method, state: StreamState) -> str:
    """What is there of each image."""
    places = [shown_place(stream, state, method.kind) for stream in method.streams]
    there = [stream.ssim[at] for stream, at in zip(method.streams, places, strict=True) if at >= 0]
    if not there:
        needs = min((stream.needs[0] for stream in method.streams if stream.needs), default=None)
        return "nothing yet" if needs is None else f"needs {needs} bytes or more"
    extent = {"arm": "levels", "scans": "scans", "file": "bytes"}[method.kind]
    numbers = [
        str((stream.needs[at] if method.kind == "file" else at + 1) if at >= 0 else 0)
        for stream, at in zip(method.streams, places, strict=True)
    ]
    images = f" of {len(there)} of {len(places)} images" if len(there) < len(places) else ""
    return f"SSIM {np.mean(there):.3f}{images}; {extent} {', '.join(numbers)}"


def file_text(stream: Stream, state: StreamState) -> str:
    """How far one file has come."""
    size = stream.needs[stream.last(state.target)] if state.adaptive else len(stream.file)
    if state.cut >= size:
        return f"all of its {size} bytes are there."
    whole = stream.at(state.cut)
    start = stream.needs[whole] if whole >= 0 else 0
    end = stream.needs[whole + 1]
    noun = "level 0 with the header" if whole < 0 else f"level {whole + 1}"
    return (
        f"{size} bytes; {whole + 1} of {stream.steps} levels are whole, {state.cut - start} of {end - start} bytes of "
        f"{noun} are there."
    )


def _policy(method: Method, target: float, width: int) -> list[str]:
    own, count = own_ends(method, target), len(method.streams)
    cut = round(own.bytes)
    same = same_cut(method, target, cut)
    rows = (("own ends", own), (f"cut at {cut}", same))
    return [
        f"  {method.label:<{width}}  {words:<10}  {one.bytes:6.1f} bytes  SSIM {one.ssim:.3f}  {one.reached} of {count}"
        for words, one in rows
    ]
