"""Detection datasets under fog, rain, snow, night or any style: the engine of `augment`, for Python.

    import augment_yolo

    augment_yolo.init("fog")                                  # fog.yaml and its style pictures, once
    fog = augment_yolo.Stylizer("fog.yaml", names=["car", "person"])
    result = fog(image, boxes=[[0.5, 0.6, 0.2, 0.3]], classes=[0], key="images/train/a.jpg")
    result.image                                              # uint8, of the same shape

`run` makes a whole dataset, as the command does. `Augment` and `TorchAugment` stylize while a detector trains.
"""

from __future__ import annotations

from typing import Any

from ._native import ConfigError, Error, __version__
from ._native import init as _init
from .dataset import Planned, Summary, plan, rows, run
from .stylizer import Result, Stylizer

__all__ = [
    "Augment",
    "ConfigError",
    "Error",
    "Planned",
    "Result",
    "Stylizer",
    "Summary",
    "TorchAugment",
    "__version__",
    "init",
    "plan",
    "rows",
    "run",
]


def init(preset: str, folder: str = ".") -> str:
    """Writes a preset (fog, rain, snow, night, dusk or painting) and its style pictures into `folder`.

    Returns the path of the config. Files that are there are not replaced.

    Raises ConfigError for another preset, and Error if a file is there already.
    """
    return str(_init(preset, folder))


def __getattr__(name: str) -> Any:
    # Their base classes come from packages that not everybody has.
    if name == "Augment":
        from .albumentations import Augment

        return Augment
    if name == "TorchAugment":
        from .torchvision import TorchAugment

        return TorchAugment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
