//! The objects that annotation files give one frame.

use crate::dataset::labels::{Labelled, Labels};
use crate::nst::Area;
use image::metadata::Orientation;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The objects that annotation files give a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotated {
    /// Width and height of the picture that the boxes are meant in.
    pub size: [u32; 2],
    /// The boxes as lines of a YOLO label, with the ids of their categories.
    pub label: String,
}

impl Annotated {
    /// The label for the upright picture of this width and height, which `orientation` has made of the stored one. Boxes
    /// that are meant in the stored one, as its size tells, turn with it.
    pub fn upright_label(&self, upright: (u32, u32), orientation: Orientation) -> Cow<'_, str> {
        let [width, height] = self.size;
        if (width, height) == upright || (height, width) != upright {
            return Cow::Borrowed(&self.label);
        }
        let turned = |x: f64, y: f64| match orientation {
            Orientation::Rotate90 => Some((1.0 - y, x)),
            Orientation::Rotate270 => Some((y, 1.0 - x)),
            Orientation::Rotate90FlipH => Some((y, x)),
            Orientation::Rotate270FlipH => Some((1.0 - y, 1.0 - x)),
            _ => None,
        };
        let line = |Labelled { class, area, .. }: Labelled| {
            let (a, b) = (turned(area.left, area.top)?, turned(area.right, area.bottom)?);
            let area = Area { left: a.0.min(b.0), top: a.1.min(b.1), right: a.0.max(b.0), bottom: a.1.max(b.1) };
            Some(label_line(&class, area))
        };
        let lines = Labels::parse(&self.label, None).boxes.into_iter().filter_map(line);
        Cow::Owned(lines.map(|line| line + "\n").collect())
    }
}

/// One line of a YOLO label.
pub fn label_line(class: &str, Area { left, top, right, bottom }: Area) -> String {
    let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
    format!("{class} {x:.6} {y:.6} {:.6} {:.6}", right - left, bottom - top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_turn_with_the_stored_picture_that_they_are_meant_in() {
        // An object at the left side of the top, 40 wide and 20 high.
        let annotated = Annotated { size: [200, 100], label: "3 0.1 0.1 0.2 0.2\n".into() };
        let label = |upright, orientation| annotated.upright_label(upright, orientation).into_owned();
        assert_eq!(label((200, 100), Orientation::Rotate90), annotated.label, "they are meant in the upright picture");
        assert_eq!(label((400, 200), Orientation::NoTransforms), annotated.label, "another size");
        for (orientation, place) in [
            (Orientation::Rotate90, "0.900000 0.100000"),
            (Orientation::Rotate270, "0.100000 0.900000"),
            (Orientation::Rotate90FlipH, "0.100000 0.100000"),
            (Orientation::Rotate270FlipH, "0.900000 0.900000"),
        ] {
            assert_eq!(label((100, 200), orientation), format!("3 {place} 0.200000 0.200000\n"), "{orientation:?}");
            // The place of the brightest pixel of a picture that is turned in the same way.
            let mut picture = image::DynamicImage::new_luma8(10, 5);
            picture.as_mut_luma8().unwrap().put_pixel(0, 0, image::Luma([255]));
            picture.apply_orientation(orientation);
            let at = picture.to_luma8().enumerate_pixels().find(|(.., pixel)| pixel.0[0] > 0).map(|(x, y, _)| (x, y));
            let end = |share: &str, last: u32| if share.starts_with("0.9") { last } else { 0 };
            let (x, y) = place.split_once(' ').unwrap();
            assert_eq!(at, Some((end(x, 4), end(y, 9))), "{orientation:?}");
        }
    }
}
