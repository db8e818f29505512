"""A transform for Albumentations."""

from __future__ import annotations

from typing import Any, Union

import albumentations
import numpy as np
import numpy.typing as npt

from .stylizer import Stylizer


class Augment(albumentations.DualTransform):
    """Stylizes images while a detector trains, so that no second copy of the dataset is needed.

    Boxes, masks and keypoints stay as they are. The boxes and their classes decide what is drawn around objects and how
    much of them must be left. Each call draws anew from the transform's own generator, which Compose seeds.

    stylizer: a Stylizer; its `names` tell what class ids mean.
    class_field: the label field that has the classes, ids or names; by default the first one of the box parameters.
    bgr: whether the images have OpenCV's order of channels.
    p: the share of images that are stylized.

    Targets: image, mask, masks, bboxes, keypoints. Image types: uint8 with three channels.
    """

    _targets = (
        albumentations.core.type_definitions.Targets.IMAGE,
        albumentations.core.type_definitions.Targets.MASK,
        albumentations.core.type_definitions.Targets.BBOXES,
        albumentations.core.type_definitions.Targets.KEYPOINTS,
    )

    class InitSchema(albumentations.core.transforms_interface.BaseTransformInitSchema):
        stylizer: Any
        class_field: Union[str, None]
        bgr: bool

    def __init__(
        self,
        stylizer: Stylizer | dict[str, Any],
        class_field: str | None = None,
        bgr: bool = False,
        p: float = 0.5,
    ) -> None:
        super().__init__(p=p)
        # A dict comes from `to_dict`, by which pipelines are saved.
        self.stylizer = stylizer if isinstance(stylizer, Stylizer) else Stylizer.from_dict(stylizer)
        self.class_field = class_field
        self.bgr = bgr

    def get_transform_init_args(self) -> dict[str, Any]:
        return {"stylizer": self.stylizer.to_dict(), "class_field": self.class_field, "bgr": self.bgr}

    def __repr__(self) -> str:
        # The saved form holds the whole config.
        return f"Augment({self.stylizer.condition}, p={self.p})"

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        boxes, classes = self._objects(data.get("bboxes"))
        return {"boxes": boxes, "classes": classes, "variant": self.py_random.randrange(1, 2**32)}

    def _objects(self, bboxes: Any) -> tuple[Any, Any]:
        """Boxes as YOLO labels have them, cut to the image, and their classes."""
        if bboxes is None or len(bboxes) == 0:
            return None, None
        corners = np.clip(np.asarray(bboxes)[:, :4].astype(np.float64), 0.0, 1.0)
        sizes = corners[:, 2:] - corners[:, :2]
        boxes = np.concatenate([(corners[:, 2:] + corners[:, :2]) / 2, sizes], axis=1)
        kept: list[bool] = np.all(sizes > 0, axis=1).tolist()
        classes = self._classes(bboxes)
        return boxes[kept], None if classes is None else [name for name, keep in zip(classes, kept) if keep]

    def _classes(self, bboxes: Any) -> list[Any] | None:
        """The classes of boxes, which Compose has put into columns behind their sides, encoded where they are names."""
        processor = self.get_processor("bboxes")
        fields = list((processor and processor.params.label_fields) or [])
        if not fields:
            return None
        field = fields[0] if self.class_field is None else self.class_field
        if field not in fields:
            raise ValueError(f"class_field is {field!r}, and the label fields of the boxes are {fields}")
        # The corners take four columns, in some versions a fifth is the angle; label fields are the last ones.
        column = np.asarray(bboxes)[:, -len(fields) + fields.index(field)]
        classes = np.ravel(processor.label_manager.restore_field("bboxes", field, column)).tolist()
        return [name if isinstance(name, str) else int(name) for name in classes]

    def apply(
        self, img: npt.NDArray[np.uint8], boxes: Any = None, classes: Any = None, variant: int = 1, **params: Any
    ) -> npt.NDArray[np.uint8]:
        image = img[..., ::-1] if self.bgr else img
        made = self.stylizer(image, boxes, classes, key="image", variant=variant).image
        return np.ascontiguousarray(made[..., ::-1]) if self.bgr else made

    def apply_to_mask(self, mask: Any, *args: Any, **params: Any) -> Any:
        return mask

    def apply_to_masks(self, masks: Any, *args: Any, **params: Any) -> Any:
        return masks

    def apply_to_bboxes(self, bboxes: Any, *args: Any, **params: Any) -> Any:
        return bboxes

    def apply_to_keypoints(self, keypoints: Any, *args: Any, **params: Any) -> Any:
        return keypoints
