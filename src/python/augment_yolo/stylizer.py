"""Single pictures in memory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from . import _config, _native
from ._native import ConfigError


@dataclass(frozen=True)
class Result:
    """A stylized picture, and what is known about it."""

    image: npt.NDArray[np.uint8]
    """Of the picture's shape."""
    row: dict[str, Any]
    """The row that the command would write into its manifest; see "What it writes" in README.md."""

    @property
    def boxes(self) -> list[dict[str, Any]]:
        """What is left of each object: `edges` and `contrast` against the picture, and how far it was `eased`."""
        return self.row["boxes"] or []

    @property
    def style(self) -> str:
        """The path of the style picture; of several, the one with the largest share."""
        return str(self.row["style"])

    @property
    def strength(self) -> float:
        """The blend between the picture (0) and its stylization (1) that was drawn."""
        return float(self.row["strength"])


class Stylizer:
    """A config, ready to stylize pictures one by one. It can be pickled, and it works in processes that were forked.

    config: the path of a config, or a dict with the same keys; then `condition` is needed, and paths start at the working
        folder.
    names: the names of classes by id, as in data.yaml. They decide which objects are vehicles or persons.
    kpt_shape: that of data.yaml, for labels with keypoints: how many a pose has, and how many numbers each takes.
    device: auto, cpu, cuda, cuda:N or candle. weights: a path, as for the command.
    sets: keys to override, such as `{"stylize.strength": 0.8}`. seed: in place of the config's.
    threads: how many compute; by default one for each core, and one in worker processes.

    Raises ConfigError for a mistake in the config, and Error when styles, weights or the device cannot be used.
    """

    def __init__(
        self,
        config: _config.Config,
        *,
        names: Sequence[str] | Mapping[int, str] | None = None,
        kpt_shape: Sequence[int] | None = None,
        device: str = "auto",
        precision: str | None = None,
        weights: _config.Path | None = None,
        seed: int | None = None,
        sets: Mapping[str, Any] | None = None,
        threads: int | None = None,
    ) -> None:
        text, path = _config.text_of(config)
        self._names = _config.names_of(names)
        self._kpt_shape = _config.kpt_shape_of(kpt_shape)
        _config.threads_of(threads)
        self._threads = threads
        # Absolute, so that a copy in another process finds the same styles.
        self._native_args = (
            text,
            os.path.abspath(path),
            _config.sets_of(sets),
            seed,
            device,
            precision,
            _config.text_or_none(weights),
        )
        self._open()

    def _open(self) -> None:
        self._native = _native.FrameStylizer(*self._native_args, _config.threads_of(self._threads))

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_native"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    @property
    def names(self) -> dict[int, str]:
        """The names of classes by id."""
        return dict(self._names)

    def to_dict(self) -> dict[str, Any]:
        """All that makes the stylizer, as values that JSON can hold. Style pictures are named by their paths."""
        names = {str(number): name for number, name in self._names.items()}
        native = list(self._native_args)
        return {"native": native, "names": names, "kpt_shape": self._kpt_shape, "threads": self._threads}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Stylizer:
        """The stylizer that `to_dict` tells of."""
        stylizer = cls.__new__(cls)
        stylizer._native_args = tuple(values["native"])
        stylizer._names = {int(number): name for number, name in values["names"].items()}
        stylizer._kpt_shape = values["kpt_shape"]
        stylizer._threads = values["threads"]
        stylizer._open()
        return stylizer

    @property
    def condition(self) -> str:
        """The config's `condition`."""
        return self._native.condition

    def __call__(
        self,
        image: npt.NDArray[np.uint8],
        boxes: npt.ArrayLike | None = None,
        classes: Sequence[int | str] | None = None,
        *,
        key: str,
        variant: int = 1,
        place: int = 0,
        label: str | bytes | None = None,
    ) -> Result:
        """Stylizes one picture: uint8, upright, RGB, of the shape (height, width, 3).

        boxes: of the objects, as in YOLO labels: x and y of the middle, width and height, as shares of the picture, of the
            shape (n, 4). classes: of each, an id or a name; without them, objects are of no known class.
        label: the content of a YOLO label file in place of both, also with polygons or oriented boxes.
        key: the path that the picture has, or would have, below its dataset's folder, such as `images/train/a.jpg`. All
            that is drawn depends on the seed, the key and the variant. With the same three, the pixels are those that the
            command compresses.
        place: of the picture in its sequence, if the config has `sequence`.

        Raises TypeError and ValueError for arguments of other types and shapes, and Error when nothing can be made of the
        picture.
        """
        item = {"image": image, "boxes": boxes, "classes": classes, "key": key, "variant": variant, "place": place}
        return self.batch([{**item, "label": label}])[0]

    def batch(self, items: Sequence[Mapping[str, Any]]) -> list[Result]:
        """Stylizes several pictures at once. Each item has the arguments of a call by name."""
        inputs, names = [], dict(self._names)
        for number, item in enumerate(items):
            try:
                inputs.append(_input(names, **item))
            except (TypeError, ValueError) as error:
                raise type(error)(f"item {number}: {error}" if len(items) > 1 else str(error)) from None
        data: dict[str, Any] = {"names": {str(number): name for number, name in names.items()}}
        if self._kpt_shape is not None:
            data["kpt_shape"] = self._kpt_shape
        # A process that was forked after this stylizer was made may compute with fewer threads.
        made = self._native.stylize(inputs, json.dumps(data), _config.threads_of(self._threads))
        return [Result(image, json.loads(row)) for image, row in made]


def _input(
    names: dict[int, str],
    image: Any,
    boxes: Any = None,
    classes: Any = None,
    key: Any = None,
    variant: int = 1,
    place: int = 0,
    label: Any = None,
) -> tuple[Any, bytes | None, str, int, int]:
    """One item as the native part takes it. Classes that are given by name get ids in `names`."""
    if not isinstance(image, np.ndarray):
        raise TypeError(f"image is a {type(image).__name__}; a numpy array was expected")
    if image.dtype != np.uint8:
        raise TypeError(f"image has the type {image.dtype}; uint8 of 0 to 255 was expected")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image has the shape {image.shape}; (height, width, 3) was expected")
    if not isinstance(key, str) or not key:
        raise TypeError("key is missing: the picture's path or name, on which all that is drawn depends")
    if not 1 <= variant < 2**32:
        raise ValueError(f"variant is {variant}; 1 or more was expected")
    if label is not None and boxes is not None:
        raise ValueError("boxes and label were given; one of them says it all")
    if isinstance(label, str):
        label = label.encode()
    if boxes is not None:
        label = _label(names, boxes, classes)
    elif classes is not None:
        raise ValueError("classes were given without boxes")
    return np.ascontiguousarray(image), label, key.replace(os.sep, "/"), variant, place


def _label(names: dict[int, str], boxes: Any, classes: Any) -> bytes:
    """Boxes as the text of a label file."""
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes have the shape {array.shape}; (n, 4) was expected: x, y, width and height")
    if classes is None:
        # A name that no kind of object has.
        classes = ["object"] * len(array)
    if len(classes) != len(array):
        raise ValueError(f"there are {len(array)} boxes and {len(classes)} classes")
    lines = []
    for number, (box, name) in enumerate(zip(array, classes)):
        x, y, width, height = box.tolist()
        if not (0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1):
            raise ValueError(
                f"box {number} is {box.tolist()}; x and y of its middle, width and height were expected as shares of the "
                "picture, from 0 to 1"
            )
        lines.append(f"{_id(names, name)} {x!r} {y!r} {width!r} {height!r}\n")
    return "".join(lines).encode()


def _id(names: dict[int, str], name: Any) -> int:
    if not isinstance(name, str):
        if int(name) != name or name < 0:
            raise ValueError(f"class {name!r} is neither an id nor a name")
        return int(name)
    known = next((number for number, other in names.items() if other == name), None)
    if known is None:
        # Ids up to 10,000 are understood; those of the user are the low ones.
        known = next(number for number in range(9_999, -1, -1) if number not in names)
        names[known] = name
    return known
