import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import augment_yolo


def files(folder: Path, kind: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / kind).rglob("*")) if path.is_file()}


def command(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "augment_yolo", *args], capture_output=True, text=True)


def test_a_run_makes_the_files_of_the_command(streets: Path, fog: str) -> None:
    events = []
    out = streets.parent / "out"
    summary = augment_yolo.run(fog, streets, output=out, progress=lambda kind, event: events.append((kind, event)))
    assert (summary["jobs"], summary["done"], summary["failed"]) == (6, 6, 0)
    assert [event["status"] for kind, event in events if kind == "row"] == ["done"] * 6
    begun = next(event for kind, event in events if kind == "begin")
    assert (begun["jobs"], begun["todo"], begun["skipped"]) == (6, 6, 0)
    made = command("--config", fog, str(streets), "--output", str(streets.parent / "command"))
    assert made.returncode == 0, made.stderr
    for kind in ("images", "labels"):
        assert files(out, kind) == files(streets.parent / "command", kind) and files(out, kind)
    again = augment_yolo.run(fog, streets, output=out)
    assert (again["done"], again["skipped"]) == (0, 6)


def test_a_plan_is_what_a_run_makes(streets: Path, fog: str) -> None:
    planned = augment_yolo.plan(fog, streets, sets={"variants": 2}, limit=4)
    assert len(planned) == 4 and planned[0]["variant"] == 1 and planned[0]["split"] == "train"
    assert all(Path(row["frame"]).is_file() and Path(row["styles"][0]).is_file() for row in planned)
    assert not (streets.parent / "streets-fog").exists()
    pandas = pytest.importorskip("pandas")
    assert list(pandas.DataFrame(planned)["condition"]) == ["fog"] * 4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_plan_has_the_paths_of_frames_whose_names_are_no_utf8(streets: Path, fog: str) -> None:
    odd = os.fsdecode(bytes(streets) + b"/images/train/caf\xe9.jpg")
    shutil.copy(streets / "images/train/town_noon.jpg", odd)
    planned = augment_yolo.plan(fog, streets)
    assert len(planned) == 7 and odd in [row["frame"] for row in planned]


def test_shards_and_several_configs(streets: Path, fog: str, monkeypatch: pytest.MonkeyPatch) -> None:
    night = augment_yolo.init("night", str(streets.parent / "presets"))
    out = streets.parent / "out"
    for shard in ("1/2", "2/2"):
        augment_yolo.run([fog, night], streets, output=out, per_frame=2, shard=shard)
    assert len(files(out, "images")) == 12
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    assert augment_yolo.run([fog, night], streets, output=out, per_frame=2, shard="auto/2")["done"] == 0
    with pytest.raises(augment_yolo.ConfigError, match="auto/N"):
        augment_yolo.run(fog, streets, shard="auto")


def test_a_frame_that_fails_is_counted_and_the_others_are_made(streets: Path, fog: str) -> None:
    broken = sorted((streets / "images" / "train").iterdir())[0]
    broken.write_bytes(b"no picture")
    summary = augment_yolo.run(fog, streets)
    assert (summary["done"], summary["failed"]) == (5, 1)
    assert broken.name in summary["failures"][0]["source"] and summary["failures"][0]["error"]
    assert command("--config", fog, str(streets)).returncode == 3


def test_mistakes_have_the_messages_of_the_command(streets: Path, fog: str, tmp_path: Path) -> None:
    with pytest.raises(augment_yolo.Error, match="no-such"):
        augment_yolo.run(fog, tmp_path / "no-such")
    with pytest.raises(augment_yolo.ConfigError, match="stylize.stepz"):
        augment_yolo.run(fog, streets, sets={"stylize.stepz": 1})
    with pytest.raises(TypeError):
        augment_yolo.run(fog, streets, outptu="x")
    with pytest.raises(augment_yolo.ConfigError, match="a config is missing"):
        augment_yolo.run([], streets)
    with pytest.raises(augment_yolo.ConfigError, match="augment learn"):
        augment_yolo.Stylizer(fog, sets={"stylize.engine": "learn", "stylize.steps": 30})


def test_an_exception_of_the_listener_ends_the_run_and_what_is_done_stays_done(streets: Path, fog: str) -> None:
    def listen(kind: str, event: object) -> None:
        if kind == "row":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        augment_yolo.run(fog, streets, jobs=1, progress=listen)
    summary = augment_yolo.run(fog, streets)
    assert summary["skipped"] >= 1 and summary["skipped"] + summary["done"] == 6


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_a_run(streets: Path, fog: str) -> None:
    for number in range(60):
        for kind, ending in (("images", "jpg"), ("labels", "txt")):
            source = sorted((streets / kind / "train").glob(f"*.{ending}"))[0]
            shutil.copy(source, streets / kind / "train" / f"more{number}.{ending}")
    program = (
        "import sys, augment_yolo\n"
        "listen = lambda kind, event: print(kind, flush=True)\n"
        "try:\n"
        "    augment_yolo.run(sys.argv[1], sys.argv[2], jobs=1, sets={'stylize.steps': 3}, progress=listen)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(42)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, fog, str(streets)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    while child.stdout.readline().strip() != "row":
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=300) == 42
    left = [path for path in (streets.parent / "streets-fog").rglob("*") if path.name.endswith(".tmp")]
    assert left == []


def test_the_command_has_the_program_and_its_exit_codes(streets: Path) -> None:
    assert command("--version").stdout.strip() == f"augment {augment_yolo.__version__}"
    assert command("--config", "no-such.yaml", str(streets)).returncode == 2
    assert "--shard" in command("--help").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_ctrl_c_ends_the_command_as_the_program(streets: Path, fog: str) -> None:
    args = ["--config", fog, str(streets), "--set", "stylize.steps=500", "--jobs", "1"]
    child = subprocess.Popen([sys.executable, "-m", "augment_yolo", *args], stderr=subprocess.DEVNULL)
    while not (streets.parent / "streets-fog" / "manifest.jsonl").exists():
        assert child.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(child.pid, signal.SIGINT)
    assert child.wait(timeout=300) == 130
