#!/usr/bin/env python3
"""Makes `src/nst/builtin.safetensors`, the backbone that is used where no ImageNet weights are installed.

    pip install numpy safetensors
    python3 scripts/make_builtin.py [--out src/nst/builtin.safetensors] [--seed 0]

It is a narrow VGG19 with the same topology and input. Nothing in it was learned from anybody's data. This script draws
pictures. The kernels of each convolution are the principal components of the patches that reach it. Stacking them is
PCANet (Chan et al. 2015). On one patch of a natural picture the components are brightness, two opponent colours, and
oriented derivatives of rising order, as in early vision (Hancock, Baddeley and Smith 1992; Ruderman, Cronin and Chiao
1998).

Why they carry style: a Gram matrix of such channels holds the means, contrasts and colour covariances of a picture, scale
by scale. Matching it moves haze, darkness and the sharpness of detail. Why random filters do not: a random 3x3 kernel
answers mostly to the finest scale, so fine colour noise is enough to match its Gram matrix. Components in order of
variance are smooth before they are fine, and deeper layers keep only the smooth ones of a growing window.

Also tried: spherical k-means on whitened patches (Coates and Ng 2011), which tells objects apart better, weighs all
scales alike and was no better than random filters. Rotated and independent components came close to the plain ones.
Thresholds (a negative bias) gained little and made L-BFGS diverge on some pictures.

Measured on 16 pairs of real frames with fog and night at 256 pixels: the mean log of the style distance that is left,
judged by ImageNet's VGG19. Lower is better; 0.02 is noise.

    ImageNet's own weights                                                  -2.03
    this bank                                                               -1.94
    components scaled by the fourth root of their variance                  the same, but edges worse by 0.04
    twice the width                                                         the same
    components of the differences of the pairs below alone                  the same; 0.13 worse with `render: pixels`
    a quarter, a half of the components from the sums of the pairs below    -1.88, -1.54
    Fisher discriminants of places for a quarter to a half                  -1.61
    thresholds of 0.3 from block 3 on                                       -1.81
    the first components at two or three thresholds                         -1.87 to -1.91
    trained to tell drawn pictures from their blur, haze, exposure, tint:
        from random kernels (untrained: -1.46)                              -1.69
        from this bank                                                      -1.82

Training was short, 11,000 and 14,000 crops. A longer one has not been tried.

The same seed gives the same file with AVX2 on one thread and with AVX-512 on two. Pictures are rounded to 8 bits and
kernels to 16. In between everything is in double precision. Its last bits differ between processors and linear algebra
libraries, but are too small to matter after rounding.
"""

import argparse
import os

import numpy as np
from safetensors.numpy import save_file

BLOCKS = [2, 2, 4, 4, 1]  # convolutions per block; a 2x2 max pool between blocks; ends at conv5_1
WIDTHS = [32, 64, 80, 128, 128]  # channels per block, multiples of 16
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
PICTURES = 36
SIDE = 192  # pixels; the maps that conv5_1 reads are then 12 wide
SAMPLES = 16000  # patches per layer

# ---------------------------------------------------------------------------------------------------------- pictures


def power_law_noise(rng, side, slope):
    """Unit-variance noise whose amplitude falls as 1/f^slope; natural pictures have slopes around 1 (Field 1987)."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1 / side
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) / frequency**slope, s=(side, side))
    noise -= noise.mean()
    return (noise / noise.std()).astype(np.float32)[..., None]


def draw_colour(rng):
    """A grey with some tint: mostly muted, sometimes saturated, like paint, plants and stone."""
    return np.clip(rng.beta(1.5, 1.5) + rng.normal(0, 0.12, 3) * rng.choice([0.4, 1, 2]), 0, 1)


def unit_grid(side):
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    return x, y


def draw_gradient(rng, side):
    x, y = unit_grid(side)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip(np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + 0.5, 0, 1)[..., None]
    return draw_colour(rng) * (1 - ramp) + draw_colour(rng) * ramp


def draw_clouds(rng, side):
    """Coloured 1/f noise, its brightness three times as strong as its colour."""
    slope, contrast = rng.uniform(0.7, 1.6), rng.uniform(0.08, 0.25)
    tint = np.concatenate([power_law_noise(rng, side, slope) for _ in range(3)], axis=-1)
    return draw_colour(rng) + contrast * (power_law_noise(rng, side, slope) + 0.3 * tint)


def draw_leaf(rng, picture, texture, radius):
    """One ellipse or rectangle, shaded and textured. Its rim is sharp, or soft like that of a shadow."""
    side = len(picture)
    cx, cy, angle, aspect = *(rng.random(2) * side), rng.uniform(0, np.pi), rng.uniform(0.25, 1)
    left, top = (int(max(0, c - 1.5 * radius)) for c in (cx, cy))
    right, bottom = (int(min(side, c + 1.5 * radius + 2)) for c in (cx, cy))
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    along = (np.cos(angle) * (x - cx) + np.sin(angle) * (y - cy)) / radius
    across = (np.cos(angle) * (y - cy) - np.sin(angle) * (x - cx)) / (radius * aspect)
    reach = np.hypot(along, across) if rng.random() < 0.5 else np.maximum(abs(along), abs(across))
    rim = rng.choice([0.7, 0.7, 0.7, 3, 8]) / (radius * aspect)
    cover = np.clip((1 - reach) / rim + 0.5, 0, 1)[..., None]
    shade = 1 + rng.uniform(-0.3, 0.3) * along + rng.uniform(-0.3, 0.3) * across
    paint = draw_colour(rng) * shade[..., None] + rng.choice([0, 0.02, 0.05, 0.12]) * texture[top:bottom, left:right]
    picture[top:bottom, left:right] += cover * (paint - picture[top:bottom, left:right])


def draw_dead_leaves(rng, side):
    """Occluding shapes with radii distributed as r^-3, which makes the picture scale invariant (Lee, Mumford, Huang 2001)."""
    picture = draw_gradient(rng, side).astype(np.float32)
    textures = [power_law_noise(rng, side, slope) for slope in (0.6, 1.0, 1.4)]
    smallest, largest, count = 2.0, side / 3, 500
    for u in rng.random(count):
        radius = (smallest**-2 + u * (largest**-2 - smallest**-2)) ** -0.5  # the distribution's inverse
        draw_leaf(rng, picture, textures[rng.integers(3)], radius)
    return picture


def draw_street(rng, side):
    """A road to a vanishing point under a sky, lane marks, boxes like houses and cars. By day, in haze or at night."""
    x, y = unit_grid(side)
    horizon, vanish = rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.7)
    height = np.clip(y / horizon, 0, 1)[..., None]
    sky = draw_colour(rng) * (1 - height) + draw_colour(rng) * height + 0.05 * power_law_noise(rng, side, 1.5)
    depth = np.maximum(y - horizon, 1e-3)  # its inverse is the distance on a flat road
    ground, lateral = (y > horizon)[..., None], (x - vanish) / depth
    road = draw_colour(rng) * 0.6 + 0.04 * power_law_noise(rng, side, 0.8)
    for lane in (-1.6, 0, 1.6):
        mark = abs(lateral - lane) < 0.06
        if lane == 0:
            mark &= np.mod(0.5 / depth, 1) < 0.5  # the middle one is dashed
        road = np.where(mark[..., None], 0.85, road)
    verge = draw_colour(rng) + 0.08 * power_law_noise(rng, side, 0.8)
    picture = np.where(ground, np.where((abs(lateral) > 2.2)[..., None], verge, road), sky)
    for _ in range(rng.integers(4, 10)):
        picture = draw_block(rng, picture, horizon, vanish)
    light = rng.random()
    if light < 0.5:
        return draw_night(rng, picture)
    return draw_haze(rng, picture, depth, ground) if light < 0.8 else picture


def draw_block(rng, picture, horizon, vanish):
    """An upright box that stands on the road plane, with a grid of windows."""
    side = len(picture)
    x, y = unit_grid(side)
    near = rng.uniform(0.02, 0.4)
    centre = vanish + rng.choice([-1, 1]) * rng.uniform(0.6, 4) * near
    foot, tall, wide = horizon + near, near * rng.uniform(0.6, 4), near * rng.uniform(0.3, 1.5)
    inside = (abs(x - centre) < wide / 2) & (y < foot) & (y > foot - tall)
    window = (np.mod((x - centre) / wide * 5, 1) < 0.5) & (np.mod((y - foot) / tall * 7, 1) < 0.5)
    paint = draw_colour(rng) + 0.06 * power_law_noise(rng, side, 1.0) + rng.uniform(-0.2, 0.2) * window[..., None]
    return np.where(inside[..., None], paint, picture)


def draw_night(rng, picture):
    """Darkens, then adds lamps: a small disk with an exponential glow."""
    side = len(picture)
    x, y = unit_grid(side)
    picture = picture * rng.uniform(0.1, 0.4)
    for _ in range(rng.integers(4, 16)):
        radius, colour = rng.uniform(0.004, 0.02), np.array([1, rng.uniform(0.6, 1), rng.uniform(0.2, 1)])
        away = np.hypot(x - rng.random(), y - rng.uniform(0.1, 0.9))
        glow = np.clip((radius - away) * side + 0.5, 0, 1) + 0.35 * np.exp(-away / (4 * radius))
        picture = picture + glow[..., None] * colour
    return picture


def draw_haze(rng, picture, depth, ground):
    """Koschmieder's law with a grey air light; the sky is far away."""
    clear = np.where(ground, np.exp(-rng.uniform(0.02, 0.15) / depth)[..., None], 0.15)
    return picture * clear + rng.uniform(0.55, 0.9) * (1 - clear)


def add_flakes(rng, picture):
    side = len(picture)
    for _ in range(rng.integers(100, 400)):
        (left, top), long = rng.integers(0, side - 4, 2), rng.integers(1, 4)
        flake = np.s_[top : top + long, left : left + max(1, long - 1)]
        picture[flake] = 0.4 * picture[flake] + 0.6 * 0.9
    return picture


def draw_pictures(rng, count, side):
    """(count, side, side, 3) in 0..1, in steps of 1/255.

    Dead leaves for edges, streets for layout, clouds for smooth colour.
    """
    kinds = [draw_dead_leaves, draw_street, draw_clouds, draw_dead_leaves, draw_street, draw_dead_leaves]
    pictures = []
    for index in range(count):
        picture = kinds[index % len(kinds)](rng, side)
        if rng.random() < 0.25:
            picture = add_flakes(rng, picture)
        if index % len(kinds) == 3:  # low contrast, as through a window or a veil
            picture = 0.5 * picture + 0.5 * draw_gradient(rng, side)
        sensor_noise = rng.normal(0, 0.004, picture.shape)
        pictures.append(np.rint(255 * np.clip(picture + sensor_noise, 0, 1)))
    return np.stack(pictures) / 255


# ----------------------------------------------------------------------------------------------------------- network


def convolve(maps, weight, bias):
    """ReLU of the 3x3 convolution with zero padding. `maps` (N, H, W, C), `weight` (3, 3, C, O)."""
    _, height, width, _ = maps.shape
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = np.broadcast_to(bias, (*maps.shape[:3], len(bias))).copy()
    for dy in range(3):
        for dx in range(3):
            total += padded[:, dy : dy + height, dx : dx + width] @ weight[dy, dx]
    return np.maximum(total, 0, out=total)


def max_pool(maps):
    count, height, width, channels = maps.shape
    return maps.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def sample_patches(rng, maps, count):
    """(count, 9 C): 3x3 windows from anywhere but the border."""
    pictures, height, width, channels = maps.shape
    n = rng.integers(0, pictures, count)
    y, x = rng.integers(1, height - 1, count), rng.integers(1, width - 1, count)
    window = [maps[n, y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.stack(window, axis=1).reshape(count, 9 * channels)


def principal_pairs(patches, width):
    """Weight (9 C, width) and bias of a layer that splits each of the first width/2 components into its two signs.

    With mean m and covariance V L V^T of the patches p, the channels are +-(p - m) V L^-1/2: each has unit variance
    before the ReLU, so that no channel outweighs the others in the Gram matrix. After the ReLU, the pair still holds
    the whole component: relu(t) - relu(-t) = t (Shang et al. 2016).
    """
    mean = patches.mean(axis=0)
    centred = patches - mean
    variance, vectors = np.linalg.eigh(centred.T @ centred / len(patches))
    order = np.argsort(variance)[::-1][: width // 2]
    vectors = vectors[:, order]
    vectors *= np.sign(np.take_along_axis(vectors, abs(vectors).argmax(axis=0)[None], axis=0))  # eigh leaves it open
    half = vectors / np.sqrt(variance[order])
    weight = np.concatenate([half, -half], axis=1)
    return weight, -mean @ weight


def build(rng):
    """All tensors. Each layer comes from patches of what the layers before it, as stored in f16, make of pictures."""
    maps = (draw_pictures(rng, PICTURES, SIDE) - IMAGENET_MEAN) / IMAGENET_STD
    tensors, index = {}, 0
    for block, (convolutions, width) in enumerate(zip(BLOCKS, WIDTHS)):
        if block > 0:
            maps, index = max_pool(maps), index + 1
        for _ in range(convolutions):
            weight, bias = principal_pairs(sample_patches(rng, maps, SAMPLES), width)
            weight, bias = weight.reshape(3, 3, maps.shape[-1], width).astype(np.float16), bias.astype(np.float16)
            tensors[f"features.{index}.weight"] = np.ascontiguousarray(weight.transpose(3, 2, 0, 1))
            tensors[f"features.{index}.bias"] = bias
            maps = convolve(maps, weight.astype(np.float64), bias.astype(np.float64))
            index += 2  # the convolution and its ReLU
    return tensors


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=os.path.join(here, "..", "src", "nst", "builtin.safetensors"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tensors = build(np.random.default_rng(arguments.seed))
    save_file(tensors, arguments.out)
    print(f"{arguments.out}: {len(tensors)} tensors, {os.path.getsize(arguments.out)} bytes")


if __name__ == "__main__":
    main()
