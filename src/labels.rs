//! Label files as boxes, for what needs to know where the objects are.
//!
//! Labels are copied byte for byte whatever stands in them, so nothing in here is an error: a line that cannot be
//! understood is counted and left out.

use crate::nst::guard::Area;
use std::path::Path;
use std::{fs, io};

/// The boxes of one label file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    /// One for each understood line, in the file's order; for polygons and oriented boxes their upright hull.
    pub boxes: Vec<Area>,
    /// Lines that are neither blank nor understood.
    pub malformed: usize,
    /// The number of the first malformed line, counted from 1.
    pub first_malformed: Option<usize>,
}

impl Labels {
    /// Reads a label file; bytes that are no UTF-8 make their line malformed at most.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path, keypoints: Option<usize>) -> io::Result<Self> {
        Ok(Self::parse(&String::from_utf8_lossy(&fs::read(path)?), keypoints))
    }

    /// Understands the formats of Ultralytics, told apart by the count of tokens on a line, the class included: 5 or 6
    /// are a box (the sixth is a confidence or a track), an odd count from 7 on is a polygon (9 is an oriented box).
    ///
    /// `keypoints` is how many numbers a pose's keypoints take, the product of `kpt_shape` in data.yaml: lines of 5
    /// tokens and that many are boxes too. They cannot be told from polygons otherwise.
    pub fn parse(text: &str, keypoints: Option<usize>) -> Self {
        let mut labels = Self::default();
        let mut numbers = Vec::new();
        // Windows editors put a byte order mark in front, which would only matter where the first line is blank.
        for (at, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
            let mut tokens = line.split_whitespace();
            // The class may be a name, and is not looked at.
            if tokens.next().is_none() {
                continue;
            }
            match area(tokens, keypoints, &mut numbers) {
                Some(area) => labels.boxes.push(area),
                None => {
                    labels.malformed += 1;
                    labels.first_malformed.get_or_insert(at + 1);
                }
            }
        }
        labels
    }
}

/// The box that the tokens behind the class describe; `numbers` is room that lines share.
fn area<'a>(tokens: impl Iterator<Item = &'a str>, keypoints: Option<usize>, numbers: &mut Vec<f64>) -> Option<Area> {
    numbers.clear();
    for token in tokens {
        numbers.push(token.parse().ok().filter(|number: &f64| number.is_finite())?);
    }
    let pose = keypoints.is_some_and(|keypoints| numbers.len().checked_sub(4) == Some(keypoints));
    match (numbers.as_slice(), numbers.len()) {
        (&[x, y, width, height, ..], count) if pose || count == 4 || count == 5 => {
            // A negative width would come out as a box all the same where the other side is cut off.
            (width > 0.0 && height > 0.0)
                .then(|| cut(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0))?
        }
        (points, count) if count >= 6 && count % 2 == 0 => hull(points),
        _ => None,
    }
}

/// The upright box around points given as `x y x y ...`.
fn hull(points: &[f64]) -> Option<Area> {
    let reach = |axis: usize| {
        let along = points.iter().skip(axis).step_by(2);
        along.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)))
    };
    let ((left, right), (top, bottom)) = (reach(0), reach(1));
    cut(left, top, right, bottom)
}

/// What lies inside the picture, if anything does.
fn cut(left: f64, top: f64, right: f64, bottom: f64) -> Option<Area> {
    let [left, top, right, bottom] = [left, top, right, bottom].map(|v| v.clamp(0.0, 1.0));
    (left < right && top < bottom).then_some(Area { left, top, right, bottom })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn parse(text: &str) -> Labels {
        Labels::parse(text, None)
    }

    #[track_caller]
    fn assert_area(area: Area, expected: [f64; 4]) {
        let actual = [area.left, area.top, area.right, area.bottom];
        assert!(actual.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-12), "{actual:?} for {expected:?}");
    }

    #[track_caller]
    fn assert_one(text: &str, keypoints: Option<usize>, expected: [f64; 4]) {
        let labels = Labels::parse(text, keypoints);
        assert_eq!((labels.boxes.len(), labels.malformed), (1, 0), "{text:?}");
        assert_area(labels.boxes[0], expected);
    }

    #[test]
    fn every_form_of_line_becomes_its_box() {
        assert_one("0 0.5 0.5 0.2 0.4", None, [0.4, 0.3, 0.6, 0.7]);
        assert_one("car 0.5 0.5 0.2 0.4 0.93", None, [0.4, 0.3, 0.6, 0.7]);
        assert_one("0 0.1 0.2 0.5 0.9 0.3 0.1", None, [0.1, 0.1, 0.5, 0.9]);
        assert_one("7 0.5 0.2 0.8 0.5 0.5 0.8 0.2 0.5", None, [0.2, 0.2, 0.8, 0.8]);
    }

    #[test]
    fn a_pose_is_a_box_only_where_its_keypoints_are_known() {
        let pose = "0 0.5 0.5 0.2 0.4 0.1 0.1 2 0.9 0.9 1";
        assert_one(pose, Some(6), [0.4, 0.3, 0.6, 0.7]);
        assert_one("0 0.5 0.5 0.2 0.4", Some(6), [0.4, 0.3, 0.6, 0.7]);
        // Without them the same line reads as a polygon of five points.
        assert_one(pose, None, [0.1, 0.1, 1.0, 1.0]);
    }

    #[test]
    fn a_box_is_cut_to_the_picture() {
        assert_one("0 0.05 0.95 0.2 0.2", None, [0.0, 0.85, 0.15, 1.0]);
        assert_one("0 0.5 0.5 1e300 1e300", None, [0.0, 0.0, 1.0, 1.0]);
        assert_one("0 -0.5 0.2 0.5 1.5 0.3 0.1", None, [0.0, 0.1, 0.5, 1.0]);
    }

    #[test]
    fn blank_lines_tabs_trailing_space_crlf_and_a_byte_order_mark_do_no_harm() {
        let labels = parse("\u{feff}\r\n0 0.5\t0.5 0.2 0.2 \r\n  \r\n\t1 0.5 0.5 0.1 0.1\t\r\n\r\n");
        assert_eq!((labels.boxes.len(), labels.malformed), (2, 0));
        assert_eq!(parse(""), Labels::default());
    }

    #[test]
    fn a_line_that_is_no_box_is_counted_and_the_others_are_kept() {
        let bad = [
            "0",
            "0 0.5 0.5 0.2",
            "0 0.5 0.5 0.2 x",
            "0 0.5 0.5 0.2 nan",
            "0 0.5 0.5 inf 0.2",
            "0 0.5 0.5 0.2 1e999",
            "0 0.5 0.5 0 0.2",
            "0 0.5 0.5 0.2 -0.2",
            "0 1.5 0.5 0.2 0.2",
            "0 320 200 50 40",
            "0 0.1 0.1 0.2 0.2 0.3 0.3 0.4",
            "0 0.1 0.5 0.2 0.5 0.3 0.5",
        ];
        for line in bad {
            let labels = parse(&format!("\n0 0.5 0.5 0.2 0.2\n{line}\n1 0.5 0.5 0.2 0.2\n{line}"));
            assert_eq!((labels.boxes.len(), labels.malformed, labels.first_malformed), (2, 2, Some(3)), "{line:?}");
        }
    }

    #[test]
    fn a_file_is_read_and_what_is_no_utf8_costs_its_line_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, b"0 0.5 0.5 0.2 0.2\n0 0.5 \xff\xfe 0.2 0.2\n\xff 0.5 0.5 0.2 0.2\n").unwrap();
        let labels = Labels::read(&path, None).unwrap();
        assert_eq!((labels.boxes.len(), labels.first_malformed), (2, Some(2)));
        assert!(Labels::read(&folder.path().join("b.txt"), None).is_err());
    }

    #[test]
    fn random_text_never_panics_and_gives_boxes_inside_the_picture_only() {
        let mut state = 3_u64;
        let mut below = |count: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % count
        };
        let pieces =
            ["0", " ", " ", " ", "\n", "\r", "\t", ".5", "0.25", "-", "1", "e9", "nan", "inf", "é", "\u{feff}"];
        for _ in 0..20_000 {
            let text = match below(2) {
                0 => (0..below(60)).map(|_| pieces[below(pieces.len())]).collect(),
                _ => {
                    String::from_utf8_lossy(&(0..below(60)).map(|_| below(256) as u8).collect::<Vec<_>>()).into_owned()
                }
            };
            for keypoints in [None, Some(0), Some(2), Some(usize::MAX)] {
                for area in Labels::parse(&text, keypoints).boxes {
                    assert!(0.0 <= area.left && area.left < area.right && area.right <= 1.0, "{text:?}");
                    assert!(0.0 <= area.top && area.top < area.bottom && area.bottom <= 1.0, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn ten_megabytes_are_parsed_at_once() {
        let text = "12 0.512345 0.498765 0.123456 0.234567\n".repeat(10_000_000 / 39);
        let begun = Instant::now();
        assert_eq!(parse(&text).boxes.len(), 10_000_000 / 39);
        // Without optimization it takes half a second; a quadratic search would take hours.
        assert!(begun.elapsed().as_secs() < 20);
    }
}
