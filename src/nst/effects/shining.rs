//! How a lamp looks in a picture: its own light, what the lens and the air make of it, and its mirror image on the
//! ground.

use crate::nst::effects::amounts::Effects;
use crate::nst::effects::lamps::Lamp;
use crate::nst::effects::noise::smooth;
use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::light::transmission;
use crate::nst::scene::surface::Surface;
use crate::nst::scene::view::FOCAL;
use std::ops::Range;

/// The light of the halo at the lamp's rim, as a share of the lamp's.
const HALO: f32 = 0.08;

/// The light of the wide halo that dust and drops on the lens make of a lamp, as a share of the lamp's, and its radius in
/// radii of the lamp.
const WIDE_HALO: (f32, f32) = (0.12, 20.0);

/// The reach of a halo in radii of its lamp, and as a share of the frame's width.
const REACH: (f32, f32) = (60.0, 0.22);

/// The light that a lamp sends into the camera past its rim: the glow of the air around it, as a share of the lamp's
/// where all of its light is scattered, and the radius of that glow in metres (after Narasimhan and Nayar 2003).
const GLOW: (f32, f32) = (0.06, 0.9);

/// A lamp with all that it adds to a picture.
pub struct Shining {
    lamp: Lamp,
    glare: Glare,
    mirror_image: Option<MirrorImage>,
}

impl Shining {
    /// In air of this extinction per metre.
    pub fn of(lamp: Lamp, effects: &Effects<f32>, haze: f32, width: usize) -> Self {
        let clear = (-haze * lamp.distance).exp();
        let glare = Glare::of(&lamp, clear, effects.glare, width);
        Self { lamp, glare, mirror_image: MirrorImage::of(&lamp, clear, effects.wet) }
    }

    /// Whether it adds light to these rows.
    pub fn reaches(&self, rows: &Range<usize>) -> bool {
        let (y, reach) = (self.lamp.y, self.glare.reach);
        let end = self.mirror_image.as_ref().map_or(0.0, MirrorImage::end);
        y - reach <= rows.end as f32 && rows.start as f32 <= end.max(y + reach)
    }

    /// Adds the lamp, its halo and its mirror image to these rows.
    pub fn draw(&self, surface: &Surface, added: &mut [[f32; 3]], rows: Range<usize>) {
        self.glare.draw(&self.lamp, surface.size().width, added, rows.clone());
        if let Some(image) = &self.mirror_image {
            image.draw(&self.lamp, surface, added, rows);
        }
    }
}

/// The light of a lamp around it, by the distance from its middle in the picture.
struct Glare {
    /// In pixels. Beyond it there is no light.
    reach: f32,
    /// The share of the lamp's light at each quarter of a pixel.
    light: Vec<f32>,
}

impl Glare {
    /// Places of the table in a pixel.
    const FINE: f32 = 4.0;

    /// Of a lamp in air that lets through the share `clear` of its light, by a lens that scatters the share `amount` of
    /// the most, in a frame of this width.
    fn of(lamp: &Lamp, clear: f32, amount: f32, width: usize) -> Self {
        let glow = GLOW.1 * FOCAL * width as f32 / lamp.distance.max(3.0);
        let reach = (REACH.0 * lamp.radius).max(4.0 * glow * (1.0 - clear)).min(REACH.1 * width as f32);
        let light = |d: f32| {
            let core = (-1.2 * d / lamp.radius).exp();
            let halo = HALO / (1.0 + (d / (3.0 * lamp.radius)).powi(2)).powf(1.1);
            let wide = amount * WIDE_HALO.0 / (1.0 + (d / (WIDE_HALO.1 * lamp.radius)).powi(2)).powf(1.5);
            let scattered = GLOW.0 * (1.0 - clear) / (1.0 + (d / glow).powi(2)).powf(1.5);
            let fade = (1.0 - d / reach).max(0.0).powi(2);
            core * clear.max(0.05) + ((halo + wide) * clear + scattered) * fade
        };
        let places = (reach * Self::FINE) as usize + 2;
        Self { reach, light: (0..places).map(|n| light(n as f32 / Self::FINE)).collect() }
    }

    /// Adds it to these rows of a frame of this width.
    fn draw(&self, lamp: &Lamp, width: usize, added: &mut [[f32; 3]], rows: Range<usize>) {
        for y in rows.clone() {
            let dy = y as f32 + 0.5 - lamp.y;
            if dy.abs() > self.reach {
                continue;
            }
            let columns = columns(lamp.x, (self.reach * self.reach - dy * dy).sqrt(), width);
            let mut distances = vec![0.0; columns.len()];
            vectorized(
                #[inline(always)]
                || {
                    for (d, x) in distances.iter_mut().zip(columns.start as i32..) {
                        let dx = x as f32 + 0.5 - lamp.x;
                        *d = (dx * dx + dy * dy).sqrt();
                    }
                },
            );
            let row = added[(y - rows.start) * width..][columns].iter_mut();
            for (added, d) in row.zip(distances).filter(|(_, d)| *d < self.reach) {
                add(added, lamp.light, self.at(d));
            }
        }
    }

    /// At `d` pixels from the middle, less than the reach.
    fn at(&self, d: f32) -> f32 {
        let place = d * Self::FINE;
        let (near, far) = (self.light[place as usize], self.light[place as usize + 1]);
        near + (place - place as i32 as f32) * (far - near)
    }
}

/// What wet or dry ground shows of a lamp: a column of light below it, which waves break up.
struct MirrorImage {
    /// The row in which it begins.
    foot: f32,
    /// The row in which it is brightest.
    middle: f32,
    /// How long it is in rows.
    long: f32,
    /// How wide it is at its foot in columns.
    wide: f32,
    /// The share of the lamp's light.
    strength: f32,
}

impl MirrorImage {
    /// From so many times its length on, nothing is seen.
    const FARTHEST: f32 = 2.63;

    /// Of a lamp whose light the air lets through to the share `clear`; `None` if it has no ground below it.
    fn of(lamp: &Lamp, clear: f32, wet: f32) -> Option<Self> {
        let foot = lamp.foot?;
        let below = (foot - lamp.y).max(2.0);
        Some(Self {
            foot,
            middle: foot + 0.6 * below,
            long: below * (0.6 + 0.9 * wet),
            wide: lamp.radius * (1.6 + wet),
            strength: (0.004 + 0.08 * wet) * clear,
        })
    }

    /// The row below its last one.
    fn end(&self) -> f32 {
        self.middle + Self::FARTHEST * self.long
    }

    /// Adds it to these rows.
    fn draw(&self, lamp: &Lamp, surface: &Surface, added: &mut [[f32; 3]], rows: Range<usize>) {
        /// The seeds of the waves, which move the light aside and take some of it.
        const WAVES: (u64, u64) = (1, 2);
        let width = surface.size().width;
        for y in rows.clone().filter(|&y| y as f32 > self.foot && (y as f32) < self.end()) {
            let wave = |seed| smooth(lamp.x, y as f32 / (0.5 * self.wide + 1.5), seed);
            let wide = self.wide * (1.0 + 0.5 * (y as f32 - self.foot) / self.long);
            let middle = lamp.x + 0.35 * wide * wave(WAVES.0);
            let down = (-((y as f32 - self.middle) / self.long).powi(2)).exp();
            let strength = self.strength * down * (1.0 + 0.5 * wave(WAVES.1));
            let columns = columns(middle, 3.0 * wide, width);
            let added = &mut added[(y - rows.start) * width..][columns.clone()];
            let ground = &surface.ground.data()[y * width..][columns.clone()];
            vectorized(
                #[inline(always)]
                || {
                    for ((added, ground), x) in added.iter_mut().zip(ground).zip(columns.start as i32..) {
                        let across = (x as f32 + 0.5 - middle) / wide;
                        add(added, lamp.light, strength * ground * transmission(across * across));
                    }
                },
            );
        }
    }
}

/// The columns at most `reach` from `middle` in a frame of this width.
fn columns(middle: f32, reach: f32, width: usize) -> Range<usize> {
    (middle - reach).max(0.0) as usize..((middle + reach).max(0.0) as usize + 1).min(width)
}

/// Adds the share `share` of light of this colour.
pub fn add(light: &mut [f32; 3], colour: [f32; 3], share: f32) {
    light.iter_mut().zip(colour).for_each(|(v, colour)| *v += share * colour);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::picture::pixels::Pixels;
    use crate::nst::settings::SceneKind;

    const SIZE: Size = Size { height: 120, width: 160 };

    /// The light of a lamp over a road, drawn in bands of so many rows.
    fn drawn(wet: f32, band: usize) -> Vec<[f32; 3]> {
        let grey = Pixels::new(SIZE, vec![0.4; SIZE.pixels() * 3]);
        let surface = Surface::of(&grey, &[], SceneKind::Road, None);
        let lamp = Lamp { x: 90.3, y: 62.0, radius: 1.2, light: [3.0, 2.0, 1.0], foot: Some(70.5), distance: 20.0 };
        let shining = Shining::of(lamp, &Effects { wet, ..Effects::default() }, 0.01, SIZE.width);
        let mut added = vec![[0.0; 3]; SIZE.pixels()];
        for (n, added) in added.chunks_mut(band * SIZE.width).enumerate() {
            let rows = n * band..((n + 1) * band).min(SIZE.height);
            if shining.reaches(&rows) {
                shining.draw(&surface, added, rows);
            }
        }
        added
    }

    #[test]
    fn a_lamp_is_the_same_in_bands_of_any_height() {
        let whole = drawn(0.7, SIZE.height);
        assert!([1, 7, 16].iter().all(|&band| drawn(0.7, band) == whole));
        assert!(whole.iter().flatten().all(|v| v.is_finite() && *v >= 0.0));
    }

    #[test]
    fn wet_ground_mirrors_a_lamp_below_its_foot_and_beside_it_there_is_no_image() {
        let light = |added: &[[f32; 3]], columns: Range<usize>| -> f32 {
            (76..100).flat_map(|y| columns.clone().map(move |x| added[y * SIZE.width + x][0])).sum()
        };
        let [dry, damp, wet] = [0.0, 0.5, 1.0].map(|wet| drawn(wet, 16));
        let image = [&dry, &damp, &wet].map(|added| light(added, 80..100));
        assert!(image[0] < 0.7 * image[1] && image[1] < 0.7 * image[2], "{image:?}");
        assert!(light(&wet, 120..140) < 0.05 * image[2]);
    }
}
