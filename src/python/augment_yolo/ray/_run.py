"""Whole datasets on a cluster."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Mapping, Sequence

import ray

from .. import _config, _native
from .._native import ConfigError, Error
from .._storage import Store, is_url, local_path
from ..dataset import Summary, asked
from ._executor import RayExecutor
from ._remote import Remote
from ._worker import WEIGHTS_VARIABLE, Setup


def run(
    config: _config.Config | Sequence[_config.Config],
    dataset: _config.Path,
    output: _config.Path | None = None,
    *,
    address: str | None = None,
    workers: int | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    chunk: int = 8,
    working_dir: _config.Path | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: Callable[[str, Any], None] | None = None,
    **options: Any,
) -> Summary:
    """Stylizes a dataset on a Ray cluster, and returns the summary that `augment --json` prints.

    The driver plans, compares with the manifest and writes it. So images, labels, data.yaml and rows are those of the
    command, and a second run does only what is missing. There is no sheet.png. Workers that end are replaced, and their
    frames are done by others. A driver that is killed during a run in an object store loses the rows of the last minute
    at most; those frames are done again.

    dataset, output: paths on a disk that all machines share, or URLs of one object store. With URLs, output must be
        given, and only one run at a time may write there.
    address: of the cluster, as for ray.init; by default a cluster that RAY_ADDRESS names, or else this machine. If Ray
        is initialized already, that cluster is used.
    workers: by default as many as fit into the cluster. num_cpus, num_gpus: of each, also below 1; a worker computes
        with num_cpus threads.
    chunk: frames that a worker gets at once.
    working_dir: a folder that Ray copies to every machine (at most 512 MiB); styles and weights in it are found there.
    storage_options: for the object store, as fsspec takes them. They are sent to the workers.
    progress, and options (seed, sets, limit, per_frame, force, retry_failed, max_failures, weights, device, precision):
        as for `augment_yolo.run`.

    Raises ConfigError and Error. Ctrl-C and SIGTERM stop the run: what is done stays done, and KeyboardInterrupt is
    raised.
    """
    for unknown in set(options) & {"shard", "jobs", "threads"}:
        raise ConfigError(f"{unknown}: a run on a cluster divides its frames by itself")
    if chunk < 1 or num_cpus <= 0 or num_gpus < 0 or (workers is not None and workers < 1):
        raise ConfigError("workers and chunk must be at least 1, num_cpus above 0 and num_gpus not negative")
    what = asked(config, dataset, output=output, **options)
    places = (address, workers, num_cpus, num_gpus)
    summary, _ = run_asked(what, *places, chunk, working_dir, storage_options, progress)
    return summary


def run_asked(
    what: dict[str, Any],
    address: str | None,
    workers: int | None,
    num_cpus: float,
    num_gpus: float,
    chunk: int,
    working_dir: _config.Path | None,
    storage_options: Mapping[str, Any] | None,
    progress: Callable[[str, Any], None] | None,
) -> tuple[Summary, str]:
    """`run` with the arguments as the native part takes them. Returns the summary, and its lines as the command prints
    them.
    """
    remote = _remote(what, storage_options)
    try:
        with _cluster(address, working_dir):
            resources = {"num_cpus": num_cpus, "num_gpus": num_gpus}
            count = workers or _places(num_cpus, num_gpus)
            # The driver only plans. It may have no GPU.
            planned = {**what, "device": "cpu", "precision": None}
            if remote is not None:
                planned.update(dataset=remote.dataset, output=remote.output)
            setup = _setup(what, num_cpus, working_dir, remote)

            def tell(text: str) -> None:
                if progress is not None:
                    progress("warning", text)

            executor = RayExecutor(setup, count, resources, chunk, remote, tell)
            return _run(planned, executor, remote, progress)
    finally:
        if remote is not None:
            remote.close()


def _run(
    planned: dict[str, Any],
    executor: RayExecutor,
    remote: Remote | None,
    progress: Callable[[str, Any], None] | None,
) -> tuple[Summary, str]:
    def public(text: str) -> str:
        return text if remote is None else remote.mirror.with_urls(text)

    def hear(kind: str, text: str) -> None:
        content = json.loads(public(text))
        if kind == "begin":
            output = planned["output"]
            output = json.loads(text)["output"] if output is None else os.path.abspath(output)
            executor.expect(output, content["todo"])
        if progress is not None:
            progress(kind, content)

    try:
        with _stopped_by_signals(executor):
            text, lines = _native.run(planned, hear, executor)
        summary: Summary = json.loads(public(text))
        if executor.devices:
            summary["device"] = f"{', '.join(sorted(executor.devices))}, {executor.workers} workers"
        if remote is not None:
            remote.finish()
        return summary, public(lines)
    except KeyboardInterrupt:
        if remote is not None:
            remote.finish()
        raise
    except BaseException as error:
        if remote is not None:
            _save_rows(remote)
        if isinstance(error, Error) and public(str(error)) != str(error):
            raise type(error)(public(str(error))) from None
        raise
    finally:
        executor.close()


def _save_rows(remote: Remote) -> None:
    """After a failure. The failure is what is reported."""
    try:
        remote.send_rows(now=True)
    except Error:
        pass


def _remote(what: dict[str, Any], storage_options: Mapping[str, Any] | None) -> Remote | None:
    """The object store of the run; None where dataset and output are paths. Turns `file://` into paths."""
    what["dataset"] = dataset = local_path(what["dataset"])
    what["output"] = output = what["output"] and local_path(what["output"])
    if not is_url(dataset) and not is_url(output or ""):
        if storage_options:
            raise ConfigError("storage_options are for object stores, and dataset and output are paths")
        return None
    if output is None:
        raise ConfigError(f"{dataset}: with an object store, the output must be given")
    protocol = dataset.partition("://")[0]
    if protocol != output.partition("://")[0] or not is_url(output):
        raise ConfigError(
            f"{dataset} and {output} are not in one object store; data.yaml could not lead from one to the other"
        )
    if protocol == "memory":
        raise ConfigError("memory:// is no object store that several processes share")
    texts = [text for text, _ in what["configs"]] + what["sets"]
    reads_labels = any("where" in text for text in texts)
    return Remote(Store(protocol, storage_options), dataset, output, reads_labels)


def _setup(what: dict[str, Any], num_cpus: float, working_dir: _config.Path | None, remote: Remote | None) -> Setup:
    weights, variable = what["weights"], os.environ.get(WEIGHTS_VARIABLE)
    return Setup(
        configs=[(text, os.path.abspath(path)) for text, path in what["configs"]],
        sets=what["sets"],
        seed=what["seed"],
        device=what["device"],
        precision=what["precision"],
        weights=_absolute(weights),
        weights_variable=_absolute(variable),
        threads=max(1, int(num_cpus)),
        working_folder=_working_folder(working_dir),
        output="",
        proof=None,
        protocol=remote.store.protocol if remote else None,
        storage_options=remote.store.options if remote else {},
        mirror=remote.mirror.root if remote else "",
    )


def _absolute(weights: str | None) -> str | None:
    """Weights are a path, or a word for the program's own."""
    return weights if weights in (None, "", "builtin", "auto") else os.path.abspath(weights)


def _working_folder(working_dir: _config.Path | None) -> str | None:
    """The folder on this machine that Ray copies to every worker."""
    if working_dir is not None:
        return os.path.abspath(working_dir)
    # A job that `ray job submit --working-dir` has started runs in its copy.
    return os.getcwd() if ray.get_runtime_context().runtime_env.get("working_dir") else None


@contextmanager
def _cluster(address: str | None, working_dir: _config.Path | None) -> Iterator[None]:
    """Connects to Ray for the time of a run, unless this process is connected already."""
    if ray.is_initialized():
        if working_dir is not None:
            raise ConfigError("working_dir: Ray is initialized already; give runtime_env to ray.init")
        yield
        return
    environment = {"working_dir": os.path.abspath(working_dir)} if working_dir is not None else None
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    # A dashboard is of no use to a cluster that ends with the run.
    local = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, runtime_env=environment, logging_level=logging.WARNING, log_to_driver=False, **local)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Error(f"the Ray cluster {address} could not be reached: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _places(num_cpus: float, num_gpus: float) -> int:
    """How many workers fit into the cluster."""
    has = ray.cluster_resources()
    places = [int(has.get("CPU", 0) / num_cpus)]
    if num_gpus > 0:
        places.append(int(has.get("GPU", 0) / num_gpus))
    return max(1, min(places))


@contextmanager
def _stopped_by_signals(executor: RayExecutor) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the run. Only the main thread may change handlers; elsewhere they stay as they are."""

    def stop(number: int, frame: Any) -> None:
        executor.stopping = True
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            # A parent process that ignores a signal, as nohup does, wants it ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
