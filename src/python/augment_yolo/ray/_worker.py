"""What runs on the machines of a cluster: one process that stylizes frames."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field
from typing import Any, Mapping

from .. import _native
from .._storage import Mirror, Store, in_parallel

WEIGHTS_VARIABLE = "AUGMENT_WEIGHTS"


@dataclass(frozen=True)
class Setup:
    """What every worker needs, besides the frames."""

    configs: list[tuple[str, str]]
    """Texts with their absolute paths."""
    sets: list[str]
    seed: int | None
    device: str
    precision: str | None
    weights: str | None
    weights_variable: str | None
    threads: int
    working_folder: str | None
    """The folder on the driver's machine that Ray copies to each worker."""
    output: str
    """The output folder on the driver's machine."""
    proof: str | None
    """A file that is there while the run is going on; `None` with an object store."""
    protocol: str | None = None
    """Of the object store, if there is one."""
    storage_options: Mapping[str, Any] = field(default_factory=dict)
    mirror: str = ""
    """The root of the driver's mirror."""


@dataclass
class Chunk:
    """Some tasks of one condition."""

    condition: str
    tasks: str
    """JSON, as the native part writes it."""
    facts: str
    files: list[tuple[str, int]] = field(default_factory=list)
    """With an object store, the URLs of the files that the frames are made from, with their stamps."""
    earlier: list[str] = field(default_factory=list)
    """With an object store, the URLs of outputs of earlier runs that are there."""
    is_alone: bool = False
    """Whether its worker gets no other chunk meanwhile: a worker has ended with this one, perhaps because of it."""
    ended: int = 0
    """How many workers have ended that had this chunk alone."""


class Worker:
    """Does chunks of tasks. It is a Ray actor. Its constructor opens nothing, since Ray takes errors there for a death.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._stylizers: dict[str, _native.FrameStylizer] = {}
        self._working_folder = os.path.join(os.getcwd(), "")
        self._staging: Mirror | None = None

    def open(self) -> None:
        """Opens every config. Raises Error with the name of this machine."""
        try:
            self._open()
        except _native.Error as error:
            raise type(error)(f"on the machine {socket.gethostname()}: {error}") from None

    def _open(self) -> None:
        setup = self._setup
        if setup.proof is not None and not os.path.exists(setup.proof):
            raise _native.Error(
                f"{setup.output} is not the output folder of the run; datasets and outputs must lie on a disk that all "
                "machines share, or in an object store"
            )
        if setup.weights_variable is not None:
            os.environ[WEIGHTS_VARIABLE] = setup.weights_variable
        weights = setup.weights and self._here(setup.weights)
        for text, path in setup.configs:
            common = (setup.sets, setup.seed, setup.device, setup.precision, weights)
            stylizer = _native.FrameStylizer(text, self._here(path), *common, setup.threads)
            self._stylizers[stylizer.condition] = stylizer
        if setup.protocol is not None and self._staging is None:
            self._staging = Mirror.temporary(Store(setup.protocol, setup.storage_options))

    def _here(self, path: str) -> str:
        """The path of a file that may be in the folder that Ray has copied. `builtin` and `auto` are no files."""
        folder = self._setup.working_folder
        is_below = folder is not None and path.startswith(os.path.join(folder, ""))
        return os.path.join(self._working_folder, os.path.relpath(path, folder)) if is_below else path

    def work(self, chunk: Chunk) -> list[str]:
        """The rows of the chunk's tasks. Raises Error when no frame can be done here."""
        if self._staging is None:
            stylizer = self._stylizers[chunk.condition]
            rows = stylizer.work(chunk.tasks, chunk.facts, self._setup.output, self._setup.threads)
        else:
            rows = self._work_staged(chunk, self._staging)
        return [self._as_on_driver(row) for row in rows]

    def _as_on_driver(self, row: str) -> str:
        """A row with the paths that it would have on the driver's machine."""
        folder = self._setup.working_folder
        return row if folder is None else row.replace(self._working_folder, os.path.join(folder, ""))

    def _work_staged(self, chunk: Chunk, staging: Mirror) -> list[str]:
        tasks = chunk.tasks.replace(self._setup.mirror, staging.root)
        output = self._setup.output.replace(self._setup.mirror, staging.root)
        os.makedirs(output, exist_ok=True)
        made: list[str] = []
        try:
            in_parallel(lambda file: _stage(staging, *file), chunk.files)
            texts = self._stylizers[chunk.condition].work(tasks, chunk.facts, output, self._setup.threads)
            rows = [json.loads(text) for text in texts]
            made = [os.path.join(output, row[key]) for row in rows for key in ("output", "label") if row[key]]
            earlier = set(chunk.earlier)
            in_parallel(lambda row: _publish(staging, output, row, earlier), rows)
            texts = [json.dumps(row, ensure_ascii=False) for row in rows]
            return [text.replace(staging.root, self._setup.mirror) for text in texts]
        finally:
            for path in [staging.local(url) for url, _ in chunk.files] + made:
                if os.path.exists(path):
                    os.remove(path)

    def close(self) -> None:
        """Removes the files of this worker."""
        if self._staging is not None:
            self._staging.close()


def _stage(staging: Mirror, url: str, stamp: int) -> None:
    """Fetches a file. Its time is the one that the driver has listed: if the object has changed since, the next run
    sees that. A frame whose file is gone becomes a failed row.
    """
    place = staging.local(url)
    if staging.store.fetch(url, place):
        os.utime(place, ns=(stamp, stamp))


def _publish(staging: Mirror, output: str, row: dict[str, Any], earlier: set[str]) -> None:
    """Writes the picture and the label of a row to the store, and notes in the row what the store says of them."""
    store, is_done = staging.store, row["status"] == "done"
    picture = os.path.join(output, row["output"])
    label = os.path.join(output, row["label"]) if row["label"] else None
    written = [path for path in (label, picture) if path is not None and is_done]
    # The picture first: no picture shall be left without its label.
    for path in (picture, os.path.join(output, _native.label_name(row["output"]))):
        url = staging.url(path)
        if url in earlier and path not in written:
            store.remove(url)
    # The label first, for the same reason.
    for path in written:
        with open(path, "rb") as file:
            store.write(staging.url(path), file.read())
        stamp = store.entry(staging.url(path)).stamp
        os.utime(path, ns=(stamp, stamp))
    if is_done:
        row["made_files"] = json.loads(_native.fingerprint(list(reversed(written))))
