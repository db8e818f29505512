//! A pinhole camera with a small aperture that looks level from a car: which particles it sees, and where.

use crate::nst::picture::geometry::Size;
use crate::nst::random::{FrameSeed, Random};
use crate::nst::render::precipitation::particles::{Body, Precipitation, PrecipitationKind};
use crate::nst::render::precipitation::streaks::{DENSEST, POINT_RADIUS, Streak, kernel_integral};
use crate::nst::scene::horizon::CAMERA;
use std::f64::consts::TAU;

/// The focal length, in short sides, that gives a 16:9 picture a field of view of 60 degrees across. By the short side,
/// a portrait sees the same particles; the ground of effects goes by the width ([`crate::nst::scene::view::FOCAL`]).
const FOCAL: f64 = 1.54;

/// The least focal length, in long sides: else pictures thinner than 3:1 would see behind the camera.
const FOCAL_LONG: f64 = 0.5;

/// Metres to the nearest particle. Closer ones are too blurred to recognise, and the car's own body keeps them off.
const NEAREST: f64 = 0.4;

/// Metres to the farthest particle that is drawn, even where larger ones would be visible.
const FARTHEST: f64 = 25.0;

/// The largest radius, in short sides: 2.5 % across, so that no flake becomes a ball.
const LARGEST_RADIUS: f64 = 0.0125;

/// From this radius on, in short sides, a flake shows that it is no disc.
const LUMPY_RADIUS: f64 = 0.003;

/// The short side, in pixels, of the picture for which visibility is decided, so that all sizes get the same particles.
const JUDGED_SIDE: f64 = 720.0;

/// Seconds from one frame of a sequence to the next. The datasets of driving and drone videos are mostly annotated at 2
/// to 30 frames per second; the exact number does not matter, since drops are gone from one frame to the next at any of
/// them, and flakes drift.
const FRAME_INTERVAL: f64 = 0.1;

/// Lengths on the picture are in short sides.
pub struct Camera {
    /// The short side in pixels.
    short: f64,
    focal: f64,
    width: f64,
    height: f64,
}

impl Camera {
    /// The camera of pictures of `size`.
    pub fn of(size: Size) -> Self {
        let (width, height) = (size.width as f64, size.height as f64);
        let short = width.min(height);
        let focal = FOCAL.max(FOCAL_LONG * width.max(height) / short);
        Self { short, focal, width: width / short, height: height / short }
    }

    /// The images of all particles that are visible.
    pub fn streaks(&self, precipitation: &Precipitation, seed: FrameSeed) -> Vec<Streak> {
        /// Width of a class of diameters, in the spectrum's millimetres.
        const CLASS: f64 = 0.1;
        let kind = precipitation.kind;
        let (concentration, slope) = kind.spectrum(precipitation.density);
        let (smallest, largest) = kind.diameters();
        let seconds = seed.place as f64 * FRAME_INTERVAL;
        let mut random = Random::new(seed.seed);
        let mut streaks = Vec::new();
        for class in 0..((largest - smallest) / CLASS).round() as usize {
            let least = smallest + CLASS * class as f64;
            let middle = least + 0.5 * CLASS;
            let farthest = farthest(&kind.body(middle), precipitation);
            // The volume in view between the nearest and the farthest particle, in cubic metres.
            let volume = self.width * self.height / self.focal.powi(2) * (farthest.powi(3) - NEAREST.powi(3)) / 3.0;
            let count = volume * CLASS * concentration * (-slope * middle).exp();
            for _ in 0..(count + random.uniform()) as usize {
                let body = kind.body(least + CLASS * random.uniform());
                let z = NEAREST.powi(3) + random.uniform() * (farthest.powi(3) - NEAREST.powi(3));
                self.place(&body, z.cbrt(), precipitation, seconds, &mut random, &mut streaks);
            }
        }
        streaks
    }

    /// Adds a particle at a depth of `z` metres, `seconds` after it was at a random position. What leaves the field on
    /// one side comes back on the other, so the density stays.
    fn place(
        &self,
        body: &Body,
        z: f64,
        precipitation: &Precipitation,
        seconds: f64,
        random: &mut Random,
        streaks: &mut Vec<Streak>,
    ) {
        let Precipitation { kind, wind, exposure, .. } = *precipitation;
        let (scale, flutter) = (self.focal / z, kind.flutter());
        let sideways = wind + flutter * random.normal();
        let down = body.speed + flutter * random.normal();
        let way = [sideways * exposure * scale, down * exposure * scale];
        // Streaks whose middle lies outside may reach in. So middles fill a larger field with the same density.
        let (width, height) = (self.width + way[0].abs(), self.height + way[1].abs());
        let times = width * height / (self.width * self.height);
        for _ in 0..(times + random.uniform()) as usize {
            let x = 0.5 * self.width + (random.uniform() - 0.5) * width;
            let y = 0.5 * self.height + (random.uniform() - 0.5) * height;
            let is_below_road = |y: f64| (y - 0.5 * self.height) / scale > CAMERA as f64;
            // At place 0 nothing is drawn for what is below the road. So at no place it may take numbers from the
            // generator of all others, which would become other particles.
            let mut own = Random::new(x.to_bits() ^ y.to_bits());
            let random = if is_below_road(y) { &mut own } else { &mut *random };
            let x = moved(x, sideways * seconds * scale, self.width, width);
            let y = moved(y, down * seconds * scale, self.height, height);
            let is_seen = !is_below_road(y);
            // A flake that is too large is drawn as if it were farther away.
            let scale = scale.min(LARGEST_RADIUS / body.kernel_radius());
            let (radius, hidden) = (body.kernel_radius() * scale, body.hidden_area() * scale.powi(2));
            // Each particle gathers its light from other surroundings.
            let particle = Particle { middle: [x, y], way, radius, hidden, glow: 0.7 + 0.6 * random.uniform() };
            // A streak longer than the flake hides its shape.
            if kind == PrecipitationKind::Snow && radius > LUMPY_RADIUS && way[0].hypot(way[1]) < radius {
                let lumps = particle.lumps(random).map(|lump| lump.streak(self.short));
                streaks.extend(lumps.into_iter().filter(|_| is_seen));
            } else if is_seen {
                streaks.push(particle.streak(self.short));
            }
        }
    }
}

/// The coordinate `at` after a way of `by`, in a field of the length `field` around the middle of the picture's `side`.
fn moved(at: f64, by: f64, side: f64, field: f64) -> f64 {
    if by == 0.0 {
        return at;
    }
    let low = 0.5 * (side - field);
    low + (at - low + by).rem_euclid(field)
}

/// Metres to the farthest visible particle of this kind, in a picture of the judged size.
fn farthest(body: &Body, precipitation: &Precipitation) -> f64 {
    let visible = precipitation.kind.visible();
    let (mut near, mut far) = (NEAREST, FARTHEST);
    for _ in 0..20 {
        let z = 0.5 * (near + far);
        let scale = FOCAL / z * JUDGED_SIDE;
        let radius = (body.kernel_radius() * scale).hypot(POINT_RADIUS);
        let length = body.speed * precipitation.exposure * scale;
        let peak = body.hidden_area() * scale.powi(2) / kernel_integral(radius, length);
        *(if peak > visible { &mut near } else { &mut far }) = z;
    }
    far
}

/// A particle in the picture; lengths are in short sides.
#[derive(Clone, Copy)]
struct Particle {
    /// Its middle at half of the exposure.
    middle: [f64; 2],
    /// Its movement during the exposure.
    way: [f64; 2],
    radius: f64,
    /// The area that it hides at any time.
    hidden: f64,
    /// Its light as a multiple of the surroundings'.
    glow: f64,
}

impl Particle {
    /// Three parts of different sizes around its middle.
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

    /// Its image; `short` is the picture's short side in pixels.
    fn streak(&self, short: f64) -> Streak {
        let Self { middle, way, radius, hidden, glow } = *self;
        let radius = (radius * short).hypot(POINT_RADIUS);
        let peak = hidden * short.powi(2) / kernel_integral(radius, way[0].hypot(way[1]) * short);
        Streak {
            start: [0, 1].map(|n| ((middle[n] - 0.5 * way[n]) * short) as f32),
            way: way.map(|w| (w * short) as f32),
            radius: radius as f32,
            peak: peak.min(DENSEST) as f32,
            glow: glow as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::render::precipitation::testing::{RAIN, SNOW};

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
        for precipitation in [RAIN, SNOW] {
            let streaks = Camera::of(size).streaks(&Precipitation { density: 1.0, ..precipitation }, 1.into());
            assert!(!streaks.is_empty() && streaks.iter().all(|streak| streak.radius <= 0.0125 * 720.0 + 1.3));
        }
    }

    #[test]
    fn a_lumpy_flake_is_no_larger_than_a_round_one_and_hides_as_much() {
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
    fn from_frame_to_frame_the_same_particles_move_on_and_their_number_stays() {
        let size = Size { height: 720, width: 1280 };
        let at = |kind: Precipitation, place| Camera::of(size).streaks(&kind, FrameSeed { seed: 1, place });
        for kind in [Precipitation { wind: 1.0, ..RAIN }, Precipitation { wind: 1.0, ..SNOW }] {
            let first = at(kind, 0);
            for place in [1, 2, 50, 100_000] {
                let later = at(kind, place);
                // Some are below the road at one place and not at another.
                assert!(later.len().abs_diff(first.len()) * 20 < first.len(), "{} {}", first.len(), later.len());
                let height = |streaks: &[Streak], low: f32, high: f32| {
                    streaks.iter().filter(|s| (low..high).contains(&(s.start[1] + 0.5 * s.way[1]))).count()
                };
                let (before, after) = (height(&first, 0.0, 240.0), height(&later, 0.0, 240.0));
                assert!(before.abs_diff(after) * 4 < before, "{place}: {before} {after}");
                let same = |streak: &&Streak| first.iter().any(|other| other.start == streak.start);
                assert!(later.iter().filter(same).count() * 20 < later.len(), "{place}: they stand still");
                // They are the same ones: radius, opacity and light come from the same draws.
                let looks = |streaks: &[Streak]| -> std::collections::HashSet<[u32; 3]> {
                    streaks.iter().map(|s| [s.radius, s.peak, s.glow].map(f32::to_bits)).collect()
                };
                let (before, after) = (looks(&first), looks(&later));
                assert!(2 * before.intersection(&after).count() > before.len(), "{place}: other particles");
            }
        }
    }

    #[test]
    fn a_flake_drifts_by_its_speed_times_the_time_between_frames() {
        assert_eq!(moved(0.3, 0.0, 1.0, 1.1), 0.3);
        assert!((moved(0.3, 0.2, 1.0, 1.1) - 0.5).abs() < 1e-12);
        // The field reaches from -0.05 to 1.05.
        assert!((moved(1.0, 0.2, 1.0, 1.1) - 0.1).abs() < 1e-12);
        assert!((moved(0.0, -0.2, 1.0, 1.1) - 0.9).abs() < 1e-12);
    }

    #[test]
    fn nothing_falls_below_the_road() {
        // At the lower edge the road is 4.3 m away, and what is farther would be under it.
        let size = Size { height: 720, width: 1280 };
        let streaks = Camera::of(size).streaks(&SNOW, 1.into());
        let between = |low: f32, high: f32| streaks.iter().filter(|s| (low..high).contains(&s.start[1])).count();
        assert!(2 * between(540.0, 720.0) < between(0.0, 180.0));
    }
}
