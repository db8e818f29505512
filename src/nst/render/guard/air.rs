//! Air that hides labelled objects gets thinner, for all that is as near as they are. An object that is cleared alone
//! stands out of a fog that hides what is beside it, as none does in a photo.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::light::{roughly_encoded, roughly_linear};
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use rayon::prelude::*;

/// An object that the air hides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hidden {
    /// Its distance from the camera.
    pub metres: f32,
    /// The share of the clear picture, 0..1, that it takes to be seen.
    pub lacks: f32,
}

/// Thins the air in `result`, in place: by what each of `hidden` lacks up to its distance, and by less and less beyond.
/// `clear` is the picture without air, and `distance` of the camera, in metres.
///
/// The light of thinner air is a blend of both pictures in linear light: `J t + A (1 - t)` with the air's light `A` and
/// another share `t` of the scene's light `J` (Koschmieder 1924).
pub fn thin(clear: &Pixels, distance: &Plane, hidden: &[Hidden], result: &mut Pixels) {
    let profile = Profile::of(hidden);
    let width = distance.size().width;
    let rows = result.data_mut().par_chunks_mut(width * 3).zip(clear.data().par_chunks(width * 3));
    rows.zip(distance.data().par_chunks(width)).for_each(|((row, clear), distance)| {
        vectorized(
            #[inline(always)]
            || {
                let pixels = row.as_chunks_mut::<3>().0.iter_mut().zip(clear.as_chunks::<3>().0);
                for ((rgb, clear), &metres) in pixels.zip(distance) {
                    let share = profile.at(metres);
                    for (v, clear) in rgb.iter_mut().zip(clear) {
                        let (own, clear) = (roughly_linear(v.min(1.0)), roughly_linear(clear.min(1.0)));
                        *v = if share > 0.0 { roughly_encoded(own + share * (clear - own)) } else { *v };
                    }
                }
            },
        );
    });
}

/// How much thinner the air gets, by distance.
struct Profile([f32; Profile::STEPS + 2]);

impl Profile {
    /// The distances that it is known at: `k / (STEPS - k)` times [`Profile::MIDDLE`] for `k` below `STEPS`.
    const STEPS: usize = 64;
    /// In metres.
    const MIDDLE: f32 = 20.0;
    /// The distances, over that of an object, up to which the air is as thin as there, and from which it is as before.
    const REACH: (f32, f32) = (1.15, 2.2);

    fn of(hidden: &[Hidden]) -> Self {
        let (near, far) = Self::REACH;
        let share = |metres: f32, one: &Hidden| {
            one.lacks * ((far - metres / one.metres.max(1e-3)) / (far - near)).clamp(0.0, 1.0)
        };
        let mut shares = [0.0; Self::STEPS + 2];
        for (k, all) in shares.iter_mut().take(Self::STEPS).enumerate() {
            let metres = Self::MIDDLE * k as f32 / (Self::STEPS - k) as f32;
            *all = hidden.iter().map(|one| share(metres, one)).fold(0.0, f32::max);
        }
        Self(shares)
    }

    #[inline(always)]
    fn at(&self, metres: f32) -> f32 {
        let place = Self::STEPS as f32 * metres / (metres + Self::MIDDLE);
        let below = (place as u32 as usize).min(Self::STEPS);
        self.0[below] + (place - below as f32) * (self.0[below + 1] - self.0[below])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::testing::Random;

    #[test]
    fn thinner_air_lets_more_of_the_scene_through_up_to_the_object_and_as_much_as_before_far_behind_it() {
        let size = Size { height: 3, width: 41 };
        let mut random = Random(3);
        let clear = Pixels::new(size, (0..size.pixels() * 3).map(|_| random.uniform()).collect());
        let distance = Plane::from_fn(size, |_, x| 2.0 * (x + 1) as f32);
        let (air, extinction) = (0.4, 0.08);
        let fogged = |left: &dyn Fn(f32) -> f32| {
            let light = |(n, v): (usize, &f32)| {
                let left = left(distance.data()[n / 3]);
                (v * v * left + air * (1.0 - left)).sqrt()
            };
            Pixels::new(size, clear.data().iter().enumerate().map(light).collect())
        };
        let thick = |metres: f32| (-extinction * metres).exp();
        let mut thinned = fogged(&thick);
        let hidden = [Hidden { metres: 20.0, lacks: 0.3 }, Hidden { metres: 8.0, lacks: 0.1 }];
        thin(&clear, &distance, &hidden, &mut thinned);
        let expected = fogged(&|metres| thick(metres) + 0.3 * (1.0 - thick(metres)));
        let unchanged = fogged(&thick);
        for x in 0..size.width {
            let (at, metres) = (x * 3, distance.at(0, x));
            let [own, thinner, before] = [&thinned, &expected, &unchanged].map(|pixels| pixels.data()[at]);
            match metres {
                ..=22.0 => assert!((own - thinner).abs() < 1e-3, "{metres} m: {own} {thinner}"),
                46.0.. => assert!(own == before, "{metres} m: {own} {before}"),
                _ => assert!((own - before).abs() <= (thinner - before).abs() + 1e-3, "{metres} m"),
            }
        }
    }

    #[test]
    fn nothing_changes_where_nothing_lacks() {
        let size = Size { height: 2, width: 5 };
        let clear = Pixels::new(size, vec![0.3; size.pixels() * 3]);
        let mut result = Pixels::new(size, vec![1.4; size.pixels() * 3]);
        let before = result.clone();
        thin(&clear, &Plane::filled(size, f32::MAX), &[], &mut result);
        thin(&clear, &Plane::filled(size, 50.0), &[Hidden { metres: 9.0, lacks: 1.0 }], &mut result);
        assert!(result == before);
    }
}
