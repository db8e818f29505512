"""Files in object stores, and their mirror on a local disk.

A mirror has a file for each object, at the same path below its root. Most are placeholders: they have the length of the
object and no content. Their times stand for the content, so that a changed object shows as a changed time.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple

from ._native import ConfigError, Error

LATEST_STAMP = 1 << 30
"""Times of mirrored files are earlier, in seconds since 1970. So a file with a later time was written here."""

THREADS = 16
"""Transfers at once. A transfer of a small file mostly waits."""


class Entry(NamedTuple):
    """An object: its URL, its length in bytes, and a time that stands for its content, in nanoseconds since 1970."""

    url: str
    size: int
    stamp: int


def is_url(path: str) -> bool:
    return "://" in path


def local_path(path: str) -> str:
    """The path of a `file://` URL; everything else stays as it is."""
    return path[len("file://") :] if path.startswith("file://") else path


def joined(url: str, below: str) -> str:
    return f"{url.rstrip('/')}/{below}"


class Store:
    """The objects of one protocol, such as s3. `options` go to the fsspec file system.

    Every method raises Error that names the URL and the cause.
    """

    def __init__(self, protocol: str, options: Mapping[str, Any] | None = None) -> None:
        try:
            import fsspec
        except ImportError:
            raise Error(f"{protocol}://: the package fsspec is missing; install augment-yolo[ray]") from None
        self.protocol = protocol
        self.options = dict(options or {})
        with _named(f"{protocol}://", "open it"):
            # Listings change during a run.
            self._fs: Any = fsspec.filesystem(protocol, use_listings_cache=False, **self.options)

    def _path(self, url: str) -> str:
        return str(self._fs._strip_protocol(url)).rstrip("/")

    def _entry(self, info: Mapping[str, Any]) -> Entry:
        return Entry(f"{self.protocol}://{info['name'].lstrip('/')}", int(info["size"] or 0), _stamp(info))

    def list(self, url: str) -> Iterator[Entry]:
        """All objects below `url`, in no particular order. Of S3, a page of a thousand is in memory at a time; of other
        stores, a folder.
        """
        with _named(url, "list it"):
            for info in self._pages(self._path(url)):
                # Some tools make an object for a folder.
                if info["type"] == "file" and not info["name"].endswith("/"):
                    yield self._entry(info)

    def _pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        bucket, _, key = path.partition("/")
        if self.protocol not in ("s3", "s3a"):
            try:
                for _, _, files in self._fs.walk(path, detail=True, on_error="raise"):
                    yield from files.values()
            except FileNotFoundError:
                # Only a bucket that is missing is an error.
                self._fs.ls(bucket)
            return
        # `find` would keep a dict for each of a million objects.
        page: Any = {}
        while not page or page.get("IsTruncated"):
            more = {"ContinuationToken": page["NextContinuationToken"]} if page else {}
            page = self._fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key and f"{key}/", **more)
            for one in page.get("Contents", []):
                yield {**one, "name": f"{bucket}/{one['Key']}", "size": one["Size"], "type": "file"}

    def entry(self, url: str) -> Entry:
        """What the store says about one object."""
        with _named(url, "look at it"):
            return self._entry(self._fs.info(self._path(url)))

    def read(self, url: str, first: int | None = None) -> bytes:
        """The content of an object, or its first so many bytes."""
        with _named(url, "read it"):
            return bytes(self._fs.cat_file(self._path(url), end=first))

    def fetch(self, url: str, place: str) -> bool:
        """Copies an object to a local file. Returns False if there is no such object; then no file is written."""
        with _named(url, "read it"):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            try:
                self._fs.get_file(self._path(url), place)
                return True
            except FileNotFoundError:
                if os.path.exists(place):
                    os.remove(place)
                return False

    def write(self, url: str, content: bytes) -> None:
        """Writes an object, all or nothing."""
        with _named(url, "write it"):
            self._fs.pipe_file(self._path(url), content)

    def write_from(self, url: str, place: str) -> None:
        """Writes an object with the content of a local file, all or nothing."""
        with _named(url, "write it"):
            self._fs.put_file(place, self._path(url))

    def remove(self, url: str) -> None:
        """Removes an object, if there is one."""
        with _named(url, "remove it"):
            try:
                self._fs.rm_file(self._path(url))
            except FileNotFoundError:
                pass


def _stamp(info: Mapping[str, Any]) -> int:
    """A time in nanoseconds that stands for the content: the hash of the store's digest, or else of the object's time.

    The times that stores report are too coarse: an object may be replaced within the same second.
    """
    known = ("md5Hash", "ETag", "etag", "LastModified", "last_modified", "updated", "mtime", "created")
    text = next((str(info[key]) for key in known if info.get(key)), "")
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return number % LATEST_STAMP * 10**9 + (number >> 32) % 10**9


@contextmanager
def _named(url: str, action: str) -> Iterator[None]:
    """Puts the URL, the action and the cause into every error."""
    try:
        yield
    except (Error, GeneratorExit):
        raise
    # Each back end has exceptions of its own.
    except Exception as error:
        cause = str(error) or type(error).__name__
        raise Error(f"{url}: could not {action}: {cause}") from error


class Mirror:
    """A local folder with the objects of one protocol, at the same paths. `folder` is empty or does not exist."""

    def __init__(self, folder: str, store: Store) -> None:
        self.folder = os.path.realpath(folder)
        self.store = store
        self.root = os.path.join(self.folder, store.protocol, "")
        self._scheme = f"{store.protocol}://"
        os.makedirs(self.root, exist_ok=True)

    @classmethod
    def temporary(cls, store: Store) -> Mirror:
        return cls(tempfile.mkdtemp(prefix="augment-"), store)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def local(self, url: str) -> str:
        below = url[len(self._scheme) :].rstrip("/")
        if not url.startswith(self._scheme) or ".." in below.split("/"):
            raise ConfigError(f"{url}: a {self._scheme} URL without `..` was expected")
        return self.root + below

    def url(self, path: str) -> str:
        return self._scheme + path[len(self.root) :]

    def with_urls(self, text: str) -> str:
        """`text` with URLs in place of paths in the mirror."""
        return text.replace(self.root, self._scheme)

    def put(self, entry: Entry) -> str:
        """Makes a placeholder, and returns its path."""
        place = self.local(entry.url)
        with _named(entry.url, "mirror it"):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.truncate(entry.size)
            os.utime(place, ns=(entry.stamp, entry.stamp))
        return place

    def fill(self, places: Iterable[str]) -> None:
        """Fetches the content of placeholders. They keep their times."""
        left = iter(places)
        # Not all at once: there may be hundreds of thousands.
        while some := list(itertools.islice(left, 1000)):
            in_parallel(self._fill, some)

    def _fill(self, place: str) -> None:
        stamp = os.stat(place).st_mtime_ns
        if self.store.fetch(self.url(place), place):
            os.utime(place, ns=(stamp, stamp))


def in_parallel(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """`work` of each item, in their order, several at once. The first exception is raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))
