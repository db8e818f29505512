"""The rows of a Ray Dataset."""

from __future__ import annotations

import io
import json
import os
from typing import Any, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .. import _config
from .._native import ConfigError
from .._storage import is_url
from ..stylizer import Stylizer

Batch = dict[str, Any]


class Stylize:
    """Stylizes the images of a Ray Dataset. It is a class for `map_batches` with a pool of actors:

        images = ray.data.read_images("/shared/drive/images/train", include_paths=True)
        foggy = images.map_batches(
            Stylize,
            fn_constructor_kwargs={"config": "/shared/fog.yaml", "root": "/shared/drive"},
            concurrency=4,
            batch_size=16,
        )

    config, names, kpt_shape, device, precision, weights, seed, sets: as for `Stylizer`. The config and its styles must be
        there on every machine.
    root: the dataset's folder, an absolute path or a URL, which is cut off the paths. All that is drawn depends on what
        is left.
    variant: which copy of each image this is, from 1.
    threads: of each actor; by default one.

    A batch has the columns

    - `image`: uint8 of the shape (height, width, 3); or `bytes`: the content of an image file, which Pillow decodes;
    - `key` or `path`: what the draws depend on;
    - `boxes` and `classes`, as for `Stylizer`; or `label`: the content of a YOLO label file; neither for background;
    - any others, which stay as they are.

    The returned batch has the new `image`, no `bytes`, and `row`: the row of the manifest as JSON.

    Raises ValueError and TypeError for columns that are missing or of other types, and Error when nothing can be made
    of an image. Ray ends the pipeline then, unless `DataContext.max_errored_blocks` allows it to go on.
    """

    def __init__(
        self,
        config: _config.Config,
        *,
        names: Sequence[str] | Mapping[int, str] | None = None,
        kpt_shape: Sequence[int] | None = None,
        root: str | None = None,
        variant: int = 1,
        device: str = "auto",
        precision: str | None = None,
        weights: _config.Path | None = None,
        seed: int | None = None,
        sets: Mapping[str, Any] | None = None,
        threads: int = 1,
    ) -> None:
        self._stylizer = Stylizer(
            config,
            names=names,
            kpt_shape=kpt_shape,
            device=device,
            precision=precision,
            weights=weights,
            seed=seed,
            sets=sets,
            threads=threads,
        )
        if root is not None and not (is_url(root) or os.path.isabs(root)):
            raise ConfigError(f"root={root}: an absolute path or a URL was expected, since the actors run elsewhere")
        self._root = None if root is None else root.rstrip("/") + "/"
        self._variant = variant

    def __call__(self, batch: Batch) -> Batch:
        keys = _column(batch, "key", "path")
        if keys is None:
            raise ValueError("the batch has neither `key` nor `path`, on which all that is drawn depends")
        pictures = _column(batch, "image", "bytes")
        if pictures is None:
            raise ValueError("the batch has neither `image` nor `bytes`")
        boxes, classes, labels = (_column(batch, name) for name in ("boxes", "classes", "label"))
        items = []
        for number, (key, picture) in enumerate(zip(keys, pictures)):
            item: dict[str, Any] = {"key": self._key(str(key)), "variant": self._variant}
            item["image"] = picture if "image" in batch else _decoded(str(key), picture)
            if boxes is not None and boxes[number] is not None:
                item["boxes"] = _stacked(boxes[number])
                if classes is not None and classes[number] is not None:
                    item["classes"] = list(classes[number])
            elif labels is not None and labels[number] is not None:
                item["label"] = labels[number]
            items.append(item)
        made = self._stylizer.batch(items)
        kept = {name: column for name, column in batch.items() if name != "bytes"}
        rows = np.array([json.dumps(one.row, ensure_ascii=False) for one in made], dtype=object)
        return {**kept, "image": _joined([one.image for one in made]), "row": rows}

    def _key(self, path: str) -> str:
        if self._root is None:
            return path
        # Ray's paths of object stores have no scheme.
        for root in (self._root, self._root.partition("://")[2]):
            if root and path.startswith(root):
                return path[len(root) :]
        raise ValueError(f"{path} does not lie below root={self._root}")


def _column(batch: Batch, *names: str) -> Any:
    """The first of these columns that the batch has."""
    return next((batch[name] for name in names if name in batch), None)


def _stacked(boxes: Any) -> npt.NDArray[np.float64]:
    """Boxes of one image, which Arrow may give as an array of arrays."""
    return np.array([np.asarray(box, dtype=np.float64) for box in boxes]) if len(boxes) > 0 else np.empty((0, 4))


def _joined(images: list[npt.NDArray[np.uint8]]) -> npt.NDArray[Any]:
    """One array, of objects where the sizes differ."""
    if len({image.shape for image in images}) == 1:
        return np.stack(images)
    column = np.empty(len(images), dtype=object)
    column[:] = images
    return column


def _decoded(key: str, content: bytes) -> npt.NDArray[np.uint8]:
    """An encoded picture, upright and in RGB."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{key}: it could not be decoded: {error}") from None
