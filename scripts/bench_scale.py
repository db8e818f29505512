#!/usr/bin/env python3
"""Measures the time and peak memory of planning and resuming for a large dataset whose frames are all done.

    cargo build --release
    python3 scripts/bench_scale.py [--frames 200000]

Makes a dataset of tiny frames with labels in a temporary folder. augment stylizes the first frame. For all others this
script writes what a finished run would have left: images, labels and rows. It computes the seeds of these rows as
src/plan/draws.rs does, and their fingerprints as src/files/fingerprint.rs does. Then it times a dry run (planning) and
a run that finds nothing to do (planning and resuming).
"""
import argparse
import hashlib
import json
import os
import subprocess
import tempfile
import time

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--augment", default="target/release/augment")
p.add_argument("--frames", type=int, default=200_000)
a = p.parse_args()

SETTINGS = ["stylize.size=32", "stylize.steps=1", "stylize.content.layers={relu1_1: 1}", "stylize.style.layers={relu1_1: 1}"]
# A BMP of 16x16 pixels, 8 bits a colour.
PIXELS = bytes((x * 16, y * 16, 128)[c] for y in range(16) for x in range(16) for c in range(3))
BMP = b"BM" + (54 + len(PIXELS)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
BMP += (40).to_bytes(4, "little") + (16).to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24) + PIXELS


def run(folder, *flags):
    command = [os.path.abspath(a.augment), "--config", "fog.yaml", "data", "--weights", "builtin", "--quiet", *flags]
    for setting in SETTINGS:
        command += ["--set", setting]
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, said
    return time.perf_counter() - begun, usage.ru_maxrss / 1e3, said.strip().splitlines()[-1:]


def seed_of(relative):
    """The seed of a job: the hash of src/plan/draws.rs for seed 0 and variant 1, cut to 53 bits, which JSON holds."""
    data = b"augment 1\0" + b"job" + b"\0" + bytes(8) + (1).to_bytes(4, "little") + relative.encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little") >> 11


def times(stats):
    """Lengths and times in one number, as src/files/fingerprint.rs computes it."""
    all = 0
    for value in (v for s in stats for v in (s.st_size, s.st_mtime_ns)):
        all = (all * 0x9E3779B97F4A7C15 + value) % 2**64
    return all


def fingerprint(files, contents):
    stats = [os.stat(path) for path in files]
    digest = short("\n".join(short(content) for content in contents).encode())
    return {"bytes": sum(s.st_size for s in stats), "modified": times(stats), "digest": digest}


def short(data):
    return hashlib.sha256(data).hexdigest()[:16]


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


with tempfile.TemporaryDirectory() as folder:
    write(f"{folder}/styles/one.bmp", BMP)
    write(f"{folder}/fog.yaml", b"condition: fog\nstyles: [{path: styles}]\n")
    label = b"0 0.5 0.5 0.5 0.5\n"
    names = [f"images/train/{n // 1000:03}/{n:06}.bmp" for n in range(a.frames)]
    labels = [name.replace("images", "labels").replace(".bmp", ".txt") for name in names]
    for name, text in zip(names, labels):
        write(f"{folder}/data/{name}", BMP)
        write(f"{folder}/data/{text}", label)
    run(folder, "--limit", "1")
    manifest = f"{folder}/data-fog/manifest.jsonl"
    with open(manifest) as file:
        model = json.loads(file.readline())
    picture = open(f"{folder}/data-fog/{model['output']}", "rb").read()
    with open(manifest, "a") as file:
        for name, text in list(zip(names, labels))[1:]:
            output, copy = name.replace(".bmp", "__fog-1.bmp"), text.replace(".txt", "__fog-1.txt")
            write(f"{folder}/data-fog/{output}", picture)
            write(f"{folder}/data-fog/{copy}", label)
            files = [f"{folder}/data/{name}", f"{folder}/data/{text}"]
            made = [f"{folder}/data-fog/{output}", f"{folder}/data-fog/{copy}"]
            row = {**model, "source": files[0], "output": output, "label": copy, "seed": seed_of(name)}
            row["source_files"] = fingerprint(files, [BMP, label])
            row["made_files"] = fingerprint(made, [picture, label])
            file.write(json.dumps(row) + "\n")
    print(f"{a.frames} frames, {os.path.getsize(manifest) / 1e6:.0f} MB of rows")
    for what, flags in [("planning", ["--dry-run"]), ("planning and resuming", [])]:
        seconds, megabytes, said = run(folder, *flags)
        print(f"{what:22} {seconds:6.1f} s  {megabytes:6.0f} MB  {' '.join(said)}")
