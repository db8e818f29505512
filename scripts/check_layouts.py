#!/usr/bin/env python3
"""Checks with Ultralytics' loader that a dataset of every YOLO layout comes out with its splits, labels and names.

    target/ultralytics/bin/python scripts/check_layouts.py [--augment target/release/augment]

For each layout it writes a small dataset, stylizes it, and lets Ultralytics read the `data.yaml` of the output. In every
split the originals must have exactly the instances of each class that were written, and in `train` the copies the same
again. Where Ultralytics reads the dataset's own file, that must give the same counts. It needs what
`check_ultralytics.py` needs, and no network.
"""
import argparse
import collections
import os
import pathlib
import shutil
import subprocess

from check_ultralytics import ROOT, WORK, Scanned, check_det_dataset, no_network, run, socket
import numpy
from PIL import Image

NAMES = ["car", "08", "traffic light"]
CONFIG = """condition: fog
styles: [{path: styles}]
splits: [train]
stylize: {size: 64, steps: 1, style: {layers: {relu1_1: 1}}, content: {layers: {relu1_1: 1}}}
"""
# The classes of the objects in each image, by split.
OBJECTS = {"train": [[0, 0, 1], [2], []], "val": [[1], [0, 2, 2]], "test": [[0]]}


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = numpy.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=numpy.uint8)
    Image.fromarray(noise).resize((48, 40)).save(path)


class Layout:
    """A dataset: `image` and `label` are patterns with {split} and {n}; `files` are further ones. `names` of splits differ
    between programs. `own` is the file that Ultralytics reads as well, from the folder `start`."""

    def __init__(self, name, image, label, files=(), splits=("train", "val"), names=None, given="", own=None, start="", links=(),
                 classes=tuple(NAMES)):
        self.name, self.image, self.label, self.files, self.splits = name, image, label, dict(files), splits
        self.names, self.given, self.own, self.start, self.links = names or {}, given, own, start, links
        self.classes = list(classes)

    def write(self, root):
        for n, split in enumerate(self.splits):
            for i, classes in enumerate(OBJECTS[split]):
                fill = {"split": self.names.get(split, split), "n": f"{split}{i}"}
                picture(root / self.image.format(**fill), 10 * n + i)
                if classes:
                    label = root / self.label.format(**fill)
                    label.parent.mkdir(parents=True, exist_ok=True)
                    lines = [f"{c} {0.2 + 0.2 * k} 0.5 0.1 0.1" for k, c in enumerate(classes)]
                    label.write_text("\n".join(lines) + "\n")
        for file, text in self.files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(text.format(root=root) if "{root}" in text else text)
        for link, target in self.links:
            (root / link).parent.mkdir(parents=True, exist_ok=True)
            (root / link).symlink_to(target)

    def expected(self, split):
        return collections.Counter(c for classes in OBJECTS[split] for c in classes)


def yaml(train, val, test="", path=""):
    names = "names: {0: car, 1: 08, 2: 'traffic light'}\n"
    return path + f"train: {train}\nval: {val}\n" + (f"test: {test}\n" if test else "") + names


def list_of(split, line, newline="\n"):
    return "".join(line.format(n=f"{split}{i}") + newline for i in range(len(OBJECTS[split])))


DARKNET_NAMES = {"val": "valid"}
CLASSES = "car\n08\ntraffic light\n"
STANDARD = dict(image="images/{split}/{n}.png", label="labels/{split}/{n}.txt")
LAYOUTS = [
    Layout("standard", **STANDARD, files={"data.yaml": yaml("images/train", "images/val")}, own="data.yaml"),
    Layout("any-name", **STANDARD, files={"coco8.yaml": yaml("images/train", "images/val")}, own="coco8.yaml"),
    Layout("test-split", **STANDARD, splits=("train", "val", "test"), own="data.yaml",
           files={"data.yaml": yaml("images/train", "images/val", "images/test")}),
    Layout("roboflow", "{split}/images/{n}.png", "{split}/labels/{n}.txt", names=DARKNET_NAMES, own="data.yaml",
           files={"data.yaml": yaml("../train/images", "../valid/images")}),
    Layout("deeper", "proj.v1i/{split}/images/{n}.png", "proj.v1i/{split}/labels/{n}.txt", own="proj.v1i/data.yaml",
           files={"proj.v1i/data.yaml": yaml("../train/images", "../val/images")}),
    Layout("list-of-folders", **STANDARD, files={"data.yaml": yaml("[images/train]", "[images/val]")}, own="data.yaml"),
    Layout("lists", "images/{n}.png", "labels/{n}.txt", own="data.yaml",
           files={"data.yaml": yaml("train.txt", "val.txt"), "train.txt": list_of("train", "./images/{n}.png"),
                  "val.txt": list_of("val", "./images/{n}.png")}),
    # Ultralytics does not find the label of a line that begins with `images/`.
    Layout("lists-working-folder", "sets/images/{n}.png", "sets/labels/{n}.txt", given="sets", own="sets/data.yaml", start=".",
           files={"sets/data.yaml": yaml("train.txt", "val.txt"), "sets/train.txt": list_of("train", "sets/images/{n}.png"),
                  "sets/val.txt": list_of("val", "sets/images/{n}.png")}),
    Layout("lists-backslashes", "images/{n}.png", "labels/{n}.txt",
           files={"data.yaml": yaml("train.txt", "val.txt"), "train.txt": list_of("train", ".\\images\\{n}.png", "\r\n"),
                  "val.txt": list_of("val", "images\\{n}.png", "\r\n")}),
    Layout("path-working-folder", "sets/v/images/{split}/{n}.png", "sets/v/labels/{split}/{n}.txt", given="conf/a/v.yaml",
           own="conf/a/v.yaml", start=".", files={"conf/a/v.yaml": yaml("images/train", "images/val", path="path: sets/v\n")}),
    Layout("folders", **STANDARD, files={"classes.txt": CLASSES}),
    Layout("split-images", "{split}/images/{n}.png", "{split}/labels/{n}.txt", files={"obj.names": CLASSES}),
    Layout("darknet", "{split}/{n}.png", "{split}/{n}.txt", names=DARKNET_NAMES,
           files={"train/_darknet.labels": CLASSES, "valid/_darknet.labels": CLASSES}),
    Layout("cvat", "obj_{split}_data/{n}.png", "obj_{split}_data/{n}.txt", names=DARKNET_NAMES,
           files={"obj.data": "classes = 3\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n",
                  "obj.names": CLASSES, "train.txt": list_of("train", "data/obj_train_data/{n}.png"),
                  "valid.txt": list_of("val", "data/obj_valid_data/{n}.png")}),
    Layout("cvat-without-lists", "obj_{split}_data/{n}.png", "obj_{split}_data/{n}.txt", names=DARKNET_NAMES,
           files={"obj.names": CLASSES}),
    Layout("bdd", "images/100k/{split}/{n}.png", "labels/100k/{split}/{n}.txt", files={"classes.txt": CLASSES}),
    Layout("visdrone", "VisDrone2019-DET-{split}/images/{n}.png", "VisDrone2019-DET-{split}/labels/{n}.txt",
           files={"classes.txt": CLASSES}),
    Layout("dev", **STANDARD, names={"val": "dev"}, files={"labels/classes.txt": CLASSES}),
    Layout("capitals", "Train/images/{n}.png", "Train/labels/{n}.txt", splits=("train",), files={"classes.txt": CLASSES}),
    Layout("image-sets", "pics/{n}.png", "pics/{n}.txt",
           files={"classes.txt": CLASSES, "ImageSets/Main/train.txt": list_of("train", "{n}"),
                  "ImageSets/Main/val.txt": list_of("val", "{n}")}),
    Layout("flat", "{n}.png", "{n}.txt", splits=("train",), files={"classes.txt": CLASSES}),
    Layout("flat-images", "images/{n}.png", "labels/{n}.txt", splits=("train",), files={"classes.txt": CLASSES}),
    Layout("linked-pool", "pool_{split}/{n}.png", "ds/labels/{split}/{n}.txt", given="ds", files={"ds/classes.txt": CLASSES},
           links=[("ds/images/train", "../../pool_train"), ("ds/images/val", "../../pool_val")]),
    Layout("linked-with-labels", "pool/images/{split}/{n}.png", "pool/labels/{split}/{n}.txt", given="ds",
           files={"ds/data.yaml": yaml("images/train", "images/val")}, own="ds/data.yaml",
           links=[("ds/images/train", "../../pool/images/train"), ("ds/images/val", "../../pool/images/val")]),
    Layout("linked-list", "ds/images/{n}.png", "ds/labels/{n}.txt", given="ds",
           files={"ds/data.yaml": yaml("train.txt", "val.txt"), "lists/train.txt": list_of("train", "./images/{n}.png"),
                  "lists/val.txt": list_of("val", "./images/{n}.png")},
           links=[("ds/train.txt", "../lists/train.txt"), ("ds/val.txt", "../lists/val.txt")]),
    Layout("below-images", "images/ds/images/{split}/{n}.png", "images/ds/labels/{split}/{n}.txt", given="images/ds",
           files={"images/ds/classes.txt": CLASSES}),
]


def instances(data, split, inside):
    """The instances of each class among the originals and among the images below `inside`."""
    originals, copies = collections.Counter(), collections.Counter()
    count = [0, 0]
    dataset = Scanned(img_path=data[split], data=data, imgsz=64, augment=False)
    assert dataset.results[3] == 0, f"corrupt: {dataset.messages}"
    for label in dataset.labels:
        is_copy = inside is not None and pathlib.Path(label["im_file"]).resolve().is_relative_to(inside)
        count[is_copy] += 1
        (copies if is_copy else originals).update(int(c) for c in label["cls"].flatten())
    return originals, copies, count


def check(layout, augment, place):
    root = place / layout.name
    layout.write(root)
    out = place / f"{layout.name}-out"
    given = root / layout.given
    os.chdir(root / layout.start if layout.start else place)
    run = [augment, "--config", place / "fog.yaml", given, "--output", out, "--weights", "builtin", "--quiet"]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, f"{layout.name}: {done.stderr}"
    os.chdir(place)
    data = check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert list(data["names"].values()) == layout.classes, f"{layout.name}: {data['names']}"
    for split in layout.splits:
        originals, copies, count = instances(data, split, out.resolve())
        expected = layout.expected(split)
        assert originals == expected, f"{layout.name}: {split}: originals {originals}, and {expected} were written"
        assert count[0] == len(OBJECTS[split]), f"{layout.name}: {split}: {count[0]} originals"
        if split == "train":
            assert copies == expected and count[1] == count[0], f"{layout.name}: copies {copies} of {expected}"
        else:
            assert count[1] == 0, f"{layout.name}: {split}: holds copies"
    if layout.own:
        os.chdir(root / layout.start if layout.start else place)
        own = check_det_dataset(str(root / layout.own), autodownload=False)
        assert own["names"] == data["names"], f"{layout.name}: {own['names']}"
        for split in layout.splits:
            found = instances(own, split, None)[0]
            assert found == layout.expected(split), f"{layout.name}: {split}: Ultralytics reads {found} in the original"
        os.chdir(place)
    print(f"  {layout.name}: {', '.join(layout.splits)}{', and its own file' if layout.own else ''}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--augment", default=ROOT / "target" / "release" / "augment", type=pathlib.Path)
    parser.add_argument("only", nargs="*", help="names of layouts")
    args = parser.parse_args()
    socket.getaddrinfo = socket.socket.connect = no_network
    place, augment = WORK / "layouts", args.augment.resolve()
    shutil.rmtree(place, ignore_errors=True)
    picture(place / "styles" / "one.png", 99)
    (place / "fog.yaml").write_text(CONFIG)
    faults = []
    for layout in (layout for layout in LAYOUTS if not args.only or layout.name in args.only):
        try:
            check(layout, augment, place)
        except Exception as fault:
            faults.append(f"{layout.name}: {type(fault).__name__}: {fault}")
    assert not faults, "\n" + "\n".join(faults)
    print("OK")


if __name__ == "__main__":
    run(main)
