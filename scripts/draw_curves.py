#!/usr/bin/env python3
"""Draws the loss by evaluation, from the manifests of finished outputs.

    pip install pillow
    python3 scripts/draw_curves.py OUT [OUT ...] --out curves.png

Each OUT has a colour, with a thin line for each frame and a thick one for the median. A line is the loss as a share of
the frame's first loss. Use it to compare settings over the same frames, with `scales: 1`: losses of different scales do
not compare.
"""
import argparse
import json
import math
import os
import statistics

from PIL import Image, ImageDraw, ImageFont

SIZE = (1200, 720)
LEFT, TOP, RIGHT, BOTTOM = 80, 30, 30, 60
SCALE = 2  # drawn larger and shrunk, for smooth lines
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]  # Okabe and Ito 2008


def curves(folder):
    """For each frame that is done: the lowest loss so far over the first loss, by evaluation."""
    last = {}
    with open(os.path.join(folder, "manifest.jsonl"), encoding="utf-8") as rows:
        for line in rows:
            row = json.loads(line)
            if "removed" in row:
                last.pop(row["removed"], None)
            else:
                last[row["output"]] = row
    done = [row.get("losses", []) for row in last.values() if row["status"] == "done"]
    # A loss that is not finite is null.
    finite = [[loss for loss in curve if loss is not None] for curve in done]
    losses = [curve for curve in finite if len(curve) > 1]
    # The line search may try a worse point. The best one so far counts.
    return [[min(curve[: n + 1]) / curve[0] for n in range(len(curve))] for curve in losses]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("outputs", nargs="+", metavar="OUT")
    p.add_argument("--out", required=True)
    a = p.parse_args()
    groups = [(os.path.basename(os.path.normpath(folder)), curves(folder)) for folder in a.outputs]
    groups = [(name, group) for name, group in groups if group]
    if not groups:
        p.error("no row of these outputs has losses")
    longest = max(len(curve) for _, group in groups for curve in group)
    lowest = min(min(curve) for _, group in groups for curve in group)
    floor = math.floor(math.log10(lowest) * 4) / 4

    size = tuple(side * SCALE for side in SIZE)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=15 * SCALE)
    wide, high = (SIZE[0] - LEFT - RIGHT) * SCALE, (SIZE[1] - TOP - BOTTOM) * SCALE

    def place(evaluation, loss):
        x = LEFT * SCALE + wide * (evaluation - 1) / (longest - 1)
        return x, TOP * SCALE + high * math.log10(loss) / floor

    for share in [s * 10.0**e for e in range(-4, 1) for s in (1, 2, 5)]:
        if floor <= math.log10(share) <= 0:
            (x0, y), (x1, _) = place(1, share), place(longest, share)
            draw.line([(x0, y), (x1, y)], fill="#dddddd", width=SCALE)
            draw.text((x0 - 8 * SCALE, y), f"{share:g}", font=font, fill="black", anchor="rm")
    for evaluation in [1] + list(range(10, longest + 1, 10)):
        x, y = place(evaluation, 10**floor)
        draw.line([(x, TOP * SCALE), (x, y)], fill="#eeeeee", width=SCALE)
        draw.text((x, y + 8 * SCALE), str(evaluation), font=font, fill="black", anchor="mt")
    draw.text((LEFT * SCALE + wide / 2, (SIZE[1] - 12) * SCALE), "evaluations", font=font, fill="black", anchor="mb")
    draw.text((LEFT * SCALE, 8 * SCALE), "loss over that of the start", font=font, fill="black", anchor="lt")
    for n, (name, group) in enumerate(groups):
        colour = COLOURS[n % len(COLOURS)]
        pale = tuple((c + 2 * 255) // 3 for c in bytes.fromhex(colour[1:]))
        for curve in group:
            draw.line([place(e, loss) for e, loss in enumerate(curve, 1)], fill=pale, width=SCALE)
    for n, (name, group) in enumerate(groups):
        colour = COLOURS[n % len(COLOURS)]
        length = min(len(curve) for curve in group)
        median = [statistics.median(curve[e] for curve in group) for e in range(length)]
        draw.line([place(e, loss) for e, loss in enumerate(median, 1)], fill=colour, width=3 * SCALE)
        said = f"{name}: {median[-1]:.3f} after {length} ({len(group)} frames)"
        draw.text((LEFT * SCALE + wide, (TOP + 10 + 22 * n) * SCALE), said, font=font, fill=colour, anchor="rt")
    image.resize(SIZE, Image.LANCZOS).save(a.out, optimize=True)


if __name__ == "__main__":
    main()
