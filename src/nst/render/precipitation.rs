//! Rain and snow: particles in front of the camera, blended into a finished picture.
//!
//! The render maps colours, so it can make a road wet but put no drop into the air. Here drops and flakes are drawn
//! from their measured size distributions (Marshall and Palmer 1948; Gunn and Marshall 1958), fall at their terminal
//! speeds (Atlas, Srivastava and Sekhon 1973; Locatelli and Hobbs 1974), and are projected by a pinhole with a small
//! aperture. A particle hides what is behind it in proportion to the share of the exposure that it spends there (Garg
//! and Nayar 2007): a fast drop hides a few percent and never more, so streaks stay faint.
//!
//! Only particles that can be told apart are drawn. What the others do together is haze, which comes from the style.
//!
//! - [`add`]: adds [`Precipitation`] to a picture
//! - [`particles`]: the measured numbers of rain and snow
//! - `camera`: which particles are seen, and where; `streaks`: the image of one particle

mod camera;
pub mod particles;
mod streaks;
#[cfg(test)]
mod testing;

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::light::{luminance, roughly_encoded, roughly_linear, transmission};
use crate::nst::picture::pixels::Pixels;
use crate::nst::random::FrameSeed;
use crate::nst::render::precipitation::camera::Camera;
use crate::nst::render::precipitation::streaks::Streak;
use rayon::prelude::*;

pub use crate::nst::render::precipitation::particles::{Precipitation, PrecipitationKind};

/// Rows that are drawn together. It does not depend on the number of threads.
const BAND: usize = 32;

/// Adds rain or snow to `pixels`, in place; values in 0..1 stay there.
///
/// Pictures of any size get the same particles, if the ratio of their sides is the same. The result depends on the
/// arguments alone. At a later place of a sequence, the same particles have fallen and drifted on.
pub fn add(pixels: &mut Pixels, precipitation: &Precipitation, seed: impl Into<FrameSeed>) {
    let Size { height, width } = pixels.size();
    if pixels.data().is_empty() || precipitation.density <= 0.0 {
        return;
    }
    let streaks = Camera::of(pixels.size()).streaks(precipitation, seed.into());
    let bands = by_band(&streaks, height);
    let light = environment(pixels, precipitation.kind.sky());
    let deepest = precipitation.kind.deepest();
    pixels.data_mut().par_chunks_mut(BAND * width * 3).zip(bands).enumerate().for_each(|(band, (rows, streaks))| {
        let (top, bottom) = (band * BAND, height.min((band + 1) * BAND));
        // Optical depth, and depth times glow. Both are sums, so it does not matter which particle is in front.
        let mut veil = vec![[0.0; 2]; (bottom - top) * width];
        vectorized(
            #[inline(always)]
            || {
                streaks.iter().for_each(|streak| streak.draw(&mut veil, top..bottom, width));
                for (rgb, &[depth, glow]) in rows.as_chunks_mut::<3>().0.iter_mut().zip(&veil) {
                    let veiled = blended(rgb, depth.min(deepest), glow / depth.max(f32::MIN_POSITIVE), light);
                    // Not a branch, so that the loop takes several pixels at once.
                    (0..3).for_each(|i| rgb[i] = if depth > 0.0 { veiled[i] } else { rgb[i] });
                }
            },
        );
    });
}

/// The streaks that reach into each band of rows of a picture of this height, in their order.
fn by_band(streaks: &[Streak], height: usize) -> Vec<Vec<&Streak>> {
    let mut bands = vec![Vec::new(); height.div_ceil(BAND)];
    for streak in streaks {
        let rows = streak.rows(height);
        if rows.start < rows.end {
            bands[rows.start / BAND..=(rows.end - 1) / BAND].iter_mut().for_each(|band| band.push(streak));
        }
    }
    bands
}

/// A pixel behind a veil of this optical depth, whose light is `glow` times `light`, which is linear.
#[inline(always)]
fn blended(rgb: &[f32; 3], depth: f32, glow: f32, light: [f32; 3]) -> [f32; 3] {
    let alpha = 1.0 - transmission(depth);
    std::array::from_fn(|i| {
        let behind = roughly_linear(rgb[i]);
        roughly_encoded(behind + alpha * ((glow * light[i]).min(1.0) - behind))
    })
}

/// The linear light that particles send on: a share `sky` comes from the brightest tenth of the picture, the rest from
/// all of it.
///
/// A drop refracts a field of view of 165 degrees (Garg and Nayar 2007), and a flake scatters all light that reaches
/// it. The picture is all that is known of these surroundings.
fn environment(pixels: &Pixels, sky: f32) -> [f32; 3] {
    let Size { height, width } = pixels.size();
    // Some 40 000 pixels are enough.
    let step = (height * width / 40_000).isqrt().max(1);
    let rows = (0..height).step_by(step);
    let picked = rows.flat_map(|y| (0..width).step_by(step).map(move |x| (y * width + x) * 3));
    let linear = |at: usize| [0, 1, 2].map(|c| roughly_linear(pixels.data()[at + c].min(1.0)));
    let mut picked: Vec<[f32; 3]> = picked.map(linear).collect();
    let mean = |part: &[[f32; 3]]| [0, 1, 2].map(|c| part.iter().map(|rgb| rgb[c]).sum::<f32>() / part.len() as f32);
    let all = mean(&picked);
    let rest = picked.len() * 9 / 10;
    picked.select_nth_unstable_by(rest, |a, b| luminance(*a).total_cmp(&luminance(*b)));
    let bright = mean(&picked[rest..]);
    [0, 1, 2].map(|c| all[c] + sky * (bright[c] - all[c]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::random::Random;
    use crate::nst::render::precipitation::testing::{RAIN, SNOW};

    const SIZE: Size = Size { height: 180, width: 320 };

    /// An overcast sky over a dark road.
    fn street(size: Size) -> Pixels {
        let level = |y: usize| if 5 * y < 2 * size.height { 0.8 } else { 0.3 };
        Pixels::new(size, (0..size.pixels() * 3).map(|n| level(n / 3 / size.width)).collect())
    }

    fn noise(size: Size) -> Pixels {
        let mut random = Random::new(5);
        Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform().powi(3) as f32).collect())
    }

    fn fallen(on: &Pixels, precipitation: &Precipitation, seed: u64) -> Pixels {
        let mut pixels = on.clone();
        add(&mut pixels, precipitation, seed);
        pixels
    }

    /// What precipitation adds to the green of a picture, `[height][width]`.
    fn gain(on: &Pixels, precipitation: &Precipitation) -> Vec<f32> {
        let fallen = fallen(on, precipitation, 1);
        fallen.data().iter().zip(on.data()).skip(1).step_by(3).map(|(a, b)| a - b).collect()
    }

    /// The structure tensor: sums of the products of the gradient across with itself, across with down, down with
    /// itself.
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
    fn the_seed_alone_decides_where_particles_are() {
        for precipitation in [RAIN, SNOW] {
            let street = street(SIZE);
            assert!(fallen(&street, &precipitation, 1) == fallen(&street, &precipitation, 1));
            assert!(fallen(&street, &precipitation, 1) != fallen(&street, &precipitation, 2));
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let on = noise(Size { height: 150, width: 200 });
        let with = |threads, precipitation| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fallen(&on, precipitation, 3))
        };
        assert!([RAIN, SNOW].iter().all(|precipitation| with(1, precipitation) == with(3, precipitation)));
    }

    #[test]
    fn more_falls_at_a_higher_density_and_nothing_at_none() {
        for precipitation in [RAIN, SNOW] {
            let changed = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0].map(|density| {
                let gain = gain(&street(SIZE), &Precipitation { density, ..precipitation });
                gain.iter().filter(|gain| gain.abs() > 1.0 / 255.0).count()
            });
            assert_eq!(changed[0], 0);
            assert!(changed.is_sorted_by(|a, b| a < b), "{precipitation:?}: {changed:?}");
        }
    }

    #[test]
    fn a_longer_exposure_makes_longer_streaks() {
        let size = Size { height: 360, width: 480 };
        for precipitation in [RAIN, SNOW] {
            let across_over_down = [500.0, 200.0, 80.0].map(|speed| {
                let [across, _, down] =
                    structure(&gain(&street(size), &Precipitation { exposure: 1.0 / speed, ..precipitation }), size);
                across / down
            });
            assert!(across_over_down.is_sorted_by(|a, b| 1.15 * a < *b), "{precipitation:?}: {across_over_down:?}");
        }
    }

    #[test]
    fn streaks_lean_by_the_wind_over_the_speed_of_fall() {
        let size = Size { height: 360, width: 480 };
        // Drops of 2 mm fall at 6.5 m/s, and large flakes at 1 m/s.
        for (precipitation, speed) in [(RAIN, 6.5), (Precipitation { exposure: 1.0 / 50.0, ..SNOW }, 1.0)] {
            for lean in [-0.4_f64, 0.0, 0.4] {
                let wind = speed * lean;
                let [xx, xy, yy] = structure(&gain(&street(size), &Precipitation { wind, ..precipitation }), size);
                // Gradients stand across the streaks: to the right and up on those that fall to the right.
                let seen = -0.5 * f64::from(2.0 * xy).atan2((xx - yy).into());
                assert!((seen - lean.atan()).abs() < 0.09, "{precipitation:?}: {} for {}", seen, lean.atan());
            }
        }
    }

    #[test]
    fn pictures_of_every_size_get_the_same_particles() {
        let large = Size { height: 720, width: 1280 };
        for precipitation in [RAIN, SNOW] {
            let blocks = |size: Size, side: usize| {
                let gain = gain(&street(size), &precipitation);
                let mut means = vec![0.0; size.pixels() / (side * side)];
                for (n, gain) in gain.iter().enumerate() {
                    means[n / size.width / side * (size.width / side) + n % size.width / side] +=
                        gain / (side * side) as f32;
                }
                means
            };
            let (small, large) = (blocks(SIZE, 5), blocks(large, 20));
            let off: f32 = small.iter().zip(&large).map(|(a, b)| (a - b).abs()).sum();
            assert!(off < 0.15 * large.iter().map(|gain| gain.abs()).sum::<f32>(), "{precipitation:?}: {off}");
        }
    }

    #[test]
    fn values_stay_in_range_at_any_size_and_setting() {
        for (height, width) in [(1, 1), (3, 500), (500, 3), (1, 90), (33, 64)] {
            for kind in [PrecipitationKind::Rain, PrecipitationKind::Snow] {
                for (density, wind, exposure) in
                    [(0.01, -8.0, 0.1), (1.0, 8.0, 1.0 / 30.0), (1.0, 0.0, 1e-4), (0.5, 0.0, 0.0)]
                {
                    let precipitation = Precipitation { kind, density, wind, exposure };
                    let made = fallen(&noise(Size { height, width }), &precipitation, 1);
                    assert!(made.data().iter().all(|v| (0.0..=1.0).contains(v)), "{height}x{width}: {precipitation:?}");
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
        for (precipitation, least, most) in [(RAIN, 0.25, 0.33), (SNOW, 0.6, 0.84)] {
            let fallen = fallen(&on, &Precipitation { density: 1.0, exposure: 1e-4, ..precipitation }, 1);
            // Linear light moves by the opacity times a difference of at most 1.
            let moved = fallen.data().iter().zip(on.data()).map(|(a, b)| (a * a - b * b).abs()).fold(0.0, f32::max);
            assert!((least..most).contains(&moved), "{precipitation:?}: {moved}");
            assert!(fallen.data().iter().all(|v| *v <= 1.0));
        }
    }

    #[test]
    fn the_mean_rises_slightly() {
        let size = Size { height: 360, width: 640 };
        for (precipitation, least, most) in [(RAIN, 0.001, 0.012), (SNOW, 0.003, 0.025)] {
            let gain = gain(&street(size), &precipitation);
            let mean = gain.iter().sum::<f32>() / gain.len() as f32;
            assert!((least..most).contains(&mean), "{precipitation:?}: {mean}");
        }
    }

    #[test]
    fn at_night_no_particle_is_brighter_than_its_surroundings_allow() {
        let mut night = noise(SIZE);
        night.data_mut().iter_mut().for_each(|v| *v *= 0.15);
        for precipitation in [RAIN, SNOW] {
            // The brightest surroundings times the brightest glow, 1.3 in linear light.
            let most = 0.15 * 1.3_f32.sqrt();
            assert!(fallen(&night, &precipitation, 1).data().iter().all(|v| *v <= most));
        }
    }
}
