//! Finds where the ground ends in each column: at a kerb, a hedge, a wall or the horizon.

use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;
use crate::nst::picture::plane::Plane;
use crate::nst::scene::histogram::Histogram;
use crate::nst::scene::horizon::{self, CAMERA, Horizon};
use crate::nst::scene::object::SceneObject;

/// Bins of a histogram for each colour.
const BINS: usize = 8;

/// The cost of a step of one row between neighbouring columns, and of any step.
const STEP: (f32, f32) = (0.35, 7.0);

/// What it costs to take a row of the picture for something upright, if no object hides the row: without evidence, the
/// ground reaches up to the horizon.
const LESS_GROUND: f32 = 0.2;

/// How much less the colours of plants say: lawns and trees have the same.
const PLANTS: f32 = 0.85;

/// The score of smooth plants. Lawns are smoother than trees and hedges: on 241 street photos, the deviation of luma from
/// its mean over 5x5 pixels, as a share of it, has a median of 0.10 on plants that are ground and of 0.14 on others.
const LAWN: f32 = 0.5;

/// Plants of the first deviation are no lawn, from the second on down they are.
const SMOOTH: (f32, f32) = (0.11, 0.06);

/// How often the colours of the ground are learned anew from the ground that was found.
const ROUNDS: usize = 2;

/// The first row of ground in each column, at least the horizon's.
///
/// In every column, upright things stand above the ground, and each has its colours; the border follows its neighbours'
/// (the stixels of Badino, Franke and Pfeiffer 2009, with colours in place of disparities). The best border of all
/// columns together is found by dynamic programming. Objects that stand hide it, and it lies above their lower sides.
pub fn border(
    pixels: &Pixels,
    sky: Option<&Plane>,
    plants: &Plane,
    horizon: Horizon,
    objects: &[SceneObject],
) -> Vec<usize> {
    let size = pixels.size();
    let top = ((horizon.row * size.height as f32) as usize).min(size.height.saturating_sub(1));
    let hidden = hidden(size, objects);
    // What is close to the camera is ground, and so is what lies before an object that stands.
    let near = top + (size.height - top) * 2 / 5;
    let lowest = lowest(size, objects, horizon);
    let mut border: Vec<usize> = lowest.iter().map(|&row| row.clamp(top, near)).collect();
    let smooth = smoothness(&Plane::luma(pixels));
    for _ in 0..ROUNDS {
        let mut scores = scores(pixels, sky, &hidden, top, &border);
        let plants = plants.data().iter().zip(smooth.data()).zip(&hidden).map(|(pixel, &hidden)| (pixel, hidden));
        for (score, ((plants, smooth), is_hidden)) in scores.iter_mut().zip(plants) {
            let lawn = if is_hidden { 0.0 } else { LAWN * plants * smooth };
            *score = *score * (1.0 - PLANTS * plants) + lawn;
        }
        border = best(&scores, &hidden, size, top, &lowest);
    }
    without_thin(&border, top)
}

/// How smooth the surroundings of each pixel are, 0..1.
fn smoothness(luma: &Plane) -> Plane {
    const RADIUS: usize = 2;
    let mean = luma.blurred(RADIUS);
    let deviation = Plane::from_fn(luma.size(), |y, x| (luma.at(y, x) - mean.at(y, x)).abs()).blurred(RADIUS);
    Plane::from_fn(luma.size(), |y, x| {
        let share = deviation.at(y, x) / (mean.at(y, x) + 0.05);
        ((SMOOTH.0 - share) / (SMOOTH.0 - SMOOTH.1)).clamp(0.0, 1.0)
    })
}

/// The border without what stands before it and is thinner than a person: a dark stripe of asphalt or the shadow of a
/// post. A thing of `s` metres whose foot is `r` rows below the horizon is `r * s / camera` pixels wide, for a camera at
/// the height of `camera` metres.
fn without_thin(border: &[usize], top: usize) -> Vec<usize> {
    /// The least width, in metres.
    const LEAST: f32 = 0.35;
    let filled = |x: usize| {
        let below = border[x].saturating_sub(top);
        let most = (LEAST / CAMERA * below as f32) as usize;
        // The same thing reaches as far as the border is at least half as low.
        let ends = |at: &usize| border[*at].saturating_sub(top) * 2 < below;
        let left = (x.saturating_sub(most)..x).rev().find(ends);
        let right = (x + 1..border.len().min(x + most + 1)).find(ends);
        match (left, right) {
            (Some(left), Some(right)) if right - left - 1 <= most => border[left].max(border[right]),
            _ => border[x],
        }
    };
    (0..border.len()).map(filled).collect()
}

/// Whether an object hides what stands behind it.
fn hidden(size: Size, objects: &[SceneObject]) -> Vec<bool> {
    let mut hidden = vec![false; size.pixels()];
    for object in objects {
        let (rows, columns) = object.area.pixels(size);
        rows.for_each(|y| hidden[y * size.width..][columns.clone()].fill(true));
    }
    hidden
}

/// The lowest row that the border may have in each column: the lower side of the highest object that stands there.
fn lowest(size: Size, objects: &[SceneObject], horizon: Horizon) -> Vec<usize> {
    let mut lowest = vec![size.height - 1; size.width];
    for object in objects.iter().filter(|object| horizon::stands(object, horizon)) {
        let (rows, columns) = object.area.pixels(size);
        lowest[columns].iter_mut().for_each(|row| *row = (*row).min(rows.end));
    }
    lowest
}

/// For each pixel, how much more likely its colour is on the ground than above it, as a logarithm; 0 where an object
/// hides it. The colours of both are those below and above `border`.
fn scores(pixels: &Pixels, sky: Option<&Plane>, hidden: &[bool], top: usize, border: &[usize]) -> Vec<f32> {
    let Size { height, width } = pixels.size();
    let rgb = |at: usize| &pixels.data()[at * 3..][..3];
    let (mut ground, mut upright) = (Histogram::<BINS>::filled(0.5), Histogram::<BINS>::filled(0.5));
    let above = top.saturating_sub(height / 4);
    for y in above..height {
        for x in 0..width {
            let at = y * width + x;
            // What stands at the sides of a road reaches down; what lies just below the border may be either.
            let is_ground = y > border[x] + height / 40;
            let is_upright = y < border[x].max(top) && sky.is_none_or(|sky| sky.at(y, x) < 0.5);
            if hidden[at] {
                continue;
            }
            if is_ground {
                ground.add(rgb(at), 1.0);
            } else if is_upright {
                upright.add(rgb(at), 1.0);
            }
        }
    }
    let score = |at: usize| {
        if hidden[at] || at / width < top {
            return 0.0;
        }
        let probability = |colours: &Histogram<BINS>| (colours.count(rgb(at)) + 2.0) / (colours.sum() + 2.0);
        (probability(&ground) / probability(&upright)).ln().clamp(-1.5, 1.5)
    };
    (0..height * width).map(score).collect()
}

/// The border that has the most score below and the least above, with short steps.
fn best(scores: &[f32], hidden: &[bool], size: Size, top: usize, lowest: &[usize]) -> Vec<usize> {
    let rows = size.height - top;
    // The value of a border at row `top + r` of a column: its score below minus its score above.
    let column = |x: usize| -> Vec<f32> {
        let all: f32 = (top..size.height).map(|y| scores[y * size.width + x]).sum();
        let (mut above, mut less) = (0.0, 0.0);
        let value = |r: usize| {
            let value = all - 2.0 * above - less;
            let at = (top + r) * size.width + x;
            above += scores[at];
            // Where an object hides it, the border follows that beside the object.
            less += if hidden[at] { 0.0 } else { LESS_GROUND };
            // Ground in front of an object's lower side is seen.
            if top + r <= lowest[x].max(top) { value } else { value - 30.0 }
        };
        (0..rows).map(value).collect()
    };
    let mut from: Vec<Vec<usize>> = Vec::with_capacity(size.width);
    let mut total = column(0);
    for x in 1..size.width {
        let (reached, origin) = cheapest(&total);
        total = column(x).iter().zip(&reached).map(|(own, reached)| own + reached).collect();
        from.push(origin);
    }
    let mut row = (0..rows).max_by(|&a, &b| total[a].total_cmp(&total[b])).unwrap_or(0);
    let mut border = vec![0; size.width];
    for x in (0..size.width).rev() {
        border[x] = top + row;
        row = x.checked_sub(1).map_or(row, |left| from[left][row]);
    }
    border
}

/// For each row, the best value that a step from any row leaves, and the row it comes from.
fn cheapest(values: &[f32]) -> (Vec<f32>, Vec<usize>) {
    let mut reached = values.to_vec();
    let mut origin: Vec<usize> = (0..values.len()).collect();
    let mut step = |to: usize, from: usize| {
        if reached[from] - STEP.0 > reached[to] {
            (reached[to], origin[to]) = (reached[from] - STEP.0, origin[from]);
        }
    };
    (1..values.len()).for_each(|row| step(row, row - 1));
    (0..values.len().saturating_sub(1)).rev().for_each(|row| step(row, row + 1));
    let top = (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0);
    for row in 0..values.len() {
        if values[top] - STEP.1 > reached[row] {
            (reached[row], origin[row]) = (values[top] - STEP.1, top);
        }
    }
    (reached, origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Area;
    use crate::nst::scene::object::ObjectKind;
    use crate::nst::testing::Random;

    const SIZE: Size = Size { height: 120, width: 200 };
    const HORIZON: Horizon = Horizon { row: 0.4, column: 0.5, is_seen: true };

    /// A grey road below brown houses that reach down to row `foot(x)`.
    fn street(foot: impl Fn(usize) -> usize) -> Pixels {
        let mut random = Random(5);
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let v = 0.1 * random.uniform();
            if n / SIZE.width < foot(n % SIZE.width) { [0.55 + v, 0.35 + v, 0.2 + v] } else { [0.4 + v; 3] }
        });
        Pixels::new(SIZE, data.collect())
    }

    #[test]
    fn the_border_follows_the_feet_of_houses() {
        let foot = |x: usize| 50 + 25 * x.abs_diff(100) / 100;
        let found = border(&street(foot), None, &Plane::filled(SIZE, 0.0), HORIZON, &[]);
        let off = (0..SIZE.width).filter(|&x| found[x].abs_diff(foot(x)) > 3).count();
        assert!(off < SIZE.width / 20, "{off}: {found:?}");
    }

    #[test]
    fn a_smooth_lawn_beside_a_road_is_ground_and_the_rough_hedge_is_not() {
        let mut random = Random(5);
        // A lawn beyond the road on the right, and a hedge on its left, of the same colours as the trees behind.
        let kind = |x: usize, y: usize| match (x, y) {
            (_, 0..48) => "trees",
            (0..60, 48..90) => "hedge",
            (130.., 48..80) => "lawn",
            _ => "road",
        };
        let data = (0..SIZE.pixels()).flat_map(|n| {
            let rough = 0.24 * (random.uniform() - 0.5);
            match kind(n % SIZE.width, n / SIZE.width) {
                "road" => [0.4 + rough / 6.0; 3],
                "lawn" => [0.28, 0.42, 0.18].map(|v| v + rough / 12.0),
                _ => [0.28, 0.42, 0.18].map(|v| v + rough),
            }
        });
        let pixels = Pixels::new(SIZE, data.collect());
        let plants = Plane::from_fn(SIZE, |y, x| (kind(x, y) != "road") as u8 as f32);
        let found = border(&pixels, None, &plants, HORIZON, &[]);
        let rows = |columns: std::ops::Range<usize>| found[columns].to_vec();
        assert!(rows(140..195).iter().all(|&row| row < 60), "lawn: {:?}", rows(140..195));
        assert!(rows(5..50).iter().all(|&row| row > 75), "hedge: {:?}", rows(5..50));
    }

    #[test]
    fn a_thin_dark_stripe_is_ground_and_a_person_is_not() {
        let mut border = vec![50; 200];
        border[40..48].fill(100);
        border[100..120].fill(100);
        let filled = without_thin(&border, 48);
        assert!(filled[..99].iter().all(|&row| row == 50), "{filled:?}");
        assert_eq!(filled[99..], border[99..]);
        border[0..5].fill(100);
        assert_eq!(without_thin(&border, 48)[..5], [100; 5], "what is cut by the picture may be wide");
    }

    #[test]
    fn a_car_stands_on_ground_whatever_its_colour() {
        let mut pixels = street(|_| 52);
        let area = Area { left: 0.3, top: 0.5, right: 0.6, bottom: 0.75 };
        for y in 60..90 {
            for x in 60..120 {
                pixels.data_mut()[(y * SIZE.width + x) * 3..][..3].copy_from_slice(&[0.55, 0.35, 0.2]);
            }
        }
        let found =
            border(&pixels, None, &Plane::filled(SIZE, 0.0), HORIZON, &[SceneObject::new(area, ObjectKind::Car)]);
        assert!(found.iter().all(|&row| row < 60), "{found:?}");
    }
}
