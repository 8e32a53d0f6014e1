"""What an exercise says to an answer."""

from textwrap import wrap
from typing import NoReturn

COLUMNS = 72  # that fit the narrowest window without a break within a word


class NotYet(Exception):
    """An answer that is missing or wrong, and in a sentence what is wrong with it.

    A notebook shows the sentence alone, and "run all" ends there.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return wrapped(f"Not yet. {self}")


def wrapped(text: str) -> list[str]:
    """A text in lines that fit a narrow window."""
    return wrap(text, COLUMNS, break_long_words=False, break_on_hyphens=False)


def right(why: str) -> None:
    """Print that an answer is right, and what it shows."""
    print("\n".join(wrapped(f"Right. {why}")))


def not_yet(why: str) -> NoReturn:
    """End a check: the answer is wrong, and why.

    Raises
    ------
    NotYet : always.
    """
    raise NotYet(why)


def require_answer(*answers: object) -> None:
    """Refuse an exercise that was left as it was.

    Raises
    ------
    NotYet : if one of the answers is still `...` or None.
    """
    if any(answer is ... or answer is None for answer in answers):
        not_yet("Fill in the cell above first, in place of the dots.")


def number(answer: object, noun: str) -> float:
    """An answer as a number.

    Raises
    ------
    NotYet : if it is not one, or was left as it was.
    """
    require_answer(answer)
    try:
        return float(answer)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        not_yet(f"{noun} should be a number, and is {type(answer).__name__}.")
