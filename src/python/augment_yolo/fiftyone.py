"""Outputs as FiftyOne datasets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Mapping, Sequence

import fiftyone
import yaml

from . import _config, _native
from .dataset import rows


def load(
    output: _config.Path,
    name: str | None = None,
    *,
    names: Sequence[str] | Mapping[int, str] | None = None,
    originals: bool = False,
) -> Any:
    """Opens an output of `augment` as a FiftyOne dataset, with a sample for each picture that is done.

    A sample has its objects under `ground_truth`, and the fields `condition`, `variant`, `style`, `strength`, `source`
    (the original frame) and `box_edges_min`. Objects have `edges`, `contrast` and `eased`: what the stylization left of
    them. Pictures that failed are in `dataset.info["failed"]`, with their errors.

    name: of the dataset; by default FiftyOne chooses one.
    names: of the classes, by id; by default those of the output's data.yaml.
    originals: adds the original frames too, with the tag `original`.

    Raises augment_yolo.Error for a folder that is no output.
    """
    folder = Path(os.path.abspath(output))
    found = rows(folder)
    data = _data(folder)
    classes = _config.names_of(names if names is not None else data.get("names"))
    keypoints = _keypoints(data)
    dataset = fiftyone.Dataset(name)
    done = [row for row in found if row["status"] == "done"]
    samples = [_sample(folder, row, classes, keypoints) for row in done]
    if originals:
        labels = {row["source"]: folder / row["label"] if row["label"] else None for row in done}
        for source, label in labels.items():
            objects = _objects(label, [], classes, keypoints)
            samples.append(fiftyone.Sample(source, tags=["original"], ground_truth=objects))
    dataset.add_samples(samples)
    dataset.info["failed"] = {row["source"]: row["error"] for row in found if row["status"] == "failed"}
    dataset.save()
    return dataset


def _data(folder: Path) -> dict[str, Any]:
    """The output's data.yaml; empty where there is none, as for datasets without classes."""
    path = folder / "data.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}


def _keypoints(data: Mapping[str, Any]) -> int | None:
    shape = data.get("kpt_shape")
    return int(shape[0] * shape[1]) if shape else None


def _sample(folder: Path, row: Mapping[str, Any], classes: Mapping[int, str], keypoints: int | None) -> Any:
    label = folder / row["label"] if row["label"] else None
    return fiftyone.Sample(
        str(folder / row["output"]),
        tags=["augmented"],
        ground_truth=_objects(label, row["boxes"] or [], classes, keypoints) if label else _annotated(row),
        condition=row["condition"],
        variant=row["variant"],
        style=row["style"],
        strength=row["strength"],
        source=row["source"],
        box_edges_min=row["box_edges_min"],
    )


def _objects(
    label: Path | None, figures: Sequence[Mapping[str, Any]], classes: Mapping[int, str], keypoints: int | None
) -> Any:
    """The objects of a label file with the figures of each, where there is one for each."""
    named = []
    for word, (x, y, width, height), _ in [] if label is None else _native.labels(label.read_bytes(), keypoints):
        number = _native.class_number(word)
        name = word if number is None else classes.get(number, word)
        named.append((name, [x - width / 2, y - height / 2, width, height]))
    return _detections(named, figures)


def _annotated(row: Mapping[str, Any]) -> Any:
    """The objects of COCO annotations, with their figures."""
    named = []
    for one in row.get("annotated", []):
        left, top, right, bottom = one["area"]
        named.append((one["class"], [left, top, right - left, bottom - top]))
    return _detections(named, row["boxes"] or [])


def _detections(named: Sequence[tuple[str, list[float]]], figures: Sequence[Mapping[str, Any]]) -> Any:
    known = figures if len(figures) == len(named) else [{}] * len(named)
    detections = [
        fiftyone.Detection(label=name, bounding_box=corner, **figure) for (name, corner), figure in zip(named, known)
    ]
    return fiftyone.Detections(detections=detections)
