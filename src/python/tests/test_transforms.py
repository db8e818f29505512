import json
import sys
from pathlib import Path

import numpy as np
import pytest

import augment_yolo
from augment_yolo import Stylizer


def image(height: int = 90, width: int = 160) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def stylizer(fog: str) -> Stylizer:
    return Stylizer(fog, names=["car", "person"])


class Frames:
    """For a loader: eight samples that are stylized when they are asked for."""

    def __init__(self, transform: object) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> np.ndarray:
        return self.transform(image=image(), bboxes=[[0.5, 0.6, 0.2, 0.3]], names=["car"])["image"]


class TestAlbumentations:
    @pytest.fixture(autouse=True)
    def albumentations(self) -> object:
        self.a = pytest.importorskip("albumentations")
        return self.a

    def compose(self, stylizer: Stylizer, p: float = 1.0) -> object:
        boxes = self.a.BboxParams(format="yolo", label_fields=["names"])
        return self.a.Compose([augment_yolo.Augment(stylizer, p=p)], bbox_params=boxes, seed=3)

    def test_the_image_changes_and_nothing_else(self, stylizer: Stylizer) -> None:
        mask, points = image()[..., 0], [(10.0, 20.0)]
        pipeline = self.a.Compose(
            [augment_yolo.Augment(stylizer, p=1.0)],
            bbox_params=self.a.BboxParams(format="pascal_voc", label_fields=["other", "names"]),
            keypoint_params=self.a.KeypointParams(format="xy"),
        )
        boxes = [[10, 20, 50, 60], [60, 30, 100, 80]]
        made = pipeline(
            image=image(), mask=mask, keypoints=points, bboxes=boxes, names=["car", "person"], other=[7, 9]
        )
        assert made["image"].shape == (90, 160, 3) and (made["image"] != image()).any()
        assert (made["mask"] == mask).all() and np.allclose(made["keypoints"], points)
        assert np.allclose(made["bboxes"], boxes, atol=1e-3) and list(made["names"]) == ["car", "person"]

    def test_classes_reach_the_stylizer_as_names_and_as_ids(
        self, stylizer: Stylizer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        call = Stylizer.__call__

        def watch(self: Stylizer, image: object, boxes: object = None, classes: object = None, **rest: object) -> object:
            seen.append((np.round(boxes, 4).tolist(), classes))
            return call(self, image, boxes, classes, **rest)

        monkeypatch.setattr(Stylizer, "__call__", watch)
        box = [0.5, 0.6, 0.2, 0.3]
        self.compose(stylizer)(image=image(), bboxes=[box, [0.2, 0.5, 0.1, 0.1]], names=["person", "car"])
        self.compose(stylizer)(image=image(), bboxes=np.array([box]), names=np.array([[1.0]]))
        assert seen == [([box, [0.2, 0.5, 0.1, 0.1]], ["person", "car"]), ([box], [1])]

    def test_each_call_draws_anew_and_a_seed_repeats_them(self, stylizer: Stylizer) -> None:
        def two() -> list:
            pipeline = self.compose(stylizer)
            return [pipeline(image=image(), bboxes=[], names=[])["image"] for _ in range(2)]

        first, again = two(), two()
        assert (first[0] != first[1]).any() and (first[0] == again[0]).all() and (first[1] == again[1]).all()

    def test_p_is_a_share(self, stylizer: Stylizer) -> None:
        never = self.compose(stylizer, p=0.0)
        assert (never(image=image(), bboxes=[], names=[])["image"] == image()).all()

    def test_opencvs_order_of_channels(self, stylizer: Stylizer) -> None:
        made = []
        for bgr in (False, True):
            transform = augment_yolo.Augment(stylizer, bgr=bgr, p=1.0)
            transform.set_random_seed(5)
            made.append(transform(image=image()[..., ::-1] if bgr else image())["image"])
        assert (made[0] == made[1][..., ::-1]).all()

    def test_a_pipeline_can_be_saved(self, stylizer: Stylizer) -> None:
        saved = json.dumps(self.a.to_dict(self.compose(stylizer)))
        loaded = self.a.from_dict(json.loads(saved)).transforms[0]
        assert isinstance(loaded, augment_yolo.Augment)
        assert (loaded.stylizer(image(), key="a").image == stylizer(image(), key="a").image).all()

    @pytest.mark.parametrize("start", ["fork", "spawn"])
    def test_a_loader_with_two_workers(self, stylizer: Stylizer, start: str) -> None:
        torch = pytest.importorskip("torch")
        if start == "fork" and sys.platform == "win32":
            pytest.skip("Windows has no fork")
        stylizer(image(), key="a")
        loader = torch.utils.data.DataLoader(
            Frames(self.compose(stylizer)), batch_size=2, num_workers=2, multiprocessing_context=start
        )
        assert [tuple(batch.shape) for batch in loader] == [(2, 90, 160, 3)] * 4


class TestTorchvision:
    @pytest.fixture(autouse=True)
    def torchvision(self) -> None:
        pytest.importorskip("torchvision")

    def test_the_image_changes_and_nothing_else(self, stylizer: Stylizer) -> None:
        import torch
        from PIL import Image
        from torchvision import tv_tensors

        pixels = torch.from_numpy(image()).permute(2, 0, 1)
        boxes = tv_tensors.BoundingBoxes([[10, 20, 40, 40]], format="XYWH", canvas_size=(90, 160))
        target = {"boxes": boxes, "labels": torch.tensor([0]), "name": "a"}
        transform = augment_yolo.TorchAugment(stylizer, p=1.0)
        for one in (tv_tensors.Image(pixels), pixels, Image.fromarray(image())):
            torch.manual_seed(1)
            made, after = transform(one, target)
            assert type(made) is type(one) or isinstance(made, Image.Image)
            assert after["boxes"] is boxes and after["labels"] is target["labels"] and after["name"] == "a"
            values = np.asarray(made) if isinstance(made, Image.Image) else made.permute(1, 2, 0).numpy()
            torch.manual_seed(1)
            variant = (torch.rand(1), int(torch.randint(1, 2**31, (1,)).item()))[1]
            share = [[30 / 160, 40 / 90, 40 / 160, 40 / 90]]
            expected = stylizer(image(), share, [0], key="image", variant=variant).image
            assert (values == expected).all()

    def test_p_is_a_share_and_a_sample_without_an_image_is_named(self, stylizer: Stylizer) -> None:
        import torch
        from torchvision import tv_tensors

        pixels = torch.from_numpy(image()).permute(2, 0, 1)
        assert augment_yolo.TorchAugment(stylizer, p=0.0)(pixels) is pixels
        with pytest.raises(TypeError, match="no image"):
            augment_yolo.TorchAugment(stylizer, p=1.0)({"labels": torch.tensor([1])})
        masks = torch.zeros(3, 4, 4, dtype=torch.uint8)
        with pytest.raises(TypeError, match="no image"):
            augment_yolo.TorchAugment(stylizer, p=1.0)((pixels.float() / 255, {"masks": masks}))
        boxes = tv_tensors.BoundingBoxes([[0, 0, 9, 9]], format="XYXY", canvas_size=tuple(pixels.shape[1:]))
        with pytest.raises(ValueError, match="a class for each of 1 boxes, not 2"):
            augment_yolo.TorchAugment(stylizer, p=1.0)((pixels, {"boxes": boxes, "labels": torch.tensor([0, 1])}))


def test_packages_are_asked_for_only_when_they_are_used() -> None:
    import subprocess

    program = "import sys, augment_yolo; print([n for n in ('albumentations', 'torch', 'ray', 'fiftyone') if n in sys.modules])"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path.home())
    assert out.stdout.strip() == "[]"
