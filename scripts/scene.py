"""Streets for `render.py`: road, pavements, buildings, trees, cars, trucks, people, traffic lights, and their places
along a road. Traffic keeps right. The camera drives in the lane around x = 0. All random numbers come from the
generator that is passed in."""

from dataclasses import dataclass, field

import numpy as np

from render import Face, Item, Lamp, Puff, Surface, Texture, mix, plain, smoothstep

LANE = 3.5
CAR_PAINTS = [
    (0.70, 0.70, 0.70),
    (0.03, 0.03, 0.035),
    (0.25, 0.26, 0.28),
    (0.42, 0.03, 0.03),
    (0.04, 0.09, 0.30),
    (0.55, 0.55, 0.52),
    (0.05, 0.06, 0.08),
    (0.30, 0.27, 0.20),
    (0.04, 0.14, 0.10),
]
WALLS = [
    (0.42, 0.22, 0.15),
    (0.52, 0.46, 0.36),
    (0.36, 0.36, 0.38),
    (0.60, 0.56, 0.50),
    (0.30, 0.16, 0.12),
    (0.46, 0.38, 0.26),
]
CLOTHES = [
    (0.05, 0.06, 0.12),
    (0.45, 0.08, 0.06),
    (0.55, 0.52, 0.45),
    (0.06, 0.16, 0.12),
    (0.10, 0.10, 0.11),
    (0.55, 0.38, 0.08),
]
GLASS = plain((0.012, 0.015, 0.018), gloss=0.9)
RUBBER = plain((0.015, 0.015, 0.016))


@dataclass
class Street:
    """The layout of a street, and its lit lamps."""

    lanes_left: int = 1
    lanes_right: int = 0  # further lanes to the right of the camera's
    bend: float = 0.0  # the road's centre is at bend z^2
    pavement: float = 3.0
    centre_colour: tuple = (0.55, 0.38, 0.05)
    verge: tuple = (0.075, 0.095, 0.035)
    season: str = "summer"  # summer, autumn or winter
    lit: bool = False
    lamp_power: float = 40.0
    lane: float = LANE
    items: list = field(default_factory=list)
    lamps: list = field(default_factory=list)

    def left(self):
        return -self.lane * (0.5 + self.lanes_left)

    def right(self):
        return self.lane * (0.5 + self.lanes_right)

    def at(self, x, z, y=0.0):
        return np.array([x + self.bend * z * z, y, z], np.float32)

    def yaw(self, z):
        return np.arctan(2 * self.bend * z)


# --- shapes ----------------------------------------------------------------------------------------------------------


def vec(*xyz):
    return np.array(xyz, np.float32)


def box(low, high, material, roof=None):
    """Upright box without its floor."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    w, h, d = vec(x1 - x0, 0, 0), vec(0, y1 - y0, 0), vec(0, 0, z1 - z0)
    return [
        Face(vec(x0, y0, z0), w, h, material),
        Face(vec(x0, y0, z1), w, h, material),
        Face(vec(x0, y0, z0), d, h, material),
        Face(vec(x1, y0, z0), d, h, material),
        Face(vec(x0, y1, z0), w, d, roof or material),
    ]


def loft(rings, materials, closed=False):
    """A smooth-shaded skin over rings of points (rings, points, 3). `materials(i, j)` is the material of a cell."""
    if closed:
        rings = np.concatenate([rings, rings[:, :1]], 1)
    normal = np.cross(np.gradient(rings, axis=0), np.gradient(rings, axis=1))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    faces = []
    for i in range(rings.shape[0] - 1):
        for j in range(rings.shape[1] - 1):
            m = materials(i, j)
            for o, a, b in (((i, j), (i, j + 1), (i + 1, j)), ((i + 1, j + 1), (i + 1, j), (i, j + 1))):
                faces.append(
                    Face(
                        rings[o],
                        rings[a] - rings[o],
                        rings[b] - rings[o],
                        m,
                        True,
                        np.stack([normal[o], normal[a], normal[b]]),
                    )
                )
    return faces


def fan(ring, material):
    """Flat cap over a ring."""
    centre = ring.mean(0)
    return [Face(centre, p - centre, q - centre, material, True) for p, q in zip(ring, np.roll(ring, -1, 0))]


def tube(start, end, radius_start, radius_end, material, sides=7):
    """Truncated cone without caps."""
    start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
    axis = (end - start) / np.linalg.norm(end - start)
    e1 = np.cross(axis, [0.3, 0.1, 0.95])
    e1 /= np.linalg.norm(e1)
    e2 = np.cross(axis, e1)
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    circle = np.cos(a) * e1 + np.sin(a) * e2
    return loft(
        np.stack([start + radius_start * circle, end + radius_end * circle]).astype(np.float32),
        lambda i, j: material,
        True,
    )


def ball(centre, radius, material, sides=8):
    lat = np.linspace(-1.45, 1.45, 6)
    a = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = [np.stack([np.cos(l) * np.cos(a), np.full(sides, np.sin(l)), np.cos(l) * np.sin(a)], -1) for l in lat]
    return loft((np.asarray(centre) + radius * np.array(ring)).astype(np.float32), lambda i, j: material, True)


def place(faces, position, yaw=0.0, flip=False):
    """Turns faces about the vertical (half a turn more with flip) and moves them."""
    yaw = yaw + (np.pi if flip else 0)
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]], np.float32)
    for f in faces:
        f.origin, f.a, f.b = f.origin @ turn + position, f.a @ turn, f.b @ turn
        if f.normals is not None:
            f.normals = f.normals @ turn
    return faces


# --- ground ----------------------------------------------------------------------------------------------------------


def ground(rng, street):
    """Asphalt with wheel paths, patches and marks; kerb, paving slabs, grass."""
    fine, coarse, grass = Texture(rng, 0.012, 0.55), Texture(rng, 0.06, 1.2), Texture(rng, 0.02, 0.8)
    seams = Texture(rng, 0.03, 1.7)

    def material(s, t, points, footprint):
        z = points[:, 2]
        x = points[:, 0] - street.bend * z * z
        rough = 1 + 0.30 * fine.sample(x, z, footprint) + 0.16 * coarse.sample(x, z * 0.3, footprint)
        lane = np.abs((x / street.lane + 0.5) % 1 - 0.5) * street.lane  # distance from the middle of a lane
        wheel = np.exp(-(((lane - 0.8) / 0.3) ** 2))
        crack = np.exp(-((seams.sample(x, z, footprint) / 0.035) ** 2)) * (footprint < 0.05)
        asphalt = (0.105 * rough * (1 - 0.14 * wheel) * (1 - 0.35 * crack))[:, None] * vec(1.0, 0.99, 0.97)
        asphalt = road_marks(
            street, asphalt, x, z, footprint, smoothstep(1.4, 0.6, np.abs(fine.sample(x * 2, z * 2, footprint)))
        )
        out = np.maximum(street.left() - x, x - street.right())
        slab = ((z % 0.9 < 0.03) | (out % 0.9 < 0.03)) & (footprint < 0.06)
        paving = (0.26 * rough * (1 - 0.45 * slab))[:, None] * vec(1, 0.96, 0.9)
        paving = mix(paving, vec(0.36, 0.35, 0.33) * rough[:, None], (out < 0.16)[:, None])
        blades = 1 + 0.30 * grass.sample(x, z, footprint) + 0.25 * coarse.sample(x, z, footprint)
        green = np.clip(blades, 0.25, 2)[:, None] * np.array(street.verge, np.float32)
        albedo = np.where((out < 0)[:, None], asphalt, np.where((out < street.pavement)[:, None], paving, green))
        return Surface(np.clip(albedo, 0.01, 0.95), gloss=np.where(out < street.pavement, 0.05, 0.0))

    return Item([Face(vec(-500, 0, -5), vec(1000, 0, 0), vec(0, 0, 905), material)], "ground", shadow=False)


def road_marks(street, asphalt, x, z, footprint, wear):
    """Edge lines, dashed lane lines, and a solid line towards oncoming traffic."""

    def line(at, half, on=True):
        soft = np.maximum(footprint, 0.01)
        return np.clip((half - np.abs(x - at)) / soft + 0.5, 0, 1) * on * (0.65 + 0.35 * wear)

    dash = (z % 9.0) < 3.5
    white, yellow = np.zeros_like(x), line(-street.lane / 2 - 0.12, 0.06) + line(-street.lane / 2 + 0.12, 0.06)
    for k in range(1, street.lanes_left):
        white = np.maximum(white, line(-street.lane * (k + 0.5), 0.06, dash))
    for k in range(street.lanes_right):
        white = np.maximum(white, line(street.lane * (k + 0.5), 0.06, dash))
    for at in (street.left() + 0.3, street.right() - 0.3):
        white = np.maximum(white, line(at, 0.06))
    asphalt = mix(asphalt, np.array(street.centre_colour, np.float32), np.clip(yellow, 0, 1)[:, None])
    return mix(asphalt, vec(0.62, 0.62, 0.60), white[:, None])


def hills(rng, distance, height, colour, roughness=1.2):
    """A far ridge with a fractal outline, standing across the view."""
    profile = Texture(rng, distance / 300, roughness + 0.3)
    wood = Texture(rng, distance / 500, 0.7)

    def material(s, t, points, footprint):
        ridge = (
            0.55
            + 0.2 * profile.sample(points[:, 0] * 0.4, np.float32(3.0), 0)
            + 0.03 * wood.sample(points[:, 0], np.float32(0), 0)
        )
        shade = np.clip(1 + 0.35 * wood.sample(points[:, 0], points[:, 1], footprint), 0.3, 2)
        lean = np.broadcast_to(vec(0.1, 0.75, -0.65), points.shape)
        return Surface(shade[:, None] * np.array(colour, np.float32), keep=t < ridge, normal=lean)

    return Item(
        [Face(vec(-distance * 1.2, 0, distance), vec(distance * 2.4, 0, 0), vec(0, height, 0), material)], shadow=False
    )


# --- what stands beside the road -------------------------------------------------------------------------------------


def dice(u, v, seed):
    """A number in 0..1 for every cell of a grid."""
    cell = np.floor(u).astype(np.int64) * 73856093 ^ np.floor(v).astype(np.int64) * 19349663 ^ seed
    return (np.abs(cell * 2654435761) >> 7) % 1000 / 1000


def facade(rng, wall, storey, bay, lit, shop):
    """A wall with a grid of windows with frames and sills, some of them lit, and perhaps shops at street level."""
    stain, brick = Texture(rng, 0.05, 1.3), Texture(rng, 0.03, 0.3)
    seed = int(rng.integers(1 << 30))
    shop_colour = rng.uniform(0.05, 0.5, 3)

    def material(s, t, points, footprint):
        along, up = points[:, 0] + points[:, 2], points[:, 1]
        u, v = (along / bay) % 1, (up / storey) % 1
        chance = dice(along / bay, up / storey, seed)
        street_level = (up < storey) & shop
        window = np.where(
            street_level,
            (np.abs(u - 0.5) < 0.42) & (v > 0.12) & (v < 0.72),
            (np.abs(u - 0.5) < 0.27) & (v > 0.28) & (v < 0.82),
        )
        frame = (
            window
            & ((np.abs(np.abs(u - 0.5) - 0.27) < 0.025) | (np.abs(u - 0.5) < 0.015) | (np.abs(v - 0.55) < 0.015))
            & ~street_level
        )
        sill = (np.abs(u - 0.5) < 0.32) & (v > 0.23) & (v <= 0.28) & ~street_level
        ledge = (v > 0.95) & (up > storey * 0.9)
        rough = (
            1 + 0.09 * stain.sample(along, up * 0.4, footprint) + 0.22 * brick.sample(along * 0.5, up * 2, footprint)
        )
        albedo = rough[:, None] * np.array(wall, np.float32)
        albedo = mix(albedo, albedo * 1.35 + 0.03, (sill | ledge)[:, None])
        albedo = mix(albedo, shop_colour.astype(np.float32), (street_level & (v > 0.74) & (v < 0.93))[:, None])
        curtain = 0.03 + 0.12 * (chance[:, None] > 0.6) * vec(1, 0.95, 0.85)
        # A shop window shows shelves with goods of all sizes.
        goods = (
            dice(along / 0.55, up / 0.4, seed)
            * dice(along / 0.17, up / 0.13, seed + 1)
            * smoothstep(0.02, 0.005, footprint - 0.01)
        )
        goods = 0.15 * goods + 0.02
        albedo = mix(
            albedo, np.where(street_level[:, None], goods[:, None] * vec(1, 0.85, 0.75), curtain), window[:, None]
        )
        albedo = mix(albedo, vec(0.55, 0.54, 0.52), frame[:, None])
        glass = window & ~frame
        on = glass & (chance < np.where(street_level, 0.8, 0.22)) if lit else np.zeros_like(glass)
        tone = np.where((chance * 10 % 1 < 0.7)[:, None], vec(1.0, 0.58, 0.22), vec(0.75, 0.85, 1.0))
        # Rooms are brighter near the ceiling lamp and full of dark things.
        room = np.clip(0.45 + 0.8 * (v - 0.4), 0.1, 1) * np.where(street_level, 0.25 + 5 * goods, 1)
        glow = on[:, None] * tone * (room * (0.05 + 0.35 * (chance * 37 % 1)))[:, None]
        return Surface(np.clip(albedo, 0.01, 0.9), gloss=np.where(glass, 0.8, 0.0), glow=glow)

    return material


def building(rng, street, side, z, length, gap, height=None):
    """Terraced house or block with its face towards the road."""
    height = height or rng.uniform(6.5, 14)
    wall = np.array(WALLS[rng.integers(len(WALLS))]) * rng.uniform(0.7, 1.05)
    material = facade(rng, wall, rng.uniform(2.9, 3.4), rng.uniform(2.2, 3.2), street.lit, rng.random() < 0.6)
    roof = plain((0.12, 0.09, 0.08))
    edge = street.at(street.right() + gap if side > 0 else street.left() - gap, z)[0]
    x0, x1 = (edge, edge + 12) if side > 0 else (edge - 12, edge)
    parts = box((x0, 0, z), (x1, height, z + length), material, roof)
    if rng.random() < 0.5:  # saddle roof with its ridge along the road
        rise, mid = rng.uniform(1.5, 3), (x0 + x1) / 2
        tiles = plain(np.array([0.20, 0.09, 0.06]) * rng.uniform(0.5, 1.2))
        for x in (x0, x1):
            parts.append(Face(vec(x, height, z), vec(mid - x, rise, 0), vec(0, 0, length), tiles))
        parts.append(Face(vec(x0, height, z), vec(x1 - x0, 0, 0), vec((x1 - x0) / 2, rise, 0), plain(wall), True))
    else:
        parts += box(
            (x0 - 0.15, height, z - 0.1), (x1 + 0.15, height + 0.45, z + length + 0.1), plain(wall * 0.8), roof
        )
    return Item(parts)


def leaf_colour(rng, season):
    if season == "autumn":
        return np.array([[0.22, 0.10, 0.02], [0.16, 0.11, 0.03], [0.08, 0.09, 0.03]][rng.integers(3)]) * rng.uniform(
            0.7, 1.1
        )
    return np.array([0.055, 0.105, 0.025]) * rng.uniform(0.6, 1.25) * np.array([rng.uniform(0.8, 1.3), 1, 1])


def broadleaf(rng, street, x, z, height=None):
    """A trunk and a crown of leafy balls on a rough ellipsoid."""
    height = height or rng.uniform(5, 9)
    foot = street.at(x, z)
    bark, colour, grain = plain((0.07, 0.055, 0.04)), leaf_colour(rng, street.season), Texture(rng, 0.035, 0.75, 256)
    parts = tube(foot, foot + vec(0, height * 0.5, 0), 0.02 * height, 0.012 * height, bark)
    count = int(np.clip(2600 / z, 26, 90))
    size = vec(0.30, 0.33, 0.30) * height
    for _ in range(count):
        d = rng.normal(size=3)
        d = d / np.linalg.norm(d) * rng.random() ** 0.4
        centre = foot + vec(0, height * 0.64, 0) + d * size
        radius = height * rng.uniform(0.07, 0.13) * (90 / count) ** 0.25
        inner = 0.6 + 0.4 * np.linalg.norm(d)  # leaves inside the crown lie in its shade
        parts.append(
            Puff(centre.astype(np.float32), radius, (colour * inner * rng.uniform(0.75, 1.2)).astype(np.float32), grain)
        )
    return Item(parts)


def conifer(rng, street, x, z, height=None):
    height = height or rng.uniform(6, 13)
    foot, grain = street.at(x, z), Texture(rng, 0.04, 0.7, 256)
    colour = np.array([0.025, 0.05, 0.022]) * rng.uniform(0.7, 1.2)
    parts = tube(foot, foot + vec(0, height * 0.4, 0), 0.15, 0.1, plain((0.05, 0.035, 0.025)), 5)
    for k in np.linspace(0.12, 1, int(np.clip(900 / z, 14, 26))):
        for a in rng.uniform(0, 2 * np.pi, max(1, int(4 * (1.1 - k) + 1))):
            reach = 0.20 * height * (1.02 - k)
            centre = foot + vec(reach * np.cos(a) * 0.8, height * k, reach * np.sin(a) * 0.8)
            parts.append(
                Puff(centre.astype(np.float32), 0.055 * height * (1.2 - k) + 0.3, colour.astype(np.float32), grain)
            )
    return Item(parts)


def bare_tree(rng, street, x, z, height=None):
    """Branches that halve in thickness as they fork, each a thin tube; far trees fork less often."""
    height = height or rng.uniform(5, 9)
    bark, parts = plain((0.055, 0.045, 0.04)), []
    depth = 6 if z < 18 else 5 if z < 40 else 4

    def grow(start, direction, length, radius, level):
        end = start + direction * length
        parts.extend(
            tube(start, end, max(radius, 0.0004 * z), max(radius * 0.65, 0.0004 * z), bark, 5 if level > 3 else 3)
        )
        if level == 0:
            return
        for _ in range(2 + (rng.random() < 0.45)):
            bent = direction + rng.normal(0, 0.42, 3) + vec(0, 0.06, 0)
            grow(end, bent / np.linalg.norm(bent), length * rng.uniform(0.62, 0.85), radius * 0.6, level - 1)

    grow(street.at(x, z), vec(0, 1, 0), height * 0.27, height * 0.018, depth)
    return Item(parts)


def tree(rng, street, x, z, height=None):
    if street.season == "winter":
        kind = bare_tree if rng.random() < 0.7 else conifer
    else:
        kind = broadleaf if rng.random() < 0.85 else conifer
    return kind(rng, street, x, z, height)


def hedge(rng, street, x, start, end, height=1.2):
    """A row of leafy balls along the road."""
    grain, colour, parts = Texture(rng, 0.03, 0.7, 256), leaf_colour(rng, street.season), []
    z = start
    while z < end:
        for y in np.arange(0.3, height, 0.55):
            tone = (colour * rng.uniform(0.7, 1.2)).astype(np.float32)
            parts.append(Puff(street.at(x + rng.normal(0, 0.2), z, y), rng.uniform(0.4, 0.6), tone, grain))
        z += 0.35 + z * 0.02
    return Item(parts)


def street_lamp(street, x, z, colour=(1.0, 0.55, 0.18)):
    """A mast with an arm over the road; sodium light where the street is lit (its line at 589 nm is orange)."""
    foot, steel = street.at(x, z), plain((0.16, 0.17, 0.17), 0.1)
    reach = -1.8 if x > 0 else 1.8
    head = foot + vec(reach, 7.1, 0)
    parts = tube(foot, foot + vec(0, 7, 0), 0.09, 0.05, steel) + tube(foot + vec(0, 7, 0), head, 0.05, 0.04, steel, 5)
    glow = np.array(colour) * (40 if street.lit else 0)
    parts += box(head - vec(0.35, 0.12, 0.15), head + vec(0.35, 0, 0.15), plain((0.3, 0.3, 0.3), 0, glow))
    if street.lit:
        street.lamps.append(
            Lamp(tuple(head - vec(0, 0.2, 0)), tuple(np.array(colour) * street.lamp_power), (0, -1, 0), 0.1)
        )
    return Item(parts)


def traffic_light(street, x, z, state=0, height=2.6):
    """Pole and housing. Only the housing is a labelled object. `state`: 0 green, 1 amber, 2 red."""
    foot, black = street.at(x, z), plain((0.02, 0.022, 0.02))
    base = foot + vec(0, height, 0)
    pole = Item(tube(foot, base + vec(0, 0.1, 0), 0.07, 0.06, plain((0.05, 0.06, 0.05))))
    parts = box(base - vec(0.18, 0, 0.1), base + vec(0.18, 0.95, 0.1), black)
    for k, colour in enumerate([(0.05, 0.9, 0.35), (1.0, 0.5, 0.03), (1.0, 0.06, 0.03)]):
        glow = np.array(colour) * (6.0 if k == state else 0.03)
        parts.append(
            disc(base + vec(0, 0.18 + 0.3 * k, -0.115), 0.12, vec(1, 0, 0), plain(np.array(colour) * 0.1, 0.2, glow))
        )
    if street.lit:
        street.lamps.append(
            Lamp(
                tuple(base + vec(0, 0.3, -0.4)),
                tuple(np.array([(0.05, 0.9, 0.35), (1.0, 0.5, 0.03), (1.0, 0.06, 0.03)][state]) * 3),
            )
        )
    return [pole, Item(parts, "traffic light")]


def disc(centre, radius, across, material, rim=None):
    """Upright disc; `across` is its horizontal direction. With a rim the outer third has that material's albedo."""

    def cut(s, t, points, footprint):
        r = np.hypot(s - 0.5, t - 0.5) * 2
        surface = material(s, t, points, footprint)
        albedo = surface.albedo
        if rim is not None:
            spoke = 0.45 + 0.55 * (np.cos(np.arctan2(t - 0.5, s - 0.5) * 5) > -0.2)
            albedo = np.where((r > 0.64)[:, None], rim, albedo * spoke[:, None])
        return Surface(albedo, surface.gloss, surface.glow, r <= 1)

    return Face(
        np.asarray(centre - radius * across - vec(0, radius, 0), np.float32),
        2 * radius * across,
        vec(0, 2 * radius, 0),
        cut,
    )


# --- road users ------------------------------------------------------------------------------------------------------

# Side views: (z, height of the upper outline) from rear to front, in metres.
BODIES = {
    "saloon": [
        (-2.25, 0.55),
        (-2.25, 0.88),
        (-2.15, 0.98),
        (-1.65, 1.02),
        (-0.95, 1.40),
        (-0.4, 1.46),
        (0.3, 1.44),
        (1.1, 1.00),
        (1.9, 0.86),
        (2.15, 0.72),
        (2.22, 0.5),
    ],
    "hatch": [
        (-1.95, 0.55),
        (-1.98, 0.92),
        (-1.92, 1.02),
        (-1.55, 1.40),
        (-1.1, 1.49),
        (-0.4, 1.53),
        (0.3, 1.49),
        (1.05, 1.05),
        (1.6, 0.92),
        (1.9, 0.75),
        (1.95, 0.5),
    ],
    "estate": [
        (-2.25, 0.6),
        (-2.28, 0.98),
        (-2.22, 1.10),
        (-1.95, 1.58),
        (-1.5, 1.68),
        (-0.3, 1.70),
        (0.4, 1.64),
        (1.15, 1.14),
        (1.95, 1.02),
        (2.2, 0.85),
        (2.25, 0.55),
    ],
}


def car_rings(profile, width):
    """Cross sections of a car: sills, doors and waist, and narrower towards the roof where there is a cabin."""
    rings = []
    length = profile[-1][0]
    for z, top in profile:
        w = width / 2 * (1 - 0.10 * abs(z / length) ** 5)
        waist = min(0.92, top - 0.06)
        cabin = np.clip((top - 1.0) / 0.4, 0, 1)
        shoulder = w * (0.92 - 0.15 * cabin)
        half = [
            (0.90 * w, 0.24),
            (w, 0.36),
            (w * 1.005, 0.62 * waist / 0.92),
            (0.975 * w, waist),
            (shoulder, top - 0.05),
            (shoulder * 0.72, top),
            (0, top + 0.02),
        ]
        ring = half + [(-x, y) for x, y in half[-2::-1]]
        rings.append([(x, y, z) for x, y in ring])
    return np.array(rings, np.float32)


def car(rng, street, x, z, oncoming=False, kind=None, paint=None, braking=False, lights=False, turn=0.0):
    """A car with glass, wheels, lamps and plate, seen from behind, or from the front if it is oncoming."""
    kind = kind or rng.choice(list(BODIES))
    profile, width = BODIES[kind], rng.uniform(1.74, 1.86)
    paint = np.array(paint or CAR_PAINTS[rng.integers(len(CAR_PAINTS))])
    body, rings = plain(paint, gloss=0.55), car_rings(profile, width)
    tops = np.array([t for _, t in profile])

    def skin(i, j):
        cabin, steep = min(tops[i], tops[i + 1]) > 1.25, abs(tops[i + 1] - tops[i]) > 0.25
        side, top = j in (3, 8), j in (4, 5, 6, 7)
        if j in (0, 11):
            return RUBBER
        return GLASS if (side and (cabin or steep) or top and steep and max(tops[i], tops[i + 1]) > 1.3) else body

    faces = loft(rings, skin) + fan(rings[0], body) + fan(rings[-1], body)
    end, nose = profile[0][0], profile[-1][0]
    faces += car_details(rng, width, end, nose, profile[1][1], braking, lights)
    for wz in (end * 0.62, nose * 0.64):
        for side in (-1, 1):
            faces += wheel(side * width / 2, wz, side)
    position, yaw = street.at(x, z + abs(end)), street.yaw(z) + turn
    if lights:
        aim = -1 if oncoming else 1
        for side in (-0.6, 0.6):
            spot = position + vec(side, 0.68, aim * 2.4)
            street.lamps.append(Lamp(tuple(spot), (26, 24, 20), (0, -0.06, aim), 0.9))
            if not oncoming:
                street.lamps.append(Lamp(tuple(position + vec(side, 0.8, -2.6)), (1.6, 0.10, 0.05), (0, -0.3, -1), 0.1))
    return Item(place(faces, position, yaw, oncoming), "car")


def car_details(rng, width, end, nose, boot, braking, lights):
    """Lamps, plate, bumper and grille, a centimetre off the body."""
    red = plain((0.30, 0.01, 0.01), 0.4, np.array([1.0, 0.05, 0.03]) * (9 if braking else 2.5 if lights else 0.05))
    white = plain((0.55, 0.56, 0.58), 0.6, np.array([1.0, 0.95, 0.82]) * (70 if lights else 0.05))
    plate, dark = plain((0.55, 0.52, 0.35)), plain((0.02, 0.02, 0.022), 0.15)
    back, front, w = end - 0.06, nose + 0.02, width / 2
    out = []
    for side in (-1, 1):
        out.append(Face(vec(side * w * 0.90, boot - 0.26, back), vec(-side * 0.30, 0, -0.01), vec(0, 0.20, 0.02), red))
        out.append(Face(vec(side * w * 0.86, 0.52, front), vec(-side * 0.34, 0, 0.01), vec(0, 0.17, -0.04), white))
        out.append(Face(vec(side * (w - 0.02), 0.98, 0.75), vec(side * 0.16, 0, 0), vec(0, 0.12, 0), dark))  # mirrors
        for z in (end * 0.62 - 0.3, nose * 0.64 - 0.3):  # tyres seen from behind and from ahead
            out.append(Face(vec(side * (w - 0.02), 0, z), vec(-side * 0.2, 0, 0), vec(0, 0.36, 0), RUBBER))
            out.append(Face(vec(side * (w - 0.02), 0, z + 0.6), vec(-side * 0.2, 0, 0), vec(0, 0.36, 0), RUBBER))
    out.append(Face(vec(-0.26, boot - 0.24, back - 0.005), vec(0.52, 0, 0), vec(0, 0.12, 0.01), plate))
    out.append(Face(vec(-w * 0.86, 0.26, back), vec(w * 1.72, 0, 0), vec(0, 0.12, 0), dark))
    out.append(Face(vec(-0.45, 0.36, front), vec(0.9, 0, 0), vec(0, 0.22, -0.02), dark))
    out.append(Face(vec(-0.26, 0.40, front + 0.012), vec(0.52, 0, 0), vec(0, 0.11, 0), plain((0.6, 0.6, 0.58))))
    out.append(Face(vec(-w * 0.95, 0.2, end), vec(w * 1.9, 0, 0), vec(0, 0, nose - end), plain((0.01, 0.01, 0.01))))
    return out


def wheel(x, z, side, radius=0.32):
    """Wheel arch, tyre and rim, just outside the door."""
    along = vec(0, 0, 1)
    arch = disc(vec(x * 1.004, radius + 0.03, z), radius * 1.18, along, plain((0.008, 0.008, 0.008)))
    return [
        arch,
        disc(vec(x * 1.012, radius, z), radius, along, plain((0.38, 0.38, 0.39), 0.3), vec(0.02, 0.02, 0.021)),
    ]


def truck(rng, street, x, z, oncoming=False, lights=False):
    """A cargo box with doors on a chassis, and a cab."""
    paint = np.array([(0.62, 0.62, 0.60), (0.50, 0.30, 0.06), (0.10, 0.18, 0.36), (0.55, 0.55, 0.52)][rng.integers(4)])
    dirt = Texture(rng, 0.03, 1.3)

    def panel(s, t, points, footprint):
        rough = np.clip(1 + 0.06 * dirt.sample(points[:, 0] + points[:, 2], points[:, 1], footprint), 0.5, 1.3)
        seam = (np.abs(s - 0.5) < 0.006) | (np.abs(s - 0.5) > 0.485) | (np.abs(t - 0.5) > 0.485)
        return Surface((rough * (1 - 0.45 * seam))[:, None] * paint.astype(np.float32), gloss=0.15)

    cab_paint = plain(CAR_PAINTS[rng.integers(len(CAR_PAINTS))], 0.45)
    faces = box((-1.2, 1.0, -3.2), (1.2, 3.5, 1.9), panel) + box(
        (-1.1, 0.55, -3.1), (1.1, 1.0, 3.6), plain((0.03, 0.03, 0.03))
    )
    faces += box((-1.08, 0.5, 2.1), (1.08, 2.65, 3.9), cab_paint)
    faces.append(Face(vec(-0.98, 1.55, 3.92), vec(1.96, 0, 0), vec(0, 0.85, -0.02), GLASS))
    for side in (-1, 1):
        faces.append(Face(vec(side * 1.09, 1.55, 2.7), vec(0, 0, 1.0), vec(0, 0.8, 0), GLASS))
        faces.append(
            Face(
                vec(side * 1.08, 0.62, -3.22),
                vec(-side * 0.22, 0, 0),
                vec(0, 0.2, 0),
                plain((0.3, 0.01, 0.01), 0.3, np.array([1, 0.05, 0.03]) * (3 if lights else 0.1)),
            )
        )
        faces.append(
            Face(
                vec(side * 1.0, 0.7, 3.93),
                vec(-side * 0.3, 0, 0),
                vec(0, 0.2, 0),
                plain((0.5, 0.5, 0.5), 0.5, np.array([1, 0.95, 0.8]) * (50 if lights else 0)),
            )
        )
        for z_wheel in (-2.2, 2.9):
            faces.append(
                disc(
                    vec(side * 1.17, 0.48, z_wheel),
                    0.48,
                    vec(0, 0, 1),
                    plain((0.3, 0.3, 0.3), 0.2),
                    vec(0.02, 0.02, 0.02),
                )
            )
            faces.append(Face(vec(side * 1.16, 0, z_wheel - 0.4), vec(-side * 0.5, 0, 0), vec(0, 0.8, 0), RUBBER))
    return Item(place(faces, street.at(x, z + 3.2), street.yaw(z), oncoming), "truck")


def person(rng, street, x, z, heading=None):
    """Head, torso, arms and legs as tubes, in mid-step."""
    height = rng.uniform(1.58, 1.86)
    k = height / 1.75
    coat, trousers = (plain(CLOTHES[i]) for i in rng.integers(len(CLOTHES), size=2))
    skin = plain(np.array([0.42, 0.27, 0.19]) * rng.uniform(0.35, 1.1))
    step, swing = rng.uniform(0.14, 0.28), rng.uniform(0.1, 0.25)
    faces = []
    for side in (-1, 1):
        knee = vec(side * 0.10, 0.48, side * step * 0.6)
        faces += tube(vec(side * 0.09, 0.90, 0), knee, 0.095, 0.07, trousers) + tube(
            knee, vec(side * 0.10, 0.06, side * step - 0.08), 0.07, 0.05, trousers
        )
        faces += box(
            vec(side * 0.10 - 0.05, 0, side * step - 0.14),
            vec(side * 0.10 + 0.05, 0.09, side * step + 0.12),
            plain((0.03, 0.025, 0.02)),
        )
        elbow = vec(side * 0.27, 1.12, -side * swing * 0.5)
        faces += tube(vec(side * 0.20, 1.42, 0), elbow, 0.065, 0.052, coat) + tube(
            elbow, vec(side * 0.26, 0.86, -side * swing), 0.05, 0.04, coat
        )
        faces += ball(vec(side * 0.26, 0.82, -side * swing), 0.05, skin, 6)
    a = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rings = [
        [(rx * np.cos(t), y, rz * np.sin(t)) for t in a]
        for y, rx, rz in (
            (0.84, 0.17, 0.12),
            (1.05, 0.165, 0.115),
            (1.3, 0.21, 0.13),
            (1.44, 0.20, 0.11),
            (1.5, 0.07, 0.06),
        )
    ]
    faces += loft(np.array(rings, np.float32), lambda i, j: coat, True)
    faces += ball(vec(0, 1.63, 0), 0.115, skin) + ball(
        vec(0, 1.67, -0.02), 0.115, plain(np.array([0.05, 0.03, 0.02]) * rng.uniform(0.4, 3))
    )
    for f in faces:
        f.origin, f.a, f.b = f.origin * k, f.a * k, f.b * k
    return Item(place(faces, street.at(x, z), rng.uniform(0, 2 * np.pi) if heading is None else heading), "pedestrian")


# --- rows along the road ---------------------------------------------------------------------------------------------


def terrace(rng, street, side, start, end, gap=None, height=None):
    """Buildings shoulder to shoulder."""
    z, gap, items = start, street.pavement if gap is None else gap, []
    while z < end:
        length = rng.uniform(8, 15)
        items.append(
            building(rng, street, side, z, length, gap - rng.uniform(0, 0.4), height and height * rng.uniform(0.8, 1.2))
        )
        z += length + (rng.uniform(2, 5) if rng.random() < 0.2 else 0)
    return items


def avenue(rng, street, side, start, end, gap=1.6, spacing=9, height=None):
    """Trees in a loose row."""
    items, z = [], start
    while z < end:
        x = street.right() + gap if side > 0 else street.left() - gap
        items.append(tree(rng, street, x + side * abs(rng.normal(0, 0.5)), z, height))
        z += spacing * rng.uniform(0.7, 1.5)
    return items


def wood(rng, street, side, start, end, gap=5, rows=3, height=None):
    """Edge of a wood: rows of trees one behind the other."""
    items = []
    for row in range(rows):
        items += avenue(rng, street, side, start + 2 * row, end, gap + 4.5 * row, 6 + 2 * row, height)
    return items


def lamp_row(street, side, start, end, spacing=26, **light):
    x = street.right() + 0.7 if side > 0 else street.left() - 1.7
    return [street_lamp(street, x, z, **light) for z in np.arange(start, end, spacing)]


def parked(rng, street, side, start, end, spacing=7):
    """Cars at the kerb, half on the pavement, so that the lane stays free."""
    items, z = [], start
    while z < end:
        x = street.right() + 0.4 if side > 0 else street.left() - 0.4
        items.append(car(rng, street, x, z, oncoming=side < 0))
        z += spacing * rng.uniform(0.85, 1.8)
    return items


# --- whole streets ---------------------------------------------------------------------------------------------------


def town(rng, street, traffic, reach=85):
    """Houses on both sides, some trees, parked cars on the left, a traffic light."""
    far = hills(rng, 420, 40, (0.05, 0.07, 0.045))
    items = (
        [ground(rng, street), far]
        + terrace(rng, street, 1, rng.uniform(3, 9), reach)
        + terrace(rng, street, -1, rng.uniform(3, 9), reach)
    )
    items += avenue(rng, street, rng.choice([-1, 1]), rng.uniform(14, 20), reach * 0.7, 2.0, 17, 6)
    items += lamp_row(street, 1, 13, reach) + lamp_row(street, -1, 24, reach)
    items += traffic_light(street, street.right() + 0.6, rng.uniform(17, 24), rng.integers(3))
    return items + parked(rng, street, -1, 14, 55) + traffic


def country(rng, street, traffic, reach=110):
    """A road between trees and hedges, hills at the end."""
    items = [ground(rng, street), hills(rng, 700, 85, (0.05, 0.075, 0.04)), hills(rng, 330, 26, (0.04, 0.06, 0.03))]
    if rng.random() < 0.5:
        items += wood(rng, street, -1, 10, reach, 3.5, 3) + avenue(rng, street, 1, 16, reach, 5, 13)
    else:
        items += wood(rng, street, 1, 10, reach, 4, 3) + avenue(rng, street, -1, 14, reach, 4, 11)
    items.append(hedge(rng, street, street.left() - 2.2 if rng.random() < 0.5 else street.right() + 2.2, 5, 45, 1.1))
    return items + traffic


def highway(rng, street, traffic, reach=120):
    """Several lanes, a guard rail, lamps, woods and hills at a distance."""
    items = [ground(rng, street), hills(rng, 900, 120, (0.06, 0.08, 0.05)), hills(rng, 420, 40, (0.05, 0.07, 0.035))]
    items += wood(rng, street, 1, 22, reach, 9, 2) + wood(rng, street, -1, 30, reach, 12, 2)
    steel, rail = plain((0.30, 0.31, 0.32), 0.25), []
    for z in np.arange(4, reach, 4.0):
        a, b = street.at(street.right() + 0.9, z), street.at(street.right() + 0.9, z + 4)
        rail.append(Face(a + vec(0, 0.45, 0), b - a, vec(0, 0.32, 0), steel))
        rail += box(a + vec(0.02, 0, 0), a + vec(0.1, 0.7, 0.1), steel)
    return items + [Item(rail)] + lamp_row(street, 1, 18, reach, 32) + traffic


def cars_ahead(rng, street, count, near=9, far=60, lights=False, braking=False):
    """Traffic in both directions, sparser with distance. Two vehicles in a lane keep 10 m apart."""
    items, taken = [], []
    lanes = [(k * street.lane, False) for k in range(street.lanes_right + 1)]
    lanes += [(-(k + 1) * street.lane, True) for k in range(street.lanes_left)]
    for k in range(count * 4):
        x, oncoming = lanes[k % len(lanes)] if k < len(lanes) else lanes[rng.integers(len(lanes))]
        z = near + (far - near) * rng.random() ** 1.5
        if len(items) == count or any(x == tx and abs(z - tz) < 10 for tx, tz in taken):
            continue
        taken.append((x, z))
        wobble = rng.uniform(-0.3, 0.3)
        if rng.random() < 0.15 and z > near + 6:
            items.append(truck(rng, street, x + wobble, z, oncoming, lights))
        else:
            items.append(
                car(
                    rng,
                    street,
                    x + wobble,
                    z,
                    oncoming,
                    braking=braking and not oncoming and rng.random() < 0.7,
                    lights=lights,
                )
            )
    return items
