#!/usr/bin/env python3
"""Draws the style references in styles/: streets in fog, rain and snow, at night and at dusk, and paintings.

    pip install numpy pillow
    python3 scripts/draw_styles.py [--out styles] [--seed 0] [--only fog,rain]

Every picture is computed without photos, so anybody may use it for anything. The same seed draws the same pictures.
Style transfer takes colours, contrast and textures at several scales from a reference. So each reference is a whole
street seen from a car, with depth for fog, and with the sky above the road.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import scene
from render import (
    GROUND,
    Camera,
    GBuffer,
    Lamp,
    Sky,
    Texture,
    convolve,
    develop,
    gaussian,
    illuminate,
    mix,
    shrink,
    smoothstep,
)
from scene import Street, cars_ahead, country, highway, person, town

WIDTH, HEIGHT, SUPERSAMPLING = 640, 384, 2
LIMIT = 115_000  # bytes of one picture
FOG_LAYER = 250.0  # metres


# --- weather ---------------------------------------------------------------------------------------------------------


def render(rng, street, items, sky, wet=0.0, snow=0.0, visibility=None, airlight=None, headlights=False, **view):
    """Linear light of a street under a sky, and the distance of each pixel in metres, at the size of the picture."""
    camera = Camera(WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING, **view)
    g = GBuffer(camera)
    g.draw(items)
    background = sky.radiance(camera.rays(), rng)
    if snow:
        cover_with_snow(g, street, snow, rng)
    lamps = list(street.lamps)
    if headlights:  # the low beam of the camera's car, tilted down
        lamps += [Lamp((x, 0.7, 0.2), (32, 30, 25), (0, -0.035, 1), 0.93) for x in (-0.6, 0.6)]
    mirror = wet_road(g, street, items, sky, wet, lamps, rng) if wet else None
    light = illuminate(g, items, sky, rng, lamps, mirror, background)
    distance = g.depth * np.linalg.norm(camera.rays(), axis=-1)
    if visibility:
        light = fog(light, distance, visibility, airlight or sky.horizon, camera, rng)
    return shrink(light, SUPERSAMPLING), shrink(np.minimum(distance, 1000)[..., None], SUPERSAMPLING)[..., 0]


def fog(light, distance, visibility, airlight, camera, rng):
    """Koschmieder's law (1924): L = L0 exp(-b d) + A (1 - exp(-b d)), with b = 3.912 / visibility, the distance at which
    a black object keeps 2 % of its contrast. The air drifts in banks, so b varies by some percent; the air light grows
    towards the sky, where less of the ground's darkness is scattered in."""
    banks = Texture(rng, 1, 1.8).sample(*np.meshgrid(np.arange(light.shape[1]) / 4, np.arange(light.shape[0]) / 2), 1)
    # The fog is a layer, so that towards the sky the way through it ends.
    up = np.maximum(camera.dy[:, None], 1e-3) / np.hypot(camera.dy[:, None], 1)
    way = np.minimum(distance, FOG_LAYER / up)
    depth = np.exp(-3.912 / visibility * way * np.exp(0.10 * banks))
    up = np.clip(camera.dy[:, None] * 1.3 + 0.05, -0.45, 0.5)
    air = (1 + 0.45 * up + 0.02 * banks)[..., None] * np.array(airlight, np.float32)
    return mix(air, light, depth[..., None]).astype(np.float32)


def wet_road(g, street, items, sky, wet, lamps, rng):
    """Darkens the road and returns what it mirrors. Water darkens asphalt because its film reflects light back onto it
    (Lekner and Dorf 1988). Ripples and grain stretch the mirror image towards the viewer, so reflections are tall."""
    points = g.points()
    x = points[..., 0] - street.bend * points[..., 2] ** 2
    road = (g.ids == GROUND) & (x > street.left() - street.pavement) & (x < street.right() + street.pavement)
    puddle = Texture(rng, 0.12, 1.5).sample(
        points[..., 0], points[..., 2] * 0.5, np.minimum(g.depth, 200) / g.camera.focal * 4
    )
    film = np.clip(wet * (0.55 + 0.35 * puddle), 0.1, 1)
    g.albedo[road] *= (1 - 0.5 * film[road])[:, None]
    g.gloss = np.where(road, film * 0.9, g.gloss)
    camera = replace(g.camera, mirrored=True)
    below = GBuffer(camera)
    below.draw([item for item in items if item.label != "ground"])
    seen = illuminate(below, items, sky, np.random.default_rng(1), lamps)
    return convolve(seen, gaussian(2.0, 11.0)) * 0.7 + convolve(seen, gaussian(5.0, 40.0)) * 0.3


def cover_with_snow(g, street, depth, rng):
    """Snow lies where surfaces face up. Traffic leaves dark, wet tracks on the road."""
    points = g.points()
    x = points[..., 0] - street.bend * points[..., 2] ** 2
    foot = np.minimum(g.depth, 400) / g.camera.focal * 2
    drift, crumbs = Texture(rng, 0.06, 1.3), Texture(rng, 0.02, 0.6)
    rough = 0.5 * drift.sample(points[..., 0], points[..., 2] + points[..., 1], foot) + 0.35 * crumbs.sample(
        points[..., 0], points[..., 2], foot
    )
    lie = smoothstep(0.85 - 0.4 * depth, 1.15 - 0.4 * depth, g.normal[..., 1] + 0.25 * rough)
    road = (g.ids == GROUND) & (x > street.left()) & (x < street.right())
    lane = np.abs((x / street.lane + 0.5) % 1 - 0.5) * street.lane
    track = np.exp(-(((lane - 0.8) / 0.42) ** 2))
    bank = smoothstep(1.2, 0.1, np.minimum(x - street.left(), street.right() - x))
    slush = np.clip(1.6 * (depth - 0.6) + 0.4 * rough - 0.6 * track + 0.9 * bank, 0.02, 1)
    lie = np.where(road, slush, lie)
    white = (0.78 + 0.07 * rough)[..., None] * np.array([0.96, 0.98, 1.02])
    dirty = mix(np.array([0.30, 0.29, 0.28]), white, smoothstep(0.3, 0.9, lie)[..., None])
    g.albedo = mix(g.albedo, np.where(road[..., None], dirty, white), lie[..., None]).astype(np.float32)
    g.gloss = np.where(road, 0.12 * (1 - lie), g.gloss * (1 - lie)).astype(np.float32)


def streaks(light, rng, count, length, strength, slant=0.06):
    """Rain drops blurred by their fall. A drop gathers light from most of the scene (Garg and Nayar 2007), so its streak
    shows about the mean light, brighter than road and trees and barely seen before the sky."""
    h, w = light.shape[:2]
    layer = np.zeros((h, w), np.float32)
    for near in (0.35, 0.6, 1.0):
        image = Image.new("L", (w * 2, h * 2))
        pen = ImageDraw.Draw(image)
        lean = slant + rng.normal(0, 0.02)
        for _ in range(int(count * (1.4 - near))):
            x, y = rng.uniform(0, w * 2), rng.uniform(-60, h * 2)
            fall = length * 2 * near * rng.uniform(0.6, 1.3)
            pen.line(
                [x, y, x + fall * (lean + rng.normal(0, 0.01)), y + fall],
                int(rng.uniform(90, 255)),
                1 if near < 0.9 else 2,
            )
        image = image.filter(ImageFilter.GaussianBlur(0.4 + near)).resize((w, h), Image.Resampling.BOX)
        layer += np.asarray(image, np.float32) / 255 * near
    drop = np.maximum(light.mean((0, 1)) * 1.6, light * 0.9)
    return mix(light, drop, np.clip(layer * strength, 0, 0.8)[..., None])


def lens_drops(light, rng, count, size=(3, 11)):
    """Drops on the windscreen. Each is a wide-angle lens that shows the scene upside down and is darker at its rim."""
    h, w = light.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    sx, sy, rim, soft = x.copy(), y.copy(), np.ones((h, w), np.float32), np.zeros((h, w), np.float32)
    for _ in range(count):
        r = rng.uniform(*size) * rng.random() ** 0.5 + 1
        cx, cy, tall = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(0.9, 1.5)
        u, v = (x - cx) / r, (y - cy) / (r * tall)
        q = u * u + v * v
        inside = q < 1
        sx[inside], sy[inside] = (cx - u * r * 9)[inside], (cy - v * r * 9)[inside]
        rim[inside] = (1.08 - 0.45 * q**3 + 0.25 * np.clip(-v, 0, 1) * (q < 0.5))[inside]
        soft = np.maximum(soft, smoothstep(1.0, 0.6, q))
    bent = light[np.abs(sy).astype(int) % h, np.abs(sx).astype(int) % w] * rim[..., None]
    return mix(light, convolve(bent, gaussian(0.7)), 0.85 * soft[..., None])


def flakes(light, depth, rng, count, brightness):
    """Falling snow. The number of flakes grows with the square of the distance, and their size shrinks with it. Near
    ones are blurred by the fall and out of focus. Objects hide the flakes behind them."""
    h, w = light.shape[:2]
    for near, far in ((1.2, 4), (4, 12), (12, 40)):
        image = Image.new("L", (w * 2, h * 2))
        pen = ImageDraw.Draw(image)
        for _ in range(int(count * (0.03 if near < 2 else 0.25 if near < 5 else 1))):
            d = rng.uniform(near, far)
            r, fall = 9.0 / d * rng.uniform(0.7, 1.3), 14.0 / d
            x, y = rng.uniform(0, w * 2), rng.uniform(0, h * 2)
            pen.ellipse([x - r, y - r, x + r + fall * 0.3, y + r + fall], fill=int(rng.uniform(110, 230)))
        image = image.filter(ImageFilter.GaussianBlur(0.5 + 3.5 / near)).resize((w, h), Image.Resampling.BOX)
        cover = np.asarray(image, np.float32) / 255 * (depth > near)
        light = mix(light, np.array(brightness, np.float32), cover[..., None] * 0.8)
    return light


# --- conditions: three pictures each ---------------------------------------------------------------------------------

OVERCAST = Sky(
    sun=(0, 0, 0),
    sun_height=60,
    zenith=(0.62, 0.65, 0.70),
    horizon=(0.60, 0.62, 0.65),
    cloud=0.75,
    cloud_light=(0.85, 0.87, 0.90),
    cloud_dark=(0.46, 0.48, 0.52),
    glow=0.0,
    ambient=1.1,
)


def draw_fog(rng, k):
    street = [Street(lanes_right=1, pavement=0.6), Street(bend=0.0008, pavement=0.8), Street()][k]
    cars = cars_ahead(rng, street, [4, 2, 5][k], 10, 45, lights=True)
    items = [highway, country, town][k](rng, street, cars)
    air = [(0.40, 0.41, 0.43), (0.46, 0.47, 0.47), (0.30, 0.31, 0.335)][k]
    sky = replace(OVERCAST, horizon=air, zenith=air, cloud=0.5, ambient=0.8)
    light, _ = render(rng, street, items, sky, visibility=[75, 110, 55][k], airlight=air, fov=[62, 58, 66][k])
    return develop(light, rng, 0.95, blur=0.8, noise=0.010, bloom=0.12)


def draw_rain(rng, k):
    street = [Street(lanes_right=1), Street(bend=-0.0007, pavement=0.4, season="autumn"), Street()][k]
    cars = cars_ahead(rng, street, [4, 2, 4][k], 9, 45, lights=True, braking=True)
    if k != 1:
        cars += [person(rng, street, street.right() + 1.2 + i, 9 + 3 * i) for i in range(3)]
    items = [town, country, town][k](rng, street, cars)
    sky = replace(OVERCAST, ambient=[0.75, 0.7, 0.6][k], cloud_light=(1.0, 1.0, 1.02), cloud_dark=(0.42, 0.44, 0.48))
    light, _ = render(rng, street, items, sky, wet=0.95, visibility=[450, 450, 330][k], airlight=(0.52, 0.54, 0.57))
    light = streaks(light, rng, [900, 700, 1300][k], [34, 28, 44][k], [0.30, 0.25, 0.42][k])
    light = lens_drops(light, rng, [30, 70, 14][k])
    return develop(light, rng, [1.0, 1.0, 0.9][k], blur=0.55, noise=0.014, bloom=0.06, tint=(0.97, 1.0, 1.04))


def draw_snow(rng, k):
    street = [
        Street(season="winter"),
        Street(bend=0.0006, pavement=0.6, season="winter"),
        Street(lanes_right=1, pavement=1, season="winter"),
    ][k]
    items = [town, country, country][k](rng, street, cars_ahead(rng, street, [3, 2, 4][k], 9, 50, lights=k == 2))
    for side in (-1, 1):
        items += scene.wood(rng, street, side, 17, 60, [1.2, 7, 3][k], 1 + (k > 0))
    sky = replace(OVERCAST, ambient=[0.85, 0.6, 0.8][k], cloud_dark=(0.50, 0.53, 0.58))
    light, depth = render(
        rng, street, items, sky, snow=[0.6, 0.85, 0.7][k], visibility=[900, 1500, 800][k], airlight=(0.60, 0.62, 0.66)
    )
    light = flakes(light, depth, rng, [700, 250, 1200][k], (0.75, 0.77, 0.80))
    tint = [(1.0, 1.0, 1.02), (0.82, 0.95, 1.22), (0.97, 1.0, 1.05)][k]
    return develop(light, rng, [0.78, 0.8, 0.8][k], noise=0.010, tint=tint)


def draw_night(rng, k):
    street = [
        Street(lit=True, lanes_right=1),
        Street(lit=True, lamp_power=25),
        Street(lit=True, bend=0.0006, pavement=0.8),
    ][k]
    cars = cars_ahead(rng, street, [4, 5, 3][k], 9, 60, lights=True, braking=True)
    cars += [person(rng, street, street.right() + 1.0, 10 + 4 * i) for i in range(2)]
    items = [town, town, country][k](rng, street, cars)
    if k == 2:
        items += scene.lamp_row(street, 1, 14, 90, 19) + scene.lamp_row(street, -1, 22, 90, 19)
    sky = Sky(
        sun=(0, 0, 0),
        zenith=(0.001, 0.0015, 0.004),
        horizon=(0.010, 0.007, 0.006),
        cloud=0.3,
        glow=0,
        cloud_light=(0.006, 0.005, 0.005),
        cloud_dark=(0.002, 0.002, 0.003),
        ambient=0.6,
    )
    light, _ = render(rng, street, items, sky, wet=[0.35, 0.6, 0.0][k], headlights=True)
    return develop(light, rng, [1.2, 0.75, 1.7][k], blur=0.85, noise=0.035, bloom=0.12, vignette=0.3, sharpen=0)


def draw_dusk(rng, k):
    street = [Street(lit=True, lamp_power=6), Street(bend=0.0006, pavement=0.6), Street(lanes_right=1)][k]
    items = [town, country, town][k](rng, street, cars_ahead(rng, street, 4, 9, 60, lights=True))
    sky = [
        Sky(
            8,
            3.0,
            (0.4, 0.16, 0.06),
            (0.085, 0.085, 0.19),
            (0.66, 0.19, 0.04),
            0.45,
            0.4,
            (0.42, 0.17, 0.11),
            (0.09, 0.08, 0.13),
            0.3,
            0.28,
        ),
        Sky(
            -14,
            4.0,
            (0.4, 0.18, 0.08),
            (0.10, 0.11, 0.24),
            (0.66, 0.21, 0.06),
            0.50,
            0.45,
            (0.42, 0.18, 0.14),
            (0.11, 0.10, 0.16),
            0.3,
            0.25,
        ),
        Sky(
            25,
            2.5,
            (0.0, 0.0, 0.0),
            (0.22, 0.25, 0.28),
            (0.36, 0.37, 0.36),
            0.12,
            0.65,
            (0.42, 0.43, 0.42),
            (0.10, 0.12, 0.14),
            0.0,
            0.5,
        ),
    ][k]
    light, _ = render(
        rng,
        street,
        items,
        sky,
        visibility=[9000, 5000, 9000][k],
        airlight=[(0.26, 0.12, 0.06), (0.26, 0.13, 0.08), sky.horizon][k],
    )
    return develop(light, rng, [1.3, 1.2, 0.8][k], blur=0.7, noise=0.022, bloom=0.08, vignette=0.25, sharpen=0)


# --- painting --------------------------------------------------------------------------------------------------------


def draw_painting(rng, k):
    """Late light over a street, painted in strokes: first broad ones, then finer ones where the picture needs them."""
    street = Street(pavement=0.8, season=["summer", "autumn", "summer"][k], bend=[0.0006, -0.0006, 0][k], lit=k == 2)
    items = [country, country, town][k](rng, street, cars_ahead(rng, street, 2, 12, 50, lights=k == 2))
    sky = [
        Sky(50, 35, cloud=0.55),
        Sky(-30, 14, (2.4, 1.5, 0.8), (0.25, 0.30, 0.7), (1.1, 0.8, 0.5), cloud=0.5),
        Sky(
            20,
            4,
            (0.1, 0.1, 0.2),
            (0.02, 0.05, 0.22),
            (0.08, 0.16, 0.34),
            0.5,
            0.6,
            (0.20, 0.28, 0.40),
            (0.02, 0.05, 0.2),
            0,
        ),
    ][k]
    light, _ = render(rng, street, items, sky)
    subject = np.asarray(develop(light, rng, [0.9, 0.85, 1.2][k], noise=0), np.float32) / 255
    return paint(vivid(subject, [1.7, 1.9, 1.8][k]), rng, swirl=[0.5, 0.35, 1.1][k])


def vivid(image, amount):
    """Makes colours more saturated, as in a painting."""
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.clip(grey[..., None] + (image - grey[..., None]) * amount + 0.03, 0, 1)


def flow_field(image, rng, swirl):
    """The angle of the strokes: along edges where there are any (by the smoothed structure tensor), elsewhere by a
    smooth random field."""
    grey = image.mean(-1)
    gy, gx = np.gradient(grey)
    tensor = convolve(np.stack([gx * gx - gy * gy, 2 * gx * gy], -1), gaussian(4))
    field = Texture(rng, 1, 1.9)
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]]
    wave = swirl * 2.2 * field.sample(x * 0.8, y * 1.1, 1)
    drift = np.stack([-np.cos(2 * wave), -np.sin(2 * wave)], -1) * 0.0015
    tensor = tensor + drift
    return 0.5 * np.arctan2(tensor[..., 1], tensor[..., 0]) + np.pi / 2


def paint(image, rng, swirl):
    """Strokes from broad to fine (after Hertzmann 1998), each a bundle of bristles; a finer stroke is set only where the
    coarser layers miss the picture. Relief from the bristles is lit from the upper left, as thick paint is."""
    scale = 2
    h, w = image.shape[0] * scale, image.shape[1] * scale
    angle = flow_field(image, rng, swirl)
    ground = convolve(image, gaussian(6)) * np.array([0.95, 0.9, 0.85])
    canvas = Image.fromarray((np.clip(ground, 0, 1) * 255).astype(np.uint8)).resize((w, h))
    relief = Image.new("L", (w, h), 128)
    pens = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    for width, length, count in ((13, 70, 5000), (8, 46, 9000), (5, 28, 15000)):
        target = convolve(image, gaussian(width / 3))
        done = np.asarray(canvas.resize((w // scale, h // scale), Image.Resampling.BOX), np.float32) / 255
        miss = np.abs(target - done).sum(-1)
        for _ in range(count):
            y, x = rng.integers(h // scale), rng.integers(w // scale)
            if width == 13 or miss[y, x] > 0.13:
                stroke(pens, target, angle, x, y, width, length * rng.uniform(0.6, 1.2), rng, scale)
    bumps = np.asarray(relief.filter(ImageFilter.GaussianBlur(0.8)), np.float32) / 255
    shade = 1 + 0.55 * (bumps - np.roll(bumps, (2, 2), (0, 1)))
    lit = shrink(np.asarray(canvas, np.float32) / 255 * shade[..., None], scale)
    return Image.fromarray((np.clip(lit, 0, 1) * 255 + 0.5).astype(np.uint8))


def stroke(pens, target, angle, x, y, width, length, rng, scale):
    """One curved stroke that follows the flow, of bristles that differ a little in colour and load."""
    h, w = angle.shape
    colour = target[y, x] + rng.normal(0, 0.012, 3) + rng.normal(0, 0.035)
    path, px, py = [(x, y)], float(x), float(y)
    for _ in range(4):
        a = angle[int(np.clip(py, 0, h - 1)), int(np.clip(px, 0, w - 1))]
        px, py = px + np.cos(a) * length / 8, py + np.sin(a) * length / 8
        path.append((px, py))
    path = np.array(path) * scale
    across = np.array([-(path[-1] - path[0])[1], (path[-1] - path[0])[0]])
    across = across / (np.linalg.norm(across) + 1e-6)
    for offset in np.arange(-width / 2, width / 2, 2):
        tone = np.clip((colour + rng.normal(0, 0.022)) * 255, 0, 255).astype(int)
        points = [tuple(p) for p in path + across * offset]
        pens[0].line(points, tuple(int(c) for c in tone), 3, "curve")
        pens[1].line(points, int(rng.uniform(60, 200)), 2)


# --- files -----------------------------------------------------------------------------------------------------------

CONDITIONS = {
    "fog": draw_fog,
    "rain": draw_rain,
    "snow": draw_snow,
    "night": draw_night,
    "dusk": draw_dusk,
    "painting": draw_painting,
}


def save(image, path, limit=LIMIT):
    """JPEG at the best quality up to 92 that keeps the file small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(92, 60, -2):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= limit:
            return


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=Path, default=Path("styles"))
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default=",".join(CONDITIONS), help="conditions, separated by commas")
    args = options.parse_args()
    for condition in args.only.split(","):
        for k in range(3):
            # Each picture has a generator of its own, so that a change to one does not change the others.
            rng = np.random.default_rng([args.seed, list(CONDITIONS).index(condition), k])
            path = args.out / condition / f"{condition}_{k + 1}.jpg"
            save(CONDITIONS[condition](rng, k), path)
            print(f"{path}  {path.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
