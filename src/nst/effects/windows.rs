//! Lit windows in the façades of a frame.

use crate::nst::effects::noise::smooth;
use crate::nst::effects::stream::{Stream, random};
use crate::nst::picture::filter::Interpolated;
use crate::nst::picture::flood::patches;
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::{Pixels, SmoothPixels};
use crate::nst::picture::plane::Plane;
use crate::nst::scene::surface::Surface;

/// The long side, in pixels, of the picture that windows are found in.
const LONG_SIDE: usize = 480;

/// A frame with façades has at least this many windows. Fewer dark spots may be anything.
const LEAST: usize = 6;

/// The luma of a window by day, at most, over that of the wall around it.
const DARK: f32 = 0.78;

/// Light of bulbs, of neon tubes and of screens, in linear RGB.
const LIGHTS: [[f32; 3]; 3] = [[1.0, 0.72, 0.38], [1.0, 0.9, 0.7], [0.75, 0.88, 1.0]];

/// A window in pixels of the small picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WallWindow {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl WallWindow {
    fn columns(&self) -> (usize, usize) {
        (self.left, self.right)
    }

    fn rows(&self) -> (usize, usize) {
        (self.top, self.bottom)
    }
}

/// The light of a share of the windows of `frame`, in linear RGB; `None` where none is lit.
pub fn lit(frame: &Pixels, surface: &Surface, share: f32, seed: u64) -> Option<SmoothPixels> {
    if share <= 0.0 {
        return None;
    }
    let size = frame.size().fitted(LONG_SIDE);
    let luma = Plane::luma(&frame.resized(size));
    let dark = dark(&luma, surface);
    let windows = in_rows(&windows(&dark, size));
    if windows.len() < LEAST {
        return None;
    }
    let mut random = random(seed, Stream::Windows);
    let mut light = vec![0.0; size.pixels() * 3];
    for WallWindow { left, top, right, bottom } in windows {
        let (is_lit, colour, power) = (random.uniform() < f64::from(share), random.uniform(), random.uniform() as f32);
        if !is_lit {
            continue;
        }
        let colour = LIGHTS[(colour * 2.999) as usize].map(|v| v * (0.12 + 0.5 * power * power));
        for (y, x) in (top..bottom).flat_map(|y| (left..right).map(move |x| (y, x))) {
            if dark[y * size.width + x] {
                // What stands in the room behind makes its light uneven.
                let inside = 0.75 + 0.25 * smooth(x as f32 / 3.0, y as f32 / 4.0, seed).clamp(-1.0, 1.0);
                light.as_chunks_mut().0[y * size.width + x] = colour.map(|v| v * inside);
            }
        }
    }
    Some(SmoothPixels::new(light, size, frame.size()))
}

/// Whether each pixel is darker than the wall that it lies in.
fn dark(luma: &Plane, surface: &Surface) -> Vec<bool> {
    let size = luma.size();
    let around = luma.blurred(size.long() / 24 + 1);
    let planes = [&surface.sky, &surface.ground, &surface.plants, &surface.shapes];
    let planes = planes.map(|plane| Interpolated::<1, _>::new(plane.data(), plane.size(), size));
    let is_wall = |at: usize| planes.iter().all(|plane| plane.at(at / size.width, at % size.width)[0] < 0.3);
    let is_dark = |at: usize| luma.data()[at] < DARK * around.data()[at];
    (0..size.pixels()).map(|at| is_dark(at) && is_wall(at)).collect()
}

/// The dark spots that have the shape of a window.
fn windows(dark: &[bool], size: Size) -> Vec<WallWindow> {
    let mut found = Vec::new();
    for spot in patches(dark.len(), |at| size.beside(at), |at| dark[at]) {
        let (window, pixels) = (bounds(&spot, size), spot.len());
        let (wide, high) = (window.right - window.left, window.bottom - window.top);
        let is_filled = pixels * 10 >= wide * high * 6;
        let fits = (3..=size.long() / 12).contains(&wide) && (3..=size.long() / 10).contains(&high);
        if fits && is_filled && wide <= 2 * high && high <= 4 * wide {
            found.push(window);
        }
    }
    found
}

/// The windows that stand in a row or a column with at least two others of their size. Gaps in trees and black stripes of
/// kerbs do not.
fn in_rows(windows: &[WallWindow]) -> Vec<WallWindow> {
    let stands = |window: &&WallWindow| {
        let two_beside = |along: fn(&WallWindow) -> (usize, usize), across: fn(&WallWindow) -> (usize, usize)| {
            let others = windows.iter().filter(|other| other != window);
            others.filter(|other| are_alike(window, other, along, across)).count() >= 2
        };
        two_beside(WallWindow::columns, WallWindow::rows) || two_beside(WallWindow::rows, WallWindow::columns)
    };
    windows.iter().filter(stands).copied().collect()
}

/// Whether two windows are of one size, lie side by side in the direction `along`, and at one height `across` it.
fn are_alike(
    a: &WallWindow,
    b: &WallWindow,
    along: fn(&WallWindow) -> (usize, usize),
    across: fn(&WallWindow) -> (usize, usize),
) -> bool {
    /// The farthest that the middles lie apart, in lengths of one, and how much longer one may be.
    const FARTHEST: usize = 6;
    const LONGER: f32 = 1.6;
    let length = |(start, end): (usize, usize)| end - start;
    let doubled_middle = |(start, end): (usize, usize)| start + end;
    let fits = |of: fn(&WallWindow) -> (usize, usize)| {
        let (a, b) = (length(of(a)) as f32, length(of(b)) as f32);
        a.max(b) <= LONGER * a.min(b) + 1.0
    };
    let apart = |of: fn(&WallWindow) -> (usize, usize)| doubled_middle(of(a)).abs_diff(doubled_middle(of(b)));
    fits(along) && fits(across) && apart(across) <= length(across(a)) && apart(along) <= 2 * FARTHEST * length(along(a))
}

/// The bounds of a spot.
fn bounds(spot: &[usize], size: Size) -> WallWindow {
    let mut window = WallWindow { left: usize::MAX, top: usize::MAX, right: 0, bottom: 0 };
    for at in spot {
        let (y, x) = (at / size.width, at % size.width);
        window = WallWindow {
            left: window.left.min(x),
            top: window.top.min(y),
            right: window.right.max(x + 1),
            bottom: window.bottom.max(y + 1),
        };
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::settings::SceneKind;

    const SIZE: Size = Size { height: 240, width: 320 };

    /// A bright wall above a road, with windows in rows.
    fn street(rows: usize) -> Pixels {
        let is_window =
            |y: usize, x: usize| y / 30 < rows && (10..22).contains(&(y % 30)) && (8..16).contains(&(x % 40));
        let data = (0..SIZE.pixels()).flat_map(|n| match (n / SIZE.width, n % SIZE.width) {
            (y, _) if y > 150 => [0.4; 3],
            (y, x) if is_window(y, x) => [0.2; 3],
            _ => [0.7, 0.65, 0.6],
        });
        Pixels::new(SIZE, data.collect())
    }

    fn without_sky(frame: &Pixels) -> Surface {
        let mut surface = Surface::of(frame, &[], SceneKind::Road, None);
        surface.sky = Plane::filled(SIZE, 0.0);
        surface
    }

    #[test]
    fn windows_of_a_wall_are_lit_and_nothing_else() {
        let frame = street(4);
        let surface = without_sky(&frame);
        let light = lit(&frame, &surface, 1.0, 3).expect("a wall of 32 windows");
        let at = |y: usize, x: usize| light.at(y, x)[0];
        assert!(at(46, 92) > 0.05 && at(76, 212) > 0.05, "{} {}", at(46, 92), at(76, 212));
        assert!(at(60, 110) == 0.0 && at(200, 92) == 0.0);
        assert!(lit(&frame, &surface, 0.0, 3).is_none());
    }

    #[test]
    fn spots_that_stand_in_no_row_and_too_few_windows_stay_dark() {
        let spots = [(10, 8), (27, 60), (48, 130), (70, 20), (90, 200), (110, 90), (20, 250), (130, 280)];
        let is_spot = |y: usize, x: usize| {
            spots.iter().any(|&(top, left)| (y.wrapping_sub(top) < 12) && x.wrapping_sub(left) < 8)
        };
        let wall = street(0);
        let mut scattered = wall.clone();
        for (y, x) in (0..150).flat_map(|y| (0..SIZE.width).map(move |x| (y, x))).filter(|&(y, x)| is_spot(y, x)) {
            scattered.data_mut()[(y * SIZE.width + x) * 3..][..3].fill(0.2);
        }
        let mut few = street(1);
        for (y, x) in (0..30).flat_map(|y| (200..SIZE.width).map(move |x| (y, x))) {
            few.data_mut()[(y * SIZE.width + x) * 3..][..3].copy_from_slice(&[0.7, 0.65, 0.6]);
        }
        assert!([wall, scattered, few].iter().all(|frame| lit(frame, &without_sky(frame), 1.0, 3).is_none()));
        let row = street(1);
        assert!(lit(&row, &without_sky(&row), 1.0, 3).is_some(), "eight in a row");
    }
}
