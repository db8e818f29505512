"""A small deferred renderer in numpy: noise textures, a camera, a G-buffer, daylight, lamps and the sensor.

World coordinates are metres: x to the right, y up, z ahead. The road is the plane y = 0. Light is linear and relative;
only `develop` converts to sRGB. Surfaces are first written to a G-buffer (range, albedo, normal, gloss, glow) and lit
afterwards. So one street can be drawn under any sky, and all weather can use depth and normals.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

NEAR = 0.3
GROUND = -1  # identity of road, pavement and grass in the G-buffer; 0 is scenery, above 0 are labelled objects


# --- noise -----------------------------------------------------------------------------------------------------------


def fractal(rng, size=512, exponent=1.0):
    """Tileable Gaussian noise with amplitude 1/f^exponent, mean 0, deviation 1. Natural textures lie near 1/f."""
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    f[0, 0] = np.inf
    phase = np.exp(2j * np.pi * rng.random(f.shape))
    tile = np.fft.irfft2(phase / f**exponent, (size, size))
    return ((tile - tile.mean()) / tile.std()).astype(np.float32)


class Texture:
    """A noise tile at its full size and halved again and again. It is sampled at the level that fits the footprint of a
    pixel, so that it does not alias in the distance."""

    def __init__(self, rng, texel, exponent=1.0, size=512):
        self.texel = texel  # metres
        self.levels = [fractal(rng, size, exponent)]
        while self.levels[-1].shape[0] > 4:
            t = self.levels[-1]
            self.levels.append((t[::2, ::2] + t[1::2, ::2] + t[::2, 1::2] + t[1::2, 1::2]) / 4)

    def sample(self, u, v, footprint):
        shape = np.broadcast(u, v, footprint).shape
        u, v, footprint = (np.broadcast_to(a, shape) for a in (u, v, footprint))
        level = np.log2(np.maximum(footprint / self.texel, 1e-6)).round().clip(0, len(self.levels) - 1).astype(int)
        out = np.empty(shape, np.float32)
        for k in np.unique(level):
            m, tile = level == k, self.levels[k]
            out[m] = bilinear(tile, u[m] / (self.texel * 2**k), v[m] / (self.texel * 2**k))
        return out


def bilinear(tile, x, y):
    """Values of a tile, which repeats in both directions, at real coordinates."""
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = (x - x0).astype(np.float32), (y - y0).astype(np.float32)
    h, w = tile.shape
    xi, yi = x0.astype(np.int64), y0.astype(np.int64)
    xa, xb, ya, yb = xi % w, (xi + 1) % w, yi % h, (yi + 1) % h
    top = tile[ya, xa] * (1 - fx) + tile[ya, xb] * fx
    return top * (1 - fy) + (tile[yb, xa] * (1 - fx) + tile[yb, xb] * fx) * fy


def smoothstep(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    return a + (b - a) * t


# --- geometry --------------------------------------------------------------------------------------------------------


@dataclass
class Surface:
    """The properties of a material at n points. A scalar or a single colour holds for all of them."""

    albedo: np.ndarray
    gloss: float = 0.0  # share of mirror reflection, to be scaled by Fresnel
    glow: np.ndarray = 0.0  # emitted light
    keep: np.ndarray | None = None  # False where the face has a hole
    normal: np.ndarray | None = None


Material = Callable[..., Surface]  # (s, t, points, footprint) -> Surface


def plain(albedo, gloss=0.0, glow=0.0):
    surface = Surface(np.asarray(albedo, np.float32), gloss, np.asarray(glow, np.float32))
    return lambda s, t, points, footprint: surface


@dataclass
class Face:
    """The parallelogram origin + s a + t b with s, t in 0..1, or its half s + t <= 1."""

    origin: np.ndarray
    a: np.ndarray
    b: np.ndarray
    material: Material
    triangle: bool = False
    normals: np.ndarray | None = None  # at origin, origin + a, origin + b, for smooth shading

    def corners(self):
        ends = [self.origin, self.origin + self.a, self.origin + self.b]
        return np.array(ends if self.triangle else ends + [self.origin + self.a + self.b])


@dataclass
class Puff:
    """A ragged ball of leaves, needles or grass."""

    centre: np.ndarray
    radius: float
    colour: np.ndarray
    grain: Texture
    gloss: float = 0.0


@dataclass
class Item:
    """Faces and puffs that belong together. `label` is the class if it is an object to detect."""

    parts: list = field(default_factory=list)
    label: str | None = None
    shadow: bool = True


@dataclass
class Camera:
    """A pinhole camera. With `mirrored` it sees what a flat road reflects: the eye is under the road, mirrored."""

    width: int
    height: int
    eye_height: float = 1.4
    fov: float = 62.0
    horizon: float = 0.46  # share of the height above the horizon
    mirrored: bool = False

    def __post_init__(self):
        self.sign = -1 if self.mirrored else 1
        self.focal = self.width / 2 / np.tan(np.radians(self.fov) / 2)
        self.eye = np.array([0, self.sign * self.eye_height, 0], np.float32)
        self.dx = ((np.arange(self.width) + 0.5 - self.width / 2) / self.focal).astype(np.float32)
        self.dy = (self.sign * (self.height * self.horizon - np.arange(self.height) - 0.5) / self.focal).astype(
            np.float32
        )

    def project(self, points):
        z = points[:, 2]
        x = self.width / 2 + self.focal * points[:, 0] / z
        y = self.height * self.horizon - self.sign * self.focal * (points[:, 1] - self.eye[1]) / z
        return x, y

    def window(self, points):
        """Slices of the rows and columns that a convex shape with these corners may cover."""
        if (points[:, 2] < NEAR).all():
            return slice(0, 0), slice(0, 0)
        if (points[:, 2] < NEAR).any():
            return slice(0, self.height), slice(0, self.width)
        x, y = self.project(points)
        return (
            slice(*np.clip([y.min() - 1, y.max() + 2], 0, self.height).astype(int)),
            slice(*np.clip([x.min() - 1, x.max() + 2], 0, self.width).astype(int)),
        )

    def rays(self):
        """Directions with z = 1, so that a range along one is a depth."""
        return np.stack(np.broadcast_arrays(self.dx[None, :], self.dy[:, None], np.float32(1)), -1)


class GBuffer:
    def __init__(self, camera):
        shape = camera.height, camera.width
        self.camera = camera
        self.depth = np.full(shape, np.inf, np.float32)
        self.ids = np.zeros(shape, np.int16)
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.normal = np.zeros((*shape, 3), np.float32)
        self.glow = np.zeros((*shape, 3), np.float32)
        self.gloss = np.zeros(shape, np.float32)
        self.outlines = {}  # identity -> mask of the object as if nothing hid it

    def draw(self, items):
        """Draws items; returns {identity: label} of those that are objects."""
        labels = {}
        for item in items:
            ident = 0
            if item.label == "ground":
                ident = GROUND
            elif item.label:
                ident = len(labels) + 1
                labels[ident] = item.label
                self.outlines[ident] = np.zeros(self.depth.shape, bool)
            for part in item.parts:
                (self._face if isinstance(part, Face) else self._puff)(part, ident)
        return labels

    def _face(self, f, ident):
        rows, cols = self.camera.window(f.corners())
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        # Ray and plane: eye + z d = origin + s a + t b, solved with the plane's normal and dual basis.
        n = np.cross(f.a, f.b)
        da, db = np.cross(f.b, n), np.cross(n, f.a)
        da, db = da / (f.a @ da + 1e-20), db / (f.b @ db + 1e-20)
        dx, dy = self.camera.dx[cols][None, :], self.camera.dy[rows][:, None]
        r = self.camera.eye - f.origin
        with np.errstate(divide="ignore", invalid="ignore"):
            z = -(r @ n) / (dx * n[0] + dy * n[1] + n[2])
            s = r @ da + z * (dx * da[0] + dy * da[1] + da[2])
            t = r @ db + z * (dx * db[0] + dy * db[1] + db[2])
            hit = (z > NEAR) & (s >= 0) & (t >= 0) & ((s + t <= 1) if f.triangle else (s <= 1) & (t <= 1))
        if ident <= 0:  # an object's outline also needs what is hidden
            hit &= z < self.depth[rows, cols]
        y, x = np.nonzero(hit)
        if not len(y):
            return
        z, s, t = z[y, x], s[y, x], t[y, x]
        y, x = y + rows.start, x + cols.start
        points = self.camera.eye + z[:, None] * np.stack([self.camera.dx[x], self.camera.dy[y], np.ones_like(z)], -1)
        n = n / np.linalg.norm(n)
        lean = np.abs((points - self.camera.eye) @ n) / np.linalg.norm(points - self.camera.eye, axis=1)
        surface = f.material(s, t, points, z / self.camera.focal / np.maximum(lean, 0.05) ** 0.7)
        if f.normals is not None:
            n = f.normals[0] * (1 - s - t)[:, None] + f.normals[1] * s[:, None] + f.normals[2] * t[:, None]
        if surface.normal is not None:
            n = surface.normal
        n = np.broadcast_to(n, points.shape)
        n = n * np.where(((points - self.camera.eye) * n).sum(1) > 0, -1, 1)[:, None]
        self._write(y, x, z, surface, n, ident)

    def _puff(self, p, ident):
        if p.centre[2] < p.radius + NEAR:
            return
        box = p.centre + p.radius * 1.15 * np.array([[-1, -1, 0], [1, 1, 0]])
        rows, cols = self.camera.window(box)
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        depth = p.centre[2]
        x = (self.camera.dx[cols][None, :] * depth - p.centre[0]) / p.radius
        y = (self.camera.dy[rows][:, None] * depth + self.camera.eye[1] - p.centre[1]) / p.radius
        grain = p.grain.sample(
            x * p.radius + p.centre[0] * 7, y * p.radius + p.centre[1] * 5, depth / self.camera.focal
        )
        q = 1 - x * x - y * y
        z = depth - p.radius * np.sqrt(np.maximum(q, 0)) * 0.8
        hit = (q + 0.45 * grain > 0.25) & (q > -0.3) & (z < self.depth[rows, cols])
        i, j = np.nonzero(hit)
        if not len(i):
            return
        g = grain[i, j]
        n = np.stack([x[0, j] + 0.35 * g, y[i, 0] + 0.35 * np.roll(g, 7), -np.sqrt(np.maximum(q[i, j], 0.04))], -1)
        n /= np.linalg.norm(n, axis=1, keepdims=True)
        # Leaves low in a ball see less of the sky.
        shade = (0.95 + 0.45 * g) * mix(0.5, 1.05, smoothstep(-1, 0.6, y[i, 0]))
        surface = Surface(p.colour * np.clip(shade, 0.12, 2.2)[:, None], p.gloss)
        self._write(i + rows.start, j + cols.start, z[i, j], surface, n, ident)

    def _write(self, y, x, z, surface, normal, ident):
        keep = np.ones(len(y), bool) if surface.keep is None else surface.keep
        if ident > 0:
            self.outlines[ident][y[keep], x[keep]] = True
            keep = keep & (z < self.depth[y, x])
        n = len(y)
        y, x = y[keep], x[keep]
        self.depth[y, x], self.ids[y, x] = z[keep], ident
        self.albedo[y, x] = np.broadcast_to(surface.albedo, (n, 3))[keep]
        self.glow[y, x] = np.broadcast_to(surface.glow, (n, 3))[keep]
        self.gloss[y, x] = np.broadcast_to(surface.gloss, n)[keep]
        self.normal[y, x] = normal[keep]

    def points(self):
        """World position of every pixel; the sky lies at 1 km."""
        return self.camera.eye + self.camera.rays() * np.minimum(self.depth, 1000)[..., None]


# --- light -----------------------------------------------------------------------------------------------------------


@dataclass
class Sky:
    """A sun and a sky with clouds. Colours are radiances; the sun's is its irradiance over pi."""

    sun_azimuth: float = 40.0  # degrees, 0 is ahead, 90 is right
    sun_height: float = 45.0
    sun: tuple = (2.6, 2.4, 2.1)
    zenith: tuple = (0.09, 0.22, 0.62)
    horizon: tuple = (0.48, 0.64, 0.88)
    ambient: float = 1.0
    cloud: float = 0.4  # share of the sky that is covered
    cloud_light: tuple = (1.25, 1.25, 1.25)
    cloud_dark: tuple = (0.55, 0.60, 0.68)
    glow: float = 0.3  # brightening around the sun
    climb: float = 0.55  # below 1 the zenith's colour starts lower

    def direction(self):
        az, el = np.radians([self.sun_azimuth, self.sun_height])
        return np.array([np.sin(az) * np.cos(el), np.sin(el), np.cos(az) * np.cos(el)], np.float32)

    def gradient(self, up):
        """Radiance without clouds at the sine `up` of the height."""
        t = np.clip(up, 0, 1)[..., None] ** self.climb
        return mix(np.array(self.horizon, np.float32), np.array(self.zenith, np.float32), t)

    def radiance(self, rays, rng):
        d = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        colour = self.gradient(d[..., 1])
        toward = np.clip(d @ self.direction(), 0, 1)
        halo = self.glow * (0.6 * toward**8 + 1.5 * toward**60)
        colour = colour + halo[..., None] * np.array(self.sun)
        # Clouds lie on a plane overhead; a second, shifted sample says how much cloud lies towards the sun.
        up = np.maximum(d[..., 1], 0.015)
        u, v, foot = d[..., 0] / up, d[..., 2] / up, 0.004 / up**2
        tile = Texture(rng, 0.008, 1.45)
        density = tile.sample(u * 0.5, v * 0.5, foot)
        behind = tile.sample(u * 0.5 + 0.05, v * 0.5 + 0.08, foot)
        edge = 1.6 - 3.2 * self.cloud
        cover = smoothstep(edge - 0.35, edge + 0.75, density) * smoothstep(0.0, 0.12, d[..., 1] + 0.06 * self.cloud)
        lit = np.clip(0.6 + 0.45 * (density - behind) - 0.22 * np.clip(density, -1, 2.5), 0, 1)
        body = mix(np.array(self.cloud_dark), np.array(self.cloud_light), lit[..., None])
        return mix(colour, body, cover[..., None] * 0.95).astype(np.float32)


@dataclass
class Lamp:
    """A point light in all directions, or in a cone around `aim`. `spread` is the cosine at the rim of the cone."""

    position: tuple
    colour: tuple  # intensity
    aim: tuple | None = None
    spread: float = 0.85


class ShadowMap:
    """Shadows on the road. Every face is projected onto a map of the ground along the sun's rays. Objects are also
    projected straight down onto a second map, which says how much of the sky they hide."""

    SCALE, WIDTH, LENGTH = 16, 64, 110  # texels per metre, metres

    def __init__(self, items, sun):
        size = self.WIDTH * self.SCALE, self.LENGTH * self.SCALE
        self.sun, self.contact = Image.new("L", size), Image.new("L", size)
        for image, light in ((self.sun, sun), (self.contact, np.array([0.0, 1, 0]))):
            pen = ImageDraw.Draw(image)
            for item in items:
                for part in item.parts if item.shadow else ():
                    if image is self.sun or item.label:  # only objects stand close enough to the road to hide the sky
                        self._cast(pen, part, light)
        self.sun, self.contact = (
            np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255
            for image, radius in ((self.sun, 1.5), (self.contact, 4))
        )

    def _cast(self, pen, part, light):
        if isinstance(part, Face):
            p = part.corners()
            p = p if part.triangle else p[[0, 1, 3, 2]]
        else:
            e1 = np.cross(light, [0.31, 0.2, 0.93])
            e1 /= np.linalg.norm(e1)
            e2 = np.cross(light, e1)
            a = np.linspace(0, 2 * np.pi, 10)[:, None]
            p = part.centre + part.radius * 0.75 * (np.cos(a) * e1 + np.sin(a) * e2)
        g = p - light * (p[:, 1:2] / light[1])
        pen.polygon([(float((x + self.WIDTH / 2) * self.SCALE), float(z * self.SCALE)) for x, _, z in g], fill=255)

    def sample(self, image, points):
        x = ((points[..., 0] + self.WIDTH / 2) * self.SCALE).clip(0, image.shape[1] - 2)
        z = (points[..., 2] * self.SCALE).clip(0, image.shape[0] - 2)
        return bilinear(image, x, z)


def illuminate(g, items, sky, rng, lamps=(), mirror=None, background=None):
    """The light from every pixel. `mirror` is what a wet road reflects, `background` the sky."""
    points, n, sun = g.points(), g.normal, sky.direction()
    shadows = ShadowMap(items, sun)
    low = (points[..., 1] < 0.2) & (n[..., 1] > 0.5)
    direct = np.clip(n @ sun, 0, 1) * np.where(low, 1 - shadows.sample(shadows.sun, points), 1)
    hidden = np.where(low, 0.92 * shadows.sample(shadows.contact, points), 0)
    dome = 0.5 * (np.array(sky.zenith) + np.array(sky.horizon)) * sky.ambient
    dome = mix(dome, np.array(sky.cloud_dark) * sky.ambient, sky.cloud)
    ambient = dome * ((0.5 + 0.5 * n[..., 1]) * (1 - hidden))[..., None]
    bounce = 0.12 * (dome + np.array(sky.sun) * max(sun[1], 0)) * (0.5 - 0.5 * n[..., 1])[..., None]
    light = g.albedo * (direct[..., None] * np.array(sky.sun) + ambient + bounce + lamplight(points, n, lamps))
    light = light + reflection(g, sky, sun, direct, mirror) + g.glow
    if background is None:
        background = sky.radiance(g.camera.rays() * [1, g.camera.sign, 1], rng)
    return np.where(np.isinf(g.depth)[..., None], background, light).astype(np.float32)


def lamplight(points, normals, lamps):
    """Inverse square law with the cosine at the surface; lamps cast no shadows."""
    total = np.zeros(points.shape, np.float32)
    for lamp in lamps:
        to = np.array(lamp.position, np.float32) - points
        square = (to**2).sum(-1) + 0.05
        cosine = np.clip((to * normals).sum(-1) / np.sqrt(square), 0, 1)
        if lamp.aim is not None:
            aim = np.array(lamp.aim) / np.linalg.norm(lamp.aim)
            cosine = cosine * smoothstep(lamp.spread, 1.0, -(to @ aim) / np.sqrt(square))
        total += (cosine / square)[..., None] * np.array(lamp.colour, np.float32)
    return total


def reflection(g, sky, sun, direct, mirror):
    """Mirror reflection by Schlick's approximation of Fresnel's law, of the sky or of what the road mirrors."""
    view = g.camera.rays()
    view = view / np.linalg.norm(view, axis=-1, keepdims=True)
    cosine = np.clip(-(view * g.normal).sum(-1), 0, 1)
    r = view + 2 * cosine[..., None] * g.normal
    seen = sky.gradient(r[..., 1]) * smoothstep(-0.08, 0.06, r[..., 1])[..., None]
    seen = mix(seen, np.array(sky.cloud_light) * 0.8, 0.7 * sky.cloud * smoothstep(0, 0.3, r[..., 1])[..., None])
    spot = np.clip(r @ sun, 0, 1) ** 90 * (direct > 0)
    seen = seen + 4 * spot[..., None] * np.array(sky.sun)
    if mirror is not None:
        seen = np.where((g.ids == GROUND)[..., None], mirror, seen)
    fresnel = 0.04 + 0.96 * (1 - cosine) ** 5
    return (np.clip(g.gloss * (0.25 + 3 * fresnel), 0, 1) * np.clip(fresnel * 2.5 + 0.05, 0, 1))[..., None] * seen


# --- camera ----------------------------------------------------------------------------------------------------------


def shrink(image, factor):
    """Averages blocks of pixels, as a sensor does."""
    h, w = image.shape[0] // factor, image.shape[1] // factor
    return image[: h * factor, : w * factor].reshape(h, factor, w, factor, -1).mean((1, 3))


def convolve(image, kernel):
    """Convolution of every channel with a kernel given on the image's own grid, centred; edges are mirrored."""
    h, w = image.shape[:2]
    pad = [(h // 4, h // 4), (w // 4, w // 4), (0, 0)]
    wide = np.pad(image, pad, mode="symmetric")
    y = np.arange(wide.shape[0])[:, None] - wide.shape[0] // 2
    x = np.arange(wide.shape[1])[None, :] - wide.shape[1] // 2
    k = np.fft.ifftshift(kernel(x, y))
    spectrum = np.fft.rfft2(wide, axes=(0, 1)) * np.fft.rfft2(k / k.sum())[..., None]
    out = np.fft.irfft2(spectrum, wide.shape[:2], axes=(0, 1))
    return out[pad[0][0] : pad[0][0] + h, pad[1][0] : pad[1][0] + w].astype(np.float32)


def gaussian(sigma_x, sigma_y=None):
    return lambda x, y: np.exp(-0.5 * ((x / sigma_x) ** 2 + (y / (sigma_y or sigma_x)) ** 2))


def glare(image, share, core=2.0):
    """Adds the light that lenses and haze scatter around bright points. It falls about as the inverse cube of the angle
    (the tail of Vos's disability glare function)."""
    halo = convolve(image, lambda x, y: (1 + (x * x + y * y) / core**2) ** -1.5)
    return image * (1 - share) + halo * share


def develop(light, rng, exposure=1.0, blur=0.5, noise=0.012, vignette=0.12, bloom=0.04, tint=(1, 1, 1), sharpen=0.4):
    """Lens blur and glare, exposure, a film curve, shot and read noise, sharpening as in cameras, and sRGB."""
    image = np.maximum(glare(convolve(light, gaussian(blur)), bloom), 0) * exposure * np.array(tint, np.float32)
    h, w = image.shape[:2]
    r = np.hypot(np.linspace(-1, 1, h)[:, None], np.linspace(-1, 1, w)[None, :])
    image *= (1 - vignette * r**2 / 2)[..., None]
    image = image * (2.51 * image + 0.03) / (image * (2.43 * image + 0.59) + 0.14)  # Narkowicz's fit of the ACES curve
    image = np.clip(image, 0, 1)
    # Photon noise grows with the root of the light, read noise does not; demosaicing spreads both over neighbours.
    grain = convolve(rng.normal(size=image.shape), gaussian(0.6)) / 0.45
    image = np.clip(image + grain * noise * np.sqrt(image * 0.5 + 0.01), 0, 1)
    image = np.clip(image + sharpen * (image - convolve(image, gaussian(0.9))), 0, 1)
    srgb = np.where(image <= 0.0031308, 12.92 * image, 1.055 * image ** (1 / 2.4) - 0.055)
    return Image.fromarray((srgb * 255 + 0.5).astype(np.uint8))
