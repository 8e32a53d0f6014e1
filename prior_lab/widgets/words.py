"""Sentences of summaries, in lines that a notebook beside a side bar has room for."""

import textwrap

WIDTH = 88  # characters; a notebook breaks longer lines anywhere, also in the middle of a number


def wrapped(sentence: str) -> list[str]:
    """The sentence in lines; all but the first are indented."""
    return textwrap.wrap(sentence, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
