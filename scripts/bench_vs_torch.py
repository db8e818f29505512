#!/usr/bin/env python3
"""Times one evaluation (the loss and its gradient with respect to the pixels) in augment and in PyTorch.

    pip install torch numpy pillow safetensors
    cargo build --release
    python3 scripts/bench_vs_torch.py --weights vgg19.safetensors [--size 512] [--runs 3] [--evals 8] [--threads N]
    cargo build --release --features cuda
    python3 scripts/bench_vs_torch.py --weights vgg19.safetensors --device cuda --size 384 --height 216 --evals 60

Both use the same network, losses and picture. They take turns, each in a process of its own, so that a drift of the
machine's speed affects both. A turn on the CPU is augment in f32, PyTorch in f32, PyTorch with bf16 autocast. A turn on
a GPU is augment and PyTorch in f32, then both in bf16; each works on a batch of the size that augment chooses, and
times are per picture. Ratios are computed within a turn. Printed are their medians over the turns, and the first style
loss of both programs, which must agree within 1 %.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
from PIL import Image

STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
CONTENT = "relu4_2"
BLOCKS = [2, 2, 4, 4, 1]


def draw(width, height, seed):
    """A picture with structure at all scales: noise of falling amplitude, octave by octave."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    cells = 4
    while cells <= max(width, height):
        noise = rng.standard_normal((cells, cells, 3)).clip(-3, 3)
        layer = Image.fromarray(((noise + 3) * 42).astype(np.uint8)).resize((width, height), Image.BICUBIC)
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
    """Prints JSON: seconds per evaluation and picture, memory, and the first style loss."""
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(a.threads)
    device = torch.device(a.device)
    trunk = [(name, w if w is None else w.to(device), b if b is None else b.to(device))
             for name, w, b in load_trunk(a.weights)]
    mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=device).view(1, 3, 1, 1)

    def read(path):
        pixels = torch.tensor(np.asarray(Image.open(path)) / 255.0, dtype=torch.float32, device=device)
        return pixels.permute(2, 0, 1)[None].repeat(a.batch, 1, 1, 1)

    def taps(x):
        x, found = ((x - mean) / std).contiguous(memory_format=torch.channels_last), {}
        for name, weight, bias in trunk:
            x = F.max_pool2d(x, 2) if name is None else F.relu(F.conv2d(x, weight, bias, padding=1))
            if name:
                found[name] = x
        return found

    def gram(features):
        rows = features.flatten(2).float()
        return rows @ rows.transpose(1, 2) / rows.shape[2]

    def off(found, target):
        """The relative squared distance, for each picture of the batch."""
        return ((found.float() - target) ** 2).flatten(1).sum(1) / (target**2).flatten(1).sum(1)

    content, style = read(a.content), read(a.style)
    with torch.no_grad():
        target = taps(content)[CONTENT]
        grams = {name: gram(value) for name, value in taps(style).items() if name in STYLE}
    x = content.clone().requires_grad_(True)
    seconds, first = [], None
    # The first two evaluations choose kernels and allocate memory; they do not count.
    for _ in range(a.evals + 2):
        begun = time.perf_counter()
        x.grad = None
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=a.bf16):
            found = taps(x)
        style_loss = sum(off(gram(found[n]), grams[n]) for n in STYLE) / len(STYLE)
        (off(found[CONTENT], target) + 10 * style_loss).sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() - begun) / a.batch)
        first = style_loss[0].item() if first is None else first
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device.type == "cuda":
        memory = torch.cuda.max_memory_reserved()
    seconds = statistics.median(seconds[2:])
    print(json.dumps({"seconds": seconds, "memory_mb": memory / 1e6, "first_style_loss": first}))


def torch_turn(a, precision, batch):
    command = [sys.executable, __file__, "--worker", "--weights", a.weights, "--evals", str(a.evals)]
    command += ["--device", a.device, "--batch", str(batch), "--threads", str(a.threads)]
    command += ["--content", a.content, "--style", a.style] + ["--bf16"] * (precision == "bf16")
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


class GpuMemory(threading.Thread):
    """Asks the driver every 50 ms how much memory of GPU 0 is in use, and keeps the maximum."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done, self.before, self.most = threading.Event(), self.used(), 0

    @staticmethod
    def used():
        command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def run(self):
        while not self.done.wait(0.05):
            self.most = max(self.most, self.used())

    def megabytes(self):
        self.done.set()
        self.join()
        return (self.most - self.before) * 1.048576


def augment_turn(a, config, precision):
    command = [a.binary, "bench", "--config", config, "--weights", a.weights, "--json", "--device", a.device]
    command += ["--size", str(a.size), "--height", str(a.height), "--evals", str(a.evals), "--threads", str(a.threads)]
    command += ["--precision", precision] * (a.device == "cuda")
    watch = GpuMemory() if a.device == "cuda" else None
    if watch:
        watch.start()
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    memory = watch.megabytes() if watch else found["peak_memory_mb"]
    return {"seconds": found["seconds_per_eval_median"], "memory_mb": memory, "batch": found["batch"]}


def augment_first_loss(a, folder, config):
    """The style loss of the content picture itself, from a run of one step."""
    output = os.path.join(folder, "out")
    command = [a.binary, "--config", config, os.path.join(folder, "data"), "--output", output, "--quiet"]
    subprocess.run(command + ["--weights", a.weights, "--device", a.device], check=True, capture_output=True)
    with open(os.path.join(output, "manifest.jsonl"), encoding="utf-8") as rows:
        return json.loads(rows.readline())["first_style_loss"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weights", required=True)
    p.add_argument("--size", type=int, default=512, help="width of the picture")
    p.add_argument("--height", type=int, help="height of the picture; by default its width")
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--evals", type=int, default=8)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--binary", default="target/release/augment")
    for hidden in ["--content", "--style"]:
        p.add_argument(hidden, help=argparse.SUPPRESS)
    for hidden in ["--worker", "--bf16"]:
        p.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--batch", type=int, default=1, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.worker:
        return torch_worker(a)
    a.height = a.height or a.size
    with tempfile.TemporaryDirectory() as folder:
        a.content, a.style = os.path.join(folder, "data", "content.png"), os.path.join(folder, "style.png")
        os.mkdir(os.path.dirname(a.content))
        draw(a.size, a.height, 1).save(a.content)
        draw(a.size, a.height, 2).save(a.style)
        config = os.path.join(folder, "bench.yaml")
        with open(config, "w", encoding="utf-8") as file:
            long = max(a.size, a.height)
            file.write(f"styles: [{{path: style.png}}]\nstylize: {{size: {long}, steps: 1, init: content}}\n")
        # For each precision of augment, those of PyTorch that it is compared with.
        pairs = {"f32": ["f32"], "bf16": ["bf16"]} if a.device == "cuda" else {"f32": ["f32", "bf16"]}
        ratios = {}
        for turn in range(1, a.runs + 1):
            for precision, peers in pairs.items():
                own = augment_turn(a, config, precision)
                show(turn, f"augment {precision}", own)
                for peer in peers:
                    theirs = torch_turn(a, peer, own["batch"])
                    show(turn, f"PyTorch {peer}", theirs)
                    ratio = own["seconds"] / theirs["seconds"]
                    ratios.setdefault(f"augment {precision} / PyTorch {peer}", []).append(ratio)
                    first = theirs["first_style_loss"] if peer == "f32" else first
        for name, values in ratios.items():
            print(f"{name}: {statistics.median(values):.3f}  ({min(values):.3f} to {max(values):.3f})")
        ours = augment_first_loss(a, folder, config)
        print(f"first style loss: PyTorch {first:.6f}, augment {ours:.6f}, off by {abs(ours / first - 1):.2%}")
        return 0 if abs(ours / first - 1) < 0.01 else 1


def show(turn, name, found):
    batch = f"  batch {found['batch']}" if "batch" in found else ""
    print(f"turn {turn}  {name:13} {found['seconds']:.4f} s  {found['memory_mb']:.0f} MB{batch}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
