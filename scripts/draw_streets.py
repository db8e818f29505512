#!/usr/bin/env python3
"""Draws the sample: a small detection dataset in YOLO's layout, streets by day with exact boxes.

    pip install numpy pillow
    python3 scripts/draw_streets.py [--out tests/fixtures/streets] [--seed 0]

The boxes come from the renderer: each encloses the visible pixels of its object. An object gets no box if less than
30 % of it is visible, or if it is only a few pixels large. One training frame shows no object and has no label file: in
YOLO's layout this is a background frame. The same seed draws the same dataset.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from render import Camera, GBuffer, Sky, develop, illuminate, shrink
from scene import Street, cars_ahead, country, highway, person, town

NAMES = ["car", "truck", "pedestrian", "traffic light"]
WIDTH, HEIGHT, SUPERSAMPLING = 640, 360, 2
HIDDEN, SMALLEST = 0.7, 5  # the greatest hidden share of an object, the least side of a box in pixels


@dataclass
class Frame:
    name: str
    split: str
    layout: object
    street: Street
    sky: Sky
    exposure: float = 0.85
    traffic: int = 4
    people: int = 0
    fov: float = 62.0
    objects: bool = True


def frames():
    noon = {"sun": (2.5, 2.35, 2.15), "sun_height": 52}
    late = {"sun": (2.6, 2.0, 1.35), "sun_height": 24, "zenith": (0.12, 0.24, 0.58), "horizon": (0.72, 0.70, 0.70)}
    grey = {"sun": (0.5, 0.5, 0.5), "zenith": (0.42, 0.48, 0.58), "horizon": (0.68, 0.72, 0.78), "ambient": 1.5}
    return [
        Frame("town_noon", "train", town, Street(), Sky(-150, cloud=0.35, **noon), people=3),
        Frame("town_crossing", "train", town, Street(lanes_right=1), Sky(70, cloud=0.5, **noon), people=5, fov=68),
        Frame(
            "highway_morning",
            "train",
            highway,
            Street(lanes_right=1, pavement=0.8),
            Sky(130, cloud=0.45, **late),
            traffic=7,
        ),
        Frame(
            "country_bend", "train", country, Street(bend=0.0009, pavement=0.5), Sky(-60, cloud=0.4, **noon), traffic=3
        ),
        Frame(
            "town_overcast", "train", town, Street(lanes_left=2), Sky(30, cloud=0.72, **grey), 0.95, traffic=6, people=3
        ),
        Frame(
            "country_empty",
            "train",
            country,
            Street(bend=-0.0008, pavement=0.4, season="autumn"),
            Sky(-120, cloud=0.5, **late),
            objects=False,
        ),
        Frame("town_late", "val", town, Street(lanes_right=1), Sky(165, cloud=0.3, **late), traffic=5, people=4),
        Frame(
            "highway_noon",
            "val",
            highway,
            Street(lanes_left=2, lanes_right=2, pavement=0.8),
            Sky(-35, cloud=0.55, **noon),
            traffic=8,
        ),
    ]


def items_of(frame, rng):
    """Everything that a frame shows."""
    street, traffic = frame.street, []
    if frame.objects:
        traffic = cars_ahead(rng, street, frame.traffic, 9, 50)
        for _ in range(frame.people):
            side = rng.choice([street.left() - 2.3, street.right() + 1.5])
            traffic.append(
                person(rng, street, side + rng.uniform(-0.35, 0.35), rng.uniform(9, 26), rng.choice([0, np.pi]))
            )
    if frame.name == "town_crossing":
        traffic += [person(rng, street, x, 8.2 + rng.normal(0, 0.2), np.pi / 2) for x in (-3.2, -1.9)]
    return frame.layout(rng, street, traffic)


def boxes(g, labels):
    """YOLO's lines for the visible objects: class, then centre x, centre y, width and height as shares of the frame."""
    h, w = g.ids.shape
    lines = []
    for ident, label in labels.items():
        y, x = np.nonzero(g.ids == ident)
        outline = np.count_nonzero(g.outlines[ident])
        if len(y) <= (1 - HIDDEN) * outline or not len(y):
            continue
        x0, x1, y0, y1 = x.min(), x.max() + 1, y.min(), y.max() + 1
        if min(x1 - x0, y1 - y0) < SMALLEST * SUPERSAMPLING:
            continue
        values = (x0 + x1) / 2 / w, (y0 + y1) / 2 / h, (x1 - x0) / w, (y1 - y0) / h
        lines.append(f"{NAMES.index(label)} " + " ".join(f"{v:.6f}" for v in values))
    return lines


def draw(frame, rng):
    """The picture and its label lines."""
    items = items_of(frame, rng)
    g = GBuffer(Camera(WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING, fov=frame.fov))
    labels = g.draw(items)
    light = illuminate(g, items, frame.sky, rng)
    return develop(shrink(light, SUPERSAMPLING), rng, frame.exposure, blur=0.5, noise=0.010), boxes(g, labels)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", type=Path, default=Path("tests/fixtures/streets"))
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    for k, frame in enumerate(frames()):
        picture, lines = draw(frame, np.random.default_rng([args.seed, 100 + k]))
        image = args.out / "images" / frame.split / f"{frame.name}.jpg"
        label = args.out / "labels" / frame.split / f"{frame.name}.txt"
        for path in (image, label):
            path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(image, quality=88, optimize=True)
        if frame.objects:
            label.write_text("".join(line + "\n" for line in lines))
        print(f"{image}  {image.stat().st_size // 1024} KB, {len(lines)} boxes")
    names = "".join(f"  {k}: {name}\n" for k, name in enumerate(NAMES))
    (args.out / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames:\n{names}")


if __name__ == "__main__":
    main()
