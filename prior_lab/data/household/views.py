"""Where camera and lamp stand for every frame of a turntable track.

Everything is a function of the piece's identifier and of the proportions of its mesh. Pseudo-random numbers come from
SHA-256, and sines and cosines are rounded to multiples of 2^-20, so no other machine gets another pixel.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from prior_lab.data.household.bundle import FRAMES

GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class View:
    """One frame: unit vectors of the camera (right, up, towards the camera) and towards the lamp, all in world axes.

    ``fill`` is the share of the frame's side that the longer side of the projected object covers; ``shift`` moves it
    off the middle, as a share of the room that is left.
    """

    camera: Float64[np.ndarray, "3 3"]
    lamp: Float64[np.ndarray, "3"]
    fill: float
    shift: tuple[float, float]


@dataclass(frozen=True)
class _Orbit:
    """Ranges of the camera's azimuth (middle and width) and elevation [degree]."""

    middle: float
    width: float
    lowest: float
    highest: float


def plan_track(identifier: str, size: tuple[float, float, float], *, frontal: bool = False) -> tuple[View, ...]:
    """The 16 views of one piece.

    Parameters
    ----------
    identifier : seeds everything that varies.
    size : width, height and depth of the piece; flat and long ones are not shown edge-on.
    frontal : show the front only, for what is let into a wall.
    """
    orbit = _orbit(size, frontal)
    start = _uniform(f"{identifier}:start")
    return tuple(_view(f"{identifier}:{frame}", frame, orbit, start) for frame in range(FRAMES))


def _orbit(size: tuple[float, float, float], frontal: bool) -> _Orbit:
    width, height, depth = size
    shorter, longer = min(width, depth), max(width, depth)
    front = 0.0 if depth <= width else 90.0
    if frontal:
        return _Orbit(0.0, 110.0, 4.0, 32.0)
    if height < 0.02 * longer:
        return _Orbit(0.0, 360.0, 50.0, 75.0)
    if height < 0.12 * shorter:
        return _Orbit(0.0, 360.0, 40.0, 65.0)
    if height < 0.35 * shorter:
        return _Orbit(0.0, 360.0, 24.0, 55.0)
    if shorter < 0.3 * longer and height < 0.3 * longer:
        return _Orbit(front, 124.0, 25.0, 55.0)
    if shorter < 0.3 * min(longer, height):
        return _Orbit(front, 110.0, 4.0, 32.0)
    if height > 8.0 * longer:
        return _Orbit(0.0, 360.0, 30.0, 55.0)
    return _Orbit(0.0, 360.0, 5.0, 40.0)


def _view(key: str, frame: int, orbit: _Orbit, start: float) -> View:
    full_circle = orbit.width == 360.0
    place = (frame + start) / FRAMES if full_circle else (frame + start) / FRAMES - 0.5
    azimuth = orbit.middle + orbit.width * place
    rank = (start + frame * GOLDEN) % 1.0
    elevation = orbit.lowest + (orbit.highest - orbit.lowest) * rank
    lamp_azimuth = azimuth - 75.0 + 150.0 * _uniform(f"{key}:lamp azimuth")
    lamp_elevation = 30.0 + 40.0 * _uniform(f"{key}:lamp elevation")
    return View(
        camera=_camera(azimuth, elevation),
        lamp=_direction(lamp_azimuth, lamp_elevation),
        fill=0.80 + 0.12 * _uniform(f"{key}:fill"),
        shift=(_uniform(f"{key}:right") - 0.5, _uniform(f"{key}:up") - 0.5),
    )


def _camera(azimuth: float, elevation: float) -> Float64[np.ndarray, "3 3"]:
    sin_a, cos_a, sin_e, cos_e = _sine(azimuth), _sine(azimuth + 90), _sine(elevation), _sine(elevation + 90)
    return np.array(
        [[cos_a, 0.0, -sin_a], [-sin_a * sin_e, cos_e, -cos_a * sin_e], [sin_a * cos_e, sin_e, cos_a * cos_e]]
    )


def _direction(azimuth: float, elevation: float) -> Float64[np.ndarray, "3"]:
    return _camera(azimuth, elevation)[2]


def _sine(degrees: float) -> float:
    return round(math.sin(math.radians(degrees)) * 2**20) / 2**20


def _uniform(key: str) -> float:
    """A number in [0, 1) that depends on nothing but the key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
