"""Whole datasets: the command as functions."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any, Callable, Mapping, Sequence

from . import _config, _native

Summary = dict[str, Any]
"""What `--json` prints: see "Command line" in README.md."""

Planned = dict[str, Any]
"""One picture to make: `frame`, `split`, `output`, `label`, `condition`, `variant`, `seed` and `styles`."""


def asked(
    config: _config.Config | Sequence[_config.Config],
    dataset: _config.Path,
    *,
    output: _config.Path | None = None,
    seed: int | None = None,
    sets: Mapping[str, Any] | None = None,
    shard: str | None = None,
    limit: int | None = None,
    per_frame: int | None = None,
    jobs: int | None = None,
    force: bool = False,
    retry_failed: bool = False,
    max_failures: int | None = None,
    weights: _config.Path | None = None,
    device: str = "auto",
    precision: str | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """The arguments of a run as the native part takes them."""
    configs: Sequence[Any] = [config] if isinstance(config, (str, os.PathLike, Mapping)) else config
    if not configs:
        raise _native.ConfigError("a config is missing")
    return {
        "configs": [_config.text_of(one) for one in configs],
        "sets": _config.sets_of(sets),
        "dataset": os.fspath(dataset),
        "output": _config.text_or_none(output),
        "seed": seed,
        "shard": shard,
        "limit": limit,
        "per_frame": per_frame,
        "jobs": jobs,
        "force": force,
        "retry_failed": retry_failed,
        "max_failures": max_failures,
        "weights": _config.text_or_none(weights),
        "device": device,
        "precision": precision,
        "threads": _config.threads_of(threads),
    }


def run(
    config: _config.Config | Sequence[_config.Config],
    dataset: _config.Path,
    *,
    progress: Callable[[str, Any], None] | None = None,
    **options: Any,
) -> Summary:
    """Stylizes a dataset, as `augment --config CONFIG DATASET` does, and returns the summary that `--json` prints.

    options: output, seed, sets, shard ("1/4" or "auto"), limit, per_frame, jobs, force, retry_failed, max_failures,
        weights, device, precision and threads; each as for the command.
    progress: is called with a kind of event and its content: "begin" and how many jobs there are, "row" and each finished
        row, "warning" and a text. If it raises, the run stops, and the exception is raised here.

    Frames that fail are counted in the summary (`failed`, `failures`). Ctrl-C stops the run as it does the command: what
    is done stays done, and KeyboardInterrupt is raised.

    Raises ConfigError and Error with the messages of the command.
    """
    heard = None
    if progress is not None:
        listener = progress

        def heard(kind: str, content: str) -> None:
            listener(kind, json.loads(content))

    text, _ = _native.run(asked(config, dataset, **options), heard, None)
    summary: Summary = json.loads(text)
    return summary


def plan(config: _config.Config | Sequence[_config.Config], dataset: _config.Path, **options: Any) -> list[Planned]:
    """The pictures that `run` with the same arguments would make, done already or not. Nothing is written.

    `pandas.DataFrame(plan(...))` makes a table of it.
    """
    texts, _ = _native.plan(asked(config, dataset, **options))
    return [_planned(*json.loads(text)) for text in texts]


def rows(output: _config.Path) -> list[dict[str, Any]]:
    """The last row of every picture in an output, done or failed, sorted by its path; see "What it writes" in README.md.

    Lines that are no rows are left out with a warning. Raises Error for a folder that is no output.
    """
    texts, unreadable = _native.rows(os.fspath(output))
    if unreadable:
        warnings.warn(f"{os.fspath(output)}: {unreadable} lines of the manifest cannot be read", stacklevel=2)
    return [json.loads(text) for text in texts]


def _path(value: Any) -> str:
    """A path of a task. One that is not UTF-8 comes as its bytes, and becomes the text that `os` understands."""
    return value if isinstance(value, str) else os.fsdecode(bytes(value["Unix"]))


def _planned(task: dict[str, Any], styles: list[tuple[str, float]]) -> Planned:
    frame, job = task["frame"], task["job"]
    return {
        "frame": _path(frame["path"]),
        "split": frame["split"],
        "output": job["output"],
        "label": job["label_output"],
        "condition": task["condition"],
        "variant": job["variant"],
        "seed": job["seed"],
        "styles": [path for path, _ in styles],
        "shares": [share for _, share in styles],
    }
