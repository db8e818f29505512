//! Detail on another light: what eases an object and does not show its box.

use crate::nst::picture::filter::{Border, box_mean};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::blend::Mask;
use crate::nst::render::guard::patch::Rect;
use rayon::prelude::*;
use std::iter::successors;
use std::ops::Range;

/// The light of a picture is the mean luma of cells; at least this many of the smallest ones lie along its long side.
const CELLS: usize = 64;

/// The cells of each scale are twice as large as those of the one before. At least four of the largest lie along the long
/// side.
const SCALES: usize = 5;

/// Cells are this part of a box or larger. Its light then is that of the object and of what is around it, so a dark car
/// stays dark; with smaller cells, only the outlines of its parts would be left.
const CELL_OF_BOX: f64 = 0.6;

/// The least share of its contrast that a picture keeps on another light.
const LEAST_CONTRAST: f32 = 0.75;

/// The mean lumas of two pictures on one scale.
pub struct Lights {
    /// `[height][width]` of the cells.
    means: Vec<[f32; 2]>,
    /// The cells between which each row and each column of the pictures lies, and how far from the first, 0..1.
    down: Vec<(usize, usize, f32)>,
    across: Vec<(usize, usize, f32)>,
}

/// The detail of `picture`, in its colours, on the light of another picture of its size, where one of `masks` reaches;
/// black elsewhere. `lumas` are those of `picture`, `lights` those of both pictures. In the box of each mask, light and
/// detail part at the scale of the box.
pub fn relit(picture: &Pixels, lumas: &[f32], lights: &[Lights], masks: &[&Mask]) -> Pixels {
    let size = picture.size();
    let mut scales: Vec<(usize, &Mask)> = masks.par_iter().map(|mask| (scale(mask, lumas, lights), *mask)).collect();
    // Where boxes overlap, the larger scale counts. They are sorted by place, so that their order changes no bit.
    scales.sort_by_key(|(scale, mask)| (*scale, mask.rect.left, mask.rect.top, mask.rect.right, mask.rect.bottom));
    let mut out = Pixels::new(size, vec![0.0; size.pixels() * 3]);
    let rows = out.data_mut().par_chunks_mut(size.width * 3).zip(picture.data().par_chunks(size.width * 3));
    rows.enumerate().for_each(|(y, (row, from))| {
        let masks: Vec<_> = scales.iter().filter(|(_, mask)| mask.rows().contains(&y)).collect();
        let columns =
            masks.iter().map(|(_, mask)| mask.columns()).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        let Some(columns) = columns else { return };
        let mut light: Vec<[f32; 2]> = lights[0].row(y, columns.clone()).collect();
        for (scale, mask) in masks {
            let own = lights[*scale].row(y, mask.columns());
            let light = &mut light[mask.columns().start - columns.start..];
            for ((light, own), near) in light.iter_mut().zip(own).zip(mask.nearness(y, mask.columns())) {
                *light = towards(*light, own, near);
            }
        }
        let from = &from.as_chunks::<3>().0[columns.clone()];
        let row = &mut row.as_chunks_mut::<3>().0[columns];
        row.iter_mut().zip(from).zip(light).for_each(|((to, &rgb), light)| *to = on_light(rgb, light));
    });
    out
}

/// A colour that was seen in the light `from`, in the light `to`, with its own chroma.
fn on_light(rgb: [f32; 3], lights: [f32; 2]) -> [f32; 3] {
    let luma = luma(&rgb);
    let step = luma_on_light(luma, lights) - luma;
    rgb.map(|v| v + step)
}

/// The luma on the light `to` of what had this luma on the light `from`. Its distance from the light shrinks as the
/// light's own distance from black or white does, but not below the share [`LEAST_CONTRAST`].
fn luma_on_light(luma: f32, [from, to]: [f32; 2]) -> f32 {
    let room = if to < from { to / from } else { (1.0 - to) / (1.0 - from).max(f32::EPSILON) };
    to + room.clamp(LEAST_CONTRAST, 1.0) * (luma - from)
}

/// The number of the scale on which light and detail part in the box of `mask`: that of the box, or the largest on which
/// hardly any of the object would be black or white. On a large scale a dark car at night is far below the light around
/// it.
fn scale(mask: &Mask, lumas: &[f32], lights: &[Lights]) -> usize {
    /// The most of the object's pixels that may leave 0..1, and the most rows and columns that are looked at.
    const LOST: f32 = 0.05;
    const LOOKS: usize = 32;
    let Rect { left, top, right, bottom } = mask.rect;
    let size = mask.size();
    let side = CELL_OF_BOX * (mask.rect.width() + mask.rect.height()) as f64 / 2.0;
    let largest = ((side / cell(0, size) as f64).log2().ceil().max(0.0) as usize).min(SCALES - 1);
    let lost = |scale: usize| {
        let (mut lost, mut all) = (0.0, f32::MIN_POSITIVE);
        for y in (top..bottom).step_by(mask.rect.height().div_ceil(LOOKS)) {
            let row = &lumas[y * size.width..][left..right];
            let pixels = row.iter().zip(mask.shares(y, left..right)).zip(lights[scale].row(y, left..right));
            for ((&luma, share), lights) in pixels.step_by(mask.rect.width().div_ceil(LOOKS)) {
                let is_lost = !(0.0..=1.0).contains(&luma_on_light(luma, lights));
                lost += if is_lost { share } else { 0.0 };
                all += share;
            }
        }
        lost / all
    };
    (1..=largest).rev().find(|&scale| lost(scale) < LOST).unwrap_or(0)
}

/// The side of a cell in pixels.
fn cell(scale: usize, size: Size) -> usize {
    (size.long() / CELLS).max(1) << scale
}

impl Lights {
    /// The lights of two pictures of `size`, on each scale.
    pub fn of_scales(lumas: [&[f32]; 2], size: Size) -> Vec<Self> {
        let cells = size.map(|side| side.div_ceil(cell(0, size)));
        let finest = sums(size, cells, cell(0, size), |at| [lumas[0][at], lumas[1][at], 1.0]);
        let scales = successors(Some((cells, finest)), |(finer, sums)| {
            let cells = finer.map(|side| side.div_ceil(2));
            Some((cells, self::sums(*finer, cells, 2, |at| sums[at])))
        });
        let lights = scales.enumerate().map(|(scale, (cells, sums))| Self::of(sums, cells, cell(scale, size), size));
        lights.take(SCALES).collect()
    }

    /// For each cell of `side` pixels, the mean of it and of its neighbours, from the sums of its lumas and the number of
    /// its pixels.
    fn of(sums: Vec<[f32; 3]>, cells: Size, side: usize, size: Size) -> Self {
        let sums = box_mean::<3>(sums.as_flattened(), cells, 1, Border::Cut);
        let means = sums.as_chunks::<3>().0.iter().map(|&[first, second, pixels]| [first / pixels, second / pixels]);
        let between = |cells: usize, length: usize| {
            let place = |at: usize| ((at as f32 + 0.5) / side as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
            let between = |place: f32| (place as usize, (place as usize + 1).min(cells - 1), place.fract());
            (0..length).map(|at| between(place(at))).collect()
        };
        let (down, across) = (between(cells.height, size.height), between(cells.width, size.width));
        Self { means: means.collect(), down, across }
    }

    /// The lumas of these columns of row `y`.
    fn row(&self, y: usize, columns: Range<usize>) -> impl Iterator<Item = [f32; 2]> {
        let (top, bottom, down) = self.down[y];
        let (first, last) = (self.across[columns.start].0, self.across[columns.end - 1].1);
        let cells = self.across.last().map_or(1, |last| last.1 + 1);
        let row = |y: usize| &self.means[y * cells..][first..=last];
        let mixed = |(top, bottom): (&[f32; 2], &[f32; 2])| towards(*top, *bottom, down);
        let row: Vec<[f32; 2]> = row(top).iter().zip(row(bottom)).map(mixed).collect();
        let between = self.across[columns].iter();
        between.map(move |&(left, right, aside)| towards(row[left - first], row[right - first], aside))
    }
}

fn towards(from: [f32; 2], to: [f32; 2], share: f32) -> [f32; 2] {
    [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])]
}

/// The sums of `values` of the pixels of `size`, by their index, in `cells` of `side` pixels a side.
fn sums(size: Size, cells: Size, side: usize, values: impl Fn(usize) -> [f32; 3] + Sync) -> Vec<[f32; 3]> {
    let mut sums = vec![[0.0; 3]; cells.pixels()];
    sums.par_chunks_mut(cells.width).enumerate().for_each(|(row, sums)| {
        for y in row * side..((row + 1) * side).min(size.height) {
            for (column, sum) in sums.iter_mut().enumerate() {
                for x in column * side..((column + 1) * side).min(size.width) {
                    let values = values(y * size.width + x);
                    (0..3).for_each(|i| sum[i] += values[i]);
                }
            }
        }
    });
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::render::guard::patch::written_lumas;
    use crate::nst::render::guard::testing::{Everywhere, SIZE, map, scene, veil};
    use crate::nst::testing::{Random, assert_close};

    /// A dark object with a lighter window, on a light road.
    fn car() -> (Pixels, Rect) {
        let rect = Rect { left: 40, top: 30, right: 90, bottom: 60 };
        let mut picture = Pixels::new(SIZE, vec![0.6; SIZE.pixels() * 3]);
        for y in rect.top..rect.bottom {
            let window = if y < 42 && y > 34 { 0.3 } else { 0.1 };
            picture.data_mut()[(y * SIZE.width + rect.left) * 3..][..rect.width() * 3].fill(window);
        }
        (picture, rect)
    }

    /// [`super::relit`] on the light of `result`.
    fn relit(picture: &Pixels, result: &Pixels, masks: &[&Mask]) -> Pixels {
        let [lumas, others] = [picture, result].map(written_lumas);
        super::relit(picture, &lumas, &Lights::of_scales([&lumas, &others], picture.size()), masks)
    }

    fn at(picture: &Pixels, x: usize, y: usize) -> f32 {
        picture.data()[(y * SIZE.width + x) * 3]
    }

    #[test]
    fn an_object_stays_darker_than_what_is_around_it() {
        let (picture, rect) = car();
        let fog = veil(&picture, 0.05);
        let everywhere = Everywhere::of(SIZE);
        let mask = |rect| Mask::new(0, rect, everywhere.shapes());
        let (middle, road) = ((65, 52), (10, 80));
        let darker = |rect: Rect| {
            let relit = relit(&picture, &fog, &[&mask(rect)]);
            at(&fog, road.0, road.1) - at(&relit, middle.0, middle.1)
        };
        assert!(darker(rect) > 0.1, "{}", darker(rect));
        // The light of a small box is that of the car alone.
        let part = Rect { left: 63, top: 51, right: 66, bottom: 54 };
        assert!(darker(part) < 0.06, "{}", darker(part));
    }

    #[test]
    fn a_picture_on_its_own_light_is_itself() {
        let picture = scene(&mut Random(2), SIZE);
        let everywhere = Everywhere::of(SIZE);
        let mask = Mask::new(0, Rect { left: 20, top: 10, right: 120, bottom: 80 }, everywhere.shapes());
        let relit = relit(&picture, &picture, &[&mask]);
        for y in mask.rows() {
            let row = |pixels: &Pixels| pixels.data().as_chunks::<3>().0[y * SIZE.width..][mask.columns()].to_vec();
            assert_close(row(&relit).as_flattened(), row(&picture).as_flattened(), 1e-5, "its own light");
        }
    }

    #[test]
    fn light_goes_and_detail_stays_on_every_scale() {
        let picture = scene(&mut Random(3), SIZE);
        let night = map(&picture, |v| v * 0.2);
        let everywhere = Everywhere::of(SIZE);
        for side in [4, 12, 30, 70] {
            let rect = Rect { left: 30, top: 8, right: 30 + side, bottom: 8 + side };
            let relit = relit(&picture, &night, &[&Mask::new(0, rect, everywhere.shapes())]);
            let in_box = |y: usize| (y * SIZE.width + rect.left) * 3..(y * SIZE.width + rect.right) * 3;
            let mean = |picture: &Pixels| {
                let sum: f32 = (rect.top..rect.bottom).map(|y| picture.data()[in_box(y)].iter().sum::<f32>()).sum();
                sum / (rect.pixels() * 3) as f32
            };
            let (day, night, relit) = (mean(&picture), mean(&night), mean(&relit));
            assert!((relit - night).abs() < 0.25 * (day - night), "{side}: {day} {night} {relit}");
        }
    }

    #[test]
    fn a_dark_object_does_not_go_black_at_night() {
        let (mut picture, rect) = car();
        let mut random = Random(7);
        for y in rect.top..rect.bottom {
            let row = &mut picture.data_mut()[(y * SIZE.width + rect.left) * 3..][..rect.width() * 3];
            row.as_chunks_mut::<3>().0.iter_mut().for_each(|rgb| *rgb = [0.05 + 0.2 * random.uniform(); 3]);
        }
        let night = map(&picture, |v| v * 0.2);
        let everywhere = Everywhere::of(SIZE);
        let relit = relit(&picture, &night, &[&Mask::new(0, rect, everywhere.shapes())]);
        let inside = (rect.top + 2..rect.bottom - 2).flat_map(|y| (rect.left + 2..rect.right - 2).map(move |x| (x, y)));
        let black = inside.clone().filter(|&(x, y)| at(&relit, x, y) < 0.0).count();
        // On the scale of the box, all of it would be.
        assert!(black * 2 < inside.count(), "{black}");
    }

    #[test]
    fn light_lies_where_the_picture_has_it_at_any_size() {
        for size in [Size { height: 45, width: 129 }, Size { height: 1, width: 200 }, Size { height: 70, width: 3 }] {
            // A slope, which means of cells and lines between them keep away from the borders.
            let slope: Vec<f32> = (0..size.pixels()).map(|n| (n % size.width) as f32 / size.width as f32).collect();
            for (scale, lights) in Lights::of_scales([&slope, &slope], size).iter().enumerate() {
                let reach = 4 * cell(scale, size);
                for (x, [light, _]) in lights.row(size.height / 2, 0..size.width).enumerate() {
                    let is_far_from_borders = x >= reach && x + reach < size.width;
                    let expected = x as f32 / size.width as f32;
                    assert!(!is_far_from_borders || (light - expected).abs() < 1e-4, "{size:?} {scale} {x}: {light}");
                    assert!((0.0..1.0).contains(&light), "{size:?} {scale} {x}: {light}");
                }
            }
        }
    }

    #[test]
    fn a_colour_on_another_light_keeps_its_chroma_and_most_of_its_contrast() {
        for (from, to) in [(0.5, 0.1), (0.5, 0.9), (0.0, 1.0), (1.0, 0.0), (0.3, 0.3)] {
            let [red, green, blue] = on_light([0.5, 0.4, 0.3], [from, to]);
            assert!((red - green - 0.1).abs() < 1e-6 && (green - blue - 0.1).abs() < 1e-6, "{from} {to}");
            let [light, dark] = [0.6, 0.4].map(|v| on_light([v; 3], [from, to])[0]);
            assert!((LEAST_CONTRAST * 0.2 - 1e-6..0.2 + 1e-6).contains(&(light - dark)), "{from} {to}");
            let light = on_light([from; 3], [from, to]);
            assert!(light.iter().all(|v| (v - to).abs() < 1e-6), "{from} {to}: {light:?}");
        }
    }
}
