//! Precipitation rain and snow: particles in front of the camera, blended into a finished picture.
//!
//! The render maps colours, so it can wet a road but not hang a drop in the air. Here drops and flakes are drawn from
//! their measured size distributions (Marshall and Palmer 1948; Gunn and Marshall 1958), fall at their terminal speeds
//! (Atlas, Srivastava and Sekhon 1973; Locatelli and Hobbs 1974), and are projected by a pinhole with a small aperture.
//! What a particle hides, averaged over the exposure, is its shadow's area times its time over each pixel (Garg and
//! Nayar 2007): a fast drop hides a few percent of what is behind it and never more, so streaks stay veils.
//!
//! Only particles that can be made out one by one are drawn; what the others do together is haze, which is the style's.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::random::Random;
use rayon::prelude::*;
use serde::Serialize;
use std::f64::consts::{PI, TAU};

/// The focal length over the short side that gives a 16:9 picture 60 degrees across.
const FOCAL: f64 = 1.54;

/// The least focal length over the long side: pictures thinner than 3:1 would else see behind the camera.
const FOCAL_LONG: f64 = 0.5;

/// Metres to the nearest particle: closer ones are unsharp beyond recognition, and a car's own body keeps them off.
const NEAREST: f64 = 0.4;

/// Metres to the farthest particle that is drawn, even where larger ones could be made out.
const FARTHEST: f64 = 25.0;

/// Metres from the camera down to the road, below which nothing falls.
const MOUNTED: f64 = 1.4;

/// Metres across the aperture of a dash camera; focused far away, it smears a point near by over just that width.
const APERTURE: f64 = 0.002;

/// The largest radius over the short side: 2.5 % across, so that no flake becomes a ball.
const LARGEST_RADIUS: f64 = 0.0125;

/// From this radius over the short side a flake shows that it is no disc.
const LUMPY_RADIUS: f64 = 0.003;

/// Pixels: the radius of a point under the pixel's own area and the lens. The kernel's Fourier transform, `J3(k)/k³`,
/// has its first zero at 6.38 and its second at 9.76, which this puts on the sampling frequency: nothing aliases to the
/// mean, so a point hides the same wherever it lies between pixels.
const POINT_RADIUS: f64 = 9.761 / TAU;

/// The short side, in pixels, of the picture for which visibility is judged: every size gets the same particles.
const JUDGED_SIDE: f64 = 720.0;

/// The largest optical depth of one particle: opaque ones would have edges.
const DENSEST: f64 = 0.9;

/// Rows that are drawn together; independent of the number of threads.
const BAND: usize = 32;

/// What falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecipitationKind {
    Rain,
    Snow,
}

/// How it falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precipitation {
    pub kind: PrecipitationKind,
    /// 0..1: the share of a downpour of 100 mm/h, or of a blizzard of 5 mm/h of melted snow, goes with the square.
    /// Sensible: 0.4..0.9 for rain, where 0.1 is a drizzle that no camera sees, and 0.3..0.7 for snow.
    pub density: f64,
    /// Sideways speed in metres per second, positive to the right. Sensible: -3..3 for rain, which falls at 2..9 m/s,
    /// and -1.5..1.5 for snow, which falls at about 1 m/s.
    pub wind: f64,
    /// Seconds that the shutter is open: the longer, the longer and fainter the streaks. Sensible: 1/500..1/125 for
    /// rain, of which longer exposures show next to nothing, and 1/250..1/60 for snow.
    pub exposure: f64,
}

/// Lets rain or snow fall in `pixels`, in place; values in 0..1 stay there.
///
/// The same particles fall in a picture of any size with the same sides' ratio. The result depends on the arguments
/// alone.
pub fn add(pixels: &mut Pixels, falling: &Precipitation, seed: u64) {
    let Size { height, width } = pixels.size();
    if pixels.data().is_empty() || falling.density <= 0.0 {
        return;
    }
    let streaks = Camera::of(pixels.size()).streaks(falling, seed);
    let light = environment(pixels, falling.kind.sky());
    let deepest = falling.kind.deepest();
    pixels.data_mut().par_chunks_mut(BAND * width * 3).enumerate().for_each(|(band, rows)| {
        let (top, bottom) = (band * BAND, height.min((band + 1) * BAND));
        // Optical depth, and depth times glow: sums do not depend on which particle is in front.
        let mut veil = vec![[0.0; 2]; (bottom - top) * width];
        streaks.iter().for_each(|streak| streak.draw(&mut veil, top..bottom, width));
        for (rgb, &[depth, glow]) in rows.chunks_exact_mut(3).zip(&veil) {
            if depth > 0.0 {
                blend(rgb, depth.min(deepest), glow / depth, light);
            }
        }
    });
}

/// Covers a pixel by light of `glow` times `light`.
///
/// Squares stand for linear light: close enough to the exact curve of sRGB for a veil of uncertain strength, and
/// quick.
fn blend(rgb: &mut [f32], depth: f32, glow: f32, light: [f32; 3]) {
    let alpha = 1.0 - (-depth).exp();
    for (v, light) in rgb.iter_mut().zip(light) {
        let behind = v.max(0.0) * v.max(0.0);
        *v = (behind + alpha * ((glow * light).min(1.0) - behind)).sqrt();
    }
}

/// The light that particles pass on, linear: `sky` of the brightest tenth and the rest of the whole picture.
///
/// A drop refracts a field of view of 165 degrees (Garg and Nayar 2007), a flake scatters all that reaches it; the
/// picture is what there is to know of these surroundings.
fn environment(pixels: &Pixels, sky: f32) -> [f32; 3] {
    let Size { height, width } = pixels.size();
    // Some 40 000 pixels tell enough.
    let step = (height * width / 40_000).isqrt().max(1);
    let rows = (0..height).step_by(step);
    let picked = rows.flat_map(|y| (0..width).step_by(step).map(move |x| (y * width + x) * 3));
    let linear = |at: usize| [0, 1, 2].map(|c| pixels.data()[at + c].clamp(0.0, 1.0).powi(2));
    let mut picked: Vec<[f32; 3]> = picked.map(linear).collect();
    let luma = |rgb: &[f32; 3]| 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
    let mean = |of: &[[f32; 3]]| [0, 1, 2].map(|c| of.iter().map(|rgb| rgb[c]).sum::<f32>() / of.len() as f32);
    let all = mean(&picked);
    let rest = picked.len() * 9 / 10;
    picked.select_nth_unstable_by(rest, |a, b| luma(a).total_cmp(&luma(b)));
    let bright = mean(&picked[rest..]);
    [0, 1, 2].map(|c| all[c] + sky * (bright[c] - all[c]))
}

/// One particle's size and way to fall.
struct Body {
    /// Metres.
    diameter: f64,
    /// Metres per second.
    speed: f64,
}

impl PrecipitationKind {
    /// How many particles of each diameter (of the drop, or the melted flake, in millimetres) are in a cubic metre, per
    /// millimetre of diameter: `concentration * exp(-slope * diameter)`.
    fn spectrum(self, density: f64) -> (f64, f64) {
        match self {
            Self::Rain => (8000.0, 4.1 * (100.0 * density * density).powf(-0.21)),
            Self::Snow => {
                let rate = 5.0 * density * density;
                (3800.0 * rate.powf(-0.87), 2.55 * rate.powf(-0.48))
            }
        }
    }

    /// The diameters to draw, in the spectrum's millimetres. Smaller ones are mist; larger ones break up in the air.
    fn diameters(self) -> (f64, f64) {
        match self {
            Self::Rain => (0.4, 5.5),
            Self::Snow => (0.3, 2.5),
        }
    }

    fn body(self, diameter: f64) -> Body {
        match self {
            Self::Rain => Body { diameter: diameter / 1e3, speed: 9.65 - 10.3 * (-0.6 * diameter).exp() },
            Self::Snow => {
                // Flakes have the density of water times 0.17 mm over their diameter (Holroyd 1971).
                let flake = (diameter.powi(3) / 0.17).sqrt();
                Body { diameter: flake / 1e3, speed: 0.8 * flake.powf(0.16) }
            }
        }
    }

    /// The deviation of each particle's velocity from the common one, metres per second: gusts, and the flutter of
    /// flakes.
    fn flutter(self) -> f64 {
        match self {
            Self::Rain => 0.25,
            Self::Snow => 0.3,
        }
    }

    /// How much of the light is the brightest tenth's; see [`environment`].
    fn sky(self) -> f32 {
        match self {
            Self::Rain => 0.65,
            Self::Snow => 0.8,
        }
    }

    /// The peak opacity below which a particle cannot be made out before most backgrounds; flakes are brighter.
    fn visible(self) -> f64 {
        match self {
            Self::Rain => 0.012,
            Self::Snow => 0.05,
        }
    }

    /// The largest optical depth of a pixel, whatever is piled up in front of it: opacities of 0.33 and 0.83.
    fn deepest(self) -> f32 {
        match self {
            Self::Rain => 0.4,
            Self::Snow => 1.8,
        }
    }
}

/// A pinhole camera that looks level from a car; lengths on the picture are in short sides.
struct Camera {
    /// The short side in pixels.
    short: f64,
    focal: f64,
    width: f64,
    height: f64,
}

impl Camera {
    fn of(size: Size) -> Self {
        let (width, height) = (size.width as f64, size.height as f64);
        let short = width.min(height);
        let focal = FOCAL.max(FOCAL_LONG * width.max(height) / short);
        Self { short, focal, width: width / short, height: height / short }
    }

    /// All particles that can be made out.
    fn streaks(&self, falling: &Precipitation, seed: u64) -> Vec<Streak> {
        const CLASS: f64 = 0.1;
        let kind = falling.kind;
        let (concentration, slope) = kind.spectrum(falling.density);
        let (smallest, largest) = kind.diameters();
        let mut random = Random::new(seed);
        let mut streaks = Vec::new();
        for class in 0..((largest - smallest) / CLASS).round() as usize {
            let least = smallest + CLASS * class as f64;
            let middle = least + 0.5 * CLASS;
            let farthest = Self::farthest(&kind.body(middle), falling);
            // The part of the pyramid in view between the nearest and the farthest particle, in cubic metres.
            let volume = self.width * self.height / self.focal.powi(2) * (farthest.powi(3) - NEAREST.powi(3)) / 3.0;
            let count = volume * CLASS * concentration * (-slope * middle).exp();
            for _ in 0..(count + random.uniform()) as usize {
                let body = kind.body(least + CLASS * random.uniform());
                let z = NEAREST.powi(3) + random.uniform() * (farthest.powi(3) - NEAREST.powi(3));
                self.place(&body, z.cbrt(), falling, &mut random, &mut streaks);
            }
        }
        streaks
    }

    /// Metres to where such a particle, in a picture of the judged size, can no longer be made out.
    fn farthest(body: &Body, falling: &Precipitation) -> f64 {
        let visible = falling.kind.visible();
        let (mut near, mut far) = (NEAREST, FARTHEST);
        for _ in 0..20 {
            let z = 0.5 * (near + far);
            let scale = FOCAL / z * JUDGED_SIDE;
            let radius = (spread(body) * scale).hypot(POINT_RADIUS);
            let peak = hidden(body) * scale.powi(2) / extent(radius, body.speed * falling.exposure * scale);
            *(if peak > visible { &mut near } else { &mut far }) = z;
        }
        far
    }

    /// Puts a particle at the depth `z` somewhere in the picture.
    fn place(&self, body: &Body, z: f64, falling: &Precipitation, random: &mut Random, to: &mut Vec<Streak>) {
        let (scale, flutter) = (self.focal / z, falling.kind.flutter());
        let sideways = falling.wind + flutter * random.normal();
        let down = body.speed + flutter * random.normal();
        let way = [sideways * falling.exposure * scale, down * falling.exposure * scale];
        // The ends of streaks reach in from outside: the centres fill a larger field, as densely.
        let (width, height) = (self.width + way[0].abs(), self.height + way[1].abs());
        let times = width * height / (self.width * self.height);
        for _ in 0..(times + random.uniform()) as usize {
            let x = 0.5 * self.width + (random.uniform() - 0.5) * width;
            let y = 0.5 * self.height + (random.uniform() - 0.5) * height;
            if (y - 0.5 * self.height) / scale > MOUNTED {
                continue;
            }
            // Too large a flake is drawn as if it were farther away.
            let scale = scale.min(LARGEST_RADIUS / spread(body));
            let (radius, hidden) = (spread(body) * scale, hidden(body) * scale.powi(2));
            // No two particles see the same surroundings.
            let particle = Particle { middle: [x, y], way, radius, hidden, glow: 0.7 + 0.6 * random.uniform() };
            // A smear longer than the flake hides its shape.
            if falling.kind == PrecipitationKind::Snow && radius > LUMPY_RADIUS && way[0].hypot(way[1]) < radius {
                to.extend(particle.lumps(random).map(|lump| lump.streak(self.short)));
            } else {
                to.push(particle.streak(self.short));
            }
        }
    }
}

/// A particle in the picture; lengths in short sides.
#[derive(Clone, Copy)]
struct Particle {
    /// Where it is at half the exposure.
    middle: [f64; 2],
    /// How far it falls during the exposure.
    way: [f64; 2],
    radius: f64,
    /// The area that it hides at any time.
    hidden: f64,
    glow: f64,
}

impl Particle {
    /// Its three parts, of unlike size, around its middle.
    fn lumps(&self, random: &mut Random) -> [Self; 3] {
        let turn = TAU * random.uniform();
        std::array::from_fn(|part| {
            let angle = turn + TAU * (part as f64 + 0.6 * random.uniform()) / 3.0;
            let off = self.radius * (0.15 + 0.25 * random.uniform());
            let middle = [self.middle[0] + off * angle.cos(), self.middle[1] + off * angle.sin()];
            let radius = self.radius * (0.45 + 0.15 * random.uniform());
            Self { middle, radius, hidden: self.hidden / 3.0, ..*self }
        })
    }

    /// Its image in pixels; `short` is the picture's short side.
    fn streak(&self, short: f64) -> Streak {
        let Self { middle, way, radius, hidden, glow } = *self;
        let radius = (radius * short).hypot(POINT_RADIUS);
        let peak = hidden * short.powi(2) / extent(radius, way[0].hypot(way[1]) * short);
        Streak {
            start: [0, 1].map(|n| ((middle[n] - 0.5 * way[n]) * short) as f32),
            way: way.map(|w| (w * short) as f32),
            radius: radius as f32,
            peak: peak.min(DENSEST) as f32,
            glow: glow as f32,
        }
    }
}

/// The area that a particle hides, square metres.
fn hidden(body: &Body) -> f64 {
    0.25 * PI * body.diameter.powi(2)
}

/// The radius, in metres, of the kernel `(1 - r²)²` that is as wide (in variance) as a disc of the particle's size
/// smeared by the aperture.
fn spread(body: &Body) -> f64 {
    (0.5 * (body.diameter.powi(2) + APERTURE.powi(2))).sqrt()
}

/// The integral of the kernel `(1 - r²)²` around a line of some length.
fn extent(radius: f64, length: f64) -> f64 {
    16.0 / 15.0 * radius * length + PI / 3.0 * radius.powi(2)
}

/// A particle's image: soft all around, without an edge.
struct Streak {
    /// Where the middle of the particle is when the shutter opens, in pixels from the top left corner.
    start: [f32; 2],
    /// From there to where it is when the shutter closes.
    way: [f32; 2],
    radius: f32,
    /// Optical depth along the middle.
    peak: f32,
    /// Its light as a multiple of the surroundings'.
    glow: f32,
}

impl Streak {
    /// Adds the part in `rows` to `veil`, which holds these rows.
    fn draw(&self, veil: &mut [[f32; 2]], rows: std::ops::Range<usize>, width: usize) {
        let Self { start: [x, y], way: [dx, dy], radius, peak, glow } = *self;
        let (first, last) = covered(y.min(y + dy) - radius, y.max(y + dy) + radius, rows.end);
        let inverse = 1.0 / (dx * dx + dy * dy).max(1e-12);
        for row in first.max(rows.start)..last {
            let down = row as f32 + 0.5 - y;
            // Only the part of the line within a radius of the row matters.
            let [a, b] = if dy.abs() > radius {
                [(down - radius) / dy, (down + radius) / dy].map(|t| t.clamp(0.0, 1.0) * dx)
            } else {
                [0.0, dx]
            };
            let (left, right) = covered(x + a.min(b) - radius, x + a.max(b) + radius, width);
            let start = (row - rows.start) * width;
            for (n, veil) in veil[start..start + width].iter_mut().enumerate().take(right).skip(left) {
                let aside = n as f32 + 0.5 - x;
                let t = ((aside * dx + down * dy) * inverse).clamp(0.0, 1.0);
                let far = (aside - t * dx).powi(2) + (down - t * dy).powi(2);
                let inside = (1.0 - far / (radius * radius)).max(0.0);
                let depth = peak * inside * inside;
                veil[0] += depth;
                veil[1] += depth * glow;
            }
        }
    }
}

/// The pixels from `low` to `high` whose centres can lie between, of `len`.
fn covered(low: f32, high: f32, len: usize) -> (usize, usize) {
    // Casts of negative numbers give 0.
    (((low - 0.5).ceil() as usize).min(len), ((high + 0.5) as usize).min(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 180, width: 320 };

    const RAIN: Precipitation =
        Precipitation { kind: PrecipitationKind::Rain, density: 0.7, wind: 0.0, exposure: 1.0 / 250.0 };

    const SNOW: Precipitation =
        Precipitation { kind: PrecipitationKind::Snow, density: 0.5, wind: 0.0, exposure: 1.0 / 125.0 };

    /// An overcast sky over a dark road.
    fn street(size: Size) -> Pixels {
        let level = |y: usize| if 5 * y < 2 * size.height { 0.8 } else { 0.3 };
        Pixels::new(size, (0..size.pixels() * 3).map(|n| level(n / 3 / size.width)).collect())
    }

    fn noise(size: Size) -> Pixels {
        let mut random = Random::new(5);
        Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform().powi(3) as f32).collect())
    }

    fn fallen(on: &Pixels, falling: &Precipitation, seed: u64) -> Pixels {
        let mut pixels = on.clone();
        add(&mut pixels, falling, seed);
        pixels
    }

    /// What the green of a picture gained, `[height][width]`.
    fn gain(on: &Pixels, falling: &Precipitation) -> Vec<f32> {
        let fallen = fallen(on, falling, 1);
        fallen.data().iter().zip(on.data()).skip(1).step_by(3).map(|(a, b)| a - b).collect()
    }

    /// Sums of the products of the gradient: across twice, across and down, down twice.
    fn structure(plane: &[f32], size: Size) -> [f32; 3] {
        let mut sums = [0.0; 3];
        for (row, below) in plane.chunks_exact(size.width).zip(plane.chunks_exact(size.width).skip(1)) {
            for x in 0..size.width - 1 {
                let (falls, rises) = (below[x + 1] - row[x], row[x + 1] - below[x]);
                let (dx, dy) = (falls + rises, falls - rises);
                sums = [sums[0] + dx * dx, sums[1] + dx * dy, sums[2] + dy * dy];
            }
        }
        sums
    }

    #[test]
    fn the_seed_alone_decides_where_things_fall() {
        for falling in [RAIN, SNOW] {
            let street = street(SIZE);
            assert!(fallen(&street, &falling, 1) == fallen(&street, &falling, 1));
            assert!(fallen(&street, &falling, 1) != fallen(&street, &falling, 2));
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let on = noise(Size { height: 150, width: 200 });
        let with = |threads, falling| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fallen(&on, falling, 3))
        };
        assert!([RAIN, SNOW].iter().all(|falling| with(1, falling) == with(3, falling)));
    }

    #[test]
    fn more_falls_at_a_higher_density_and_nothing_at_none() {
        for falling in [RAIN, SNOW] {
            let changed = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|density| {
                let gain = gain(&street(SIZE), &Precipitation { density, ..falling });
                gain.iter().filter(|gain| gain.abs() > 1.0 / 255.0).count()
            });
            assert_eq!(changed[0], 0);
            assert!(changed.is_sorted_by(|a, b| a < b), "{falling:?}: {changed:?}");
        }
    }

    #[test]
    fn a_longer_exposure_makes_longer_streaks() {
        let size = Size { height: 360, width: 480 };
        for falling in [RAIN, SNOW] {
            let across_over_down = [500.0, 200.0, 80.0].map(|speed| {
                let [across, _, down] =
                    structure(&gain(&street(size), &Precipitation { exposure: 1.0 / speed, ..falling }), size);
                across / down
            });
            assert!(across_over_down.is_sorted_by(|a, b| 1.15 * a < *b), "{falling:?}: {across_over_down:?}");
        }
    }

    #[test]
    fn streaks_lean_by_the_wind_over_the_speed_of_fall() {
        let size = Size { height: 360, width: 480 };
        // Drops of 2 mm fall at 6.5 m/s, and large flakes at 1 m/s.
        for (falling, speed) in [(RAIN, 6.5), (Precipitation { exposure: 1.0 / 50.0, ..SNOW }, 1.0)] {
            for lean in [-0.4_f64, 0.0, 0.4] {
                let wind = speed * lean;
                let [xx, xy, yy] = structure(&gain(&street(size), &Precipitation { wind, ..falling }), size);
                // Gradients stand across the streaks: to the right and up on those that fall to the right.
                let seen = -0.5 * f64::from(2.0 * xy).atan2((xx - yy).into());
                assert!((seen - lean.atan()).abs() < 0.09, "{falling:?}: {} for {}", seen, lean.atan());
            }
        }
    }

    #[test]
    fn every_size_sees_the_same_particles() {
        let large = Size { height: 720, width: 1280 };
        for falling in [RAIN, SNOW] {
            let blocks = |size: Size, side: usize| {
                let gain = gain(&street(size), &falling);
                let mut means = vec![0.0; size.pixels() / (side * side)];
                for (n, gain) in gain.iter().enumerate() {
                    means[n / size.width / side * (size.width / side) + n % size.width / side] +=
                        gain / (side * side) as f32;
                }
                means
            };
            let (small, large) = (blocks(SIZE, 5), blocks(large, 20));
            let off: f32 = small.iter().zip(&large).map(|(a, b)| (a - b).abs()).sum();
            assert!(off < 0.15 * large.iter().map(|gain| gain.abs()).sum::<f32>(), "{falling:?}: {off}");
        }
    }

    #[test]
    fn values_stay_in_range_at_any_size_and_setting() {
        for (height, width) in [(1, 1), (3, 500), (500, 3), (1, 90), (33, 64)] {
            for kind in [PrecipitationKind::Rain, PrecipitationKind::Snow] {
                for (density, wind, exposure) in
                    [(0.01, -8.0, 0.1), (1.0, 8.0, 1.0 / 30.0), (1.0, 0.0, 1e-4), (0.5, 0.0, 0.0)]
                {
                    let falling = Precipitation { kind, density, wind, exposure };
                    let made = fallen(&noise(Size { height, width }), &falling, 1);
                    assert!(made.data().iter().all(|v| (0.0..=1.0).contains(v)), "{height}x{width}: {falling:?}");
                }
            }
        }
        add(&mut Pixels::new(Size { height: 0, width: 0 }, vec![]), &RAIN, 1);
    }

    #[test]
    fn rain_is_never_opaque_and_snow_never_wholly() {
        // The brightest surroundings, before black and white.
        let size = Size { height: 720, width: 1280 };
        let on = Pixels::new(size, (0..size.pixels() * 3).map(|n| (n / 3 / 20 % 2) as f32).collect());
        for (falling, least, most) in [(RAIN, 0.25, 0.33), (SNOW, 0.6, 0.84)] {
            let fallen = fallen(&on, &Precipitation { density: 1.0, exposure: 1e-4, ..falling }, 1);
            // Linear light moves by the opacity times a difference of at most 1.
            let moved = fallen.data().iter().zip(on.data()).map(|(a, b)| (a * a - b * b).abs()).fold(0.0, f32::max);
            assert!((least..most).contains(&moved), "{falling:?}: {moved}");
            assert!(fallen.data().iter().all(|v| *v <= 1.0));
        }
    }

    #[test]
    fn the_mean_rises_slightly() {
        let size = Size { height: 360, width: 640 };
        for (falling, least, most) in [(RAIN, 0.001, 0.012), (SNOW, 0.003, 0.025)] {
            let gain = gain(&street(size), &falling);
            let mean = gain.iter().sum::<f32>() / gain.len() as f32;
            assert!((least..most).contains(&mean), "{falling:?}: {mean}");
        }
    }

    #[test]
    fn at_night_nothing_glows() {
        let mut night = noise(SIZE);
        night.data_mut().iter_mut().for_each(|v| *v *= 0.15);
        for falling in [RAIN, SNOW] {
            // The brightest surroundings times the brightest glow, 1.3 in linear light.
            let most = 0.15 * 1.3_f32.sqrt();
            assert!(fallen(&night, &falling, 1).data().iter().all(|v| *v <= most));
        }
    }

    #[test]
    fn a_streak_hides_as_much_wherever_it_lies_between_pixels() {
        for (length, radius) in [(0.0, 0.0), (0.01, 0.002), (0.2, 0.01)] {
            for shift in [0.0, 0.0013, 0.0031, 0.0047] {
                let middle = [0.5 + shift, 0.5 + 2.0 * shift];
                let particle = Particle { middle, way: [0.3 * length, length], radius, hidden: 1e-5, glow: 1.0 };
                let mut veil = vec![[0.0; 2]; 100 * 100];
                particle.streak(100.0).draw(&mut veil, 0..100, 100);
                let sum: f32 = veil.iter().map(|veil| veil[0]).sum();
                assert!((sum / 0.1 - 1.0).abs() < 0.03, "{length} {radius} {shift}: {sum}");
            }
        }
    }

    #[test]
    fn nothing_is_large_enough_to_be_an_object() {
        let size = Size { height: 720, width: 1280 };
        for falling in [RAIN, SNOW] {
            let streaks = Camera::of(size).streaks(&Precipitation { density: 1.0, ..falling }, 1);
            assert!(!streaks.is_empty() && streaks.iter().all(|streak| streak.radius <= 0.0125 * 720.0 + 1.3));
        }
    }

    #[test]
    fn a_lumpy_flake_is_as_large_as_a_round_one_and_hides_as_much() {
        let flake = Particle { middle: [0.3, 0.4], way: [0.0; 2], radius: 0.01, hidden: 1e-4, glow: 1.0 };
        let mut random = Random::new(1);
        for _ in 0..100 {
            let lumps = flake.lumps(&mut random);
            let reach = |lump: &Particle| (lump.middle[0] - 0.3).hypot(lump.middle[1] - 0.4) + lump.radius;
            assert!(lumps.iter().all(|lump| reach(lump) <= 0.01 + 1e-9));
            assert!((lumps.iter().map(|lump| lump.hidden).sum::<f64>() - 1e-4).abs() < 1e-12);
        }
    }

    #[test]
    fn nothing_falls_below_the_road() {
        // At the lower edge the road is 4.3 m away, and what is farther would be under it.
        let size = Size { height: 720, width: 1280 };
        let streaks = Camera::of(size).streaks(&SNOW, 1);
        let between = |low: f32, high: f32| streaks.iter().filter(|s| (low..high).contains(&s.start[1])).count();
        assert!(2 * between(540.0, 720.0) < between(0.0, 180.0));
    }
}
