//! Street lamps along the road: where the camera sees them, the masts that carry them, and what they light.

use crate::nst::effects::lamps::Lamp;
use crate::nst::effects::stream::{Stream, random};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::light::{roughly_encoded, roughly_linear};
use crate::nst::picture::pixels::Pixels;
use crate::nst::random::Random;
use crate::nst::scene::horizon::{CAMERA, Horizon};
use crate::nst::scene::surface::Surface;
use crate::nst::scene::view::FOCAL;
use std::ops::Range;

/// The most street lamps on each side.
const MOST: f64 = 7.0;

/// Light of sodium and white lamps, in linear RGB.
const LIGHT: [[f32; 3]; 2] = [[1.0, 0.68, 0.3], [0.95, 0.97, 1.0]];

/// Half of the width of a mast and of its arm, and the length of the arm, which reaches over the road; in metres.
const MAST: (f32, f32, f32) = (0.09, 0.05, 1.3);

/// The share of its brightness that a mast takes from what is behind it.
const DARK: f32 = 0.5;

/// The share of its lamp's light that a mast returns at its top, and how far below, in metres, it is half of that. By eye:
/// without it, a lamp hangs in the sky of a dark night.
const LIT: (f32, f32) = (0.25, 1.6);

/// A street lamp: its place in metres to the right and ahead, its height and its light.
#[derive(Clone, Copy, Debug)]
pub struct StreetLamp {
    pub right: f32,
    pub ahead: f32,
    pub height: f32,
    pub light: [f32; 3],
}

/// Street lamps at equal distances along the road, on one side or on both. Their number is drawn up to the share `amount`,
/// 0..1, of `MOST`: it may be 0.
pub fn along_the_road(amount: f32, seed: u64) -> Vec<StreetLamp> {
    let mut random = random(seed, Stream::StreetLamps);
    let light = LIGHT[(random.uniform() * 1.999) as usize].map(|v| v * 0.9);
    let mut between = |low: f32, high: f32| low + (high - low) * random.uniform() as f32;
    let (height, every, first, offset) =
        (between(7.0, 9.5), between(24.0, 38.0), between(12.0, 34.0), between(6.0, 9.0));
    let sides = sides(&mut random);
    let count = (f64::from(amount) * MOST * random.uniform()).round() as usize;
    let place = |n: usize| first + every * n as f32;
    (0..count)
        .flat_map(|n| sides.iter().map(move |side| (n, side * offset)))
        .map(|(n, right)| StreetLamp { right, ahead: place(n), height, light })
        .collect()
}

/// The sides of the road that have lamps: -1 for the left, 1 for the right one.
fn sides(random: &mut Random) -> Vec<f32> {
    let (both, right) = (random.uniform() < 0.4, random.uniform() < 0.5);
    let side = if right { 1.0 } else { -1.0 };
    if both { vec![side, -side] } else { vec![side] }
}

/// How the camera sees the street lamps of a frame.
#[derive(Clone, Copy)]
pub struct StreetView<'a> {
    pub surface: &'a Surface,
    pub horizon: Horizon,
    /// The extinction of the air per metre.
    pub haze: f32,
}

impl StreetView<'_> {
    /// The lamps in the frame that nothing hides, if most of the upper part of their masts is seen, too. Others would float
    /// in the air.
    pub fn seen(&self, lamps: &[StreetLamp]) -> Vec<Lamp> {
        let width = self.surface.size().width;
        let seen = |lamp: &StreetLamp| {
            let (x, y) = self.place(lamp.right, lamp.height, lamp.ahead);
            let radius = (self.pixels(0.16, lamp.ahead)).max(0.0011 * width as f32);
            let light = lamp.light.map(|v| 4.4 * v);
            (self.holds(x, y) && self.hangs(lamp)).then_some(Lamp {
                x,
                y,
                radius,
                light,
                foot: None,
                distance: lamp.ahead,
            })
        };
        lamps.iter().filter_map(seen).collect()
    }

    /// Draws the masts and the arms that carry such lamps, or lamps above the frame, onto `pixels`, in place: dark against
    /// what is behind them, lit by their lamps, and as pale as the air before them.
    pub fn draw_masts(&self, lamps: &[StreetLamp], pixels: &mut Pixels) {
        lamps.iter().filter(|lamp| self.hangs(lamp)).for_each(|lamp| self.draw_mast(lamp, pixels));
    }

    fn draw_mast(&self, lamp: &StreetLamp, pixels: &mut Pixels) {
        let (end, top) = self.place(lamp.right, lamp.height, lamp.ahead);
        let (middle, foot) = self.foot(lamp);
        let [half, half_of_arm] = [MAST.0, MAST.1].map(|metres| self.pixels(metres, lamp.ahead));
        let mast = [(top, foot), (middle - half, middle + half)];
        let arm = [(top - half_of_arm, top + half_of_arm), (middle.min(end), middle.max(end))];
        let left = (-self.haze * lamp.ahead).exp();
        let metre = self.pixels(1.0, lamp.ahead);
        let Size { height, width } = self.surface.size();
        let columns = touched(arm[1].0.min(mast[1].0), arm[1].1.max(mast[1].1), width);
        for y in touched(arm[0].0, foot, height) {
            let below = (y as f32 + 0.5 - top) / metre;
            let lit = LIT.0 * left / (1.0 + (below / LIT.1).powi(2));
            for x in columns.clone() {
                let share =
                    [mast, arm].map(|[rows, columns]| covered(y as f32 + 0.5, rows) * covered(x as f32 + 0.5, columns));
                let share = share[0].max(share[1]);
                if share > 0.0 && self.shows(lamp, y, x) {
                    let rgb = &mut pixels.data_mut()[(y * width + x) * 3..][..3];
                    for (v, light) in rgb.iter_mut().zip(lamp.light) {
                        let own = roughly_linear(*v * (1.0 - DARK * left)) + lit * light;
                        *v += share * (roughly_encoded(own) - *v);
                    }
                }
            }
        }
    }

    /// Whether nothing hides the lamp, if it is in the frame, nor more than a half of the upper third of what the frame holds
    /// of its mast.
    fn hangs(&self, lamp: &StreetLamp) -> bool {
        let shows = |x: f32, y: f32| self.holds(x, y) && self.shows(lamp, y as usize, x as usize);
        let (end, top) = self.place(lamp.right, lamp.height, lamp.ahead);
        let (middle, foot) = self.foot(lamp);
        let first = top.max(0.0);
        let rows = touched(first, first + (foot - first) / 3.0, self.surface.size().height);
        let seen = rows.clone().filter(|&y| shows(middle, y as f32)).count();
        2 * seen > rows.len() && (shows(end, top) || !self.holds(end, top))
    }

    /// Whether this column and this row lie in the frame.
    fn holds(&self, x: f32, y: f32) -> bool {
        let Size { height, width } = self.surface.size();
        (0.0..width as f32).contains(&x) && (0.0..height as f32).contains(&y)
    }

    /// The column and the row of the foot of a lamp's mast.
    fn foot(&self, lamp: &StreetLamp) -> (f32, f32) {
        self.place(lamp.right + MAST.2 * lamp.right.signum(), 0.0, lamp.ahead)
    }

    /// Whether what the camera sees in this pixel is farther off than the lamp, and no labelled object.
    fn shows(&self, lamp: &StreetLamp, y: usize, x: usize) -> bool {
        self.surface.distance.at(y, x) > 0.9 * lamp.ahead && self.surface.shapes.at(y, x) < 0.3
    }

    /// The column and the row, in pixels, of a place in metres to the right, above the ground and ahead.
    fn place(&self, right: f32, above: f32, ahead: f32) -> (f32, f32) {
        let Size { height, width } = self.surface.size();
        let x = self.horizon.column * width as f32 + self.pixels(right, ahead);
        (x, self.horizon.row * height as f32 + self.pixels(CAMERA - above, ahead))
    }

    /// How large something of this many metres is in the frame, in pixels.
    fn pixels(&self, metres: f32, ahead: f32) -> f32 {
        FOCAL * self.surface.size().width as f32 * metres / ahead
    }
}

/// The pixels of a side of `length` pixels that something from `low` to `high` may touch.
fn touched(low: f32, high: f32, length: usize) -> Range<usize> {
    low.max(0.0) as usize..((high + 1.0).max(0.0) as usize).min(length)
}

/// The share of the pixel around `at` that lies between the two ends.
fn covered(at: f32, (low, high): (f32, f32)) -> f32 {
    ((at + 0.5).min(high) - (at - 0.5).max(low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Area;
    use crate::nst::scene::distance::distance_of_row;
    use crate::nst::scene::object::{ObjectKind, SceneObject};
    use crate::nst::scene::view::View;
    use crate::nst::settings::SceneKind;

    const SIZE: Size = Size { height: 180, width: 320 };

    /// A lamp that stands 8 m to the right, 30 m ahead.
    const LAMP: StreetLamp = StreetLamp { right: 8.0, ahead: 30.0, height: 8.0, light: [1.0; 3] };

    /// A grey road under a sky, and a truck at the right border if there should be one.
    fn street(with_truck: bool) -> (Pixels, Surface) {
        let grey = |n: usize| if n / SIZE.width < 72 { [0.8, 0.85, 0.9] } else { [0.4; 3] };
        let pixels = Pixels::new(SIZE, (0..SIZE.pixels()).flat_map(grey).collect());
        let area = Area { left: 0.6, top: 0.02, right: 1.0, bottom: 0.8 };
        let objects = if with_truck { vec![SceneObject::new(area, ObjectKind::LargeVehicle)] } else { vec![] };
        let surface = Surface::of(&pixels, &objects, SceneKind::Road, None);
        (pixels, surface)
    }

    fn view(surface: &Surface) -> StreetView<'_> {
        let Some(View::Ahead(horizon)) = surface.view else { panic!("a road") };
        StreetView { surface, horizon, haze: 0.0 }
    }

    #[test]
    fn a_lamp_hangs_on_a_mast_that_stands_on_the_ground() {
        let (pixels, surface) = street(false);
        let view = view(&surface);
        let lamps = view.seen(&[LAMP]);
        let [lamp] = lamps.as_slice() else { panic!("{lamps:?}") };
        let mut drawn = pixels.clone();
        view.draw_masts(&[LAMP], &mut drawn);
        let dark: Vec<usize> =
            (0..SIZE.pixels()).filter(|&n| drawn.data()[n * 3] < 0.9 * pixels.data()[n * 3]).collect();
        let rows = dark.iter().map(|n| n / SIZE.width);
        let (top, bottom) = (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(0));
        assert!((top as f32 - lamp.y).abs() < 2.0, "{top} {}", lamp.y);
        let foot = distance_of_row((bottom as f32 + 0.5) / SIZE.height as f32, view.horizon.row, SIZE);
        assert!((foot / LAMP.ahead - 1.0).abs() < 0.15, "{foot} metres");
        let right_of_the_lamp = |n: &usize| (n % SIZE.width) as f32 + 1.0 > lamp.x;
        assert!(dark.iter().all(right_of_the_lamp), "the arm reaches from the mast over the road");
        assert!(dark.len() < SIZE.pixels() / 100);
        let mut in_fog = pixels.clone();
        StreetView { haze: 0.1, ..view }.draw_masts(&[LAMP], &mut in_fog);
        let n = dark[dark.len() / 2] * 3;
        assert!(drawn.data()[n] + 0.05 < in_fog.data()[n], "fog hides the mast");
    }

    #[test]
    fn a_nearer_truck_hides_the_lamp_and_its_mast() {
        let (pixels, surface) = street(true);
        let view = view(&surface);
        let (x, y) = view.place(LAMP.right, LAMP.height, LAMP.ahead);
        assert!(x > 0.62 * SIZE.width as f32 && y > 0.1 * SIZE.height as f32, "{x} {y}: behind the truck");
        assert!(view.seen(&[LAMP]).is_empty());
        let mut drawn = pixels.clone();
        view.draw_masts(&[LAMP], &mut drawn);
        let changed = drawn.data().iter().zip(pixels.data()).filter(|(a, b)| a != b).count();
        assert!(changed < 60, "{changed}");
    }

    #[test]
    fn the_amount_says_how_many_there_are_at_most() {
        assert!((0..20).all(|seed| along_the_road(0.0, seed).is_empty()));
        let most = |amount: f32| (0..50).map(|seed| along_the_road(amount, seed).len()).max();
        assert!(most(0.3) < most(1.0) && most(1.0) <= Some(2 * MOST as usize));
    }
}
