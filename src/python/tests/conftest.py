"""What the tests share: the sample of the repository, and a preset in a folder of its own."""

import shutil
import signal
from pathlib import Path

import pytest

import augment_yolo

# A shell that starts the tests in the background has Ctrl-C ignored, and the processes that tests start would inherit
# that. A handler of Python's is not inherited: they begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)

STREETS = Path(__file__).parents[3] / "tests" / "fixtures" / "streets"


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """A copy of the sample: six frames with labels."""
    return Path(shutil.copytree(STREETS, tmp_path / "streets"))


@pytest.fixture(scope="session")
def fog(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the preset's config."""
    return augment_yolo.init("fog", str(tmp_path_factory.mktemp("presets")))
