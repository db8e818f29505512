"""Configs as texts with their paths."""

from __future__ import annotations

import json
import multiprocessing
import os
from typing import Any, Mapping, Sequence, Union

from ._native import ConfigError

Path = Union[str, "os.PathLike[str]"]
Config = Union[Path, Mapping[str, Any]]


def text_of(config: Config) -> tuple[str, str]:
    """The text of a config file or of a dict, and the path that its errors name and its paths start at.

    The paths in a dict start at the working folder.
    """
    if isinstance(config, Mapping):
        if "condition" not in config:
            raise ConfigError("a config that is a dict needs `condition`, the name that outputs get")
        try:
            return json.dumps(dict(config), allow_nan=False), os.path.join(os.getcwd(), "config.yaml")
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the dict is no config: {error}") from None
    path = os.fspath(config)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(), path
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: could not read the config: {error}") from None


def sets_of(sets: Mapping[str, Any] | None) -> list[str]:
    """`{"stylize.steps": 60}` as the command's `--set`."""
    return [f"{key}={json.dumps(value)}" for key, value in (sets or {}).items()]


def text_or_none(path: Path | None) -> str | None:
    return None if path is None else os.fspath(path)


def threads_of(threads: int | None) -> int:
    """How many threads compute; 0 stands for one for each core.

    A worker of a loader computes with one thread, since there are several workers.
    """
    if threads is None:
        return 0 if multiprocessing.parent_process() is None else 1
    if threads < 1:
        raise ConfigError(f"threads={threads}: at least 1 was expected")
    return threads


def names_of(names: Sequence[str] | Mapping[int, str] | None) -> dict[int, str]:
    """The names of classes by id."""
    if names is None:
        return {}
    if isinstance(names, str):
        raise ConfigError("names is one text; a list of names, or a dict of them by id, was expected")
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
    return {int(number): str(name) for number, name in pairs}


def kpt_shape_of(shape: Sequence[int] | None) -> list[int] | None:
    """The shape of keypoints: how many, and how many numbers each."""
    if shape is None:
        return None
    sides = [int(side) for side in shape]
    if len(sides) != 2 or sides[0] < 1 or sides[1] not in (2, 3):
        raise ConfigError(f"kpt_shape={shape}: the number of keypoints, then 2 or 3, was expected, as in data.yaml")
    return sides
