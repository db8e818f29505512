#!/usr/bin/env python3
"""Makes the files in tests/fixtures/weights: VGG19s of 16 channels as PyTorch and Keras write them.

    pip install torch h5py
    python3 scripts/make_foreign_weights.py

All kernels but the first share one storage, and so do all biases. This keeps the files small.
"""

from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import torch

FOLDER = Path(__file__).parent.parent / "tests/fixtures/weights"
BLOCKS = [2, 2, 4, 4, 4]


def numbers(*shape):
    """Numbers that floats of 16 and 32 bits hold exactly."""
    n = np.arange(np.prod(shape))
    return ((n * 37 % 101) / 64 - 0.75).astype(np.float32).reshape(shape)


def state_dict(prefix, wrap):
    first, other, bias = (wrap(torch.from_numpy(a)) for a in (numbers(16, 3, 3, 3), numbers(16, 16, 3, 3), numbers(16)))
    found, place = OrderedDict(), 0
    for block in BLOCKS:
        for _ in range(block):
            found[f"{prefix}features.{place}.weight"] = other if found else first
            found[f"{prefix}features.{place}.bias"] = bias
            place += 2
        place += 1
    found[f"{prefix}classifier.6.bias"] = wrap(torch.zeros(10))
    return found


def keras(path):
    """A file like Keras' `notop` weights up to block1_conv2, in the oldest format. One of the kernels is compressed."""
    with h5py.File(path, "w", libver="earliest") as file:
        for name, inputs in [("block1_conv1", 3), ("block1_conv2", 16)]:
            kernel, bias = f"{name}_W_1:0", f"{name}_b_1:0"
            group = file.create_group(name)
            group.attrs["weight_names"] = [kernel.encode(), bias.encode()]
            numbers_of = numbers(16, inputs, 3, 3).transpose(2, 3, 1, 0)
            group.create_dataset(kernel, data=numbers_of, compression="gzip" if inputs == 16 else None)
            group[bias] = numbers(16)
        file.attrs["layer_names"] = [name.encode() for name in file]


FOLDER.mkdir(parents=True, exist_ok=True)
torch.save(state_dict("", torch.nn.Parameter), FOLDER / "legacy.pth", _use_new_zipfile_serialization=False)
torch.save({"epoch": 3, "state_dict": state_dict("module.", torch.Tensor.clone)}, FOLDER / "zip.pt")
keras(FOLDER / "keras.h5")
