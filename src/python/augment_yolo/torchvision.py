"""A transform for torchvision (transforms.v2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from .stylizer import Stylizer


class TorchAugment(v2.Transform):
    """Stylizes the image of a sample while a detector trains. Everything else in the sample stays as it is.

    A sample is any nesting of lists, tuples and dicts with one image: a PIL image, a `tv_tensors.Image` or, without
    either, the first plain tensor, uint8 with three channels. Its first `tv_tensors.BoundingBoxes` are the objects. Each
    call draws anew from PyTorch's generator.

    stylizer: a Stylizer; its `names` tell what class ids mean.
    labels: the key of the dict in the sample that has the classes of the boxes, as ids.
    p: the share of images that are stylized.
    """

    def __init__(self, stylizer: Stylizer, p: float = 0.5, labels: str = "labels") -> None:
        super().__init__()
        self.stylizer = stylizer
        self.p = p
        self.labels = labels

    def forward(self, *inputs: Any) -> Any:
        """The sample with a stylized image.

        Raises TypeError without an image that it can use, and ValueError if there is not one class for each box.
        """
        sample = inputs if len(inputs) > 1 else inputs[0]
        if torch.rand(1).item() >= self.p:
            return sample
        flat, structure = tree_flatten(sample)
        at = next((n for n, one in enumerate(flat) if isinstance(one, tv_tensors.Image) or _is_pil(one)), None)
        if at is None:
            # As torchvision does it: the first plain tensor is the image, and later ones are masks and others.
            at = next((n for n, one in enumerate(flat) if _is_plain(one)), None)
        if at is None or _is_plain(flat[at]) and not _is_image(flat[at]):
            raise TypeError("the sample has no image: a PIL image, or a uint8 tensor of the shape (3, height, width)")
        boxes = next((one for one in flat if isinstance(one, tv_tensors.BoundingBoxes)), None)
        flat[at] = self._stylized(flat[at], boxes, _find(sample, self.labels))
        return tree_unflatten(flat, structure)

    def _stylized(self, image: Any, boxes: Any, labels: Any) -> Any:
        pixels = np.asarray(image.convert("RGB")) if _is_pil(image) else image.permute(1, 2, 0).cpu().numpy()
        shares, classes = _shares(boxes, labels)
        variant = int(torch.randint(1, 2**31, (1,)).item())
        made = self.stylizer(pixels, shares, classes, key="image", variant=variant).image
        if _is_pil(image):
            return functional.to_pil_image(made)
        tensor = torch.from_numpy(made).permute(2, 0, 1).to(image.device)
        return tv_tensors.wrap(tensor, like=image) if isinstance(image, tv_tensors.TVTensor) else tensor


def _is_pil(one: Any) -> bool:
    # PIL is not imported for its type alone.
    return type(one).__module__.startswith("PIL.") and hasattr(one, "convert")


def _is_plain(one: Any) -> bool:
    return isinstance(one, torch.Tensor) and not isinstance(one, tv_tensors.TVTensor)


def _is_image(one: Any) -> bool:
    return bool(one.dtype == torch.uint8 and one.ndim == 3 and one.shape[0] == 3)


def _shares(boxes: Any, labels: Any) -> tuple[Any, Any]:
    """Boxes as YOLO labels have them, cut to the image, and their classes."""
    if boxes is None or len(boxes) == 0:
        return None, None
    height, width = boxes.canvas_size
    corners = functional.convert_bounding_box_format(boxes, new_format=tv_tensors.BoundingBoxFormat.XYXY)
    scale = np.array([width, height, width, height], dtype=np.float64)
    corners = np.clip(corners.as_subclass(torch.Tensor).cpu().numpy().astype(np.float64) / scale, 0.0, 1.0)
    sizes = corners[:, 2:] - corners[:, :2]
    kept = (sizes > 0).all(axis=1)
    shares = np.concatenate([(corners[:, 2:] + corners[:, :2]) / 2, sizes], axis=1)[kept]
    if labels is None:
        return shares, None
    if len(labels) != len(boxes):
        raise ValueError(f"expected a class for each of {len(boxes)} boxes, not {len(labels)}; see `labels`")
    return shares, [int(name) for name, keep in zip(labels, kept.tolist()) if keep]


def _find(sample: Any, key: str) -> Any:
    """The value of `key` in the first dict of a nested sample that has it."""
    if isinstance(sample, dict):
        if key in sample:
            return sample[key]
        sample = list(sample.values())
    if isinstance(sample, (list, tuple)):
        found = (_find(one, key) for one in sample)
        return next((one for one in found if one is not None), None)
    return None
