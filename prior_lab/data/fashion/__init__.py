"""`fashion`: a bundled part of Fashion-MNIST, and `fashion-full`, all of it from the published files.

`files` reads what is published, `bundle` chooses and packs the part that is bundled, `reader` opens either.
"""

from prior_lab.data.fashion.reader import DESCRIPTION, DESCRIPTION_FULL, load_fashion, load_fashion_full

__all__ = ["DESCRIPTION", "DESCRIPTION_FULL", "load_fashion", "load_fashion_full"]
