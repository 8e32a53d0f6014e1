"""A prefix as real bytes: images to files that may be cut anywhere, and back.

`compress` and `decompress` are the whole use of it; a `Codec` holds the tables of one model. `ranges` makes one stream
whose prefixes decode, `container` the file around it, `symbols` whole numbers of codes, `tables` and `foresight` how
likely those are, `targets` how many levels an image needs.
"""

from prior_lab.codec.codec import Codec, Received
from prior_lab.codec.files import Decompressed, codec_of, compress, decompress
from prior_lab.codec.measuring import measure_files, policy
from prior_lab.codec.targets import Forecast, Quality, Target, Worth

__all__ = [
    "Codec",
    "Decompressed",
    "Forecast",
    "Quality",
    "Received",
    "Target",
    "Worth",
    "codec_of",
    "compress",
    "decompress",
    "measure_files",
    "policy",
]
