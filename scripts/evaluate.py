#!/usr/bin/env python3
"""Judges finished outputs: how far the frames moved towards their styles, and what they kept.

    pip install torch numpy pillow safetensors
    python3 scripts/evaluate.py OUT [OUT ...] --weights vgg19.safetensors [--sheet sheet.png] [--csv frames.csv] [--json]

OUT is an output folder or its manifest.jsonl. The table has a row for each condition, over all OUTs; with `--by out` it
has a row for each OUT. The script writes nothing but the sheet and the CSV. The columns are:

gap_left    style distance of the result over that of the frame: 1 = did not move, 0 = the style's own statistics. The
            distance is the mean of |G-S|^2/|S|^2 over relu1_1 to relu5_1 of ImageNet's VGG19, at a long side of 384.
            Median.
gap_inner   the same for the picture inside letterbox bars. Median.
edges       correlation of the luma gradients of result and frame: 1 = each edge is where it was, and as strong beside
            the others as it was. Median.
box_edges   the same inside the labelled boxes with sides of 8 pixels or more. The 5th percentile. Boxes that are flat
            in the frame (a contrast, as below, under 1/255) do not count.
contrast    how far luma is from its mean in a window of 1/40 of the long side: root mean square over a labelled box,
            result over frame. 0 = the object is gone. The least of all boxes.
sky         mean luma of the sky, frame > result, over the frames that have sky, and in brackets how many these are.
seconds     wall time of a frame. Median.

Bars are the outer rows and columns that are black: 98 % of their pixels have a luma under 0.06.

Sky is searched in the frame, never in the result. The frame is first shrunk to a long side of 256 without its bars. Sky
pixels are bright (luma or blue over 0.5) and smooth (gradient of luma under 0.03), lie in the upper 60 %, and are
connected to the top row by such pixels. If they are less than 5 % of the picture, it has no sky. Pale ceilings, and
roads seen from above, pass for sky. Sky behind twigs, dark clouds and night skies do not.

The sheet shows frame, style and result. First come the frames whose worst box kept least (box_edges times contrast),
from the rows of the table in turn. As many others follow, spread evenly over gap_left. The worst box is red.
"""
import argparse
import csv
import functools
import json
import os
import statistics
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
BLOCKS = [2, 2, 4, 4, 1]
SIDE = 384
SMALL = 256
SKY_LUMA, SKY_GRADIENT, SKY_PART, SKY_LOWEST = 0.5, 0.03, 0.05, 0.6
Image.MAX_IMAGE_PIXELS = None  # frames may be large


# --- pictures and labels ---------------------------------------------------------------------------------------------


def read(path):
    """The picture in RGB, turned upright, as YOLO's loaders and augment read it."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image, np.float32) / 257).round().clip(0, 255).astype(np.uint8))
    return image.convert("RGB")


def luma(image):
    return (np.asarray(image, np.float32) / 255) @ np.array([0.299, 0.587, 0.114], np.float32)


def read_boxes(path, width, height):
    """[(x0, y0, x1, y1)] in pixels. A line is a class and a box or polygon. Of a polygon, the bounding box counts."""
    boxes = []
    if not path or not os.path.isfile(path):
        return boxes
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                v = np.array([float(word) for word in line.split()[1:]])
            except ValueError:
                continue
            if len(v) < 4 or not np.isfinite(v).all():
                continue
            if len(v) <= 5:  # a fifth number is a confidence
                x0, y0, x1, y1 = v[0] - v[2] / 2, v[1] - v[3] / 2, v[0] + v[2] / 2, v[1] + v[3] / 2
            else:
                x, y = v[: len(v) // 2 * 2].reshape(-1, 2).T
                x0, y0, x1, y1 = x.min(), y.min(), x.max(), y.max()
            x0, x1 = (int(min(max(x * width, 0), width)) for x in (x0, x1))
            y0, y1 = (int(min(max(y * height, 0), height)) for y in (y0, y1))
            if x1 - x0 > 7 and y1 - y0 > 7:
                boxes.append((x0, y0, x1, y1))
    return boxes


def inner_box(y):
    """The picture without black bars: (x0, y0, x1, y1)."""
    ends = []
    for lines in (y.T, y):
        light = np.flatnonzero(np.percentile(lines, 98, axis=1) >= 0.06)
        if len(light) == 0:
            return 0, 0, y.shape[1], y.shape[0]
        first, last, trim = light[0], light[-1] + 1, len(lines) // 200  # JPEG smears the seam
        ends.append((first + trim if first else 0, last - trim if last < len(lines) else len(lines)))
    return int(ends[0][0]), int(ends[1][0]), int(ends[0][1]), int(ends[1][1])


def shrink(image, inner):
    image = image.crop(inner)
    scale = min(1, SMALL / max(image.size))
    return image.resize([max(1, round(s * scale)) for s in image.size], Image.BOX if scale < 1 else Image.NEAREST)


def find_sky(small):
    """Mask of the sky in a shrunk frame without bars, or None."""
    y = luma(small)
    if min(y.shape) < 16:
        return None
    blue = np.asarray(small)[:, :, 2] / 255
    fits = (np.maximum(y, blue) > SKY_LUMA) & (np.hypot(*np.gradient(y)) < SKY_GRADIENT)
    fits[round(len(y) * SKY_LOWEST) :] = False
    sky = np.zeros_like(fits)
    sky[0] = fits[0]
    size = -1
    while size != sky.sum():
        size = sky.sum()
        grown = sky.copy()
        grown[1:] |= sky[:-1]
        grown[:-1] |= sky[1:]
        grown[:, 1:] |= sky[:, :-1]
        grown[:, :-1] |= sky[:, 1:]
        sky = grown & fits
    return sky if sky.mean() >= SKY_PART else None


# --- figures ---------------------------------------------------------------------------------------------------------


class Judge:
    """Computes style distances with VGG19 on the CPU."""

    def __init__(self, weights):
        import torch
        from safetensors import safe_open

        torch.set_num_threads(2)
        self.torch, self.trunk, index = torch, [], 0
        with safe_open(weights, "pt") as tensors:
            for block, count in enumerate(BLOCKS, 1):
                if block > 1:
                    self.trunk.append((None, None, None))
                    index += 1
                for conv in range(1, count + 1):
                    weight, bias = (tensors.get_tensor(f"features.{index}.{part}").float() for part in ("weight", "bias"))
                    weight = weight.contiguous(memory_format=torch.channels_last)
                    self.trunk.append((f"relu{block}_{conv}", weight, bias))
                    index += 2
        # Rows come sorted by frame: its Gram matrices are needed again soon or never, those of a style at any time.
        self.of_style = functools.cache(lambda path: self.grams(read(path)))
        self.of_frame = functools.lru_cache(4)(lambda path, crop: self.grams(read(path).crop(crop)))

    def grams(self, image):
        torch = self.torch
        scale = SIDE / max(image.size)
        image = image.resize([max(16, round(s * scale / 16) * 16) for s in image.size], Image.LANCZOS)
        x = (np.asarray(image) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        x, found = torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None], {}
        with torch.inference_mode():
            for name, weight, bias in self.trunk:
                if name is None:
                    x = torch.nn.functional.max_pool2d(x, 2)
                    continue
                x = torch.nn.functional.conv2d(x, weight, bias, padding=1).relu_()
                if name in STYLE:
                    rows = x.flatten(2)[0]
                    found[name] = rows @ rows.t() / rows.shape[1]
        return found

    def gap(self, source, style, result, crop):
        """Style distance of the result over the frame's, both cut to `crop`."""
        style = self.of_style(style)

        def distance(grams):
            return sum(((grams[n] - style[n]) ** 2).sum().item() / (style[n] ** 2).sum().item() for n in STYLE)

        return distance(self.grams(result.crop(crop))) / max(distance(self.of_frame(source, crop)), 1e-9)


def correlation(a, b):
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum() + 1e-12))


def detail(y):
    """Luma minus its mean in a window of 1/40 of the long side."""
    r = max(3, round(max(y.shape) / 80))
    total = np.pad(y.astype(np.float64), ((r + 1, r), (r + 1, r)), mode="edge").cumsum(0).cumsum(1)
    n = 2 * r + 1
    return y - (total[n:, n:] - total[:-n, n:] - total[n:, :-n] + total[:-n, :-n]) / n**2


def measure(judge, row):
    """All figures of one row."""
    source, result = read(row["source"]), read(row["result"])
    if result.size != source.size:
        result = result.resize(source.size, Image.BILINEAR)
    before, after = luma(source), luma(result)
    inner, whole = inner_box(before), (0, 0, *source.size)
    gap = judge.gap(row["source"], row["style"], result, whole)
    found = {**row, "gap_left": gap, "gap_inner": gap, "boxes": [], "sky_before": None, "sky_after": None}
    if inner != whole:
        found["gap_inner"] = judge.gap(row["source"], row["style"], result, inner)
    c, o = np.stack(np.gradient(before)), np.stack(np.gradient(after))
    found["edges"] = correlation(c, o)
    dc, do = detail(before), detail(after)
    for x0, y0, x1, y1 in read_boxes(row["label"], *source.size):
        part = np.s_[..., y0:y1, x0:x1]
        was, left = (float(np.sqrt((d[part] ** 2).mean())) for d in (dc, do))
        edges = correlation(c[part], o[part])
        if was > 1 / 255:  # a flat box has no contrast to lose
            kept = edges * min(left / was, 1)
            found["boxes"].append({"box": (x0, y0, x1, y1), "edges": edges, "contrast": left / was, "kept": kept})
    small = shrink(source, inner)
    sky = find_sky(small)
    if sky is not None:
        found["sky_before"] = float(luma(small)[sky].mean())
        found["sky_after"] = float(luma(shrink(result, inner))[sky].mean())
    found["worst"] = min(found["boxes"], key=lambda b: b["kept"], default=None)
    return found


def summarize(name, frames):
    boxes = [b for f in frames for b in f["boxes"]]
    sky = [f for f in frames if f["sky_before"] is not None]
    return {
        "group": name,
        "frames": len(frames),
        "gap_left": statistics.median(f["gap_left"] for f in frames),
        "gap_inner": statistics.median(f["gap_inner"] for f in frames),
        "edges": statistics.median(f["edges"] for f in frames),
        "boxes": len(boxes),
        "box_edges_worst_5_percent": float(np.percentile([b["edges"] for b in boxes], 5)) if boxes else None,
        "box_contrast_least": min((b["contrast"] for b in boxes), default=None),
        "sky_before": statistics.fmean(f["sky_before"] for f in sky) if sky else None,
        "sky_after": statistics.fmean(f["sky_after"] for f in sky) if sky else None,
        "sky_frames": len(sky),
        "seconds": statistics.median(f["seconds"] for f in frames),
    }


def print_table(table, by):
    def show(value, digits=3):
        return "-" if value is None else f"{value:.{digits}f}"

    lines = [(by, "frames", "gap_left", "gap_inner", "edges", "boxes", "box_edges 5%", "contrast least", "sky luma", "seconds")]
    for t in table:
        sky = f"{show(t['sky_before'], 2)} > {show(t['sky_after'], 2)} ({t['sky_frames']})" if t["sky_frames"] else "-"
        row = [t["group"], str(t["frames"]), show(t["gap_left"]), show(t["gap_inner"]), show(t["edges"]), str(t["boxes"])]
        row += [show(t["box_edges_worst_5_percent"]), show(t["box_contrast_least"]), sky, show(t["seconds"], 1)]
        lines.append(row)
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def write_csv(path, frames):
    names = ["out", "condition", "output", "source", "style", "gap_left", "gap_inner", "edges", "boxes"]
    names += ["worst_box_edges", "worst_box_contrast", "sky_before", "sky_after", "seconds"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, names, extrasaction="ignore")
        rows.writeheader()
        for f in frames:
            worst = f["worst"] or {"edges": None, "contrast": None}
            row = {**f, "boxes": len(f["boxes"]), "worst_box_edges": worst["edges"], "worst_box_contrast": worst["contrast"]}
            rows.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})


# --- sheet -----------------------------------------------------------------------------------------------------------


def choose(frames, groups, count):
    """The `count` frames with the worst boxes, from the groups in turn, and as many others, spread over gap_left."""
    queues = [sorted((f for f in group if f["worst"]), key=lambda f: f["worst"]["kept"]) for group in groups]
    turns = [queue[i] for i in range(max(map(len, queues))) for queue in queues if i < len(queue)]
    worst = turns[:count]
    rest = sorted((f for f in frames if not any(f is w for w in worst)), key=lambda f: f["gap_left"])
    picks = np.linspace(0, len(rest) - 1, min(count, len(rest))).round().astype(int)
    return worst + [rest[i] for i in picks]


def tile(path, box, frame=None):
    """The picture, as large as fits into `box`, with the boxes of `frame` drawn."""
    image = read(path)
    size = image.size
    scale = min(box[0] / size[0], box[1] / size[1])
    image = image.resize([max(1, round(s * scale)) for s in size], Image.LANCZOS)
    if frame:
        draw = ImageDraw.Draw(image)
        for b in sorted(frame["boxes"], key=lambda b: b is frame["worst"]):
            colour, width = ((255, 40, 40), 2) if b is frame["worst"] else ((255, 220, 0), 1)
            x0, y0, x1, y1 = (round(v * scale) for v in b["box"])
            draw.rectangle([x0, y0, max(x0 + 1, x1 - 1), max(y0 + 1, y1 - 1)], outline=colour, width=width)
    return image


def shorten(text, font, width):
    if font.getlength(text) <= width:
        return text
    keep = len(text)
    while keep > 2 and font.getlength(text[: keep // 2] + "..." + text[-(keep // 2) :]) > width:
        keep -= 1
    return text[: keep // 2] + "..." + text[-(keep // 2) :]


def write_sheet(path, frames):
    wide, high, gap, text = 480, 480, 8, 50
    font, strips = ImageFont.load_default(17), []
    for f in frames:
        tiles = [tile(f["source"], (wide, high), f)]
        tiles += [tile(f["style"], (wide, tiles[0].height)), tile(f["result"], (wide, high), f)]
        strip = Image.new("RGB", (3 * wide + 4 * gap, tiles[0].height + gap + text), (24, 24, 24))
        for i, picture in enumerate(tiles):
            left = gap + i * (wide + gap) + (wide - picture.width) // 2
            strip.paste(picture, (left, gap + (tiles[0].height - picture.height) // 2))
        names = [f"{f['condition']}: {os.path.basename(f['output'])}", f"style {os.path.basename(f['style'])}"]
        figures = f"gap_left {f['gap_left']:.3f}   gap_inner {f['gap_inner']:.3f}   edges {f['edges']:.3f}   "
        if f["worst"]:
            figures += f"worst box of {len(f['boxes'])}: edges {f['worst']['edges']:.3f}, contrast {f['worst']['contrast']:.3f}"
        else:
            figures += "no boxes"
        draw, top = ImageDraw.Draw(strip), tiles[0].height + gap
        shown = [shorten(name, font, width) for name, width in zip(names, (2 * wide, wide - gap))]
        draw.text((gap, top + 3), shown[0], (255, 255, 255), font)
        draw.text((strip.width - gap - font.getlength(shown[1]), top + 3), shown[1], (200, 200, 200), font)
        draw.text((gap, top + 25), figures, (255, 220, 120), font)
        strips.append(strip)
    sheet = Image.new("RGB", (strips[0].width, sum(s.height for s in strips)))
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    sheet.save(path, "PNG")


# --- manifests -------------------------------------------------------------------------------------------------------


class Stop(Exception):
    """An error that ends the program; its message is one line."""


def read_manifest(out):
    """The rows that are done. The last row of each image counts."""
    path = out if os.path.isfile(out) else os.path.join(out, "manifest.jsonl")
    if not os.path.isfile(path):
        raise Stop(f"{path}: no such manifest; OUT must be a finished output of augment")
    rows, root = {}, os.path.dirname(os.path.abspath(path))
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = json.loads(line)
                if "removed" in row:
                    rows.pop(row["removed"], None)
                    continue
                kept = {k: row[k] for k in ("source", "style", "output", "condition", "seconds")}
                rows[row["output"]] = (row.get("status"), row.get("label"), kept)
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off when the program was killed
    done = []
    for output, (status, label, kept) in rows.items():
        if status == "done":
            label = os.path.join(root, label) if label else None
            done.append({**kept, "out": out, "result": os.path.join(root, output), "label": label})
    if not done:
        raise Stop(f"{path}: no row is done")
    return done


def evaluate(a):
    if not os.path.isfile(a.weights):
        raise Stop(f"{a.weights}: no such weights file")
    for path in filter(None, [a.sheet, a.csv]):
        if not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            raise Stop(f"{path}: its folder does not exist")
    rows = list({row["result"]: row for out in a.outs for row in read_manifest(out)}.values())
    try:
        judge = Judge(a.weights)
    except ImportError as error:
        raise Stop(f"{error}; pip install torch numpy pillow safetensors") from error
    except Exception as error:
        raise Stop(f"{a.weights}: not VGG19 in safetensors with torchvision's names ({error})".replace("\n", " ")) from error
    frames = []
    for i, row in enumerate(sorted(rows, key=lambda r: (r["source"], r["out"], r["output"])), 1):
        try:
            frames.append(measure(judge, row))
        except (OSError, ValueError, SyntaxError) as error:  # a file was moved, deleted or damaged
            print(f"skipped {row['output']}: {error}", file=sys.stderr)
        if sys.stderr.isatty():
            print(f"\r{i} of {len(rows)}", end="\n" if i == len(rows) else "", file=sys.stderr, flush=True)
    if not frames:
        raise Stop("no row could be measured; frames, styles and results must lie where the manifests say")
    groups = {}
    for f in sorted(frames, key=lambda f: (a.outs.index(f["out"]), f["output"])):
        groups.setdefault(f[a.by], []).append(f)
    table = [summarize(name, group) for name, group in groups.items()]
    if a.json:
        print(json.dumps(table, indent=2))
    else:
        print_table(table, a.by)
    if a.csv:
        write_csv(a.csv, frames)
    if a.sheet:
        write_sheet(a.sheet, choose(frames, list(groups.values()), a.rows))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("outs", nargs="+", metavar="OUT")
    p.add_argument("--weights", required=True, help="ImageNet's VGG19, .safetensors with torchvision's names")
    p.add_argument("--by", choices=["condition", "out"], default="condition", help="what a row of the table is")
    p.add_argument("--json", action="store_true", help="print the table as JSON")
    p.add_argument("--sheet", metavar="PATH", help="write a sheet of frames, styles and results")
    p.add_argument("--csv", metavar="PATH", help="write all figures of each frame")
    p.add_argument("--rows", type=int, default=6, help="number of worst frames on the sheet, and of others (6)")
    a = p.parse_args()
    if a.rows < 1:
        p.error("--rows must be 1 or more")
    try:
        evaluate(a)
    except (Stop, OSError) as stop:
        print(f"evaluate.py: {stop}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
