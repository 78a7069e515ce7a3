"""Pictures of the simple street with the exact depth of every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from lircdepth_core.camera import Camera
from simple_scene.boxes import GROUND, SKY, Boxes, cast, image_windows, pass_through
from simple_scene.street import (
    FACADE,
    LANE_WIDTH,
    PARKING_EDGE,
    Material,
    street_coordinates,
)

TO_SUN = np.array([-0.35, 0.45, 0.82]) / np.linalg.norm([-0.35, 0.45, 0.82])
_SUNLIGHT = np.array([1.25, 1.15, 0.98], np.float32)
_SKYLIGHT = np.array([0.46, 0.53, 0.66], np.float32)
_HORIZON = np.array([0.62, 0.70, 0.80], np.float32)
_ZENITH = np.array([0.13, 0.30, 0.62], np.float32)
_HAZE = 900.0
_FAR = 200.0


@dataclass(frozen=True, eq=False)
class View:
    """Where a camera is.

    Attributes:
        camera: intrinsics.
        position: (3,) metres in the map frame.
        rotation: (3, 3) from the optical frame to the map frame.
    """

    camera: Camera
    position: np.ndarray
    rotation: np.ndarray


def render(boxes: Boxes, view: View, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Render one picture.

    Args:
        boxes: the street at the time of the picture.
        view: the camera.
        rng: for the sensor's noise.

    Returns:
        image (H, W, 3) uint8 RGB and depth (H, W) float32 in metres along the optical axis at the
        pixels' centres, +Inf at the sky.
    """
    camera = view.camera
    boxes = boxes.near(view.position, _FAR)
    directions = _directions(view)
    depth, hit = cast(view.position, directions, boxes, _windows(view, boxes.corners()))
    reach = np.where(hit == SKY, 0, depth)
    points = view.position.astype(np.float32)[:, None, None] + reach * directions
    sunny = _sunlit_ground(boxes, view, points, hit == GROUND).reshape(-1)

    # From here on pixels stand in one row and are taken by their numbers.
    rays, points = directions.reshape(3, -1), points.reshape(3, -1)
    hit, reach = hit.reshape(-1), reach.reshape(-1)
    footprint = reach / np.float32(camera.K[0, 0])
    light: np.ndarray = np.empty((hit.size, 3), np.float32)
    sky, ground = np.flatnonzero(hit == SKY), np.flatnonzero(hit == GROUND)
    light[sky] = _sky(rays[:, sky])
    across = footprint[ground]
    lengthwise = across * reach[ground] / np.float32(view.position[2])
    albedo = _ground(points[0, ground], points[1, ground], across, lengthwise)
    sun = _SUNLIGHT * np.float32(TO_SUN[2])
    light[ground] = albedo * (_SKYLIGHT + sun * sunny[ground, None])
    # `GROUND` and `SKY`, being negative, count from the end.
    materials = np.append(boxes.material, [-1, -1]).astype(np.int8)[hit]
    for material, paint in _PAINTS.items():
        seen = np.flatnonzero(materials == material)
        if seen.size:
            surface = _Surface.of(boxes, hit[seen], points[:, seen], footprint[seen])
            facing = np.maximum(TO_SUN.astype(np.float32) @ surface.normal, 0)[:, None]
            # Light from the sky is weaker near the ground, which holds a street together.
            open_sky = 0.75 + 0.25 * np.clip(surface.height / 4, 0, 1)[:, None]
            light[seen] = paint(surface) * (_SKYLIGHT * open_sky + _SUNLIGHT * facing)
    haze = 1 - np.exp(-reach / _HAZE)[:, None]
    light += haze * (_HORIZON - light)

    light = cv2.GaussianBlur(light.reshape(*depth.shape, 3), (0, 0), 0.6)
    noise = rng.standard_normal(depth.shape, np.float32)[..., None]
    image = 255 * _tone(light) + 1.6 * noise
    return np.clip(image + 0.5, 0, 255).astype(np.uint8), depth


def _tone(light: np.ndarray) -> np.ndarray:
    """Light to display values in [0, 1]: K. Narkowicz's fit of the ACES film curve, gamma 2.2."""
    light = 0.8 * light
    film = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    return np.clip(film, 0, 1) ** np.float32(1 / 2.2)


def _directions(view: View) -> np.ndarray:
    """(3, H, W) rays of unit depth through the pixels' centres, in the map frame."""
    K = view.camera.K
    x = ((np.arange(view.camera.width) - K[0, 2]) / K[0, 0]).astype(np.float32)
    y = ((np.arange(view.camera.height) - K[1, 2]) / K[1, 1]).astype(np.float32)
    columns = view.rotation.astype(np.float32)
    return np.stack([r[0] * x + (r[1] * y)[:, None] + r[2] for r in columns])


def _windows(view: View, points: np.ndarray) -> list:
    """`image_windows` of points in the map frame."""
    local = (points - view.position) @ view.rotation
    return image_windows(local, view.camera.K, view.camera.width, view.camera.height)


def _sunlit_ground(boxes: Boxes, view: View, points: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """(H, W) 1 where the sun reaches the ground and 0 where a box shades it."""
    sunny = ground.astype(np.float32)
    boxes = boxes[boxes.material != Material.TYRE]
    corners = boxes.corners()
    shadows = corners - corners[..., 2:] / TO_SUN[2] * TO_SUN
    towards = [np.float32(axis) for axis in TO_SUN]
    for index, window in enumerate(_windows(view, np.concatenate([corners, shadows], axis=1))):
        if window is None or not ground[window].any():
            continue
        start = [points[0][window], points[1][window], np.float32(0)]
        with np.errstate(divide="ignore", invalid="ignore"):
            enter, leave = pass_through(boxes, index, start, towards)
        sunny[window] *= ~((enter < leave) & (leave > 0))
    return sunny


def _sky(directions: np.ndarray) -> np.ndarray:
    """(N, 3) light of the sky in directions (3, N): a gradient and some clouds."""
    x, y, z = directions / np.linalg.norm(directions, axis=0)
    height = np.clip(z, 0.015, 1)
    blue = _HORIZON + (_ZENITH - _HORIZON) * (1 - np.exp(-4.0 * height))[:, None]
    cloud = _noise(x / height * 6, y / height * 6) + 0.5 * _noise(x / height * 23, y / height * 23)
    cover = np.clip(1.6 * cloud - 0.1, 0, 1) * np.clip(height * 5, 0, 1)
    return 1.25 * (blue + (np.float32(0.95) - blue) * (0.8 * cover)[:, None])


def _ground(
    x: np.ndarray, y: np.ndarray, footprint: np.ndarray, flatness: np.ndarray
) -> np.ndarray:
    """(N, 3) colour of the ground: lanes, parking bays, pavement and grass.

    Args:
        x: (N,) metres in the map frame.
        y: likewise.
        footprint: (N,) width of the pixel there in metres, across the view.
        flatness: (N,) its length in metres, along the view.
    """
    along, left = street_coordinates(x, y)
    aside = np.abs(left)
    coarse, fine = _detail(x, y, 1.3, flatness), _detail(x, y, 0.06, flatness)
    stains = _noise(x / 7, y / 7)
    asphalt = 0.115 + 0.02 * stains + 0.018 * coarse + 0.05 * fine
    # Tyres darken the two tracks of each lane.
    track = np.abs(np.abs(aside - LANE_WIDTH / 2) - 0.75)
    asphalt -= 0.018 * np.exp(-((track / 0.28) ** 2)) * (aside < LANE_WIDTH)
    colour = asphalt[:, None] * np.array([1.0, 1.0, 1.03], np.float32)

    wear = np.clip(0.86 + 0.35 * stains + 0.5 * fine, 0.35, 1)
    dash = _stripe((along % 9.0) - 4.5, 3.0, flatness)
    crossing = _stripe((along + 82.0) % 120.0 - 60.0, 3.2, flatness)
    centre = _stripe(left, 0.14, footprint) * dash * (1 - crossing)
    edge = _stripe(aside - LANE_WIDTH, 0.12, footprint) * (1 - crossing)
    bay = _stripe((along + 3.0) % 6.0 - 3.0, 0.1, flatness)
    bay = bay * ((aside > LANE_WIDTH) & (aside < PARKING_EDGE))
    zebra = crossing * _stripe(left % 1.0 - 0.5, 0.5, footprint) * (aside < LANE_WIDTH)
    paint = (np.clip(centre + edge + 0.8 * bay + zebra, 0, 1) * wear)[:, None]
    colour = colour + (np.float32(0.62) - colour) * paint

    seam = np.maximum(
        _stripe(along % 0.75 - 0.375, 0.02, flatness), _stripe(aside % 0.5 - 0.25, 0.02, footprint)
    )
    slab = _hash(np.floor(along / 0.75), np.floor(aside / 0.5)) * np.clip(0.6 - flatness, 0, 1)
    stone = (0.30 + 0.05 * slab + 0.04 * coarse + 0.05 * fine + 0.03 * stains) * (1 - 0.45 * seam)
    pavement = stone[:, None] * np.array([1.0, 0.96, 0.90], np.float32)
    kerb = (0.40 + 0.08 * fine) * (1 - 0.5 * _stripe(along % 1.0 - 0.5, 0.02, flatness))
    grass = (0.085 + 0.05 * fine + 0.03 * coarse)[:, None] * np.array([0.8, 1.25, 0.4], np.float32)

    colour = np.where((aside > PARKING_EDGE)[:, None], kerb[:, None], colour)
    colour = np.where((aside > PARKING_EDGE + 0.18)[:, None], pavement, colour)
    return np.where((aside > FACADE + 0.6)[:, None], grass, colour)


@dataclass(frozen=True, eq=False)
class _Surface:
    """N visible points on boxes.

    Attributes:
        number: (N,) of the box.
        across: (N,) metres along the face it lies on, from the face's middle.
        height: (N,) metres above the ground.
        local: (3, N) position relative to the box's half sizes, -1 to 1.
        half: (3, N) half sizes of the box, metres.
        face: (N,) 0 front or back, 1 left or right, 2 top or bottom.
        normal: (3, N) outward, in the map frame.
        colour: (N, 3) the box's colour.
        footprint: (N,) size of the pixel there, metres.
    """

    number: np.ndarray
    across: np.ndarray
    height: np.ndarray
    local: np.ndarray
    half: np.ndarray
    face: np.ndarray
    normal: np.ndarray
    colour: np.ndarray
    footprint: np.ndarray

    @staticmethod
    def of(boxes: Boxes, box: np.ndarray, points: np.ndarray, footprint: np.ndarray) -> _Surface:
        """From points (3, N) in the map frame that lie on the given boxes (N,)."""
        cos, sin = (f(boxes.yaw).astype(np.float32)[box] for f in (np.cos, np.sin))
        half = boxes.half.astype(np.float32).T[:, box]
        x, y, z = points - boxes.centre.astype(np.float32).T[:, box]
        metres = np.stack([cos * x + sin * y, cos * y - sin * x, z])
        # The axis on which the point lies farthest out is that of its face.
        face = np.argmax(np.abs(metres) - half, axis=0)
        local = metres / half
        sign = np.sign(np.take_along_axis(local, face[None], axis=0)[0])
        upright = (face < 2) * sign
        normal = np.stack(
            [
                np.where(face == 0, cos, -sin) * upright,
                np.where(face == 0, sin, cos) * upright,
                (face == 2) * sign,
            ]
        )
        return _Surface(
            number=boxes.number.astype(np.float32)[box],
            across=np.where(face == 0, metres[1], metres[0]),
            height=points[2],
            local=local,
            half=half,
            face=face,
            normal=normal,
            colour=boxes.colour.astype(np.float32)[box],
            footprint=footprint,
        )


def _house(surface: _Surface) -> np.ndarray:
    """Brick or plaster with a window per storey and bay, shops at street level, a flat roof."""
    storey, bay = np.float32(3.2), np.float32(2.7)
    footprint, box = surface.footprint, surface.number
    reach = np.where(surface.face == 0, surface.half[1], surface.half[0])
    across, height = surface.across + reach, surface.height
    bays = np.maximum(np.floor(2 * reach / bay), 1)
    across_bays = across / (2 * reach) * bays
    column, level = np.floor(across_bays), np.floor(height / storey)
    u = (across_bays - column - 0.5) * (2 * reach / bays)
    v = height - level * storey - storey / 2

    grain = _detail(across + 17 * box, height, 0.11, footprint)
    blotch = _noise(across / 3 + 5 * box, height / 3)
    course = np.floor(height / 0.22)
    mortar = np.maximum(
        _stripe(height % 0.22 - 0.11, 0.025, footprint),
        _stripe((across + 0.3 * (course % 2)) % 0.6 - 0.3, 0.025, footprint),
    )
    is_brick = _hash(box, box + 3) > 0
    tone = 1 + 0.10 * blotch + 0.22 * grain + np.where(is_brick, 0.22 * mortar, 0)
    wall = surface.colour * tone[:, None]
    ledge = _stripe(height - level * storey - 0.12, 0.2, footprint)
    wall = wall * (1 + 0.25 * ledge)[:, None]

    shop = level == 0
    wide = np.where(shop, bay * 0.39, 0.62).astype(np.float32)
    tall = np.where(shop, 1.15, 0.82).astype(np.float32)
    top = np.where(shop, v + 0.25, v)
    frame = _inside(np.abs(u), wide + 0.09, footprint) * _inside(
        np.abs(top), tall + 0.09, footprint
    )
    pane = _inside(np.abs(u), wide, footprint) * _inside(np.abs(top), tall, footprint)
    pane *= 1 - _stripe(u, 0.06, footprint) * ~shop
    chance = _hash(column + 31 * box, level + 7)
    reflection = (0.10 + 0.13 * np.clip(top / tall, -1, 1) + 0.10 * chance)[:, None]
    glass = np.clip(reflection, 0.02, 1) * np.array([0.75, 0.95, 1.2], np.float32)
    curtain = (chance > 0.25)[:, None] * np.array([0.30, 0.27, 0.22], np.float32)
    glass = glass + 0.45 * curtain * np.clip(0.4 + 0.6 * np.abs(u) / wide, 0, 1)[:, None]
    sign = shop * _inside(np.abs(height - 2.85), 0.26, footprint)
    tint = np.stack([_hash(box, box * k) for k in (2.0, 5.0, 11.0)], axis=-1)
    storeys = np.round((2 * surface.half[2] - 1.0) / storey)
    walled = (surface.face < 2) & (level < storeys)

    colour = wall + (np.float32(0.55) - wall) * (frame * walled)[:, None]
    colour = colour + (glass - colour) * (pane * walled)[:, None]
    colour = colour + (0.30 + 0.28 * tint - colour) * (sign * walled)[:, None]
    return np.clip(colour, 0.01, 1)


def _car_body(surface: _Surface) -> np.ndarray:
    """Paint with lamps and plates at the ends, a door line and a dark sill."""
    x, y, z = surface.local
    footprint = surface.footprint
    shine = 1 + 0.25 * z
    colour = surface.colour * shine[:, None]
    sill = _inside(z + 1, 0.28, footprint)
    colour = colour * (1 - 0.8 * sill)[:, None]
    end = surface.face == 0
    lamp = _inside(np.abs(np.abs(y) - 0.78), 0.17, footprint) * _inside(
        np.abs(z - 0.35), 0.25, footprint
    )
    red, white = np.array([1.0, 0.05, 0.03], np.float32), np.array([0.9, 0.9, 0.85], np.float32)
    colour = colour + (np.where((x > 0)[:, None], white, red) - colour) * (lamp * end)[:, None]
    plate = _inside(np.abs(y), 0.28, footprint) * _inside(np.abs(z + 0.25), 0.17, footprint)
    colour = colour + (np.float32(0.7) - colour) * (plate * end)[:, None]
    door = _stripe(np.abs(x + 0.05) * 2.15 - 0.55, 0.03, footprint) * (surface.face == 1)
    return colour * (1 - 0.6 * door)[:, None]


def _car_cabin(surface: _Surface) -> np.ndarray:
    """Dark windows between painted pillars and roof."""
    z, footprint = surface.local[2], surface.footprint
    reach = np.where(surface.face == 0, surface.half[1], surface.half[0])
    pane = _inside(np.abs(surface.across), reach - 0.09, footprint) * _inside(
        np.abs(z), 0.74, footprint
    )
    pane *= 1 - _stripe(surface.across - 0.05, 0.1, footprint) * (surface.face == 1)
    pane *= surface.face < 2
    glass = (0.05 + 0.06 * (z + 1))[:, None] * np.array([0.8, 0.95, 1.1], np.float32)
    return surface.colour + (glass - surface.colour) * pane[:, None]


def _tyre(surface: _Surface) -> np.ndarray:
    """A hub on black."""
    radius = np.hypot(surface.local[0], surface.local[2])
    hub = _inside(radius, 0.55, 3 * surface.footprint) * (surface.face == 1)
    return surface.colour + 0.3 * hub[:, None]


def _metal(surface: _Surface) -> np.ndarray:
    """Plain."""
    return surface.colour


def _hedge(surface: _Surface) -> np.ndarray:
    """Leaves."""
    leaves = _detail(surface.across + surface.local[1], surface.height, 0.07, surface.footprint)
    return surface.colour * (1 + 1.2 * leaves + 0.3 * surface.local[2])[:, None].clip(0.2)


_PAINTS = {
    Material.HOUSE: _house,
    Material.CAR_BODY: _car_body,
    Material.CAR_CABIN: _car_cabin,
    Material.TYRE: _tyre,
    Material.METAL: _metal,
    Material.HEDGE: _hedge,
}


def _inside(distance: np.ndarray, half: np.ndarray | float, footprint: np.ndarray) -> np.ndarray:
    """Share of a pixel for which distance < half."""
    return np.clip(0.5 + (half - distance) / np.maximum(footprint, 1e-4), 0, 1)


def _stripe(offset: np.ndarray, width: float, footprint: np.ndarray) -> np.ndarray:
    """Share of a pixel covered by a stripe of that width around offset 0."""
    covered = _inside(np.abs(offset), width / 2, footprint)
    return covered * np.minimum(width / np.maximum(footprint, 1e-4), 1)


_TILE = 512


def _make_noise() -> np.ndarray:
    """A tile of smooth noise of several octaves, mean 0, standard deviation 0.35, that repeats."""
    rng = np.random.default_rng(7)
    tile = np.zeros((_TILE, _TILE), np.float32)
    for octave in range(2, 8):
        size = 2**octave * 4
        grid = rng.normal(size=(size, size)).astype(np.float32)
        padded = np.pad(grid, 2, mode="wrap")
        zoom = _TILE // size
        big = cv2.resize(padded, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        tile += big[2 * zoom : 2 * zoom + _TILE, 2 * zoom : 2 * zoom + _TILE] / 1.6**octave
    return np.pad(0.35 * tile / tile.std(), ((0, 1), (0, 1)), mode="wrap")


_NOISE = _make_noise()
_NOISE_CELLS = 16


def _noise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Smooth noise whose coarsest features are about 1 wide; mean 0, standard deviation 0.35."""
    scale = np.float32(_TILE / _NOISE_CELLS)
    u, v = np.mod(x * scale, _TILE), np.mod(y * scale, _TILE)
    # cv2.remap takes no rows longer than 32767.
    row = 4096
    padding = -len(u) % row
    maps = [np.pad(axis.astype(np.float32), (0, padding)).reshape(-1, row) for axis in (u, v)]
    return cv2.remap(_NOISE, maps[0], maps[1], cv2.INTER_LINEAR).reshape(-1)[: len(u)]


def _detail(x: np.ndarray, y: np.ndarray, size: float, footprint: np.ndarray) -> np.ndarray:
    """Noise of that feature size in metres, fading out where pixels are larger than it."""
    return _noise(x / size, y / size) * np.clip(1.5 - 0.7 * footprint / size, 0, 1)


def _hash(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A pseudo-random number in [-1, 1) for each pair of whole numbers."""
    value = np.sin(a.astype(np.float64) * 12.9898 + b.astype(np.float64) * 78.233) * 43758.5453
    return (2 * (value - np.floor(value)) - 1).astype(np.float32)
