from pathlib import Path

import pytest

import augment_yolo

fiftyone = pytest.importorskip("fiftyone")


@pytest.fixture(autouse=True)
def database() -> None:
    """FiftyOne keeps its datasets in a MongoDB, which its package has for some systems only."""
    try:
        fiftyone.list_datasets()
    except Exception as error:
        pytest.skip(f"FiftyOne has no database here: {error}")


def test_an_output_opens_with_its_figures(streets: Path, fog: str) -> None:
    from augment_yolo.fiftyone import load

    broken = sorted((streets / "images" / "train").iterdir())[0]
    broken.write_bytes(b"no picture")
    summary = augment_yolo.run(fog, streets)
    dataset = load(summary["output"], originals=True)
    try:
        assert len(dataset.match_tags("augmented")) == 5 and len(dataset.match_tags("original")) == 5
        assert list(dataset.info["failed"]) == [str(broken)]
        rows = {row["output"]: row for row in augment_yolo.rows(summary["output"]) if row["status"] == "done"}
        for sample in dataset.match_tags("augmented"):
            row = rows[Path(sample.filepath).relative_to(summary["output"]).as_posix()]
            assert (sample.condition, sample.style, sample.strength) == ("fog", row["style"], row["strength"])
            objects = sample.ground_truth.detections
            assert [one.edges for one in objects] == [box["edges"] for box in row["boxes"] or []]
            assert {one.label for one in objects} <= {"car", "truck", "pedestrian", "traffic light"}
        original = dataset.match_tags("original").first()
        assert all(0 <= side <= 1 for one in original.ground_truth.detections for side in one.bounding_box)
    finally:
        dataset.delete()


def test_a_folder_that_is_no_output_is_named(tmp_path: Path) -> None:
    from augment_yolo.fiftyone import load

    with pytest.raises(augment_yolo.Error, match=tmp_path.name):
        load(tmp_path)
