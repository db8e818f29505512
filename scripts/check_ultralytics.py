#!/usr/bin/env python3
"""Checks outputs of augment with Ultralytics: what it counts in them, and that it can train on them.

    just check-ultralytics [OUT ...]

OUT is a finished output with a data.yaml. Without one, the script stylizes the sample into fog and night, into one
output.

For each OUT it counts the images and instances of every split twice: with Ultralytics' own scan, and from the files.
Both must agree, and nothing may be corrupt. `train` must hold originals and all new images that are done by the
manifest, with the labels of their originals. Then it trains a small model from scratch for one epoch on the CPU. It
uses no network. Ultralytics leaves its caches (*.cache) beside the labels, as it always does.
"""
import argparse
import collections
import json
import math
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
WORK = PLACE / "check-ultralytics"
# Ultralytics reads these when it is imported.
os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false", YOLO_CONFIG_DIR=str(WORK),
                  MPLCONFIGDIR=str(WORK / "mpl"))
WORK.mkdir(parents=True, exist_ok=True)

import matplotlib
import yaml
from ultralytics import YOLO, __version__, settings
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset

IMAGES = {".jpg", ".jpeg", ".mpo", ".png", ".webp", ".bmp", ".tif", ".tiff"}
Counts = collections.namedtuple("Counts", "images backgrounds instances corrupt duplicates")


def no_network(*_):
    raise OSError("this check makes no connections")


class Scanned(YOLODataset):
    """A dataset that is scanned without the cache, and that keeps the results and messages of the scan."""

    def get_cache_hash(self):
        return str(time.time_ns())

    def cache_labels(self, path):
        found = super().cache_labels(path)
        self.results, self.messages = found["results"], list(found["msgs"])
        return found


def by_ultralytics(data, split):
    dataset = Scanned(img_path=data[split], data=data, imgsz=160, augment=False)
    _, missing, empty, corrupt, total = dataset.results
    instances = sum(len(label["cls"]) for label in dataset.labels)
    return Counts(total, missing + empty, instances, corrupt, sum("duplicate" in m for m in dataset.messages)), dataset


def images_of(entry):
    """The images behind an entry of a data.yaml: those below a folder, or the lines of a list."""
    if entry.is_dir():
        return [path for path in entry.rglob("*") if path.suffix.lower() in IMAGES]
    return [(entry.parent / line).resolve() for line in entry.read_text().splitlines() if line]


def label_of(image):
    before, _, after = str(image).rpartition(f"{os.sep}images{os.sep}")
    label = pathlib.Path(before, "labels", after) if after else image
    return label.with_suffix(".txt")


def lines_of(image):
    label = label_of(image)
    return [line.split() for line in label.read_text().splitlines() if line.strip()] if label.is_file() else []


def from_files(images):
    """The same counts without Ultralytics. Like Ultralytics, it counts a repeated line once."""
    lines = [lines_of(image) for image in images]
    distinct = [{tuple(map(float, line)) for line in own} for own in lines]
    twice = sum(len(some) < len(own) for some, own in zip(distinct, lines))
    return Counts(len(images), sum(not own for own in lines), sum(map(len, distinct)), 0, twice)


def check_new_images(out, train):
    """Checks that each new image is trained on, with the label of its original. Returns the number of new images."""
    last = {}
    for row in map(json.loads, (out / "manifest.jsonl").read_text().splitlines()):
        if "removed" in row:
            last.pop(row["removed"], None)
        else:
            last[row["output"]] = row
    done = [row for row in last.values() if row["status"] == "done"]
    known = {os.path.realpath(image) for image in train}
    sources = {os.path.realpath(row["source"]) for row in done}
    trained = [row for row in done if os.path.realpath(out / row["output"]) in known]
    assert len(trained) == sum(os.path.realpath(row["source"]) in known for row in done), "new images are not trained on"
    assert sources & known, "no original is trained on"
    for row in trained:
        new, old = label_of((out / row["output"]).resolve()), label_of(pathlib.Path(row["source"]).resolve())
        assert new.is_file() == old.is_file(), f"{new}: new image and original must both have a label, or neither"
        assert not new.is_file() or new.read_bytes() == old.read_bytes(), f"{new}: is not its original's"
    return len(trained)


def check_splits(out):
    raw = yaml.safe_load((out / "data.yaml").read_text())
    data = check_det_dataset(str(out / "data.yaml"), autodownload=False)
    for split in (split for split in ("train", "val", "test") if raw.get(split)):
        entries = [raw[split]] if isinstance(raw[split], str) else raw[split]
        images = [image for entry in entries for image in images_of((out / entry).resolve())]
        expected, (found, dataset) = from_files(images), by_ultralytics(data, split)
        print(f"  {split:5} {found.images:5} images, {found.backgrounds} without labels, {found.instances} instances, "
              f"{found.corrupt} corrupt, {found.duplicates} with lines that stand twice", end="")
        for message in dataset.messages:
            print(f"\n        {message}", end="")
        assert found == expected, f"\nUltralytics counts {found}, and the files hold {expected}"
        assert {pathlib.Path(image) for image in dataset.im_files} == set(images), "\nit reads other images"
        if split == "train":
            new = check_new_images(out, images)
            print(f"; {len(images) - new} originals and {new} new images", end="")
        print()


def train(out):
    """One epoch from scratch; the losses must be numbers."""
    model = YOLO("yolo11n.yaml")
    model.train(data=str(out / "data.yaml"), epochs=1, imgsz=160, batch=8, workers=0, device="cpu", amp=False, plots=False,
                pretrained=False, verbose=False, project=str(WORK / "runs"), name=out.name, exist_ok=True)
    header, row = [line.split(",") for line in (WORK / "runs" / out.name / "results.csv").read_text().splitlines()[-2:]]
    losses = {key.strip(): float(value) for key, value in zip(header, row) if "loss" in key}
    assert losses and all(map(math.isfinite, losses.values())), f"the losses are no numbers: {losses}"
    print("  trained one epoch:", ", ".join(f"{key} {value:.2f}" for key, value in losses.items()))


def sample(augment):
    """The sample under two conditions, in one output."""
    dataset, out = WORK / "streets", WORK / "streets-weather"
    for folder in (dataset, out):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "tests" / "fixtures" / "streets", dataset)
    for condition in ("fog", "night"):
        run = [augment, "--config", ROOT / "configs" / f"{condition}.yaml", dataset, "--output", out, "--quiet"]
        subprocess.run([*run, "--weights", "builtin", "--set", "stylize.steps=3"], check=True)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", nargs="*", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--augment", default=PLACE / "release" / "augment", help="the program that stylizes the sample")
    args = parser.parse_args()
    socket.getaddrinfo = socket.socket.connect = no_network
    settings.update({"sync": False, "runs_dir": str(WORK / "runs"), "datasets_dir": str(WORK)})
    # Ultralytics would download these fonts.
    font = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        shutil.copy(font, pathlib.Path(settings.file).parent / name)
    print(f"Ultralytics {__version__}")
    for out in args.outputs or [sample(args.augment)]:
        print(out)
        check_splits(out.resolve())
        train(out.resolve())
    print("OK")


def run(main):
    """Calls `main` and ends with the first check that failed."""
    try:
        main()
    except AssertionError as fault:
        sys.exit(f"\nFAILED: {fault}")


if __name__ == "__main__":
    run(main)
