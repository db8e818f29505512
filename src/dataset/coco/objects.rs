//! The objects of frames without labels, from annotation files.

use crate::dataset::Dataset;
use crate::dataset::coco::document::{Annotation, Coco, Image};
use crate::dataset::coco::matches::Matcher;
use crate::dataset::labels::{Labelled, Labels};
use image::metadata::Orientation;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;

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
        let lines =
            Labels::parse(&self.label, None).boxes.into_iter().filter_map(|Labelled { class, area, .. }| {
                let (x, y) = turned((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0)?;
                Some(line(&class, [x, y, area.bottom - area.top, area.right - area.left]))
            });
        Cow::Owned(lines.map(|line| line + "\n").collect())
    }
}

/// The objects of all frames that annotation files are about.
#[derive(Debug, Default)]
pub struct AnnotatedFrames {
    /// By the number of the frame.
    pub frames: HashMap<usize, Annotated>,
    /// The names of categories by their ids.
    pub categories: BTreeMap<i64, String>,
}

impl AnnotatedFrames {
    /// Reads all annotation files of the dataset. What cannot be read is left out: the run tells of it when it copies
    /// the files. Boxes of crowds are left out, and those of images without a size.
    pub fn of(dataset: &Dataset) -> Self {
        let mut all = Self::default();
        let matcher = Matcher::of(dataset, &mut Vec::new());
        for path in &dataset.annotations {
            let name = dataset.relative(path);
            // These describe surfaces, such as grass, and no objects.
            let is_of_surfaces = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("stuff_"));
            if matcher.concerns(&name)
                && !is_of_surfaces
                && let Ok(text) = fs::read_to_string(path)
                && let Ok(Some(coco)) = Coco::parse(&text)
            {
                let (frames, _) = matcher.find(&coco.images, &name);
                let numbers = frames.into_iter().map(|found| found.map(|found| found.number));
                all.add(&coco, numbers);
            }
        }
        all
    }

    /// Adds the objects of one file, whose images mean the frames of these `numbers`.
    fn add(&mut self, coco: &Coco, numbers: impl Iterator<Item = Option<usize>>) {
        let mut images: HashMap<&str, (usize, [f64; 2])> = HashMap::new();
        for (image, number) in coco.images.iter().zip(numbers) {
            if let (Some(id), Some(number), Some(size)) = (image.id, number, size(image)) {
                images.insert(id, (number, size));
            }
        }
        for annotation in coco.annotations.iter().filter(|annotation| !annotation.is_crowd) {
            if let Some(&(number, size)) = annotation.image.and_then(|id| images.get(id))
                && let Some(line) = line_of(annotation, size)
            {
                let size = size.map(|side| side as u32);
                let annotated = self.frames.entry(number).or_insert_with(|| Annotated { size, label: String::new() });
                // Another file may have the same objects with their keypoints.
                if !annotated.label.lines().any(|known| known == line) {
                    annotated.label += &line;
                    annotated.label.push('\n');
                }
            }
        }
        for (id, name) in &coco.categories {
            self.categories.entry(*id).or_insert_with(|| name.clone());
        }
    }
}

/// Width and height of an image, if both are known.
fn size(image: &Image) -> Option<[f64; 2]> {
    let [width, height] = image.size.map(|side| number(side?).filter(|side| *side >= 1.0));
    Some([width?, height?])
}

/// The line of a YOLO label for an object with a box that is in the picture.
fn line_of(annotation: &Annotation, [width, height]: [f64; 2]) -> Option<String> {
    let category: i64 = serde_json::from_str(annotation.category?.get()).ok()?;
    let [x, y, w, h]: [f64; 4] = serde_json::from_str(annotation.bbox?.get()).ok()?;
    let (left, right) = ((x / width).clamp(0.0, 1.0), ((x + w) / width).clamp(0.0, 1.0));
    let (top, bottom) = ((y / height).clamp(0.0, 1.0), ((y + h) / height).clamp(0.0, 1.0));
    if left >= right || top >= bottom {
        return None;
    }
    Some(line(&category.to_string(), [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top]))
}

/// A class with a box: the shares of its middle, of its width and of its height.
fn line(class: &str, [x, y, width, height]: [f64; 4]) -> String {
    format!("{class} {x:.6} {y:.6} {width:.6} {height:.6}")
}

/// A number as it is written; some tables write it as text.
fn number(value: &RawValue) -> Option<f64> {
    value.get().trim_matches('"').parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_become_lines_of_labels_of_their_frames() {
        let text = r#"{"images": [
                {"id": 5, "file_name": "a.jpg", "width": 200, "height": "100"},
                {"id": 6, "file_name": "b.jpg", "width": 0, "height": 100},
                {"id": 7, "file_name": "c.jpg", "width": 10, "height": 10}],
            "annotations": [
                {"image_id": 5, "category_id": 3, "bbox": [20, 10, 40, 20]},
                {"image_id": 5.0, "category_id": 1, "bbox": [-20, 90, 40, 20.0], "iscrowd": 0},
                {"image_id": 5, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1},
                {"image_id": 5, "category_id": 1, "bbox": [300, 0, 9, 9]},
                {"image_id": 5, "category_id": 1, "bbox": "none"}, {"image_id": 5}, null,
                {"image_id": 6, "category_id": 1, "bbox": [0, 0, 9, 9]},
                {"image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9]}],
            "categories": [{"id": 3, "name": "car"}, {"id": 1, "name": "person"}, {"name": "none"}, 7]}"#;
        let coco = Coco::parse(text).unwrap().unwrap();
        let mut all = AnnotatedFrames::default();
        all.add(&coco, [Some(0), Some(1), None].into_iter());
        let label = "3 0.200000 0.200000 0.200000 0.200000\n1 0.050000 0.950000 0.100000 0.100000\n".to_string();
        assert_eq!(all.frames, HashMap::from([(0, Annotated { size: [200, 100], label })]));
        assert_eq!(all.categories, BTreeMap::from([(1, "person".into()), (3, "car".into())]));
        all.add(&coco, [Some(0), Some(1), None].into_iter());
        assert_eq!(all.frames[&0].label.lines().count(), 2, "another file with the same objects");
    }

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
