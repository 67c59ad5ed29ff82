"""The fur of one animal: its colour at every place of the body, with the signs of age, and its ragged edge."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from edge.simulate.appearance import Appearance
from edge.simulate.noise import noise_tile, sample, smoothstep
from edge.simulate.strains import Strain
from edge.simulate.truth import Light

Pixels = NDArray[np.float32]

_GREY_HAIR = (0.260, 0.250, 0.235)
_YELLOWED_HAIR = (0.60, 0.52, 0.36)  # an old white coat yellows
_GREY_HAIR_INFRARED = 0.46
_SCAB = (0.115, 0.030, 0.022)
_SCAB_INFRARED = 0.22
_PATCHES = 6  # places where hair may be lost with age
_NORMAL = NormalDist()


@dataclass(frozen=True)
class Palette:
    """Linear reflectances of one strain's parts in one light, float32 (C,): C is 3 in white light, 1 in infrared."""

    coat: Pixels
    grey_hair: Pixels
    skin: Pixels
    ear: Pixels
    tail: Pixels
    eye: Pixels
    scab: Pixels
    clouded_eye: Pixels

    @classmethod
    def of(cls, strain: Strain, light: Light, brightness: float) -> Palette:
        """The palette of a strain, the coat multiplied by the animal's own brightness."""
        if light == "infrared":
            single = [strain.coat_infrared * brightness**0.6, max(_GREY_HAIR_INFRARED, strain.coat_infrared * 0.9)]
            skin = strain.skin_infrared
            ear = 0.5 * skin + 0.35 * strain.coat_infrared
            single += [skin, ear, 0.42 * skin + 0.4 * strain.coat_infrared, strain.eye_infrared, _SCAB_INFRARED, 0.40]
            return cls(*(np.array([value], np.float32) for value in single))
        dark = sum(strain.coat) < 1.0
        colours = [
            tuple(min(channel * brightness, 0.85) for channel in strain.coat),
            _GREY_HAIR if dark else _YELLOWED_HAIR,
            strain.skin,
            strain.ear,
            strain.tail,
            strain.eye,
            _SCAB,
            (0.38, 0.39, 0.41),
        ]
        return cls(*(np.array(colour, np.float32) for colour in colours))


@dataclass(frozen=True, eq=False)
class Fur:
    """What the coat gives the renderer for n pixels, float32: colour (n, C); gloss, relief, ragged edge (n,)."""

    colour: Pixels
    gloss: Pixels
    relief_mm: Pixels
    edge_mm: Pixels


def grow_fur(
    appearance: Appearance,
    strain: Strain,
    palette: Palette,
    seed: int,
    at_mm: Pixels,
    left_mm: Pixels,
    length_mm: float,
    px_per_mm: float,
) -> Fur:
    """The coat at body coordinates: `at_mm` behind the snout and `left_mm` to the left, float32 (n,)."""
    rng = np.random.default_rng([seed, 0xF0])
    shift = rng.uniform(0, 64, 2).astype(np.float32)
    u = at_mm / np.float32(length_mm)
    # Hairs point backwards and outwards, so the pattern slants away from the midline on both sides.
    x = at_mm + shift[0]
    y = np.where(left_mm > 0, left_mm, np.float32(31.0) - left_mm) - 0.25 * at_mm + shift[1]
    fine = sample(noise_tile(1, 3.0, 0.42, px_per_mm), x, y)
    guard = sample(noise_tile(2, 3.6, 0.40, px_per_mm), x, y)
    clumps = sample(noise_tile(3, 5.5, 1.9, px_per_mm), x, y)
    regions = sample(noise_tile(4, 17.0, 13.0, 1.0), x, left_mm + shift[1])
    rough = np.float32(appearance.roughness)

    tone = 1.0 + 0.14 * fine
    if strain.banding:
        tone += strain.banding * 0.45 * np.maximum(guard, 0.0)
    # Staring, clumped hair swallows light: gaps between the clumps are dark, their tips stand out.
    tone *= (1.0 - 0.38 * rough) * (1.0 + rough * (0.42 * clumps + 0.12 * fine))
    colour = palette.coat * np.clip(tone, 0.15, 2.5)[..., None]
    _mix(colour, palette.grey_hair, _grey_hairs(appearance.greying, guard, regions, u))
    _mix(colour, palette.skin, _bare_skin(appearance.thinning, clumps, regions, u) * (1.0 + 0.15 * fine))
    bald = _bald(appearance, rng, at_mm, left_mm, length_mm, clumps)
    _mix(colour, palette.skin * np.float32(0.92), bald)
    _mix(colour, palette.scab, _wounds(appearance.wounds, rng, at_mm, left_mm, length_mm))
    return Fur(
        colour=colour,
        gloss=((1.0 - 0.85 * rough) * (1.0 - bald) * np.clip(1.0 + 0.5 * fine, 0.0, 2.0)).astype(np.float32),
        relief_mm=((0.10 + 0.55 * rough) * clumps * (1.0 - bald)).astype(np.float32),
        edge_mm=((0.18 + 0.25 * rough) * guard + (0.08 + 0.85 * rough) * clumps).astype(np.float32),
    )


def _mix(colour: Pixels, other: Pixels, share: Pixels) -> None:
    """Blend another colour (C,) into the pixels (n, C) in place, by share (n,)."""
    colour += (other - colour) * np.clip(share, 0.0, 1.0)[..., None]


def _grey_hairs(greying: float, guard: Pixels, regions: Pixels, u: Pixels) -> Pixels:
    """Share of grey: single guard hairs first, then more, earlier on the muzzle and in some regions of the back."""
    density = min(max(0.46 * greying, 0.002), 0.6)
    threshold = np.float32(_NORMAL.inv_cdf(1.0 - density)) - 0.55 * np.float32(greying) * (
        regions + np.maximum(0.0, 1.4 - 9.0 * u)
    )
    return smoothstep(threshold - 0.2, threshold + 0.5, guard) * np.float32(0.85)


def _bare_skin(thinning: float, clumps: Pixels, regions: Pixels, u: Pixels) -> Pixels:
    """Share of skin shining through between thinned hairs, more on the rump and behind the ears than elsewhere."""
    where = 0.45 + 0.35 * regions + 0.9 * np.exp(-(((u - 0.78) / 0.2) ** 2)) + 0.4 * np.exp(-(((u - 0.3) / 0.08) ** 2))
    gaps = smoothstep(-0.3, 1.3, -clumps)
    share: Pixels = (np.float32(0.50 * thinning) * np.clip(where, 0.0, 1.6) * (0.25 + 0.75 * gaps)).astype(np.float32)
    return share


def _ellipse(
    at_mm: Pixels, left_mm: Pixels, centre: tuple[float, float], radii: tuple[float, float], turn: float
) -> Pixels:
    """Distance from the centre in units of the ellipse's radius."""
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    dx, dy = at_mm - np.float32(centre[0]), left_mm - np.float32(centre[1])
    along, across = (dx * cos + dy * sin) / np.float32(radii[0]), (dy * cos - dx * sin) / np.float32(radii[1])
    distance: Pixels = np.sqrt(along * along + across * across)
    return distance


def _bald(
    appearance: Appearance, rng: np.random.Generator, at_mm: Pixels, left_mm: Pixels, length_mm: float, clumps: Pixels
) -> Pixels:
    """Share of bare skin: soft-edged patches that come with age, and a cleanly barbered area that does not."""
    bald = np.zeros_like(at_mm)
    places = rng.uniform((0.32, -0.42), (0.92, 0.42), (_PATCHES, 2))
    sizes, turns = rng.uniform(0.6, 1.4, (_PATCHES, 2)), rng.uniform(0, 3.1, _PATCHES)
    half_girth = appearance.girth_mm
    for number, (place, size, turn) in enumerate(zip(places, sizes, turns, strict=True)):
        grown = appearance.bald_patches * 5.0 - 0.8 * number
        if grown <= 0:
            continue
        radius = 5.0 * min(1.0, grown) * size
        centre = (place[0] * length_mm, place[1] * half_girth)
        distance = _ellipse(at_mm, left_mm, centre, (radius[0], radius[1] * 0.7), turn) + 0.12 * clumps
        bald = np.maximum(bald, 0.75 * smoothstep(-1.2, -0.7, -distance))
    if appearance.barbering > 0:
        # A cage mate plucks whiskers, cheeks and the back of the head, or a strip of the back: sharp borders, stubble
        # left.
        back = rng.random() < 0.4
        centre = (0.5 if back else 0.20) * length_mm, 0.0 if back else float(rng.choice([-1.0, 1.0])) * 4.0
        radii = (0.5 + 0.5 * appearance.barbering) * (17.0 if back else 11.0), (0.5 + 0.5 * appearance.barbering) * 6.0
        bald = np.maximum(bald, 0.6 * smoothstep(-1.04, -0.96, -_ellipse(at_mm, left_mm, centre, radii, 0.0)))
    return bald


def _wounds(severity: float, rng: np.random.Generator, at_mm: Pixels, left_mm: Pixels, length_mm: float) -> Pixels:
    """Share of scab: a few bites on the rump."""
    scab = np.zeros_like(at_mm)
    places = rng.uniform((0.6, -8.0), (0.95, 8.0), (4, 2))
    for place in places[: round(1 + 3 * severity) if severity > 0 else 0]:
        radius = 1.1 + 1.3 * severity
        distance = _ellipse(at_mm, left_mm, (place[0] * length_mm, place[1]), (radius * 1.3, radius), place[1])
        scab = np.maximum(scab, 0.8 * smoothstep(-1.3, -0.8, -distance))
    return scab
