"""A prefix as real bytes: images to files that may be cut anywhere, and back.

`compress` and `decompress` are the whole use of it; a `Codec` holds the tables of one model. `ranges` makes one stream
whose prefixes decode, `container` the file around it, `symbols` whole numbers of codes, `tables` and `foresight` how
likely those are, `targets` how many levels an image needs.

Examples
--------
>>> import prior_lab as pl
>>> model = pl.load_model("household/reconstruction/prior-ema-vq")
>>> codec = pl.codec.codec_of(model)
>>> [received] = codec.unpack(codec.pack(model.encode(pl.load_dataset("household", split="test").images[:1])))
>>> received.code
Code(1 images, 127 Indexed tokens of 32 channels)
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
