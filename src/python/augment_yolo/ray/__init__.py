"""Datasets that a Ray cluster stylizes.

    from augment_yolo.ray import run

    run("fog.yaml", "s3://bucket/drive", "s3://bucket/drive-fog", address="auto")

`python -m augment_yolo.ray` is the same as a command. `Stylize` stylizes the rows of a Ray Dataset.

**Files.** Dataset and output are both on a disk that all machines share, or both in an object store (s3://, gs:// and
others that fsspec knows). Configs are read by the driver. Style pictures, weights and students must be at the same
paths on every machine, or in Ray's working folder (`working_dir`), which Ray copies to every machine.
"""

from __future__ import annotations

try:
    import ray as _ray  # noqa: F401
except ImportError:
    raise ImportError("the package ray is missing; install augment-yolo[ray]") from None

from ._run import run
from ._stylize import Stylize

__all__ = ["Stylize", "run"]
