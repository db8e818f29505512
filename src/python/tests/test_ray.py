"""Runs on Ray clusters of several nodes on this machine, on disks and in an object store."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

# Ray makes sockets there, whose paths must be short.
os.environ.setdefault("RAY_TMPDIR", "/tmp")

import augment_yolo  # noqa: E402
from augment_yolo.ray import Stylize, run  # noqa: E402

STREETS = Path(__file__).parents[3] / "tests/fixtures/streets"
WEIGHTS = Path(__file__).parents[3] / "src/nst/builtin.safetensors"
COMMAND = [sys.executable, "-m", "augment_yolo.ray"]
MEMORY = 80 * 1024 * 1024
"""Bytes of each node's object store; no frame goes through it."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes of one processor each. Node 0 has the driver."""
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def fog(tmp_path: Path) -> str:
    return augment_yolo.init("fog", str(tmp_path / "configs"))


def make_dataset(folder: Path, count: int) -> Path:
    """Small frames that differ, every third one without a label, and two frames to validate on."""
    frames = sorted((STREETS / "images/train").glob("*.jpg"))
    for number in range(count + 2):
        split = "train" if number < count else "val"
        name = f"frame{number:02}"
        source = frames[number % len(frames)]
        with Image.open(source) as image:
            pixels = np.asarray(image.convert("RGB").resize((160, 90))).astype(np.int16)
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
        changed = np.clip(pixels + number, 0, 255).astype(np.uint8)
        Image.fromarray(changed).save(folder / "images" / split / f"{name}.jpg", quality=92)
        label = STREETS / "labels/train" / f"{source.stem}.txt"
        if number % 3 and label.exists():
            shutil.copy(label, folder / "labels" / split / f"{name}.txt")
    shutil.copy(STREETS / "data.yaml", folder / "data.yaml")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """What an output holds, by name, without the manifest and hidden files."""
    found = (path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in found}
    return {
        name: path.read_bytes() for path, name in names.items() if "manifest" not in name and not name.startswith(".")
    }


def rows(manifest: str) -> list[dict[str, Any]]:
    """The rows by output, without what differs from run to run: times, and where the frame lies."""
    made = [json.loads(line) for line in manifest.splitlines()]
    for row in made:
        for key in ("seconds", "device", "source"):
            del row[key]
        for key in ("source_files", "made_files"):
            if row[key] is not None:
                del row[key]["modified"]
    return sorted(made, key=lambda row: row["output"])


def test_a_run_on_a_cluster_that_loses_a_node_makes_what_one_machine_makes(
    cluster: Any, fog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augment_yolo.ray import _executor

    class Slow(_executor.Worker):
        """So that the node is lost while its worker has frames."""

        def work(self, chunk: Any) -> list[str]:
            time.sleep(0.3)
            return super().work(chunk)

    class Together(_executor.RayExecutor):
        """Begins when every node has its worker."""

        have_met = False

        def _assign(self) -> bool:
            self.have_met = self.have_met or all(actor.opening is None for actor in self._actors)
            return super()._assign() if self.have_met else True

    monkeypatch.setattr(_executor, "Worker", Slow)
    monkeypatch.setattr("augment_yolo.ray._run.RayExecutor", Together)
    dataset = make_dataset(tmp_path / "drive", 60)
    alone = augment_yolo.run(fog, dataset, output=tmp_path / "alone")
    lost: list[str] = []
    warnings: list[str] = []
    node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    cluster.wait_for_nodes()

    def lose_a_node(kind: str, content: Any) -> None:
        if kind == "row" and not lost:
            lost.append(content["output"])
            cluster.remove_node(node, allow_graceful=False)
        if kind == "warning":
            warnings.append(content)

    summary = run(fog, dataset, tmp_path / "spread", workers=4, chunk=2, progress=lose_a_node)
    assert lost and any("worker has ended" in text for text in warnings), warnings
    assert (summary["done"], summary["failed"], summary["left"]) == (60, 0, 0)
    same = ("jobs", "labelled", "background", "warnings", "conditions", "backbone")
    assert {key: summary[key] for key in same} == {key: alone[key] for key in same}
    made, expected = files(tmp_path / "spread"), files(tmp_path / "alone")
    assert len(made) > 60 and made == expected
    texts = [(tmp_path / name / "manifest.jsonl").read_text() for name in ("spread", "alone")]
    assert rows(texts[0]) == rows(texts[1])
    monkeypatch.undo()
    again = run(fog, dataset, tmp_path / "spread")
    assert (again["skipped"], again["done"]) == (60, 0)


def test_several_conditions_share_the_frames_as_on_one_machine(cluster: Any, fog: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "drive", 7)
    if sys.platform == "linux":
        # A name that is no UTF-8.
        shutil.copy(dataset / "images/train/frame01.jpg", os.fsdecode(bytes(dataset) + b"/images/train/caf\xe9.jpg"))
    configs = [fog, augment_yolo.init("rain", str(tmp_path / "configs"))]
    augment_yolo.run(configs, dataset, output=tmp_path / "alone", per_frame=1)
    summary = run(configs, dataset, per_frame=1, chunk=1)
    assert summary["output"] == str(tmp_path / "drive-fog-rain")
    assert files(tmp_path / "drive-fog-rain") == files(tmp_path / "alone")


def test_a_broken_frame_becomes_a_failed_row_and_the_exit_code_is_3(cluster: Any, fog: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "drive", 5)
    (dataset / "images/train/frame01.jpg").write_bytes(b"no picture")
    summary = run(fog, dataset, tmp_path / "out", chunk=2)
    assert (summary["done"], summary["failed"]) == (4, 1)
    assert summary["failures"][0]["source"].endswith("frame01.jpg")
    # As a command, on a cluster that it connects to.
    command = [*COMMAND, "--config", fog, str(dataset), "--output", str(tmp_path / "out"), "--retry-failed", "--json"]
    command += ["--address", cluster.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["failed"] == 1 and "frame01.jpg" in done.stderr
    assert f"labels: {summary['labelled']} frames with one" in done.stderr, "the lines of the command"


def test_a_run_ends_after_as_many_failures_as_are_allowed(cluster: Any, fog: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "drive", 12)
    for frame in (dataset / "images/train").iterdir():
        frame.write_bytes(b"no picture")
    summary = run(fog, dataset, tmp_path / "out", workers=1, chunk=1, max_failures=2)
    assert summary["stopped"] == "too_many_failures" and 2 <= summary["failed"] < 12


@pytest.mark.parametrize("lacks", ["styles", "vgg19.safetensors"])
def test_a_worker_without_styles_or_weights_ends_the_run_with_machine_and_cause(
    cluster: Any, fog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    from augment_yolo.ray import _executor

    dataset = make_dataset(tmp_path / "drive", 3)
    weights = shutil.copy(WEIGHTS, tmp_path / "configs/vgg19.safetensors")

    class Elsewhere(_executor.RayExecutor):
        """All nodes are on this machine, so the files are moved away after the driver has read them."""

        def begin(self, facts: str) -> None:
            (tmp_path / "configs" / lacks).rename(tmp_path / "gone")
            super().begin(facts)

    monkeypatch.setattr("augment_yolo.ray._run.RayExecutor", Elsewhere)
    with pytest.raises(augment_yolo.Error, match=f"on the machine .*{lacks}"):
        run(fog, dataset, tmp_path / "out", weights=weights, sets={"stylize.steps": 1, "stylize.size": 96})


def test_a_frame_that_ends_every_worker_is_named_and_the_others_of_its_chunk_are_done(
    cluster: Any, fog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augment_yolo.ray import _executor

    class Ends(_executor.Worker):
        def work(self, chunk: Any) -> list[str]:
            if "frame02" in chunk.tasks:
                os._exit(1)
            return super().work(chunk)

    monkeypatch.setattr(_executor, "Worker", Ends)
    dataset = make_dataset(tmp_path / "drive", 6)
    with pytest.raises(augment_yolo.Error, match="images/train/frame02.jpg: 3 workers in a row ended"):
        run(fog, dataset, tmp_path / "out", workers=1, chunk=3)
    done = {row["output"] for row in rows((tmp_path / "out/manifest.jsonl").read_text())}
    assert {f"images/train/frame0{n}__fog-1.jpg" for n in (0, 1)} <= done
    monkeypatch.undo()
    assert run(fog, dataset, tmp_path / "out")["left"] == 0
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.endswith(".tmp")]


def test_ctrl_c_stops_a_run_and_the_same_command_goes_on(cluster: Any, fog: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "drive", 40)
    command = [*COMMAND, "--config", fog, str(dataset), "--output", str(tmp_path / "out")]
    command += ["--address", cluster.address, "--chunk", "1", "--workers", "1", "--set", "variants=5"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    manifest = tmp_path / "out/manifest.jsonl"
    try:
        while process.poll() is None and not (manifest.exists() and manifest.stat().st_size > 0):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, told
    summary = run(fog, dataset, tmp_path / "out", sets={"variants": 5})
    assert summary["skipped"] > 0 and summary["done"] > 0 and summary["skipped"] + summary["done"] == 200


def test_arguments_that_mean_nothing_are_refused(fog: str, tmp_path: Path) -> None:
    with pytest.raises(augment_yolo.ConfigError, match="must be given"):
        run(fog, "s3://bucket/drive")
    with pytest.raises(augment_yolo.ConfigError, match="one object store"):
        run(fog, "s3://bucket/drive", str(tmp_path))
    with pytest.raises(augment_yolo.ConfigError, match="shard"):
        run(fog, str(tmp_path), str(tmp_path / "out"), shard="1/2")
    with pytest.raises(augment_yolo.ConfigError, match="chunk"):
        run(fog, str(tmp_path), str(tmp_path / "out"), chunk=0)


def test_styles_are_found_in_the_folder_that_ray_copies(cluster: Any, fog: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "drive", 3)
    augment_yolo.run(fog, dataset, output=tmp_path / "alone")
    script = f"""
import os, sys
from augment_yolo.ray import _worker, run
class Looks(_worker.Worker):
    def _here(self, path):
        here = super()._here(path)
        assert here.startswith(os.getcwd()) and not here.startswith({str(tmp_path)!r}), here
        return here
from augment_yolo.ray import _executor
_executor.Worker = Looks
out = {str(tmp_path / "spread")!r}
run({fog!r}, {str(dataset)!r}, out, address={cluster.address!r}, working_dir={str(Path(fog).parent)!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
    texts = [(tmp_path / name / "manifest.jsonl").read_text() for name in ("spread", "alone")]
    assert rows(texts[0]) == rows(texts[1])


def test_the_images_of_a_ray_dataset_are_those_of_a_stylizer(cluster: Any, fog: str, tmp_path: Path) -> None:
    pytest.importorskip("ray.data", reason="ray[data] is not installed")
    dataset = make_dataset(tmp_path / "drive", 4)
    folder = str(dataset / "images/train")
    arguments = {"config": fog, "root": str(dataset)}
    stylizer = augment_yolo.Stylizer(fog)
    for read in (ray.data.read_images, ray.data.read_binary_files):
        images = read(folder, include_paths=True)
        stylized = images.map_batches(Stylize, fn_constructor_kwargs=arguments, concurrency=1, batch_size=3)
        taken = stylized.take_all()
        assert len(taken) == 4
        for one in taken:
            key = os.path.relpath(one["path"], dataset)
            with Image.open(one["path"]) as image:
                expected = stylizer(np.asarray(image.convert("RGB")), key=key)
            assert np.array_equal(one["image"], expected.image) and "bytes" not in one
            assert json.loads(one["row"])["seed"] == expected.row["seed"]


def test_boxes_and_labels_reach_the_guard(fog: str) -> None:
    stylize = Stylize(fog, names=["car"])
    image = np.random.default_rng(1).integers(0, 255, (2, 90, 160, 3), dtype=np.uint8)
    boxes = np.empty(2, dtype=object)
    boxes[:] = [np.array([[0.5, 0.5, 0.2, 0.2]]), np.empty((0, 4))]
    batch = {"image": image, "key": np.array(["a.jpg", "b.jpg"]), "boxes": boxes}
    made = stylize({**batch, "classes": np.array([["car"], []], object)})
    assert [len(json.loads(row)["boxes"] or []) for row in made["row"]] == [1, 0]
    labels = np.array([b"0 .5 .5 .2 .2\n", None], dtype=object)
    again = stylize({"image": image, "key": batch["key"], "label": labels})
    assert np.array_equal(again["image"], made["image"])
    with pytest.raises(ValueError, match="neither `key` nor `path`"):
        stylize({"image": image})


# An object store.


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """An S3 server on this machine, and its address."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def storage(server: str) -> dict[str, Any]:
    return {"key": "key", "secret": "secret", "client_kwargs": {"endpoint_url": server, "region_name": "us-east-1"}}


@pytest.fixture
def bucket(storage: dict[str, Any]) -> Any:
    """The file system, with an empty bucket `yolo`."""
    import s3fs

    store = s3fs.S3FileSystem(use_listings_cache=False, **storage)
    if store.exists("yolo"):
        store.rm("yolo", recursive=True)
    # Its own `mkdir` names the region, which S3 refuses for this one.
    store.call_s3("create_bucket", Bucket="yolo")
    return store


def objects(store: Any, folder: str) -> dict[str, bytes]:
    found = {path[len(folder) + 1 :]: store.cat_file(path) for path in store.find(folder)}
    return {name: content for name, content in found.items() if "manifest" not in name and not name.startswith(".")}


def test_a_run_in_an_object_store_makes_what_a_run_on_a_disk_makes(
    cluster: Any, fog: str, tmp_path: Path, storage: dict[str, Any], bucket: Any
) -> None:
    dataset = make_dataset(tmp_path / "sets/drive", 12)
    augment_yolo.run(fog, dataset, output=tmp_path / "sets/drive-fog")
    bucket.put(str(dataset), "yolo/sets/drive", recursive=True)
    urls = ("s3://yolo/sets/drive", "s3://yolo/sets/drive-fog")
    heard: list[str] = []

    def hear(kind: str, content: Any) -> None:
        heard.append(json.dumps(content))

    summary = run(fog, *urls, chunk=2, storage_options=storage, progress=hear)
    assert (summary["done"], summary["failed"]) == (12, 0)
    assert summary["output"] == urls[1] and summary["data_yaml"] == f"{urls[1]}/data.yaml"
    made, expected = objects(bucket, "yolo/sets/drive-fog"), files(tmp_path / "sets/drive-fog")
    assert made == expected
    manifest = bucket.cat_file("yolo/sets/drive-fog/manifest.jsonl").decode()
    assert rows(manifest) == rows((tmp_path / "sets/drive-fog/manifest.jsonl").read_text())
    sources = {json.loads(line)["source"] for line in manifest.splitlines()}
    assert "s3://yolo/sets/drive/images/train/frame00.jpg" in sources and not any("/augment-" in text for text in heard)
    assert not [name for name in bucket.find("yolo/sets/drive-fog") if ".augment-" in name]

    # As a command.
    command = [*COMMAND, "--config", fog, urls[0], "--output", urls[1], "--address", cluster.address, "--json"]
    command += ["--storage-options", json.dumps(storage)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["skipped"], json.loads(done.stdout)["done"]) == (12, 0)
    # An output that is missing, one that was replaced, and a frame that was replaced.
    first, second, third = (f"yolo/sets/drive-fog/images/train/frame0{n}__fog-1.jpg" for n in range(3))
    bucket.rm_file(first)
    bucket.pipe_file(second, b"x" * bucket.size(second))
    bucket.put_file(str(dataset / "images/train/frame05.jpg"), "yolo/sets/drive/images/train/frame02.jpg")
    before = bucket.cat_file(third)
    again = run(fog, *urls, storage_options=storage)
    assert (again["skipped"], again["done"]) == (9, 3)
    assert bucket.cat_file(first) == made["images/train/frame00__fog-1.jpg"]
    assert bucket.cat_file(second) == made["images/train/frame01__fog-1.jpg"]
    assert bucket.cat_file(third) != before


def test_a_picture_in_another_format_takes_the_place_of_the_first_in_an_object_store(
    cluster: Any, fog: str, tmp_path: Path, storage: dict[str, Any], bucket: Any
) -> None:
    bucket.put(str(make_dataset(tmp_path / "formats", 4)), "yolo/formats", recursive=True)
    urls = ("s3://yolo/formats", "s3://yolo/formats-fog")
    for extension in ("jpg", "png"):
        summary = run(fog, *urls, storage_options=storage, sets={"output.format": extension})
        assert (summary["done"], summary["failed"]) == (4, 0)
    made = {Path(name).suffix for name in bucket.find("yolo/formats-fog/images")}
    assert made == {".png"}, "no frame twice"


def test_classes_without_names_annotations_and_a_broken_frame_are_as_on_a_disk(
    cluster: Any, fog: str, tmp_path: Path, storage: dict[str, Any], bucket: Any
) -> None:
    dataset = make_dataset(tmp_path / "drive", 5)
    (dataset / "data.yaml").unlink()
    (dataset / "annotations").mkdir()
    images = [{"id": n, "file_name": f"frame0{n}.jpg", "width": 160, "height": 90} for n in range(5)]
    coco = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "car"}]}
    (dataset / "annotations/instances_train.json").write_text(json.dumps(coco))
    (dataset / "images/train/frame03.jpg").write_bytes(b"no picture")
    (dataset / "depth/train").mkdir(parents=True)
    Image.new("L", (160, 90), 128).save(dataset / "depth/train/frame04.png")
    bucket.put(str(dataset), "yolo/drive", recursive=True)
    alone = augment_yolo.run(fog, dataset, output=tmp_path / "fog")
    summary = run(fog, "s3://yolo/drive", "s3://yolo/fog", storage_options=storage)
    assert (alone["failed"], summary["failed"], summary["done"]) == (1, 1, 4)
    assert summary["failures"][0]["source"] == "s3://yolo/drive/images/train/frame03.jpg"
    expected = files(tmp_path / "fog")
    assert objects(bucket, "yolo/fog") == expected and "class" in expected["data.yaml"].decode()
    assert "annotations/instances_train__fog-1.json" in expected
    manifest = bucket.cat_file("yolo/fog/manifest.jsonl").decode()
    mine, theirs = rows(manifest), rows((tmp_path / "fog/manifest.jsonl").read_text())
    assert len(mine) == len(theirs) == 5 and [row for row in mine if row["error"] is None] == [
        row for row in theirs if row["error"] is None
    ]
    assert "s3://yolo/drive/images/train/frame03.jpg" in next(row["error"] for row in mine if row["error"])
    # A frame that was done and is broken now leaves no picture.
    bucket.pipe_file("yolo/drive/images/train/frame04.jpg", b"no picture")
    summary = run(fog, "s3://yolo/drive", "s3://yolo/fog", storage_options=storage)
    assert summary["failed"] == 1 and not [name for name in bucket.find("yolo/fog") if "frame04" in name]


def test_rows_that_a_killed_driver_has_sent_count(
    cluster: Any, fog: str, tmp_path: Path, storage: dict[str, Any], bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from augment_yolo.ray import _remote

    bucket.put(str(make_dataset(tmp_path / "drive", 6)), "yolo/drive", recursive=True)
    urls = ("s3://yolo/drive", "s3://yolo/out")
    monkeypatch.setattr(_remote, "SECONDS", 0.0)
    count = 0

    def end_early(kind: str, content: Any) -> None:
        nonlocal count
        count += kind == "row"
        if count == 4:
            raise RuntimeError("the driver ends here")

    with monkeypatch.context() as patch:
        # A killed driver does nothing at its end.
        patch.setattr(_remote.Remote, "finish", lambda self: None)
        patch.setattr("augment_yolo.ray._run._save_rows", lambda remote: None)
        with pytest.raises(RuntimeError):
            run(fog, *urls, workers=1, chunk=1, storage_options=storage, progress=end_early)
    pieces = [name for name in bucket.find("yolo/out") if ".augment-rows-" in name]
    assert pieces and not bucket.exists("yolo/out/manifest.jsonl")
    summary = run(fog, *urls, storage_options=storage)
    assert summary["skipped"] >= 3 and summary["skipped"] + summary["done"] == 6
    manifest = bucket.cat_file("yolo/out/manifest.jsonl").decode()
    assert len(rows(manifest)) == 6 and not [name for name in bucket.find("yolo/out") if ".augment-rows-" in name]


def test_long_listings_come_in_pages(storage: dict[str, Any], bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from augment_yolo._storage import Store

    store = Store("s3", storage)
    names = [f"s3://yolo/many/{number:02}" for number in range(7)]
    for name in [*names, "s3://yolo/many-more/x"]:
        store.write(name, b"x")
    bucket.call_s3("put_object", Bucket="yolo", Key="many/folder/")
    call = store._fs.call_s3
    monkeypatch.setattr(store._fs, "call_s3", lambda *words, **options: call(*words, MaxKeys=3, **options))
    assert sorted(entry.url for entry in store.list("s3://yolo/many")) == names
    first = store.entry(names[0])
    assert first in store.list("s3://yolo/many"), "a listing and a look say the same"
    store.write(names[0], b"y")
    assert store.entry(names[0]).stamp != first.stamp and store.entry(names[1]).stamp == first.stamp


def test_stores_without_pages_are_listed_by_folder() -> None:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    from augment_yolo._storage import Mirror, Store

    store = Store("memory")
    fsspec.filesystem("memory").store.clear()
    for name in ("a.jpg", "deep/er/b.jpg"):
        store.write(f"memory://bucket/ds/{name}", b"12345")
    found = {entry.url: entry.size for entry in store.list("memory://bucket/ds")}
    assert found == {"memory://bucket/ds/a.jpg": 5, "memory://bucket/ds/deep/er/b.jpg": 5}
    assert list(store.list("memory://bucket/out")) == []
    mirror = Mirror.temporary(store)
    with pytest.raises(augment_yolo.ConfigError):
        mirror.local("memory://bucket/../x")
    assert mirror.url(mirror.local("memory://bucket/ds/a.jpg")) == "memory://bucket/ds/a.jpg"
    mirror.close()


def test_an_object_store_that_refuses_is_named_before_any_work(
    fog: str, tmp_path: Path, storage: dict[str, Any], bucket: Any
) -> None:
    with pytest.raises(augment_yolo.Error, match="s3://nowhere/out: could not list it: .*bucket"):
        run(fog, "s3://yolo/drive", "s3://nowhere/out", storage_options=storage)
    with pytest.raises(augment_yolo.ConfigError, match="s3://yolo/drive: it is not a file"):
        run(fog, "s3://yolo/drive", "s3://yolo/out", storage_options=storage)
    nobody = {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"}
    patient = {"retries": {"max_attempts": 1}}
    options = {**storage, "client_kwargs": nobody, "config_kwargs": patient}
    with pytest.raises(augment_yolo.Error, match="s3://yolo/out: could not list it: .*127.0.0.1:9"):
        run(fog, "s3://yolo/drive", "s3://yolo/out", storage_options=options)
    assert bucket.find("yolo") == []


def test_wrong_credentials_are_named_before_any_work(
    fog: str, server: str, storage: dict[str, Any], bucket: Any
) -> None:
    def demand_credentials(after: bytes) -> None:
        """Of every request but the first so many."""
        address, kind = f"{server}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(address, data=after, headers=kind)).close()

    demand_credentials(b"0")
    try:
        with pytest.raises(augment_yolo.Error, match="s3://yolo/out: could not list it: .*(Access|Forbidden|denied)"):
            run(fog, "s3://yolo/drive", "s3://yolo/out", storage_options={**storage, "key": "another"})
    finally:
        demand_credentials(b"inf")
