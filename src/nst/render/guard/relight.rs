//! Detail on another light: what eases an object and does not show its box.

use crate::nst::picture::filter::{Border, box_mean, neighbours};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::blend::Mask;
use rayon::prelude::*;
use std::iter::successors;
use std::ops::Range;

/// The light of a picture is the mean luma of cells; this many of the smallest ones lie along its long side.
const MOST_CELLS: usize = 64;

/// The cells of each scale are twice as large as those of the one before. The largest are a quarter of the long side.
const SCALES: usize = 5;

/// Cells are at least this part of a box. Its light then is that of the object and of what is around it, so a dark car
/// stays dark; with smaller cells, only the outlines of its parts would be left.
const CELL_OF_BOX: f64 = 0.6;

/// The least share of its contrast that a picture keeps on another light.
const LEAST_CONTRAST: f32 = 0.75;

/// The mean lumas of two pictures on one scale, `[height][width]` of `cells`.
struct Lights {
    cells: Size,
    means: Vec<[f32; 2]>,
    /// The cells between which each column of the pictures lies.
    across: Vec<(usize, usize, f32)>,
}

/// The detail of `picture`, in its colours, on the light of another picture of its size. `lumas` are those of both. In the
/// box of each mask, light and detail part at the scale of the box. What no mask reaches stays as it is.
pub fn relit(picture: &Pixels, lumas: [&[f32]; 2], masks: &[&Mask]) -> Pixels {
    let size = picture.size();
    let lights = Lights::of_scales(lumas, size);
    let mut scales: Vec<(usize, &Mask)> = masks.iter().map(|mask| (scale(mask, size), *mask)).collect();
    // Boxes of larger scales count where boxes overlap. The order is that of places, so that of the boxes is none.
    scales.sort_by_key(|(scale, mask)| (*scale, mask.rect.left, mask.rect.top, mask.rect.right, mask.rect.bottom));
    let mut out = picture.clone();
    out.data_mut().par_chunks_mut(size.width * 3).enumerate().for_each(|(y, row)| {
        let masks: Vec<_> = scales.iter().filter(|(_, mask)| mask.rows().contains(&y)).collect();
        let columns =
            masks.iter().map(|(_, mask)| mask.columns()).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        let Some(columns) = columns else { return };
        let mut light: Vec<[f32; 2]> = lights[0].row(y, size.height, columns.clone()).collect();
        for (scale, mask) in masks {
            let own = lights[*scale].row(y, size.height, mask.columns());
            let light = &mut light[mask.columns().start - columns.start..];
            for ((light, own), near) in light.iter_mut().zip(own).zip(mask.nearness(y, mask.columns())) {
                *light = towards(*light, own, near);
            }
        }
        let row = &mut row.as_chunks_mut::<3>().0[columns];
        row.iter_mut().zip(light).for_each(|(rgb, light)| *rgb = on_light(*rgb, light));
    });
    out
}

/// A colour that was seen in the light `from`, in the light `to`, with its own chroma. Its distance from the light shrinks
/// with that of the light from black or white, so that little leaves 0..1.
fn on_light(rgb: [f32; 3], [from, to]: [f32; 2]) -> [f32; 3] {
    let room = if to < from { to / from } else { (1.0 - to) / (1.0 - from).max(f32::EPSILON) };
    let contrast = room.clamp(LEAST_CONTRAST, 1.0);
    let luma = luma(&rgb);
    let step = to + contrast * (luma - from) - luma;
    rgb.map(|v| v + step)
}

/// The number of the scale on which light and detail part in the box of `mask`.
fn scale(mask: &Mask, size: Size) -> usize {
    let side = (mask.rect.width() + mask.rect.height()) as f64 / 2.0;
    let cells = CELL_OF_BOX * side / cell(0, size) as f64;
    (cells.log2().ceil().max(0.0) as usize).min(SCALES - 1)
}

/// The side of a cell in pixels.
fn cell(scale: usize, size: Size) -> usize {
    (size.long() / MOST_CELLS).max(1) << scale
}

impl Lights {
    /// The lights of two pictures of `size`, on each scale.
    fn of_scales(lumas: [&[f32]; 2], size: Size) -> Vec<Self> {
        let cells = size.map(|side| side.div_ceil(cell(0, size)));
        let finest = sums(size, cells, cell(0, size), |at| [lumas[0][at], lumas[1][at], 1.0]);
        let scales = successors(Some((cells, finest)), |(finer, sums)| {
            let cells = finer.map(|side| side.div_ceil(2));
            Some((cells, self::sums(*finer, cells, 2, |at| sums[at])))
        });
        scales.take(SCALES).map(|(cells, sums)| Self::of(&sums, cells, size.width)).collect()
    }

    /// For each cell, the mean of it and of its neighbours, from the sums of its lumas and the number of its pixels.
    fn of(sums: &[[f32; 3]], cells: Size, width: usize) -> Self {
        let means: Vec<f32> =
            sums.iter().flat_map(|&[first, second, pixels]| [first / pixels, second / pixels]).collect();
        let means = box_mean::<2>(&means, cells, 1, Border::Cut);
        let across = (0..width).map(|x| neighbours(x, width, cells.width, false)).collect();
        Self { cells, means: means.as_chunks::<2>().0.to_vec(), across }
    }

    /// The lumas of these columns of row `y`, of `height`.
    fn row(&self, y: usize, height: usize, columns: Range<usize>) -> impl Iterator<Item = [f32; 2]> {
        let (top, bottom, down) = neighbours(y, height, self.cells.height, false);
        let row = |y: usize| &self.means[y * self.cells.width..][..self.cells.width];
        let mixed = |(top, bottom): (&[f32; 2], &[f32; 2])| towards(*top, *bottom, down);
        let row: Vec<[f32; 2]> = row(top).iter().zip(row(bottom)).map(mixed).collect();
        self.across[columns].iter().map(move |&(left, right, aside)| towards(row[left], row[right], aside))
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
    use crate::nst::picture::plane::Plane;
    use crate::nst::render::guard::patch::{Rect, written_lumas};
    use crate::nst::render::guard::testing::{SIZE, map, scene, veil};
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
        super::relit(picture, [&written_lumas(picture), &written_lumas(result)], masks)
    }

    fn at(picture: &Pixels, x: usize, y: usize) -> f32 {
        picture.data()[(y * SIZE.width + x) * 3]
    }

    #[test]
    fn an_object_stays_darker_than_what_is_around_it() {
        let (picture, rect) = car();
        let fog = veil(&picture, 0.05);
        let mask = Mask::new(rect, &Plane::filled(SIZE, 1.0));
        let [whole, outlines] = [&[&mask][..], &[]].map(|masks| relit(&picture, &fog, masks));
        let (middle, road) = ((65, 52), (10, 80));
        let darker = |picture: &Pixels| at(&fog, road.0, road.1) - at(picture, middle.0, middle.1);
        assert!(darker(&whole) > 0.1, "{}", darker(&whole));
        assert!(darker(&outlines) < 0.05, "{}", darker(&outlines));
    }

    #[test]
    fn a_picture_on_its_own_light_is_itself() {
        let picture = scene(&mut Random(2), SIZE);
        let mask = Mask::new(Rect { left: 20, top: 10, right: 120, bottom: 80 }, &Plane::filled(SIZE, 1.0));
        assert_close(relit(&picture, &picture, &[&mask]).data(), picture.data(), 1e-5, "its own light");
    }

    #[test]
    fn light_goes_and_detail_stays_on_every_scale() {
        let picture = scene(&mut Random(3), SIZE);
        for side in [4, 12, 30, 70] {
            let rect = Rect { left: 30, top: 8, right: 30 + side, bottom: 8 + side };
            let mask = Mask::new(rect, &Plane::filled(SIZE, 1.0));
            let night = map(&picture, |v| v * 0.2);
            let relit = relit(&picture, &night, &[&mask]);
            let mean = |picture: &Pixels| picture.data().iter().sum::<f32>() / picture.data().len() as f32;
            assert!((mean(&relit) - mean(&night)).abs() < 0.03, "{side}: {} {}", mean(&relit), mean(&night));
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
