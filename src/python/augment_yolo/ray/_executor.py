"""Gives the tasks of a run to Ray actors. Actors that end are replaced, and their tasks are given to others."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Callable

import ray
import ray.exceptions

from .._native import GRACE, Error
from ._remote import Remote
from ._worker import Chunk, Setup, Worker

IN_FLIGHT = 2
"""Chunks of one worker: one to work on, and one that is there when that is done."""

MOST_ENDED = 3
"""So many workers may end over one frame, or in a row while they start."""

WAIT = 0.5
"""Seconds of one wait, between which a stop is noticed."""

PATIENCE = 60.0
"""Seconds without any worker before the user is told."""


@dataclass(eq=False)
class _Actor:
    handle: Any
    opening: Any
    """The call that opens it; None once it is open."""
    chunks: dict[Any, Chunk] = field(default_factory=dict)
    """By call."""

    def takes(self, chunk: Chunk) -> bool:
        if chunk.is_alone:
            return not self.chunks
        return len(self.chunks) < IN_FLIGHT and not any(other.is_alone for other in self.chunks.values())


class RayExecutor:
    """What the native part calls with the tasks of a run; see `_native.Executor`.

    workers: how many actors. resources: of each, as Ray's options. tell: gets warnings as text.
    """

    def __init__(
        self,
        setup: Setup,
        workers: int,
        resources: dict[str, Any],
        chunk: int,
        remote: Remote | None,
        tell: Callable[[str], None],
    ) -> None:
        self.chunk = chunk
        self.stopping = False
        self.devices: set[str] = set()
        self.workers = workers
        self._setup = setup
        self._class: Any = ray.remote(Worker).options(max_restarts=0, max_task_retries=0, **resources)
        self._remote = remote
        self._tell = tell
        self._facts = ""
        self._actors: list[_Actor] = []
        self._queue: deque[Chunk] = deque()
        self._ended_while_opening = 0
        self._alone_since = time.monotonic()

    def expect(self, output: str, todo: int) -> None:
        """Tells the output folder, and how many tasks there are: more workers than chunks are of no use."""
        self._setup = replace(self._setup, output=output)
        self.workers = max(1, min(self.workers, -(-todo // self.chunk)))

    def begin(self, facts: str) -> None:
        self._facts = facts
        if self._actors:
            return
        if self._remote is None:
            # Runs remove files of this name that are left over.
            proof = os.path.join(self._setup.output, f".augment-{uuid.uuid4().hex}.tmp")
            with open(proof, "wb"):
                pass
            self._setup = replace(self._setup, proof=proof)
        else:
            self._remote.begin()
        for _ in range(self.workers):
            self._start()

    def submit(self, tasks: str) -> list[str]:
        condition = json.loads(tasks)[0]["condition"]
        self._queue.append(self._chunk(condition, tasks))
        rows = self._collect(0)
        while self._assign() and not self.stopping:
            rows += self._collect(WAIT)
        return rows

    def drain(self) -> list[str] | None:
        if self._assign() or any(actor.chunks for actor in self._actors):
            return self._collect(WAIT)
        return None

    def cancel(self) -> None:
        self._queue.clear()
        # Only workers with copies of files have something to remove.
        self._end(gently=self._remote is not None)

    def close(self) -> None:
        """Ends all workers."""
        self._end(gently=True)
        if self._setup.proof is not None and os.path.exists(self._setup.proof):
            os.remove(self._setup.proof)

    def _chunk(self, condition: str, tasks: str) -> Chunk:
        files, earlier = self._remote.inputs(tasks) if self._remote is not None else ([], [])
        return Chunk(condition, tasks, self._facts, files, earlier)

    def _start(self) -> None:
        handle = self._class.remote(self._setup)
        self._actors.append(_Actor(handle, handle.open.remote()))

    def _assign(self) -> bool:
        """Gives chunks to workers that have few, and returns whether some are left."""
        while self._queue:
            ready = [actor for actor in self._actors if actor.opening is None and actor.takes(self._queue[0])]
            if not ready:
                return True
            actor = min(ready, key=lambda actor: len(actor.chunks))
            chunk = self._queue.popleft()
            actor.chunks[actor.handle.work.remote(chunk)] = chunk
        return False

    def _collect(self, seconds: float) -> list[str]:
        """The rows of the chunks that are done, after waiting for so many seconds for the first."""
        calls = {call: actor for actor in self._actors for call in (*actor.chunks, actor.opening) if call is not None}
        if not calls:
            return []
        done, _ = ray.wait(list(calls), num_returns=1, timeout=seconds)
        if done:
            done, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        rows: list[str] = []
        for call in done:
            # It may have been given up with another call of its actor.
            if calls[call] in self._actors:
                rows += self._result(calls[call], call)
        if self._remote is not None:
            self._remote.took(rows)
            self._remote.send_rows()
        self._look_for_workers()
        return rows

    def _result(self, actor: _Actor, call: Any) -> list[str]:
        try:
            rows: list[str] = ray.get(call) or []
        except ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise cause if isinstance(cause, Error) else Error(f"a worker failed: {error}") from None
        except ray.exceptions.RayError as error:
            self._replace(actor, error)
            return []
        if call == actor.opening:
            actor.opening = None
            self._ended_while_opening = 0
            return []
        del actor.chunks[call]
        self.devices.update(json.loads(row)["device"] for row in rows)
        return rows

    def _replace(self, actor: _Actor, error: Exception) -> None:
        """Starts another worker in place of one that has ended, and puts its chunks back."""
        self._actors.remove(actor)
        # It may live on where it cannot be reached.
        ray.kill(actor.handle)
        if actor.opening is not None:
            self._ended_while_opening += 1
            if self._ended_while_opening >= max(MOST_ENDED, self.workers):
                raise Error(f"{self._ended_while_opening} workers in a row ended while they started; the last: {error}")
        chunks = list(actor.chunks.values())
        if len(chunks) == 1:
            chunks = self._after_end(chunks[0], error)
        # Of several, any may have done it: the rows of the first may have been on their way.
        for chunk in chunks:
            chunk.is_alone = True
        self._queue.extendleft(reversed(chunks))
        self._tell(f"a worker has ended, and another one takes its place: {_first_line(error)}")
        self._start()

    def _after_end(self, chunk: Chunk, error: Exception) -> list[Chunk]:
        """The chunk to try again; after several times its single tasks."""
        chunk.ended += 1
        if chunk.ended < MOST_ENDED:
            return [chunk]
        tasks = json.loads(chunk.tasks)
        if len(tasks) == 1:
            frame = tasks[0]["frame"]["relative"]
            raise Error(f"{frame}: {MOST_ENDED} workers in a row ended while they worked on it; the last: {error}")
        return [self._chunk(chunk.condition, json.dumps([task], ensure_ascii=False)) for task in tasks]

    def _look_for_workers(self) -> None:
        """Tells the user when the cluster has no place for any worker."""
        now = time.monotonic()
        if any(actor.opening is None for actor in self._actors):
            self._alone_since = now
        elif now - self._alone_since > PATIENCE:
            self._alone_since = now
            has = {key: value for key, value in ray.available_resources().items() if key in ("CPU", "GPU", "memory")}
            self._tell(f"no worker has started yet; free in the cluster: {has}")

    def _end(self, gently: bool) -> None:
        """Ends all workers, if gently after they have finished what they do, and after some seconds anyway."""
        if gently:
            closing = [actor.handle.close.remote() for actor in self._actors if actor.opening is None]
            if closing:
                ray.wait(closing, num_returns=len(closing), timeout=GRACE)
        for actor in self._actors:
            ray.kill(actor.handle)
        self._actors = []


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
