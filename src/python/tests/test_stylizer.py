from __future__ import annotations

import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import augment_yolo
from augment_yolo import ConfigError, Stylizer

NAMES = ["car", "person"]
BOXES = [[0.5, 0.6, 0.2, 0.3], [0.2, 0.55, 0.05, 0.2]]


def image(height: int = 90, width: int = 160) -> np.ndarray:
    down, across = np.mgrid[:height, :width]
    return np.stack([down * 2 % 256, across % 256, (down + across) % 256], axis=2).astype(np.uint8)


def test_a_picture_has_the_pixels_that_the_command_compresses(streets: Path, fog: str) -> None:
    # Decoders of JPEGs differ by a value here and there, so the frames are PNGs.
    for frame in (streets / "images").rglob("*.jpg"):
        Image.open(frame).save(frame.with_suffix(".png"))
        frame.unlink()
    options = {"sets": {"variants": 2}, "seed": 5}
    summary = augment_yolo.run(fog, streets, output=streets.parent / "out", **options)
    assert summary["done"] == 12
    stylizer = Stylizer(fog, names=yaml.safe_load((streets / "data.yaml").read_text())["names"], **options)
    for planned in augment_yolo.plan(fog, streets, output=streets.parent / "out", **options):
        frame = Path(planned["frame"])
        label = frame.parent.parent.parent / "labels" / "train" / f"{frame.stem}.txt"
        lines = [line.split() for line in label.read_text().splitlines()] if label.exists() else []
        result = stylizer(
            np.asarray(Image.open(frame).convert("RGB")),
            [[float(word) for word in line[1:]] for line in lines] if label.exists() else None,
            [int(line[0]) for line in lines] if label.exists() else None,
            key=frame.relative_to(streets).as_posix(),
            variant=planned["variant"],
        )
        written = np.asarray(Image.open(streets.parent / "out" / planned["output"]).convert("RGB"))
        assert (result.image == written).all(), planned["output"]
        assert result.row["seed"] == planned["seed"] and result.style == planned["styles"][0]
        assert len(result.boxes) == len(lines)


def test_key_variant_and_seed_decide_and_nothing_else(fog: str) -> None:
    stylizer = Stylizer(fog, names=NAMES)
    first = stylizer(image(), BOXES, [0, 1], key="a.jpg")
    assert first.image.shape == (90, 160, 3) and first.image.dtype == np.uint8
    assert first.row["condition"] == "fog" and first.style.endswith(".jpg") and 0 < first.strength <= 1
    assert (first.image == stylizer(image(), BOXES, ["car", "person"], key="a.jpg").image).all()
    assert (first.image == Stylizer(fog, names=NAMES, threads=1)(image(), BOXES, [0, 1], key="a.jpg").image).all()
    for other in (
        stylizer(image(), BOXES, [0, 1], key="b.jpg"),
        stylizer(image(), BOXES, [0, 1], key="a.jpg", variant=2),
        Stylizer(fog, names=NAMES, seed=1)(image(), BOXES, [0, 1], key="a.jpg"),
    ):
        assert (first.image != other.image).any()


def test_a_batch_is_its_single_pictures_and_a_label_file_stands_for_boxes(fog: str) -> None:
    stylizer = Stylizer(fog, names=NAMES)
    label = "0 0.5 0.6 0.2 0.3\n1 0.2 0.55 0.05 0.2\n"
    items = [
        {"image": image(), "boxes": BOXES, "classes": [0, 1], "key": "a.jpg"},
        {"image": image(), "label": label, "key": "a.jpg"},
        {"image": image(61, 47), "key": "b.jpg"},
    ]
    made = stylizer.batch(items)
    assert (made[0].image == made[1].image).all() and len(made[1].boxes) == 2
    for item, result in zip(items, made):
        assert (stylizer(**item).image == result.image).all()
    assert stylizer.batch([]) == []


def test_labels_with_keypoints_have_their_objects(fog: str) -> None:
    # Two keypoints of three numbers each: 11 words, which would be a polygon otherwise.
    label = "0 0.5 0.6 0.2 0.3 0.45 0.5 2 0.55 0.5 2\n"
    poses = Stylizer(fog, names=NAMES, kpt_shape=[2, 3])
    made = poses(image(), label=label, key="a.jpg")
    assert (made.image == poses(image(), BOXES[:1], [0], key="a.jpg").image).all() and len(made.boxes) == 1
    assert (pickle.loads(pickle.dumps(poses))(image(), label=label, key="a.jpg").image == made.image).all()
    assert (Stylizer.from_dict(poses.to_dict())(image(), label=label, key="a.jpg").image == made.image).all()
    for shape in ([17], [17, 4], [0, 3]):
        with pytest.raises(ConfigError, match="kpt_shape"):
            Stylizer(fog, kpt_shape=shape)


def test_a_copy_in_another_process_makes_the_same(fog: str, tmp_path: Path) -> None:
    stylizer = Stylizer(fog, names=NAMES)
    expected = stylizer(image(), BOXES, [0, 1], key="a.jpg").image
    assert (pickle.loads(pickle.dumps(stylizer))(image(), BOXES, [0, 1], key="a.jpg").image == expected).all()
    (tmp_path / "stylizer").write_bytes(pickle.dumps(stylizer))
    np.save(tmp_path / "image.npy", image())
    program = (
        "import pickle, sys, numpy as np\n"
        "stylizer = pickle.load(open(sys.argv[1] + '/stylizer', 'rb'))\n"
        "image = np.load(sys.argv[1] + '/image.npy')\n"
        f"np.save(sys.argv[1] + '/made.npy', stylizer(image, {BOXES}, [0, 1], key='a.jpg').image)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=tmp_path)
    assert (np.load(tmp_path / "made.npy") == expected).all()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_computes_after_its_parent_did(fog: str) -> None:
    import multiprocessing

    stylizer = Stylizer(fog, names=NAMES)
    INHERITED.append(stylizer)
    expected = stylizer(image(), key="a.jpg").image
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(in_child, (copy,)) for copy in (stylizer, None) * 2]
        for result in results:
            picture, has_few_threads = result.get(timeout=300)
            assert (picture == expected).all()
            assert has_few_threads, "its own, and one that computes"


INHERITED: list[Stylizer] = []
"""What a forked process has from its parent."""


def in_child(stylizer: Stylizer | None) -> tuple:
    """The picture of this stylizer, or of the inherited one, and whether two threads are left then, where the system tells.
    """
    picture = (stylizer or INHERITED[-1])(image(), key="a.jpg").image
    tasks = Path("/proc/self/task")
    for _ in range(600):
        # A thread that has ended is listed for a moment.
        if not tasks.exists() or len(list(tasks.iterdir())) <= 2:
            return picture, True
        time.sleep(0.1)
    return picture, False


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image": image().astype(float)}, TypeError, "uint8"),
        ({"image": image()[..., 0]}, ValueError, r"\(90, 160\)"),
        ({"image": image()[:0]}, ValueError, r"\(0, 160, 3\)"),
        ({"image": [[1, 2, 3]]}, TypeError, "list"),
        ({"image": image(), "key": ""}, TypeError, "key"),
        ({"image": image(), "boxes": [[0.5, 0.5, 1.5, 0.1]]}, ValueError, "box 0 is"),
        ({"image": image(), "boxes": [[0.5, 0.5, float("nan"), 0.1]]}, ValueError, "box 0 is"),
        ({"image": image(), "boxes": [[50, 50, 20, 20]]}, ValueError, "shares of the picture"),
        ({"image": image(), "boxes": [[0.5, 0.5, 0.1]]}, ValueError, r"\(n, 4\)"),
        ({"image": image(), "boxes": BOXES, "classes": [0]}, ValueError, "2 boxes and 1 classes"),
        ({"image": image(), "boxes": BOXES, "classes": [0, -1]}, ValueError, "-1"),
        ({"image": image(), "boxes": BOXES, "label": "0 .5 .5 .1 .1"}, ValueError, "boxes and label"),
        ({"image": image(), "variant": 0}, ValueError, "variant"),
    ],
)
def test_wrong_arguments_are_named(fog: str, arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Stylizer(fog)(**{"key": "a.jpg", **arguments})


def test_wrong_configs_have_the_messages_of_the_command(fog: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such.yaml: could not read the config"):
        Stylizer("no-such.yaml")
    with pytest.raises(ConfigError, match="unknown key `stylise`"):
        Stylizer({"condition": "fog", "stylise": {}})
    with pytest.raises(ConfigError, match="needs `condition`"):
        Stylizer({"stylize": {}})
    with pytest.raises(ConfigError, match="cuda:x"):
        Stylizer(fog, device="cuda:x")
    with pytest.raises(ConfigError, match="threads=0"):
        Stylizer(fog, threads=0)
    with pytest.raises(ConfigError, match="`mist` is not a preset"):
        augment_yolo.init("mist", str(tmp_path))
    with pytest.raises(augment_yolo.Error, match="no-such.safetensors"):
        Stylizer(fog, weights="no-such.safetensors", sets={"stylize.steps": 1})
    with pytest.raises(ConfigError, match="masks"):
        Stylizer(fog, sets={"stylize.regions": {"masks": ["sky"]}})(image(), key="a.jpg")


def test_a_dict_is_a_config(fog: str) -> None:
    styles = Path(fog).parent / "styles" / "fog"
    config = {
        "condition": "mist",
        "styles": [{"path": str(styles)}],
        "stylize": {"init": "weather", "weather": "fog", "steps": 0, "strength": [0.5, 0.6]},
    }
    result = Stylizer(config)(image(), key="a.jpg")
    assert result.row["condition"] == "mist" and 0.5 <= result.strength <= 0.6 and result.boxes == []


def test_the_optimizer_stylizes_too(fog: str) -> None:
    result = Stylizer(fog, sets={"stylize.steps": 2, "stylize.size": 64})(image(), key="a.jpg")
    assert result.row["evals"] >= 2 and result.row["backbone"]["name"] == "builtin"
