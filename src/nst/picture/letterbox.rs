//! The bars that letterboxing leaves around a picture.
//!
//! A bar is flat, and it ends in a straight and sharp step. The black sky or the dark bonnet of a night photo is neither:
//! the sensor's noise is in it, and it ends in a gradient or in the outlines of things.

use crate::nst::picture::geometry::Crop;
use crate::nst::picture::pixels::Pixels;

/// The grey levels of bars, 0..1: video players and exporters make black ones, YOLO's letterbox 114 of 255.
const LEVELS: [f32; 2] = [0.0, 114.0 / 255.0];

/// The mean distance of the pixels in each line of a bar from its grey level is at most this: JPEG leaves some.
const MEAN_DISTANCE: f32 = 0.02;

/// At most 1 % of a bar's pixels are farther than this from its grey level.
const PIXEL_DISTANCE: f32 = 0.1;

/// Lines at the inner end of a bar that compression may change: a block of JPEG or video with halved colour is 16 pixels
/// high.
const BLOCK: usize = 16;

/// The mean distance of a bar's pixels from their mean colour is at most this, except in the last [`BLOCK`]. A coder
/// leaves flat blocks as they are. The noise of a sensor that sees 2 of 255 is about 1 of 255.
const FLATNESS: f32 = 0.7 / 255.0;

/// The mean of those pixels is at most this far from the bar's grey level. A dark sky is flat in a JPEG, too, but its
/// level is higher.
const LEVEL_DISTANCE: f32 = 1.5 / 255.0;

/// How far from the grey level pixels behind the end of a bar are: first that of daylight, which the traces of coders
/// in a bar never reach, and where no bar ends so, that of night scenes.
const STEP_HEIGHTS: [f32; 2] = [PIXEL_DISTANCE, 6.0 / 255.0];

/// Just in front of a step a bar's pixels are at most this far from its grey level. In a gradient they are farther.
const FOOT: f32 = 3.0 / 255.0;

/// Across the end of a bar, lines may differ by this many: scaling and halved colour blur a step as far.
const STEP: usize = 2;

/// The share of a bar's width at which it ends in a step on the same line, if no other bar is opposite. The rest may be
/// as dark as the bar.
const SHARE: f32 = 0.8;

/// The same for two bars of one size, on average: that no photo has by chance.
const SHARE_OF_TWO: f32 = 0.5;

/// At least this share of the width must end in a step at all: most of a picture may be black, but not nearly all.
const LEAST_SHARE: f32 = 0.2;

/// The part of `pixels` without bars; all of it where the bars would leave less than a quarter of a side.
pub fn find(pixels: &Pixels) -> Crop {
    let size = pixels.size();
    let whole = Crop::whole(size);
    for level in LEVELS {
        let from = |side, crop| FrameBorder { pixels, crop, side, level };
        let (top, bottom) = bars(&from(Side::Top, whole), &from(Side::Bottom, whole));
        let height = size.height - top - bottom;
        let rows = Crop { top, height, ..whole };
        let (left, right) = bars(&from(Side::Left, rows), &from(Side::Right, rows));
        let found = Crop { left, width: size.width - left - right, ..rows };
        if found != whole {
            return found;
        }
    }
    whole
}

/// How many lines the bars at two opposite sides have; 0 is no bar.
fn bars(one: &FrameBorder, two: &FrameBorder) -> (usize, usize) {
    let mut found = STEP_HEIGHTS.iter().map(|&height| bars_by_step(one, two, height));
    found.find(|&found| found != (0, 0)).unwrap_or_default()
}

/// [`bars`] that end in steps of this height.
fn bars_by_step(one: &FrameBorder, two: &FrameBorder, height: f32) -> (usize, usize) {
    let ends = (one.end(height), two.end(height));
    let found = match ends {
        (Some(a), Some(b)) if is_pair(a, b) => (a.line, b.line),
        _ => {
            let alone = |end: Option<End>| end.filter(|end| end.share >= SHARE).map_or(0, |end| end.line);
            match (alone(ends.0), alone(ends.1)) {
                // The picture may be as dark as the bar at one of its two sides.
                (0, lines) if one.is_flat(lines) => (lines, lines),
                (lines, 0) if two.is_flat(lines) => (lines, lines),
                found => found,
            }
        }
    };
    if (one.lines() - (found.0 + found.1).min(one.lines())) * 4 < one.lines() { (0, 0) } else { found }
}

fn is_pair(a: End, b: End) -> bool {
    a.line.abs_diff(b.line) <= STEP.max(a.line / 10) && a.share + b.share >= 2.0 * SHARE_OF_TWO
}

/// Where a bar ends.
#[derive(Clone, Copy, Debug)]
struct End {
    /// The first line that is no bar any more.
    line: usize,
    /// The share of the bar's width that ends there.
    share: f32,
}

#[derive(Clone, Copy)]
enum Side {
    Top,
    Bottom,
    Left,
    Right,
}

/// A side of a part of a picture. Lines are counted from the side inwards.
struct FrameBorder<'p> {
    pixels: &'p Pixels,
    crop: Crop,
    side: Side,
    /// The grey level of the bar to look for.
    level: f32,
}

impl FrameBorder<'_> {
    fn lines(&self) -> usize {
        match self.side {
            Side::Top | Side::Bottom => self.crop.height,
            Side::Left | Side::Right => self.crop.width,
        }
    }

    fn width(&self) -> usize {
        match self.side {
            Side::Top | Side::Bottom => self.crop.width,
            Side::Left | Side::Right => self.crop.height,
        }
    }

    fn pixel(&self, line: usize, at: usize) -> &[f32] {
        let Crop { top, left, height, width } = self.crop;
        let (y, x) = match self.side {
            Side::Top => (top + line, left + at),
            Side::Bottom => (top + height - 1 - line, left + at),
            Side::Left => (top + at, left + line),
            Side::Right => (top + at, left + width - 1 - line),
        };
        &self.pixels.data()[(y * self.pixels.size().width + x) * 3..][..3]
    }

    fn distance(&self, line: usize, at: usize) -> f32 {
        self.pixel(line, at).iter().fold(0.0, |top: f32, v| top.max((v - self.level).abs()))
    }

    /// The end of the bar at this side in a step of this height, if there is one.
    fn end(&self, height: f32) -> Option<End> {
        let depth = |at| (0..self.lines()).take_while(|&line| self.distance(line, at) <= height).count();
        let is_sharp = |line: usize, at| {
            let foot = line.checked_sub(1 + STEP);
            height >= PIXEL_DISTANCE || foot.is_none_or(|foot| self.distance(foot, at) <= FOOT)
        };
        let mut ends = vec![0_usize; self.lines() + 1];
        for at in 0..self.width() {
            let line = depth(at);
            // A gradient ends on no line, but it ends.
            ends[if line == self.lines() || is_sharp(line, at) { line } else { 0 }] += 1;
        }
        // What never ends is the bar at another side, or the whole picture is black.
        let ending: usize = ends[..self.lines()].iter().sum();
        let around =
            |line: usize| ends[line.saturating_sub(STEP).max(1)..(line + STEP + 1).min(self.lines())].iter().sum();
        let most = (1..self.lines()).max_by_key(|&line| (ends[line], std::cmp::Reverse(line)))?;
        let share = |count: usize| count as f32 / ending.max(1) as f32;
        let near: usize = around(most);
        // Coders may spoil lines between bar and picture.
        let line = (most.saturating_sub(BLOCK)..=most).rev().find(|&line| line > 0 && self.is_flat(line))?;
        (near as f32 >= LEAST_SHARE * self.width() as f32).then(|| End { line, share: share(near) })
    }

    /// Whether this many lines have the level of the bar, without the grain of a photo; false for none.
    fn is_flat(&self, lines: usize) -> bool {
        let inner = lines.saturating_sub(BLOCK);
        lines > 0 && (0..lines).all(|line| self.is_level(line)) && (inner == 0 || self.is_smooth(inner))
    }

    fn is_level(&self, line: usize) -> bool {
        let distances = (0..self.width()).map(|at| self.distance(line, at));
        let (sum, far) = distances
            .fold((0.0, 0), |(sum, far), distance| (sum + distance, far + usize::from(distance > PIXEL_DISTANCE)));
        sum <= MEAN_DISTANCE * self.width() as f32 && far * 100 <= self.width()
    }

    /// Whether this many lines have no grain.
    fn is_smooth(&self, lines: usize) -> bool {
        let count = (lines * self.width()) as f32;
        let mean_of = |channel: usize, value: &dyn Fn(f32) -> f32| {
            let of_line = |line| (0..self.width()).map(|at| value(self.pixel(line, at)[channel])).sum::<f32>();
            (0..lines).map(of_line).sum::<f32>() / count
        };
        (0..3).all(|channel| {
            let mean = mean_of(channel, &|v| v);
            let grain = mean_of(channel, &|v| (v - mean).abs());
            (mean - self.level).abs() <= LEVEL_DISTANCE && grain <= FLATNESS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::testing::Random;
    use image::codecs::jpeg::JpegEncoder;

    fn framed(height: usize, width: usize, inside: Crop, bar: f32) -> Pixels {
        let mut random = Random(2);
        let data = (0..height * width).flat_map(|n| {
            let (y, x) = (n / width, n % width);
            let inner = (inside.top..inside.top + inside.height).contains(&y)
                && (inside.left..inside.left + inside.width).contains(&x);
            std::array::from_fn::<f32, 3, _>(|_| if inner { random.uniform() } else { bar + 0.01 * random.uniform() })
        });
        Pixels::new(Size { height, width }, data.collect())
    }

    /// A picture of which `colour` says every pixel, in 8 bits, with normal noise of `noise` of 255.
    fn photo(height: usize, width: usize, noise: f32, colour: impl Fn(usize, usize) -> [f32; 3]) -> Pixels {
        let mut random = Random(5);
        let data = (0..height * width).flat_map(|n| {
            let grain = random.normal(3);
            let colour = colour(n / width, n % width);
            std::array::from_fn::<f32, 3, _>(|c| (colour[c] + noise * grain[c]).clamp(0.0, 255.0).round() / 255.0)
        });
        Pixels::new(Size { height, width }, data.collect())
    }

    /// A street with light and shade: lamps, walls, windows.
    fn street(y: usize, x: usize) -> [f32; 3] {
        let wall = 70.0 + 40.0 * ((x as f32 / 17.0).sin() + (y as f32 / 23.0).cos());
        let window = if (x / 9).is_multiple_of(3) && (y / 11).is_multiple_of(2) { 90.0 } else { 0.0 };
        [wall + window, wall * 0.9 + window, wall * 0.7]
    }

    /// `picture` between bars of `top` and `bottom` rows.
    fn letterboxed(picture: &Pixels, top: usize, bottom: usize, level: f32) -> Pixels {
        let Size { height, width } = picture.size();
        let size = Size { height: top + height + bottom, width };
        let mut boxed = Pixels::new(size, vec![level; size.height * width * 3]);
        boxed.data_mut()[top * width * 3..][..height * width * 3].copy_from_slice(picture.data());
        boxed
    }

    fn jpeg(pixels: &Pixels, quality: u8) -> Pixels {
        let mut bytes = Vec::new();
        pixels.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
        Pixels::from_rgb8(&image::load_from_memory(&bytes).unwrap().to_rgb8())
    }

    /// As a video stores it: brightness at full size, colour at half of it, both in 8 bits.
    fn half_colour(pixels: &Pixels) -> Pixels {
        let Size { height, width } = pixels.size();
        let at = |y: usize, x: usize| &pixels.data()[(y.min(height - 1) * width + x.min(width - 1)) * 3..][..3];
        let luma = |p: &[f32]| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        let data = (0..height * width).flat_map(|n| {
            let (y, x) = (n / width, n % width);
            let around = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| at(y / 2 * 2 + dy, x / 2 * 2 + dx));
            let chroma = |c: usize| around.iter().map(|p| p[c] - luma(p)).sum::<f32>() / 4.0;
            let (light, red, blue) = (luma(at(y, x)), chroma(0), chroma(2));
            let green = -(0.299 * red + 0.114 * blue) / 0.587;
            [red, green, blue].map(|v| ((light + v).clamp(0.0, 1.0) * 255.0).round() / 255.0)
        });
        Pixels::new(pixels.size(), data.collect())
    }

    #[test]
    fn black_and_grey_bars_are_found_on_any_side() {
        for bar in [0.0, 114.0 / 255.0] {
            for (top, left, height, width) in [(10, 0, 40, 64), (0, 7, 60, 50), (3, 5, 50, 40), (20, 0, 40, 64)] {
                let inside = Crop { top, left, height, width };
                assert_eq!(find(&framed(60, 64, inside, bar)), inside, "{bar}");
            }
        }
    }

    #[test]
    fn a_picture_without_bars_and_one_of_nothing_but_bars_stay_whole() {
        let whole = Crop { top: 0, left: 0, height: 60, width: 64 };
        assert_eq!(find(&framed(60, 64, whole, 0.0)), whole);
        assert_eq!(find(&Pixels::new(Size { height: 60, width: 64 }, vec![0.0; 60 * 64 * 3])), whole);
        let sliver = Crop { top: 30, left: 0, height: 4, width: 64 };
        assert_eq!(find(&framed(60, 64, sliver, 0.0)), whole);
        let white = Crop { top: 20, left: 0, height: 40, width: 64 };
        assert_eq!(find(&framed(60, 64, white, 1.0)), whole, "an overexposed sky is no bar");
    }

    #[test]
    fn the_dark_of_a_night_photo_is_no_bar() {
        let roofs = |x: usize| 70 + (x / 20 * 37 % 50);
        let night = |sky: f32| move |y: usize, x: usize| if y < roofs(x) { [sky; 3] } else { street(y, x) };
        let bonnet = |y: usize, x: usize| {
            let edge = 170.0 + (x as f32 - 100.0).powi(2) / 400.0;
            if y as f32 > edge { [3.0; 3] } else { street(y, x) }
        };
        let glow = |y: usize, x: usize| if y < 120 { [(y as f32 / 120.0).powi(2) * 40.0; 3] } else { street(y, x) };
        let far = |y: usize, x: usize| if y < 90 { [3.0; 3] } else { street(y, x) };
        let photos = [
            ("a sky of 2", photo(200, 200, 1.2, night(2.0))),
            ("a sky of 5", photo(200, 200, 2.0, night(5.0))),
            ("a sky cut off at black", photo(200, 200, 0.0, night(0.0))),
            ("a bonnet", photo(200, 200, 1.2, bonnet)),
            ("a bonnet without grain", photo(200, 200, 0.0, bonnet)),
            ("a glow above the town", photo(200, 200, 0.0, glow)),
            ("a faint glow with grain", photo(200, 200, 1.2, |y, x| glow(y, x).map(|v| v.min(60.0)))),
            ("a glow that begins at a line", photo(200, 200, 0.0, |y, _| [(y as f32 - 60.0).max(0.0) * 0.8; 3])),
            ("a level horizon", photo(200, 200, 1.2, far)),
            ("nothing but dark", photo(200, 200, 1.5, |_, _| [3.0; 3])),
            ("sky and bonnet", photo(200, 200, 1.2, |y, x| if y < 100 { night(3.0)(y, x) } else { bonnet(y, x) })),
        ];
        for (name, photo) in photos {
            let whole = Crop::whole(photo.size());
            assert_eq!(find(&photo), whole, "{name}");
            assert_eq!(find(&jpeg(&photo, 95)), whole, "{name} in a JPEG");
            assert_eq!(find(&half_colour(&photo)), whole, "{name} in a video");
        }
    }

    /// Whether the crop is that between such bars, of which coders may have spoilt some lines.
    fn is_between(found: Crop, top: usize, bottom: usize, height: usize, spoilt: usize) -> bool {
        let within = |lines: usize, bar: usize| lines <= bar && lines + spoilt >= bar && (bar == 0 || lines > 0);
        within(found.top, top) && within(height - found.top - found.height, bottom)
    }

    #[test]
    fn bars_are_found_behind_the_coders_of_pictures_and_videos() {
        let picture = photo(150, 200, 2.0, street);
        for (top, bottom) in [(40, 40), (24, 24), (7, 7), (0, 50), (33, 0), (45, 21)] {
            for level in LEVELS {
                let boxed = letterboxed(&picture, top, bottom, level);
                let height = boxed.size().height;
                // At less, what a sharp step leaves in its blocks is as strong as a thin bar is dark.
                let qualities: &[u8] = if top.max(bottom) > BLOCK { &[95, 75] } else { &[95] };
                for &quality in qualities {
                    let found = find(&jpeg(&boxed, quality));
                    let spoilt = if quality < 95 { BLOCK } else { STEP };
                    let fits = is_between(found, top, bottom, height, spoilt);
                    assert!(fits, "{top} {bottom} {level} {quality}: {found:?}");
                }
                for found in [find(&half_colour(&boxed)), find(&jpeg(&half_colour(&boxed), 95))] {
                    assert!(is_between(found, top, bottom, height, STEP), "{top} {bottom} {level}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn bars_around_a_dark_scene_are_found() {
        let dark = |y: usize, x: usize| street(y, x).map(|v| 10.0 + v * 0.07);
        for (top, bottom) in [(40, 40), (0, 50), (33, 0)] {
            let boxed = letterboxed(&photo(150, 200, 1.5, dark), top, bottom, 0.0);
            let height = boxed.size().height;
            for boxed in [boxed.clone(), jpeg(&boxed, 90), half_colour(&boxed)] {
                let found = find(&boxed);
                assert!(is_between(found, top, bottom, height, BLOCK), "{top} {bottom}: {found:?}");
            }
        }
    }

    #[test]
    fn bars_around_a_night_photo_are_cut_and_its_sky_is_not() {
        let night = |y: usize, x: usize| if y < 50 + x / 20 * 37 % 30 { [4.0; 3] } else { street(y, x) };
        let boxed = letterboxed(&photo(150, 200, 1.2, night), 30, 30, 0.0);
        for boxed in [boxed.clone(), jpeg(&boxed, 90), half_colour(&boxed)] {
            assert!(is_between(find(&boxed), 30, 30, 210, BLOCK), "{:?}", find(&boxed));
        }
    }
}
