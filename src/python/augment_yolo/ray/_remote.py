"""The driver's part of a run in an object store: a mirror to plan with, and the files that describe the output."""

from __future__ import annotations

import functools
import json
import os
import re
import time
from typing import Any, Iterable, Iterator

from .._native import IMAGE_EXTENSIONS, LOCK_NAME, MANIFEST_NAME, ConfigError, label_name
from .._storage import LATEST_STAMP, Mirror, Store, in_parallel, joined

IMAGES = tuple(f".{extension}" for extension in IMAGE_EXTENSIONS)
TEXTS = (".yaml", ".yml", ".json", ".txt", ".names", ".data", ".labels")
ROWS = ".augment-rows-"
"""The rows that were written since the manifest was, in numbered objects."""
SECONDS = 60.0
"""Between two uploads of rows."""
HEAD = 1 << 20
"""Bytes of another output's manifest that tell it from a file of the same name: its first row."""
LISTS = re.compile(r"(augmented|original)-(train|val|test)\.txt")


class Remote:
    """One run whose dataset and output are in an object store."""

    def __init__(self, store: Store, dataset: str, output: str, reads_labels: bool) -> None:
        self.store = store
        self.mirror = Mirror.temporary(store)
        self.dataset = self.mirror.local(dataset)
        self.output = self.mirror.local(output)
        self._output_url = output.rstrip("/")
        self._manifest = os.path.join(self.output, MANIFEST_NAME)
        self._pieces: list[str] = []
        self._annotations: list[str] = []
        self._sent = 0
        self._before = 0
        """Where the rows begin that were written since the manifest was."""
        self._sent_at = time.monotonic()
        self._has_begun = False
        try:
            self._list_output()
            self._list_dataset(dataset, reads_labels)
        except BaseException:
            self.mirror.close()
            raise

    def _list_dataset(self, url: str, reads_labels: bool) -> None:
        is_file = url.lower().endswith((".yaml", ".yml", ".data"))
        folder = url.rstrip("/").rpartition("/")[0] if is_file else url
        found = False
        for entry in self.store.list(folder):
            if entry.url.startswith(f"{self._output_url}/"):
                continue
            place, found = self.mirror.put(entry), True
            if os.path.basename(place) == MANIFEST_NAME and entry.size > 0:
                head = self.store.read(entry.url, min(HEAD, entry.size))
                with open(place, "wb") as file:
                    file.write(head)
        if not found:
            raise ConfigError(f"{url}: it is not a file; write it as {self.store.protocol}://BUCKET/FOLDER")
        self.mirror.fill(self._texts(self.mirror.local(folder)))
        if reads_labels or not _names_classes(self.dataset):
            self.mirror.fill(self._labels(self.mirror.local(folder)))
        _image_stems.cache_clear()

    def _texts(self, folder: str) -> Iterator[str]:
        """The files whose content is read for the plan, besides labels."""
        for at, name, stem_is_image in _files(folder):
            path = os.path.join(at, name)
            suffix = os.path.splitext(name)[1].lower()
            if path.startswith(os.path.join(self.output, "")) or suffix not in TEXTS:
                continue
            # A JSON called like an image beside it is that image's own.
            if not (_is_label(path) if suffix == ".txt" else suffix == ".json" and stem_is_image):
                yield path

    def _labels(self, folder: str) -> Iterator[str]:
        return (os.path.join(at, name) for at, name, _ in _files(folder) if _is_label(os.path.join(at, name)))

    def _list_output(self) -> None:
        for entry in self.store.list(self._output_url):
            name = entry.url[len(self._output_url) + 1 :]
            if name.startswith(ROWS):
                self._pieces.append(entry.url)
            else:
                self.mirror.put(entry)
                if name.endswith(".json"):
                    self._annotations.append(entry.url)
        self._pieces.sort()
        manifest = joined(self._output_url, MANIFEST_NAME)
        if not os.path.exists(self._manifest) and not self._pieces:
            return
        own = f'"source":"{self.mirror.root}'.encode()
        with open(self._manifest, "wb") as file:
            for url in [manifest, *self._pieces]:
                part = os.path.join(self.mirror.folder, "part")
                if self.store.fetch(url, part):
                    with open(part, "rb") as lines:
                        for line in lines:
                            line = line if line.endswith(b"\n") else line + b"\n"
                            file.write(line.replace(f'"source":"{self.store.protocol}://'.encode(), own, 1))
                    os.remove(part)
                if url == manifest:
                    self._before = file.tell()
            self._sent = file.tell()

    def begin(self) -> None:
        """Marks the output as one of this program. This is the first write, so it shows whether writing is allowed."""
        if not self._has_begun:
            self.store.write(joined(self._output_url, LOCK_NAME), b"")
            self._has_begun = True

    def inputs(self, tasks: str) -> tuple[list[tuple[str, int]], list[str]]:
        """The files that tasks are made from, with their stamps, and the earlier outputs that are there, as URLs."""
        files: list[tuple[str, int]] = []
        earlier: list[str] = []
        for task in json.loads(tasks):
            frame, output = task["frame"], task["job"]["output"]
            for path in (frame["path"], frame["label"], *_maps(frame["path"])):
                if path is not None and os.path.exists(path):
                    files.append((self.mirror.url(path), os.stat(path).st_mtime_ns))
            outputs = (os.path.join(self.output, path) for path in (output, label_name(output)))
            earlier.extend(self.mirror.url(path) for path in outputs if os.path.exists(path))
        return files, earlier

    def took(self, rows: Iterable[str]) -> None:
        """Makes placeholders for what these rows have written."""
        for row in map(json.loads, rows):
            for path in (row["output"], row["label"]):
                place = os.path.join(self.output, path or "")
                if path and row["status"] == "done" and not os.path.exists(place):
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                    with open(place, "wb"):
                        pass
                    os.utime(place, (0, 0))

    def send_rows(self, now: bool = False) -> None:
        """Writes the rows since the last time to the store, once a minute."""
        if not now and time.monotonic() - self._sent_at < SECONDS or not os.path.exists(self._manifest):
            return
        with open(self._manifest, "rb") as file:
            file.seek(self._sent)
            rows = file.read()
        rows = rows[: rows.rfind(b"\n") + 1]
        if rows:
            # After the others in the order of names.
            last = self._pieces[-1].rpartition("-")[2].partition(".")[0] if self._pieces else "0"
            url = joined(self._output_url, f"{ROWS}{int(last) + 1:06}.jsonl")
            self.store.write(url, self.mirror.with_urls(rows.decode()).encode())
            self._pieces.append(url)
            self._sent += len(rows)
        self._sent_at = time.monotonic()

    def finish(self) -> None:
        """Writes the manifest and all that the run has written about its pictures together."""
        if not self._has_begun and not any(True for _ in self._written()):
            return
        in_parallel(self._send, self._written())
        gone = [url for url in self._annotations if not os.path.exists(self.mirror.local(url))]
        in_parallel(self.store.remove, gone)
        if self._has_begun or self._pieces:
            part = os.path.join(self.mirror.folder, "part")
            with open(self._manifest, "rb") as rows, open(part, "wb") as file:
                for row in rows:
                    file.write(row.replace(self.mirror.root.encode(), f"{self.store.protocol}://".encode()))
            in_parallel(self.store.remove, self._removed())
            self.store.write_from(joined(self._output_url, MANIFEST_NAME), part)
            in_parallel(self.store.remove, self._pieces)
            self._pieces = []

    def _removed(self) -> Iterator[str]:
        """The pictures that were removed since the manifest was written, as URLs."""
        with open(self._manifest, "rb") as rows:
            rows.seek(self._before)
            for row in rows:
                if not row.startswith(b'{"removed":'):
                    continue
                path = json.loads(row)["removed"]
                if not os.path.exists(os.path.join(self.output, path)):
                    yield joined(self._output_url, path)

    def _written(self) -> Iterator[str]:
        """The files of the output that this run has written, besides manifest and pictures."""
        for at, _, names in os.walk(self.output):
            for name in names:
                is_described = name.endswith((".json", ".yaml")) or at == self.output and LISTS.fullmatch(name)
                path = os.path.join(at, name)
                if is_described and os.stat(path).st_mtime >= LATEST_STAMP:
                    yield path

    def _send(self, path: str) -> None:
        if not path.endswith(".txt"):
            self.store.write_from(self.mirror.url(path), path)
            return
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        # The mirror is gone after the run. Lines with `./` start at the list's own folder.
        text = "".join(f"{self._portable(line)}\n" for line in lines)
        self.store.write(self.mirror.url(path), text.encode())

    def _portable(self, line: str) -> str:
        return "./" + os.path.relpath(line, self.output) if line.startswith(self.mirror.root) else line

    def close(self) -> None:
        self.mirror.close()


def _files(folder: str) -> Iterator[tuple[str, str, bool]]:
    """The files below a folder: folder, name, and whether an image beside it is called alike."""
    for at, _, names in os.walk(folder):
        images = {os.path.splitext(name)[0] for name in names if name.lower().endswith(IMAGES)}
        for name in names:
            yield at, name, os.path.splitext(name)[0] in images


@functools.lru_cache(maxsize=64)
def _image_stems(folder: str) -> frozenset[str]:
    """The names of the images in a folder, without their extensions."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return frozenset(os.path.splitext(name)[0] for name in names if name.lower().endswith(IMAGES))


def _is_label(path: str) -> bool:
    """Whether this is the label of an image, and not a list or another text."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    parts = folder.split("/")
    if "labels" in parts:
        at = len(parts) - 1 - parts[::-1].index("labels")
        if stem in _image_stems("/".join([*parts[:at], "images", *parts[at + 1 :]])):
            return True
    return stem in _image_stems(folder)


@functools.lru_cache(maxsize=64)
def _masks(folder: str) -> tuple[str, ...]:
    return tuple(sorted(os.listdir(folder))) if os.path.isdir(folder) else ()


def _maps(image: str) -> Iterator[str]:
    """Where masks and the depth of an image may be."""
    folder, name = os.path.split(image)
    parts = folder.split("/")
    for kind in ("masks", "depth"):
        if "images" in parts:
            at = len(parts) - 1 - parts[::-1].index("images")
            base, below = "/".join([*parts[:at], kind]), "/".join(parts[at + 1 :])
        else:
            base, below = f"{folder}-{kind}", ""
        png = os.path.join(below, os.path.splitext(name)[0] + ".png")
        if kind == "depth":
            yield os.path.join(base, png)
        else:
            yield from (os.path.join(base, mask, png) for mask in _masks(base))


def _names_classes(dataset: str) -> bool:
    """Whether the file that describes the dataset names its classes. If not, the labels tell how many there are."""
    file = dataset
    if os.path.isdir(dataset):
        names = [name for name in os.listdir(dataset) if name.lower().endswith((".yaml", ".yml"))]
        if "data.yaml" not in names and len(names) != 1:
            return False
        file = os.path.join(dataset, "data.yaml" if "data.yaml" in names else names[0])
    # Ray needs it, so it is there.
    import yaml

    try:
        with open(file, encoding="utf-8") as text:
            data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(data, dict) and any(data.get(key) is not None for key in ("names", "nc"))
