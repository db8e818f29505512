//! One value per pixel: masks, depths, luma.

use crate::nst::kernels::simd::vectorized;
use crate::nst::picture::filter::{Border, bilinear, box_mean};
use crate::nst::picture::geometry::{Crop, Size};
use crate::nst::picture::luma::luma;
use crate::nst::picture::pixels::Pixels;

/// A picture of one value per pixel, `[height][width]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    size: Size,
    data: Vec<f32>,
}

impl Plane {
    /// # Panics
    /// When `data` is not `height * width` long.
    pub fn new(size: Size, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), size.pixels(), "a plane must fill its size");
        Self { size, data }
    }

    /// Each value is `at(y, x)`.
    pub fn from_fn(size: Size, mut at: impl FnMut(usize, usize) -> f32) -> Self {
        let data = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x))).map(|(y, x)| at(y, x)).collect();
        Self { size, data }
    }

    /// The luma of `pixels` (Rec. 601), 0..1.
    pub fn luma(pixels: &Pixels) -> Self {
        Self { size: pixels.size(), data: pixels.data().chunks_exact(3).map(luma).collect() }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn data(&self) -> &[f32] {
        &self.data
    }

    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    pub fn at(&self, y: usize, x: usize) -> f32 {
        self.data[y * self.size.width + x]
    }

    /// The mean, weighted by `part`; `None` where that is less than a pixel.
    pub fn mean_on(&self, part: &Self) -> Option<f32> {
        let count: f32 = part.data().iter().sum();
        let sum: f32 = part.data().iter().zip(self.data()).map(|(part, v)| part * v).sum();
        (count > 1.0).then(|| sum / count)
    }

    pub fn mean(&self) -> f64 {
        self.data.iter().map(|&v| v as f64).sum::<f64>() / self.data.len() as f64
    }

    /// `value` at every pixel.
    pub fn filled(size: Size, value: f32) -> Self {
        Self { size, data: vec![value; size.pixels()] }
    }

    /// The mean of each 2x2 window; the size is that of the network's next block.
    pub fn pooled(&self) -> Self {
        let at = |y: usize, x: usize| self.at(2 * y, 2 * x) + self.at(2 * y, 2 * x + 1);
        let other = |y: usize, x: usize| self.at(2 * y + 1, 2 * x) + self.at(2 * y + 1, 2 * x + 1);
        Self::from_fn(self.size.pooled(), |y, x| (at(y, x) + other(y, x)) / 4.0)
    }

    /// The part inside `crop`.
    pub fn cropped(&self, crop: Crop) -> Self {
        Self::from_fn(crop.size(), |y, x| self.at(crop.top + y, crop.left + x))
    }

    /// The mean of a square window that reaches `radius` pixels to each side and is cut off at the border.
    pub fn blurred(&self, radius: usize) -> Self {
        Self { size: self.size, data: box_mean::<1>(&self.data, self.size, radius, Border::Cut) }
    }

    /// Without bright things that are at most `2 * radius` pixels high or wide: the least value of a square window, and
    /// of those the largest (a morphological opening).
    pub fn opened(&self, radius: usize) -> Self {
        self.extreme(radius, f32::min).extreme(radius, f32::max)
    }

    /// The value of a square window, which is cut off at the border, that `pick` prefers to all others.
    fn extreme(&self, radius: usize, pick: impl Fn(f32, f32) -> f32) -> Self {
        let Size { height, width } = self.size;
        let prefer = |to: &mut [f32], others: &[f32]| to.iter_mut().zip(others).for_each(|(v, &o)| *v = pick(*v, o));
        let mut rows = self.clone();
        for (to, from) in rows.data.chunks_exact_mut(width).zip(self.data.chunks_exact(width)) {
            for shift in 1..=radius.min(width - 1) {
                prefer(&mut to[shift..], from);
                prefer(to, &from[shift..]);
            }
        }
        let mut out = rows.clone();
        for (y, to) in out.data.chunks_exact_mut(width).enumerate() {
            for y in y.saturating_sub(radius)..(y + radius + 1).min(height) {
                prefer(to, &rows.data[y * width..][..width]);
            }
        }
        out
    }

    /// Resized bilinearly.
    pub fn resized(&self, size: Size) -> Self {
        if size == self.size {
            return self.clone();
        }
        Self { size, data: bilinear::<1>(&self.data, self.size, size) }
    }

    /// Distances, of which 0 is infinitely far, at another size. Their reciprocals are resized bilinearly: between a tower
    /// and the sky, nothing is nearer than the tower.
    pub fn resized_distances(&self, size: Size) -> Self {
        if size == self.size {
            return self.clone();
        }
        let reciprocal = |v: &f32| if *v > 0.0 { 1.0 / v } else { 0.0 };
        let turned = Self { size: self.size, data: self.data.iter().map(reciprocal).collect() }.resized(size);
        Self { size, data: turned.data.iter().map(reciprocal).collect() }
    }

    /// This plane with the edges of `guide` (the guided filter: He, Sun and Tang 2010, section 3.1). Windows reach
    /// `radius` pixels to each side; `eps`, in the guide's units squared, is the variance below which a window counts
    /// as flat.
    ///
    /// # Panics
    /// When the planes differ in size.
    pub fn guided(&self, guide: &Self, radius: usize, eps: f32) -> Self {
        let lines = self.lines(guide, radius, eps);
        let data = lines.chunks_exact(2).zip(&guide.data).map(|(line, i)| line[0] * i + line[1]).collect();
        Self { size: self.size, data }
    }

    /// The lines of the guided filter, `[height][width][factor, offset]`: the result is `factor * guide + offset`.
    ///
    /// # Panics
    /// When the planes differ in size.
    pub fn lines(&self, guide: &Self, radius: usize, eps: f32) -> Vec<f32> {
        assert_eq!(self.size, guide.size, "a guide has the size of what it guides");
        let (mut moments, mut lines) = (vec![0.0; 4 * self.data.len()], vec![0.0; 2 * self.data.len()]);
        let pixels = moments.as_chunks_mut().0.iter_mut().zip(self.data.iter().zip(&guide.data));
        pixels.for_each(|(moments, (&p, &i))| *moments = [i, p, i * i, i * p]);
        let moments = box_mean::<4>(&moments, self.size, radius, Border::Cut);
        vectorized(
            #[inline(always)]
            || {
                for (line, [i, p, ii, ip]) in lines.as_chunks_mut().0.iter_mut().zip(moments.as_chunks().0) {
                    let factor = (ip - i * p) / (ii - i * i + eps);
                    *line = [factor, p - factor * i];
                }
            },
        );
        box_mean::<2>(&lines, self.size, radius, Border::Cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guided_mask_takes_the_edges_of_its_guide() {
        let size = Size { height: 40, width: 60 };
        // The mask's edge lies three pixels beside the guide's.
        let guide = Plane::from_fn(size, |_, x| if x < 30 { 0.2 } else { 0.8 });
        let mask = Plane::from_fn(size, |_, x| if x < 33 { 1.0 } else { 0.0 });
        let guided = mask.guided(&guide, 8, 1e-4);
        assert!(guided.at(20, 28) > 0.9 && guided.at(20, 32) < 0.4, "{} {}", guided.at(20, 28), guided.at(20, 32));
        assert!(mask.guided(&Plane::filled(size, 0.5), 8, 1e-4).at(20, 32) > 0.4, "a flat guide only blurs");
    }

    #[test]
    fn opening_removes_thin_bright_lines_and_keeps_dark_ones_and_edges() {
        let size = Size { height: 30, width: 50 };
        let plane = Plane::from_fn(size, |y, x| match (y, x) {
            (_, 10..14) | (5..9, _) => 1.0,
            (_, 20) => 0.1,
            (_, 30..) => 0.9,
            _ => 0.4,
        });
        let opened = plane.opened(2);
        assert_eq!((opened.at(15, 11), opened.at(6, 3), opened.at(6, 45)), (0.4, 0.4, 0.9));
        assert_eq!((opened.at(15, 20), opened.at(15, 29), opened.at(15, 30)), (0.1, 0.4, 0.9));
    }

    #[test]
    fn between_something_near_and_what_is_infinitely_far_nothing_is_nearer() {
        let plane = Plane::from_fn(Size { height: 4, width: 8 }, |_, x| if x < 4 { 30.0 } else { 0.0 });
        let resized = plane.resized_distances(Size { height: 9, width: 31 });
        assert!(resized.data().iter().all(|&v| v == 0.0 || v > 29.9), "{:?}", resized.data());
        assert!((resized.at(4, 0) - 30.0).abs() < 1e-3 && resized.at(4, 30) == 0.0);
    }

    #[test]
    fn pooling_and_resizing_keep_the_mean() {
        let plane = Plane::from_fn(Size { height: 32, width: 48 }, |y, x| (y * 48 + x) as f32);
        assert!((plane.pooled().mean() - plane.mean()).abs() < 1e-3);
        assert!((plane.resized(Size { height: 64, width: 96 }).mean() - plane.mean()).abs() < 1e-1);
        assert_eq!(
            Plane::filled(Size { height: 5, width: 7 }, 0.5).pooled(),
            Plane::filled(Size { height: 2, width: 3 }, 0.5)
        );
    }
}
