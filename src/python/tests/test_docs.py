"""Runs the snippets of README.md as one program, in their order."""

import re
import shutil
import warnings
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
STREETS = README.parents[2] / "tests" / "fixtures" / "streets"

# Snippets that need a package, by the line that imports it.
PACKAGES = ("albumentations", "ultralytics", "torch", "fiftyone", "ray")


def test_the_snippets_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    shutil.copytree(STREETS, tmp_path / "streets")
    snippets = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    assert len(snippets) >= 8
    values: dict = {}
    skipped = []
    for snippet in snippets:
        needed = [name for name in PACKAGES if re.search(rf"^(import|from) {name}\b", snippet, re.M)]
        missing = [name for name in needed if not is_there(name)]
        if missing:
            skipped.extend(missing)
            continue
        exec(compile(snippet, str(README), "exec"), values)  # noqa: S102
    assert values["result"].image.shape == values["image"].shape
    assert (tmp_path / "weather.jpg").exists()
    assert len(list((tmp_path / "streets-fog" / "images").rglob("*.jpg"))) == 12
    if skipped:
        warnings.warn(f"skipped the snippets that need {', '.join(sorted(set(skipped)))}", stacklevel=1)


def is_there(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None
