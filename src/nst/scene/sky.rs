//! Finds the sky of an outdoor frame without a trained network. It lies above the first strong edge of each column
//! (Shen and Wang 2013, "Sky region detection in a single image for autonomous ground robot navigation").

use crate::nst::picture::filter::{Border, box_mean};
use crate::nst::picture::flood::joined;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::matrix::eigen;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::picture::statistics::{ColourStatistics, quantile};
use crate::nst::scene::object::SceneObject;
use std::ops::Range;

/// Thresholds that are tried for a strong edge: slopes of luma, which is in 0..1, per pixel.
const EDGES: [f32; 16] =
    [0.012, 0.016, 0.02, 0.025, 0.03, 0.036, 0.043, 0.05, 0.06, 0.07, 0.08, 0.095, 0.11, 0.13, 0.16, 0.2];

/// A sky covers at least this share of its picture.
const LEAST_SHARE: f64 = 0.03;

/// Rows at the top that may hold the edge of a letterbox bar.
const MARGIN: usize = 4;

/// Columns to either side that the border of a column is compared with.
const NEAR: usize = 8;

/// How often a found sky grows into its surroundings.
const GROWTHS: usize = 3;

/// How far a pixel may be from the sky's colour near by to become sky: the distance in RGB, 0..1.
const TOLERANCE: f32 = 0.14;

/// The least luma of a sky by day.
const DAY: f32 = 0.4;

/// How much lighter than the ground a sky by day is, and how much more blue than red a clear one has.
const LIGHTER: f64 = 0.05;
const CLEAR: f32 = 0.12;

/// By day, what has the first share of the sky's luma is no sky; from the second on, it may be.
const DARKEST: (f32, f32) = (0.5, 0.68);

/// The share of sky in each pixel, 0..1, with the edges of the picture; `None` where the picture has no sky.
///
/// Meant for pictures of a few hundred pixels a side, without letterbox bars.
pub fn find(pixels: &Pixels) -> Option<Plane> {
    let luma = Plane::luma(pixels);
    let slopes = slopes(&luma);
    let sums = ColumnSums::of(pixels);
    let may_be_night = may_be_night(&luma);
    let tried = first_edges(&slopes).into_iter().map(|first| border(first, luma.size())).filter_map(|border| {
        let (sky, ground) = sums.split(&border)?;
        // Among twigs, the most even split may count a wall as sky. So only splits compete whose upper part can be a
        // sky.
        is_sky(&sky, &ground, may_be_night).then(|| (energy(&sky, &ground), border))
    });
    let best = tried.max_by(|a, b| a.0.total_cmp(&b.0));
    let border = best.map(|(_, border)| without_runaways(border, luma.size().height));
    let above = |border: Vec<usize>| Plane::from_fn(luma.size(), |y, x| (y < border[x]) as u8 as f32);
    let mask = border.map(above).filter(is_large).or_else(|| clear(pixels, &luma, &slopes).filter(is_large))?;
    Some(without_islands(soften(pixels, &luma, mask), &luma))
}

/// Whether this share of sky is that of a sky, and not of a gap between other things.
pub fn is_large(sky: &Plane) -> bool {
    sky.mean() >= LEAST_SHARE
}

/// What is as blue and as light as a clear sky at the upper side of the picture and goes on from there: between houses
/// and trees no column need be free. `None` if it is no lighter than the rest, as a blue wall in a room, or not as even as
/// a sky.
fn clear(pixels: &Pixels, luma: &Plane, slopes: &Plane) -> Option<Plane> {
    /// How much more blue than green it has: a roof may be turquoise.
    const BLUER: f32 = 0.04;
    /// The largest mean slope of luma, per pixel: tiles and letters are no sky.
    const EVEN: f32 = 0.015;
    let is_clear = |rgb: &[f32; 3], luma: f32| luma > DAY && warmth(rgb) < -CLEAR && rgb[2] > rgb[1] + BLUER;
    let like_it = pixels.data().as_chunks::<3>().0.iter().zip(luma.data());
    let like_it = like_it.map(|(rgb, &luma)| is_clear(rgb, luma) as u8 as f32);
    let joined = joined_to_the_top(&Plane::new(luma.size(), like_it.collect()));
    let sky = Plane::new(luma.size(), joined.into_iter().map(|joined| joined as u8 as f32).collect());
    let rest = Plane::from_fn(luma.size(), |y, x| 1.0 - sky.at(y, x));
    let is_lighter = luma.mean_on(&sky)? > luma.mean_on(&rest).unwrap_or(0.0) + LIGHTER as f32;
    (is_lighter && slopes.mean_on(&sky)? < EVEN).then_some(sky)
}

/// The sky without patches that are darker than it and that nothing joins to the upper side of the picture: fields and
/// hazy hills. Sky between twigs and under a roof is as light as the rest, at least.
fn without_islands(mut sky: Plane, luma: &Plane) -> Plane {
    /// Patches of less than the first share of the sky's median luma are none, from the second on they are whole.
    const LUMA: (f32, f32) = (0.86, 0.96);
    let joined = joined_to_the_top(&sky);
    let lumas = luma.data().iter().zip(&joined).filter(|(_, joined)| **joined).map(|(luma, _)| *luma).collect();
    let Some(usual) = quantile(lumas, 1, 2) else { return sky };
    for ((share, luma), joined) in sky.data_mut().iter_mut().zip(luma.data()).zip(joined) {
        if !joined && *share > 0.5 {
            *share *= ((luma / usual - LUMA.0) / (LUMA.1 - LUMA.0)).clamp(0.0, 1.0);
        }
    }
    sky
}

/// The pixels of sky that others join to the upper side of the picture.
fn joined_to_the_top(sky: &Plane) -> Vec<bool> {
    let Size { height, width } = sky.size();
    let mut seen = vec![false; sky.size().pixels()];
    let top = 0..width * MARGIN.min(height);
    joined(top, |at| sky.size().beside(at), |at| sky.data()[at] > 0.5, &mut seen);
    seen
}

/// Whether what was taken for `sky` is a wall: most of the objects have it beside them down to their lower parts, which
/// the horizon does not reach unless the camera lies on the ground. A blue one is a sky all the same, seen over the edge
/// of a hill.
pub fn is_wall(pixels: &Pixels, sky: &Plane, objects: &[SceneObject]) -> bool {
    /// The row that is looked at, as a share of an object's height from its top.
    const LOWER: f64 = 0.7;
    /// The least height of an object whose surroundings are seen well enough, as a share of the picture's.
    const LEAST_HEIGHT: f64 = 0.1;
    let size = sky.size();
    let is_sky = |y: f64, x: f64| {
        let at = |share: f64, side: usize| (share * side as f64) as usize;
        let inside = (0.0..1.0).contains(&y) && (0.0..1.0).contains(&x);
        inside.then(|| sky.at(at(y, size.height), at(x, size.width)) > 0.5)
    };
    let stand_before = objects.iter().filter(|object| object.kind.height().is_some()).filter_map(|object| {
        let area = object.area;
        let (height, width) = (area.bottom - area.top, area.right - area.left);
        let beside = [area.left - width / 8.0, area.right + width / 8.0];
        let seen: Vec<bool> = beside.iter().filter_map(|&x| is_sky(area.top + LOWER * height, x)).collect();
        (height >= LEAST_HEIGHT && !seen.is_empty()).then(|| seen.into_iter().all(|is_sky| is_sky))
    });
    let votes: Vec<bool> = stand_before.collect();
    2 * votes.iter().filter(|vote| **vote).count() > votes.len() && !is_blue(&ColourStatistics::of(pixels, sky).mean)
}

/// The row below the sky in each column, sorted; 0 in columns without sky.
pub fn ends(sky: &Plane) -> Vec<usize> {
    let Size { height, width } = sky.size();
    let end = |x: usize| (0..height).rev().find(|&y| sky.at(y, x) > 0.5).map_or(0, |y| y + 1);
    let mut ends: Vec<usize> = (0..width).map(end).collect();
    ends.sort_unstable();
    ends
}

/// Whether a picture of this luma may show a night. Otherwise what is dark in it is the crown of a tree before a sunlit
/// street. (In 127 street photos at night, at most an eighth of the pixels are so bright.)
fn may_be_night(luma: &Plane) -> bool {
    const BRIGHT: f32 = 0.8;
    const MOST: f64 = 0.15;
    let bright = luma.data().iter().filter(|&&luma| luma > BRIGHT).count();
    (bright as f64) < MOST * luma.size().pixels() as f64
}

/// Whether the part above the border can be a sky: even in colour, and lighter than the ground, or blue, or dark, if it
/// `may_be_night`.
fn is_sky(sky: &ColourStatistics, ground: &ColourStatistics, may_be_night: bool) -> bool {
    let light = |part: &ColourStatistics| part.mean.iter().sum::<f64>() / 3.0;
    let even = variance(sky) < 0.3 * 0.3;
    let is_dark = may_be_night && light(sky) < 0.12;
    even && (light(sky) > light(ground) + LIGHTER || is_dark || is_blue(&sky.mean))
}

fn is_blue(colour: &[f64; 3]) -> bool {
    colour[2] > colour[0] + 0.08
}

/// The variance of all three colours together.
fn variance(part: &ColourStatistics) -> f64 {
    (0..3).map(|i| part.covariance[i][i]).sum()
}

/// The length of the gradient, by central differences.
fn slopes(luma: &Plane) -> Plane {
    let Size { height, width } = luma.size();
    let row = |y: usize| &luma.data()[y * width..][..width];
    let mut slopes = Plane::filled(luma.size(), 0.0);
    for (y, to) in slopes.data_mut().chunks_exact_mut(width).enumerate() {
        let (above, own, below) = (row(y.saturating_sub(1)), row(y), row((y + 1).min(height - 1)));
        let left = own.first().into_iter().chain(own);
        let right = own[1..].iter().chain(own.last());
        for ((to, (right, left)), (below, above)) in to.iter_mut().zip(right.zip(left)).zip(below.iter().zip(above)) {
            let (across, down) = (right - left, below - above);
            *to = (across * across + down * down).sqrt() / 2.0;
        }
    }
    slopes
}

/// For each of [`EDGES`], in each column the first row below the margin whose slope is above it: 0 if that is the margin's
/// own end, and the height if there is none.
fn first_edges(slopes: &Plane) -> [Vec<usize>; EDGES.len()] {
    let Size { height, width } = slopes.size();
    let mut first = [(); EDGES.len()].map(|()| vec![height; width]);
    // How many of the edges each column has met: they ascend.
    let mut met = vec![0; width];
    for (y, slopes) in slopes.data().chunks_exact(width).enumerate().skip(MARGIN) {
        for (x, (&slope, met)) in slopes.iter().zip(&mut met).enumerate() {
            while *met < EDGES.len() && slope > EDGES[*met] {
                first[*met][x] = if y <= MARGIN { 0 } else { y };
                *met += 1;
            }
        }
    }
    first
}

/// For each column, the row at which its sky would end, from the first row with an edge.
fn border(first: Vec<usize>, Size { height, width }: Size) -> Vec<usize> {
    // Where the edge of a column is too faint, its border runs down into the road; the median of its neighbours limits
    // it.
    let limit = |x: usize| {
        let mut near = first[x.saturating_sub(NEAR)..(x + NEAR + 1).min(width)].to_vec();
        near.sort_unstable();
        near[near.len() / 2] + height / 32
    };
    (0..width).map(|x| first[x].min(limit(x))).collect()
}

/// No sky reaches the lower quarter of a picture: in columns where the border runs down to there, its edge is too faint.
/// If those are not the most, they get the median border of the others that have a sky.
fn without_runaways(border: Vec<usize>, height: usize) -> Vec<usize> {
    let lowest = height * 3 / 4;
    let runaways = border.iter().filter(|&&row| row > lowest).count();
    let mut ends: Vec<usize> = border.iter().copied().filter(|row| (1..=lowest).contains(row)).collect();
    ends.sort_unstable();
    match ends.get(ends.len() / 2) {
        Some(&usual) if 2 * runaways < border.len() => {
            border.into_iter().map(|row| if row > lowest { usual } else { row }).collect()
        }
        _ => border,
    }
}

/// Running sums down each column. With them, the statistics above and below a border take one lookup per column.
struct ColumnSums {
    size: Size,
    /// `[height + 1][width]`: count, three colours, and their six products.
    sums: Vec<[f64; 10]>,
}

impl ColumnSums {
    fn of(pixels: &Pixels) -> Self {
        let size = pixels.size();
        let mut sums = vec![[0.0; 10]; (size.height + 1) * size.width];
        for (n, rgb) in pixels.data().chunks_exact(3).enumerate() {
            let [r, g, b] = [rgb[0] as f64, rgb[1] as f64, rgb[2] as f64];
            let own = [1.0, r, g, b, r * r, r * g, r * b, g * g, g * b, b * b];
            sums[n + size.width] = std::array::from_fn(|i| sums[n][i] + own[i]);
        }
        Self { size, sums }
    }

    /// The statistics above and below `border`; `None` where one of the two parts is too small.
    fn split(&self, border: &[usize]) -> Option<(ColourStatistics, ColourStatistics)> {
        let Size { height, width } = self.size;
        let (mut sky, mut all) = ([0.0; 10], [0.0; 10]);
        for (x, &row) in border.iter().enumerate() {
            for i in 0..10 {
                sky[i] += self.sums[row * width + x][i];
                all[i] += self.sums[height * width + x][i];
            }
        }
        let ground = std::array::from_fn(|i| all[i] - sky[i]);
        let least = all[0] * LEAST_SHARE / 2.0;
        (sky[0] > least && ground[0] > least).then(|| (statistics(sky), statistics(ground)))
    }
}

/// The statistics of pixels with these [`ColumnSums::sums`].
fn statistics(sums: [f64; 10]) -> ColourStatistics {
    /// The index of the product of two colours.
    const PRODUCT: [[usize; 3]; 3] = [[4, 5, 6], [5, 7, 8], [6, 8, 9]];
    let moments = sums.map(|sum| sum / sums[0]);
    let mean = [moments[1], moments[2], moments[3]];
    let covariance = std::array::from_fn(|i| std::array::from_fn(|j| moments[PRODUCT[i][j]] - mean[i] * mean[j]));
    ColourStatistics { mean, covariance }
}

/// High where each side of the border has one colour (the paper's equation 3, on its scale of 0 to 255).
fn energy(sky: &ColourStatistics, ground: &ColourStatistics) -> f64 {
    /// The weight of the sky's variation; the ground's has the weight 1.
    const SKY: f64 = 2.0;
    let variation = |part: &ColourStatistics| {
        let values = eigen(&part.covariance).0.map(|v| v * 255.0 * 255.0);
        values.iter().product::<f64>().abs() + values.iter().fold(0.0, |top: f64, v| top.max(v.abs()))
    };
    1.0 / (SKY * variation(sky) + variation(ground))
}

/// The sky of a mask, grown into pixels of its colour near by: between branches, and down to the haze of the horizon. Its
/// edges are those of the picture.
fn soften(pixels: &Pixels, luma: &Plane, mut mask: Plane) -> Plane {
    let Size { height, width } = pixels.size();
    let low = ends(&mask)[width * 49 / 50] + height / 12;
    for _ in 0..GROWTHS {
        let near = sky_near(pixels, &mask, height / 16 + 1);
        let grown = |y: usize, x: usize| {
            let [r, g, b, share] = near[y * width + x];
            let rgb = &pixels.data()[(y * width + x) * 3..][..3];
            let distance2: f32 = rgb.iter().zip([r, g, b]).map(|(v, sum)| (v - sum / share).powi(2)).sum();
            y < low && share > 0.05 && distance2 < TOLERANCE * TOLERANCE
        };
        mask = Plane::from_fn(pixels.size(), |y, x| if grown(y, x) { 1.0 } else { mask.at(y, x) });
    }
    let mut soft = mask.guided(luma, 4, 1e-3);
    darken(&mut soft, luma, &mask);
    // The filter leaves small values behind. A rim of sky on an object is better than a rim of daylight in the sky.
    soft.data_mut().iter_mut().for_each(|v| *v = ((*v - 0.1) / 0.6).clamp(0.0, 1.0));
    soft
}

/// A found sky with what goes on from it without an edge, down to the row of the horizon: the lower clouds, and the haze
/// above roofs. What lies below the horizon is none. It has at least the share `least` of the sky's luma, and is hardly
/// warmer than the sky or grey: a yellow wall is not. `luma` is that of `pixels`, and `hidden` is the share of objects in
/// each pixel.
pub fn down_to(horizon: f32, least: f32, sky: &Plane, pixels: &Pixels, luma: &Plane, hidden: &Plane) -> Plane {
    let Size { height, width } = sky.size();
    let end = ((horizon * height as f32) as usize).min(height) * width;
    let (slopes, least) = (slopes(luma), least * light(sky, luma));
    let colours = pixels.data().as_chunks::<3>().0;
    let hues = Hues::of(colours, sky);
    let is_sky = |at: usize| {
        let is_like_it = luma.data()[at] > least && slopes.data()[at] < hues.steepest(warmth(&colours[at]));
        sky.data()[at] > 0.5 || (is_like_it && hidden.data()[at] < 0.3)
    };
    // From the upper side of the picture: an island of sky in a plain is a mistake that should not grow.
    let top = (0..width.min(end)).filter(|&at| sky.data()[at] > 0.5);
    let mut seen = vec![false; sky.size().pixels()];
    joined(top, |at| sky.size().beside(at), |at| at < end && is_sky(at), &mut seen);
    let whole = Plane::new(sky.size(), seen.into_iter().map(f32::from).collect());
    let mut soft = whole.guided(luma, 2, 1e-3);
    for (at, (soft, sky)) in soft.data_mut().iter_mut().zip(sky.data()).enumerate() {
        *soft = if at < end { soft.clamp(*sky, 1.0) } else { soft.clamp(0.0, *sky) };
    }
    soft
}

/// How warm the colours of a sky are.
struct Hues {
    /// Clear sky. Hazy hills before it are less blue, and signs are more.
    clear: Range<f32>,
    has_clear: bool,
    warmest: f32,
}

impl Hues {
    fn of(colours: &[[f32; 3]], sky: &Plane) -> Self {
        /// How much warmer than the sky haze may be, and how much bluer than most of it some of it may be.
        const WARMER: f32 = 0.07;
        const COLDER: f32 = 0.1;
        let found = colours.iter().zip(sky.data()).filter(|(_, sky)| **sky > 0.5);
        let found: Vec<f32> = found.map(|(rgb, _)| warmth(rgb)).collect();
        let part = |tenths: usize| quantile(found.clone(), tenths, 10).unwrap_or(0.0);
        Self {
            clear: part(1) - COLDER..(0.5 * part(5)).min(-CLEAR),
            has_clear: part(3) < -CLEAR,
            warmest: part(9).max(0.0) + WARMER,
        }
    }

    /// The steepest slope of luma, per pixel, where a sky may go on at a pixel of this warmth.
    fn steepest(&self, warmth: f32) -> f32 {
        /// Within a grey sky, and along the edges of clouds in a blue one. Wires may cross what is clear.
        const FAINT: f32 = 0.025;
        const CLOUDS: f32 = 0.06;
        match warmth {
            warmth if warmth >= self.warmest => 0.0,
            warmth if self.clear.contains(&warmth) => f32::INFINITY,
            warmth if self.has_clear && warmth < self.clear.start => 0.0,
            _ if self.has_clear => CLOUDS,
            _ => FAINT,
        }
    }
}

/// How much more red than blue a colour has.
fn warmth(rgb: &[f32; 3]) -> f32 {
    rgb[0] - rgb[2]
}

/// The luma that a quarter of a sky is above. Even where a crown covers half of what was found, this is sky.
fn light(sky: &Plane, luma: &Plane) -> f32 {
    let lumas = luma.data().iter().zip(sky.data()).filter(|(_, sky)| **sky > 0.5).map(|(luma, _)| *luma);
    quantile(lumas.collect(), 3, 4).unwrap_or(0.0)
}

/// Takes crowns of trees out of a sky by day, which outshines them.
fn darken(sky: &mut Plane, luma: &Plane, mask: &Plane) {
    let light = light(mask, luma);
    if light < DAY {
        return;
    }
    for (sky, luma) in sky.data_mut().iter_mut().zip(luma.data()) {
        *sky *= ((luma / light - DARKEST.0) / (DARKEST.1 - DARKEST.0)).clamp(0.0, 1.0);
    }
}

/// Means over the square window of each pixel: of the sky's RGB times its share, and of that share.
fn sky_near(pixels: &Pixels, mask: &Plane, radius: usize) -> Vec<[f32; 4]> {
    let weighted = pixels.data().chunks_exact(3).zip(mask.data());
    let weighted: Vec<f32> = weighted.flat_map(|(rgb, m)| [rgb[0] * m, rgb[1] * m, rgb[2] * m, *m]).collect();
    box_mean::<4>(&weighted, pixels.size(), radius, Border::Cut).as_chunks().0.to_vec()
}

/// The row just below the end of the sky in nine of ten columns, as a share of the height from the top, 0.25..=0.6.
pub fn horizon(sky: &Plane) -> f32 {
    let ends = ends(sky);
    let last = ends[ends.len() * 9 / 10].saturating_sub(1);
    (last as f32 / sky.size().height as f32 + 0.02).clamp(0.25, 0.6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Area;
    use crate::nst::scene::object::ObjectKind;
    use crate::nst::testing::Random;

    const SIZE: Size = Size { height: 108, width: 192 };

    /// A noisy street under a plain sky of `colour` that ends at row 40, behind a tower up to row 15 in columns 60 to
    /// 90.
    fn street(colour: [f32; 3]) -> Pixels {
        let mut random = Random(3);
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let (y, x) = (n / SIZE.width, n % SIZE.width);
            let solid = y >= 40 || (y >= 15 && (60..90).contains(&x));
            let grey = 0.15 + 0.3 * random.uniform();
            if solid { [grey, grey * 0.9, grey * 0.8] } else { colour.map(|v| v - 0.001 * y as f32) }
        });
        Pixels::new(SIZE, data.collect())
    }

    #[test]
    fn a_light_a_blue_and_a_night_sky_are_found_above_the_roofs() {
        for colour in [[0.9, 0.92, 0.95], [0.25, 0.4, 0.7], [0.05, 0.05, 0.08]] {
            let sky = find(&street(colour)).unwrap_or_else(|| panic!("no sky of {colour:?}"));
            assert!(sky.at(10, 20) > 0.95 && sky.at(30, 150) > 0.95 && sky.at(5, 75) > 0.95, "{colour:?}");
            assert!(sky.at(70, 20) < 0.05 && sky.at(100, 100) < 0.05 && sky.at(30, 75) < 0.1, "{colour:?}");
        }
    }

    #[test]
    fn a_dark_crown_above_a_sunlit_road_is_no_night_sky() {
        let mut street = street([0.05, 0.05, 0.06]);
        assert!(find(&street).is_some());
        let road = SIZE.width * SIZE.height * 2 / 3 * 3;
        street.data_mut()[road..].fill(0.95);
        assert!(find(&street).is_none());
    }

    #[test]
    fn a_clear_sky_between_houses_is_found_and_a_blue_wall_is_none() {
        let mut random = Random(4);
        // A wire near the upper side ends the sky of all columns but four.
        let mut gap = |sky: [f32; 3], level: f32| {
            let mut colour = |n: usize| match (n / SIZE.width, n % SIZE.width) {
                (5, x) if !(90..94).contains(&x) => [0.15; 3],
                (0..60, 40..150) => sky,
                _ => [level * (0.6 + 0.8 * random.uniform()); 3],
            };
            Pixels::new(SIZE, (0..SIZE.pixels()).flat_map(&mut colour).collect())
        };
        let sky = find(&gap([0.5, 0.65, 0.85], 0.35)).expect("a sky");
        assert!(sky.at(3, 90) > 0.9 && sky.at(40, 60) > 0.9 && sky.at(30, 20) < 0.1 && sky.at(90, 90) < 0.1);
        let mut is_clear = |sky: [f32; 3], level: f32| {
            let pixels = gap(sky, level);
            let luma = Plane::luma(&pixels);
            clear(&pixels, &luma, &slopes(&luma)).is_some()
        };
        assert!(is_clear([0.5, 0.65, 0.85], 0.35));
        assert!(!is_clear([0.5, 0.65, 0.85], 0.64), "a wall that is no lighter than the rest");
        assert!(!is_clear([0.4, 0.65, 0.66], 0.35), "turquoise");
    }

    #[test]
    fn a_darker_patch_below_the_sky_is_no_sky_and_a_light_one_is() {
        let is_sky = |y: usize, x: usize| y < 20 || ((40..50).contains(&y) && (20..60).contains(&x) && x != 40);
        let sky = Plane::from_fn(SIZE, |y, x| is_sky(y, x) as u8 as f32);
        let luma = Plane::from_fn(SIZE, |y, x| if y > 30 && x < 40 { 0.6 } else { 0.75 });
        let found = without_islands(sky, &luma);
        assert_eq!((found.at(10, 30), found.at(10, 100), found.at(45, 30), found.at(45, 50)), (1.0, 1.0, 0.0, 1.0));
        let nothing_above = Plane::from_fn(SIZE, |y, _| (40..50).contains(&y) as u8 as f32);
        assert!(without_islands(nothing_above.clone(), &luma) == nothing_above);
    }

    #[test]
    fn a_sky_that_runs_down_to_the_ground_in_some_columns_ends_where_it_does_in_the_others() {
        let mut border = vec![40; 100];
        border[80..].fill(100);
        assert_eq!(without_runaways(border, 100), vec![40; 100]);
        // Columns without sky, under a house, say nothing.
        let border = [vec![0; 45], vec![40; 20], vec![100; 35]].concat();
        assert_eq!(without_runaways(border, 100), [vec![0; 45], vec![40; 55]].concat());
        let fog = vec![100; 100];
        assert_eq!(without_runaways(fog.clone(), 100), fog, "all of a picture of fog may be sky");
    }

    #[test]
    fn a_sky_goes_on_to_lower_clouds_down_to_the_horizon_and_not_into_islands() {
        // Rows: sky, from 20 on clouds that begin softly, from 50 on a dark hill, and a road as light as the sky.
        let luma = Plane::from_fn(SIZE, |y, x| match y {
            50..60 => 0.2,
            _ if (100..110).contains(&x) && y >= 30 => 0.2,
            0..20 => 0.7,
            20..50 => (0.7 + 0.02 * (y - 20) as f32).min(0.9),
            _ => 0.8,
        });
        let wall = |y: usize, x: usize| y >= 25 && (60..80).contains(&x);
        let colour = |at: usize| {
            let v = luma.data()[at];
            if wall(at / SIZE.width, at % SIZE.width) { [v + 0.1, v, v - 0.1] } else { [v - 0.1, v, v + 0.1] }
        };
        let pixels = Pixels::new(SIZE, (0..SIZE.pixels()).flat_map(colour).collect());
        let island = |y: usize, x: usize| (62..66).contains(&y) && x < 40;
        let found = Plane::from_fn(SIZE, |y, x| (y < 20 || island(y, x)) as u8 as f32);
        let hidden = Plane::from_fn(SIZE, |y, x| ((25..45).contains(&y) && x >= 150) as u8 as f32);
        let down_to = |horizon: f32| down_to(horizon, 0.75, &found, &pixels, &luma, &hidden);
        let sky = down_to(0.8);
        assert!(sky.at(10, 50) > 0.95 && sky.at(45, 50) > 0.95, "the lower clouds: {}", sky.at(45, 50));
        assert!(sky.at(40, 105) < 0.1 && sky.at(55, 50) < 0.1, "a tower and the hill");
        assert!(sky.at(40, 70) < 0.1, "a yellow wall");
        assert!(sky.at(35, 170) < 0.1, "an object");
        assert!(sky.at(64, 20) > 0.5 && sky.at(64, 60) < 0.1, "the island stays as it is");
        let low = down_to(0.4);
        assert!(low.at(38, 50) > 0.95 && low.at(46, 50) == 0.0 && low.at(64, 20) == 0.0, "the horizon ends it");
    }

    #[test]
    fn a_clear_sky_goes_on_over_edges_and_not_onto_hazy_hills_and_signs() {
        const SKY: [f32; 3] = [0.3, 0.5, 0.8];
        let stripe = |y: usize, low: f32| if y % 4 < 2 { low } else { low + 0.2 };
        let colour = |y: usize, x: usize| match (y, x) {
            (30..50, 0..40) => [stripe(y, 0.5), stripe(y, 0.52), stripe(y, 0.6)],
            (30..50, 60..80) => [0.0, 0.5, 1.0],
            (15..50, 100..130) => SKY.map(|v| v + stripe(y, 0.0)),
            (0..50, _) => SKY,
            _ => [0.2; 3],
        };
        let at = |n: usize| colour(n / SIZE.width, n % SIZE.width);
        let pixels = Pixels::new(SIZE, (0..SIZE.pixels()).flat_map(at).collect());
        let found = Plane::from_fn(SIZE, |y, _| (y < 10) as u8 as f32);
        let sky = down_to(0.8, 0.75, &found, &pixels, &Plane::luma(&pixels), &Plane::filled(SIZE, 0.0));
        assert!(sky.at(40, 50) > 0.95 && sky.at(40, 115) > 0.95, "the same blue, and striped");
        assert!(sky.at(40, 20) < 0.1, "a hazy hill: {}", sky.at(40, 20));
        assert!(sky.at(40, 70) < 0.1, "a sign: {}", sky.at(40, 70));
    }

    #[test]
    fn light_beside_the_legs_of_persons_is_a_wall_unless_it_is_blue() {
        let person = |left: f64, bottom: f64| {
            let area = Area { left, top: bottom - 0.3, right: left + 0.08, bottom };
            SceneObject::new(area, ObjectKind::Person)
        };
        let (before_it, on_the_street) = ([person(0.1, 0.4), person(0.7, 0.42)], [person(0.1, 0.6), person(0.7, 0.9)]);
        for (colour, is_wall) in [([0.9, 0.92, 0.95], true), ([0.25, 0.4, 0.7], false)] {
            let pixels = street(colour);
            let sky = find(&pixels).unwrap();
            assert_eq!(super::is_wall(&pixels, &sky, &before_it), is_wall, "{colour:?}");
            assert!(!super::is_wall(&pixels, &sky, &on_the_street) && !super::is_wall(&pixels, &sky, &[]));
        }
    }

    #[test]
    fn noise_a_flat_picture_and_a_ceiling_as_dark_as_the_street_are_no_sky() {
        let mut random = Random(8);
        let noise = Pixels::new(SIZE, (0..SIZE.pixels() * 3).map(|_| random.uniform()).collect());
        assert!(find(&noise).is_none());
        assert!(find(&Pixels::new(SIZE, vec![0.5; SIZE.pixels() * 3])).is_none());
        assert!(find(&street([0.22, 0.21, 0.2])).is_none(), "no lighter than the street");
        let tiny = Size { height: 16, width: 16 };
        assert!(find(&Pixels::new(tiny, vec![0.5; 768])).is_none());
    }
}
