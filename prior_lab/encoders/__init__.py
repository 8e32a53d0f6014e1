"""Encoders, a file for each: images to the features of N tokens; and the decoders of the wavelet-space transformer."""

from prior_lab.encoders.flip import FlipEncoder, FlipShape, Places
from prior_lab.encoders.foveation import Patches
from prior_lab.encoders.wavelet import DecoderBank, Shape, WaveletEncoder, WaveletGrid

__all__ = ["DecoderBank", "FlipEncoder", "FlipShape", "Patches", "Places", "Shape", "WaveletEncoder", "WaveletGrid"]
