//! The objects of frames without labels, from annotation files.

use crate::dataset::coco::annotated::{Annotated, line};
use crate::dataset::coco::document::{Annotation, Coco, Image};
use crate::dataset::coco::matches::Matcher;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;

/// The objects of all frames that annotation files are about.
#[derive(Debug, Default)]
pub struct AnnotatedFrames {
    /// By the number of the frame.
    pub frames: HashMap<usize, Annotated>,
    /// The names of categories by their ids.
    pub categories: BTreeMap<i64, String>,
}

impl AnnotatedFrames {
    /// Reads annotation `files`, which are given with their names below the dataset's folder. What cannot be read is left
    /// out: the run tells of it when it copies the files. Boxes of crowds are left out, and those of images without a
    /// size.
    pub fn of(matcher: &Matcher, files: impl Iterator<Item = (String, PathBuf)>) -> Self {
        let mut all = Self::default();
        for (name, path) in files {
            // These describe surfaces, such as grass, and no objects.
            let is_of_surfaces = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("stuff_"));
            if matcher.concerns(&name)
                && !is_of_surfaces
                && let Ok(text) = fs::read_to_string(&path)
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
}
