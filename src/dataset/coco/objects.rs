//! The objects of frames without labels, from annotation files.

use crate::dataset::coco::annotated::{Annotated, label_line};
use crate::dataset::coco::document::{self, Annotation, Coco, Image};
use crate::dataset::coco::index::Found;
use crate::dataset::coco::matcher::Matcher;
use crate::dataset::labels::cut;
use serde_json::value::RawValue;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

/// The objects of all frames that annotation files are about.
#[derive(Debug, Default)]
pub struct AnnotatedFrames {
    /// By the number of the frame.
    pub frames: HashMap<usize, Annotated>,
    /// The names of categories by their ids.
    pub categories: BTreeMap<i64, String>,
    /// How many boxes of frames cannot be used: their image has no size, or they have no category.
    pub unusable: usize,
}

impl AnnotatedFrames {
    /// Reads annotation `files`, which are given with their names below the dataset's folder. What cannot be read is left
    /// out: the run tells of it when it copies the files. Boxes of crowds are left out, and those of images without a
    /// size.
    ///
    /// `known` are the classes that the dataset names itself, whose ids stay. Only the frames that `is_wanted` says, by
    /// their numbers, get objects.
    pub fn of(
        matcher: &Matcher,
        files: impl Iterator<Item = (String, PathBuf)>,
        known: BTreeMap<i64, String>,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Self {
        let mut all = Self { categories: known, ..Self::default() };
        for (name, path) in files {
            // These describe surfaces, such as grass, and no objects.
            let is_of_surfaces = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("stuff_"));
            if matcher.concerns(&name)
                && !is_of_surfaces
                && let Ok(text) = fs::read_to_string(&path)
                && text.contains("\"bbox\"")
                && let Ok(Some(coco)) = Coco::parse(&text)
            {
                let (frames, _) = matcher.find(&coco.images, &name);
                let number = |found: Option<Found>| found.map(|found| found.number).filter(|number| is_wanted(*number));
                let numbers = frames.into_iter().map(number);
                all.add(&coco, numbers);
            }
        }
        all
    }

    /// Adds the objects of one file, whose images mean the frames of these `numbers`.
    fn add(&mut self, coco: &Coco, numbers: impl Iterator<Item = Option<usize>>) {
        let mut images: HashMap<&str, (usize, Option<[f64; 2]>)> = HashMap::new();
        for (image, number) in coco.images.iter().zip(numbers) {
            if let (Some(id), Some(number)) = (image.id, number) {
                images.insert(id, (number, size(image)));
            }
        }
        let names: HashMap<i64, &str> = coco.categories.iter().map(|(id, name)| (*id, &**name)).collect();
        let (mut ids, mut new): (HashMap<i64, i64>, HashMap<usize, Annotated>) = (HashMap::new(), HashMap::new());
        for annotation in coco.annotations.iter().filter(|one| !one.is_crowd && one.bbox.is_some()) {
            let Some(&(number, size)) = annotation.image.and_then(|id| images.get(id)) else { continue };
            let category = annotation.category.and_then(document::whole_number);
            let sides = size.and_then(|size| sides(annotation, size));
            let (Some(size), Some(category), Some([left, top, right, bottom])) = (size, category, sides) else {
                self.unusable += 1;
                continue;
            };
            let Some(area) = cut(left, top, right, bottom) else { continue };
            let id = *ids
                .entry(category)
                .or_insert_with(|| names.get(&category).map_or(category, |name| self.id_of(category, name)));
            let size = size.map(|side| side as u32);
            let annotated = new.entry(number).or_insert_with(|| Annotated { size, label: String::new() });
            annotated.label += &label_line(&id.to_string(), area);
            annotated.label.push('\n');
        }
        for (number, annotated) in new {
            match self.frames.entry(number) {
                Entry::Vacant(place) => drop(place.insert(annotated)),
                Entry::Occupied(mut place) => add_unknown(&mut place.get_mut().label, &annotated.label),
            }
        }
    }

    /// The id of a category among those of the dataset and of all files: that of the same name, or else its own, unless
    /// another category has it.
    fn id_of(&mut self, id: i64, name: &str) -> i64 {
        if let Some((id, _)) = self.categories.iter().find(|(_, known)| *known == name) {
            return *id;
        }
        let next = self.categories.last_key_value().map_or(0, |(last, _)| last + 1);
        let id = if self.categories.contains_key(&id) { next } else { id };
        self.categories.insert(id, name.to_string());
        id
    }
}

/// Adds the lines that `label` does not have: another file may have the same objects with their keypoints.
fn add_unknown(label: &mut String, lines: &str) {
    let known: HashSet<String> = label.lines().map(str::to_string).collect();
    lines.lines().filter(|line| !known.contains(*line)).for_each(|line| {
        label.push_str(line);
        label.push('\n');
    });
}

/// Width and height of an image, if both are known.
fn size(image: &Image) -> Option<[f64; 2]> {
    let [width, height] = image.size.map(|side| document::number(side?).filter(|side| *side >= 1.0));
    Some([width?, height?])
}

/// Left, top, right and bottom of an object's box, as shares of the picture.
fn sides(annotation: &Annotation, [width, height]: [f64; 2]) -> Option<[f64; 4]> {
    let numbers: Vec<&RawValue> = serde_json::from_str(annotation.bbox?.get()).ok()?;
    let numbers: Vec<f64> = numbers.into_iter().filter_map(document::number).collect();
    let &[x, y, w, h] = &numbers[..] else { return None };
    Some([x / width, y / height, (x + w) / width, (y + h) / height])
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
                {"image_id": 5, "category_id": 3.0, "bbox": ["20", 10, 40, 20]},
                {"image_id": 5.0, "category_id": 1, "bbox": [-20, 90, 40, 20.0], "iscrowd": 0},
                {"image_id": 5, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1},
                {"image_id": 5, "category_id": 1, "bbox": [300, 0, 9, 9]},
                {"image_id": 5, "category_id": 1, "bbox": "none"}, {"image_id": 5, "bbox": [0, 0, 9, 9]},
                {"image_id": 5}, null,
                {"image_id": 6, "category_id": 1, "bbox": [0, 0, 9, 9]},
                {"image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9]}],
            "categories": [{"id": "3.0", "name": "car"}, {"id": 1, "name": "person"}, {"name": "none"}, 7]}"#;
        let coco = Coco::parse(text).unwrap().unwrap();
        let mut all = AnnotatedFrames::default();
        all.add(&coco, [Some(0), Some(1), None].into_iter());
        let label = "3 0.200000 0.200000 0.200000 0.200000\n1 0.050000 0.950000 0.100000 0.100000\n".to_string();
        assert_eq!(all.frames, HashMap::from([(0, Annotated { size: [200, 100], label })]));
        assert_eq!(all.categories, BTreeMap::from([(1, "person".into()), (3, "car".into())]));
        assert_eq!(all.unusable, 3, "two without numbers or a category, and one of an image without a size");
        all.add(&coco, [Some(0), Some(1), None].into_iter());
        assert_eq!(all.frames[&0].label.lines().count(), 2, "another file with the same objects");
        let signs = text.replace("\"car\"", "\"sign\"");
        all.add(&Coco::parse(&signs).unwrap().unwrap(), [Some(0), None, None].into_iter());
        assert_eq!(all.categories, BTreeMap::from([(1, "person".into()), (3, "car".into()), (4, "sign".into())]));
        assert!(all.frames[&0].label.contains("4 0.200000"), "{all:?}");
    }
}
