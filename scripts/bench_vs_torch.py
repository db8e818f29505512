#!/usr/bin/env python3
"""Times one evaluation (loss and gradient to the pixels) here and in PyTorch: the same network, losses and picture.

    pip install torch numpy pillow safetensors
    cargo build --release
    python3 scripts/bench_vs_torch.py --weights vgg19.safetensors [--size 512] [--runs 3] [--evals 8] [--threads N]

The three programs take turns (PyTorch in f32, PyTorch under bf16 autocast, augment), each in a process of its own, so that
a machine whose speed drifts is fair to all. Ratios are taken within a turn; medians over the turns are printed, and the
first style loss of both, which must agree within 1 %.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
CONTENT = "relu4_2"
BLOCKS = [2, 2, 4, 4, 1]


def draw(size, seed):
    """A picture with structure at all scales: noise of falling amplitude, octave by octave."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((size, size, 3))
    cells = 4
    while cells <= size:
        noise = rng.standard_normal((cells, cells, 3)).clip(-3, 3)
        layer = Image.fromarray(((noise + 3) * 42).astype(np.uint8)).resize((size, size), Image.BICUBIC)
        picture += (np.asarray(layer) / 255.0 - 0.5) * 4.0 / cells**0.5
        cells *= 2
    return Image.fromarray(((picture * 0.5 + 0.5).clip(0, 1) * 255).astype(np.uint8))


def load_trunk(path):
    """[(tap or None for a pool, weight, bias)] from the pixels up."""
    import torch
    from safetensors import safe_open

    trunk, index = [], 0
    with safe_open(path, "pt") as tensors:
        for block, count in enumerate(BLOCKS, 1):
            if block > 1:
                trunk.append((None, None, None))
                index += 1
            for conv in range(1, count + 1):
                weight = tensors.get_tensor(f"features.{index}.weight").float()
                bias = tensors.get_tensor(f"features.{index}.bias").float()
                trunk.append((f"relu{block}_{conv}", weight.contiguous(memory_format=torch.channels_last), bias))
                index += 2
    return trunk


def torch_worker(a):
    """Prints seconds per evaluation and the first style loss as JSON."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(a.threads)
    trunk = load_trunk(a.weights)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

    def read(path):
        return torch.tensor(np.asarray(Image.open(path)) / 255.0, dtype=torch.float32).permute(2, 0, 1)[None]

    def taps(x):
        x, found = ((x - mean) / std).contiguous(memory_format=torch.channels_last), {}
        for name, weight, bias in trunk:
            x = F.max_pool2d(x, 2) if name is None else F.relu(F.conv2d(x, weight, bias, padding=1))
            if name:
                found[name] = x
        return found

    def gram(features):
        rows = features.flatten(2)[0].float()
        return rows @ rows.t() / rows.shape[1]

    content, style = read(a.content), read(a.style)
    with torch.no_grad():
        target = taps(content)[CONTENT]
        grams = {name: gram(value) for name, value in taps(style).items() if name in STYLE}
    x = content.clone().requires_grad_(True)
    seconds, first = [], None
    for _ in range(a.evals + 1):
        begun = time.perf_counter()
        x.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
            found = taps(x)
        content_loss = ((found[CONTENT].float() - target) ** 2).sum() / (target**2).sum()
        style_loss = sum(((gram(found[n]) - grams[n]) ** 2).sum() / (grams[n] ** 2).sum() for n in STYLE) / len(STYLE)
        (content_loss + 10 * style_loss).backward()
        seconds.append(time.perf_counter() - begun)
        first = style_loss.item() if first is None else first
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "memory_mb": memory, "first_style_loss": first}))


def torch_turn(a, bf16):
    command = [sys.executable, __file__, "--worker", "--weights", a.weights, "--evals", str(a.evals)]
    command += ["--threads", str(a.threads), "--content", a.content, "--style", a.style] + ["--bf16"] * bf16
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def augment_turn(a, config):
    command = [a.binary, "bench", "--config", config, "--weights", a.weights, "--json"]
    command += ["--size", str(a.size), "--evals", str(a.evals), "--threads", str(a.threads)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"seconds": found["seconds_per_eval_median"], "memory_mb": found["peak_memory_mb"]}


def augment_first_loss(a, folder, config):
    """The style loss of the unchanged content, from a one-step run over it."""
    output = os.path.join(folder, "out")
    command = [a.binary, "--config", config, os.path.join(folder, "data"), "--output", output, "--quiet"]
    subprocess.run(command + ["--weights", a.weights], check=True, capture_output=True)
    with open(os.path.join(output, "manifest.jsonl"), encoding="utf-8") as rows:
        return json.loads(rows.readline())["first_style_loss"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weights", required=True)
    p.add_argument("--size", type=int, default=512, help="side of the square picture, a multiple of 16")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--evals", type=int, default=8)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--binary", default="target/release/augment")
    for hidden in ["--content", "--style"]:
        p.add_argument(hidden, help=argparse.SUPPRESS)
    for hidden in ["--worker", "--bf16"]:
        p.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.worker:
        return torch_worker(a)
    with tempfile.TemporaryDirectory() as folder:
        a.content, a.style = os.path.join(folder, "data", "content.png"), os.path.join(folder, "style.png")
        os.mkdir(os.path.dirname(a.content))
        draw(a.size, 1).save(a.content)
        draw(a.size, 2).save(a.style)
        config = os.path.join(folder, "bench.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"styles: [{{path: style.png}}]\nstylize: {{size: {a.size}, steps: 1, init: content}}\n")
        ratios = {"PyTorch f32": [], "PyTorch bf16": []}
        for turn in range(1, a.runs + 1):
            peers = {"PyTorch f32": torch_turn(a, False), "PyTorch bf16": torch_turn(a, True)}
            own = augment_turn(a, config)
            for name, peer in peers.items():
                ratios[name].append(own["seconds"] / peer["seconds"])
                print(f"turn {turn}  {name:13} {peer['seconds']:.3f} s  {peer['memory_mb']:.0f} MB")
            print(f"turn {turn}  {'augment':13} {own['seconds']:.3f} s  {own['memory_mb']:.0f} MB", flush=True)
        for name, values in ratios.items():
            print(f"augment / {name}: {statistics.median(values):.3f}  ({min(values):.3f} to {max(values):.3f})")
        theirs, ours = peers["PyTorch f32"]["first_style_loss"], augment_first_loss(a, folder, config)
        print(f"first style loss: PyTorch {theirs:.6f}, augment {ours:.6f}, off by {abs(ours / theirs - 1):.2%}")
        return 0 if abs(ours / theirs - 1) < 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
