"""``emoji``: one idea drawn by many artists. ``reader`` reads the bundled file; the other modules made it.

From source to file: ``recipe`` (what it is made of), ``sources``, ``matching``, ``drawing``, ``duplicates``,
``splits``, ``bundle`` (the format) and ``build``.
"""

from prior_lab.data.emoji.reader import DESCRIPTION, load_emoji

__all__ = ["DESCRIPTION", "load_emoji"]
