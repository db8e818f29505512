//! COCO annotation files: which images they speak of, and copies that speak of the new ones.
//!
//! A copy is the file's own text with pieces cut out and file names replaced, never printed anew, so that numbers, order
//! and spacing stay as they are. Only where things stand in the text is kept in memory.

use crate::dataset::split::Split;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What Roboflow calls the file that it lays beside the images of a split.
const BESIDE_IMAGES: &str = "_annotations.coco.json";

/// The JSON files where COCO datasets have their annotations: `annotations/*.json`, and `_annotations.coco.json` in the
/// dataset's folder or one of its folders. Sorted; whether COCO is in them is not looked at.
pub fn annotation_files(root: &Path) -> Vec<PathBuf> {
    let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let in_folder = entries(&root.join("annotations")).filter(is_json);
    let folders = entries(root).filter(|path| !hidden(path) && path.is_dir()).chain([root.to_path_buf()]);
    let beside = folders.map(|folder| folder.join(BESIDE_IMAGES));
    let mut files: Vec<PathBuf> = in_folder.chain(beside).filter(|path| !hidden(path) && path.is_file()).collect();
    files.sort();
    files.dedup();
    files
}

/// What a folder holds; nothing, if it cannot be listed.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// Of images that lie in one folder together, those of each split, as annotation files divide them. A file that names no
/// split is about `train`, unless another one names that.
///
/// `images` and `files` are paths below the dataset's folder `root`, with `/`. The answer are indices into `images`, those
/// of a split sorted. What cannot be read divides nothing.
pub fn splits(root: &Path, files: &[String], images: &[String]) -> BTreeMap<Split, Vec<usize>> {
    let index = Index::new(images.iter().map(String::as_str).enumerate());
    let mut splits: BTreeMap<Option<Split>, Vec<usize>> = BTreeMap::new();
    for file in files {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        let Ok(Some(coco)) = Coco::parse(&text) else { continue };
        splits.entry(Split::named_in(file)).or_default().extend(index.find(&coco.images, file).into_iter().flatten());
    }
    if let Some(unnamed) = splits.remove(&None).filter(|_| !splits.contains_key(&Some(Split::Train))) {
        splits.insert(Some(Split::Train), unnamed);
    }
    let sorted = |mut images: Vec<usize>| {
        images.sort_unstable();
        images.dedup();
        images
    };
    let named = splits.into_iter().filter_map(|(split, images)| Some((split?, sorted(images))));
    named.filter(|(_, images)| !images.is_empty()).collect()
}

/// Images by the last part of their paths below the dataset.
pub struct Index<'a> {
    pub(crate) by_name: HashMap<&'a str, Vec<(usize, &'a str)>>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(images: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let mut by_name: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
        for (number, path) in images {
            by_name.entry(path.rsplit('/').next().unwrap_or(path)).or_default().push((number, path));
        }
        Self { by_name }
    }

    /// The number of the image that each entry of the annotation file `file` means.
    ///
    /// Its names all start at one folder, which no COCO file says: that is taken from which most of them lead to an image,
    /// of several such the file's own or one that it is named after.
    pub(crate) fn find(&self, entries: &[Image], file: &str) -> Vec<Option<usize>> {
        let paths: Vec<Option<String>> = entries.iter().map(|entry| Some(plain(&entry.name.as_ref()?.text))).collect();
        let mut votes: HashMap<&str, usize> = HashMap::new();
        for path in paths.iter().flatten() {
            self.starts(path).for_each(|(_, start)| *votes.entry(start).or_default() += 1);
        }
        let (own, name) = file.split_at(file.rfind('/').map_or(0, |slash| slash + 1));
        let fits = |start: &str| {
            let folder = start.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            start == own || !folder.is_empty() && name.contains(folder)
        };
        let best = votes.into_iter().max_by_key(|&(start, votes)| (votes, fits(start), Reverse(start)));
        let Some((best, _)) = best else { return vec![None; entries.len()] };
        let number = |path: &String| self.starts(path).find(|&(_, start)| start == best).map(|(number, _)| number);
        paths.iter().map(|path| path.as_ref().and_then(number)).collect()
    }

    /// The images whose path ends with `path`, each with the folder from which that leads to it: empty or with its `/`.
    fn starts(&self, path: &str) -> impl Iterator<Item = (usize, &'a str)> {
        let images = self.by_name.get(path.rsplit('/').next().unwrap_or(path)).into_iter().flatten();
        images.filter_map(move |&(number, image)| {
            let start = image.strip_suffix(path)?;
            (start.is_empty() || start.ends_with('/')).then_some((number, start))
        })
    }
}

/// The path with `/` and without what leads out of its folder, `.` and empty parts.
fn plain(name: &str) -> String {
    let parts = name.split(['/', '\\']).filter(|part| !["", ".", ".."].contains(part));
    parts.collect::<Vec<_>>().join("/")
}

/// The text of an annotation file and where in it things are.
pub struct Coco<'t> {
    pub(crate) text: &'t str,
    pub(crate) images: Vec<Image<'t>>,
    pub(crate) annotations: Vec<Annotation<'t>>,
}

pub(crate) struct Image<'t> {
    pub(crate) place: Range<usize>,
    pub(crate) id: Option<&'t str>,
    pub(crate) name: Option<Name>,
}

pub(crate) struct Name {
    /// With its quotes.
    pub(crate) place: Range<usize>,
    pub(crate) text: String,
}

pub(crate) struct Annotation<'t> {
    pub(crate) place: Range<usize>,
    pub(crate) image: Option<&'t str>,
}

/// A place in the text and what shall stand there.
pub type Edit = (Range<usize>, String);

impl<'t> Coco<'t> {
    /// `None` for other JSON.
    ///
    /// # Errors
    /// For what is no JSON.
    pub(crate) fn parse(text: &'t str) -> serde_json::Result<Option<Self>> {
        match Self::read(text) {
            Err(error) if error.is_data() => Ok(None),
            read => read,
        }
    }

    fn read(text: &'t str) -> serde_json::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Top<'t> {
            #[serde(borrow)]
            images: Option<Vec<&'t RawValue>>,
            #[serde(borrow)]
            annotations: Option<Vec<&'t RawValue>>,
        }
        let Top { images: Some(images), annotations } = serde_json::from_str(text)? else { return Ok(None) };
        let images = images.into_iter().map(|item| Image::read(text, item)).collect::<serde_json::Result<_>>()?;
        let annotations = annotations.unwrap_or_default().into_iter().map(|item| Annotation::read(text, item));
        Ok(Some(Self { text, images, annotations: annotations.collect::<serde_json::Result<_>>()? }))
    }
}

impl<'t> Image<'t> {
    fn read(text: &str, item: &'t RawValue) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Raw<'t> {
            #[serde(borrow)]
            id: Option<&'t RawValue>,
            #[serde(borrow)]
            file_name: Option<&'t RawValue>,
        }
        let Raw { id, file_name } = serde_json::from_str(item.get())?;
        let name = |raw: &RawValue| Some(Name { place: place(text, raw), text: serde_json::from_str(raw.get()).ok()? });
        Ok(Self { place: place(text, item), id: id.map(key), name: file_name.and_then(name) })
    }
}

impl<'t> Annotation<'t> {
    fn read(text: &str, item: &'t RawValue) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Raw<'t> {
            #[serde(borrow)]
            image_id: Option<&'t RawValue>,
        }
        let Raw { image_id } = serde_json::from_str(item.get())?;
        Ok(Self { place: place(text, item), image: image_id.map(key) })
    }
}

/// Where in the text a value that was borrowed from it stands.
pub fn place(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

/// An id to compare by; tables write whole numbers as 7.0.
fn key(id: &RawValue) -> &str {
    id.get().strip_suffix(".0").unwrap_or(id.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn any_choice_of_images_is_whole_json_with_their_annotations_only() {
        let spaced = |gap: &str| {
            let image = |n: u32| format!(r#"{{"file_name":{gap}"a/{n}.jpg", "id": {n}}}"#);
            let annotation = |n: u32| format!(r#"{{"id": {n},{gap}"image_id": {}}}"#, n % 5);
            let list = |items: Vec<String>| format!("[{gap}{}{gap}]", items.join(&format!("{gap},{gap}")));
            let (images, annotations) = ((0..5).map(image).collect(), (0..9).map(annotation).collect());
            format!(r#"{{"annotations":{gap}{}, "images": {}, "info": 1.0}}"#, list(annotations), list(images))
        };
        for text in ["", " ", "\n\t"].map(spaced) {
            let coco = Coco::parse(&text).unwrap().unwrap();
            for choice in 0..32_u32 {
                let kept = |n: u64| choice >> n & 1 == 1;
                let new: Vec<Option<&str>> = (0..5).map(|n| kept(n).then_some("deep/new.png")).collect();
                let mut written = Vec::new();
                coco.write(&new, &mut written).unwrap();
                let mut expected: Value = serde_json::from_str(&text).unwrap();
                let list = |key: &str, expected: &mut Value| std::mem::take(expected[key].as_array_mut().unwrap());
                let mut images = list("images", &mut expected);
                images.retain(|image| kept(image["id"].as_u64().unwrap()));
                images.iter_mut().for_each(|image| image["file_name"] = "a/new.png".into());
                let mut annotations = list("annotations", &mut expected);
                annotations.retain(|annotation| kept(annotation["image_id"].as_u64().unwrap()));
                (expected["images"], expected["annotations"]) = (images.into(), annotations.into());
                assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), expected, "{choice:b} of {text}");
                assert!(choice != 31 || written.len() == text.len() + 5 * 2, "only names have changed");
            }
        }
    }

    #[test]
    fn names_lead_to_images_from_one_folder() {
        let images = ["train/a.jpg", "train/b.jpg", "thumbs/a.jpg", "thumbs/b.jpg", "more/train/c.jpg"];
        let find = |names: &[&str], file: &str| {
            let list: Vec<String> = names.iter().map(|name| format!(r#"{{"file_name":{name:?}}}"#)).collect();
            let text = format!(r#"{{"images":[{}]}}"#, list.join(","));
            let index = Index::new(images.into_iter().enumerate());
            index.find(&Coco::parse(&text).unwrap().unwrap().images, file)
        };
        assert_eq!(find(&["a.jpg", "b.jpg", "c.jpg"], "annotations/train.json"), [Some(0), Some(1), None]);
        assert_eq!(find(&["a.jpg", "b.jpg"], "thumbs/_annotations.coco.json"), [Some(2), Some(3)]);
        assert_eq!(find(&["./train/b.jpg", "thumbs\\a.jpg"], "annotations/all.json"), [Some(1), Some(2)]);
        assert_eq!(find(&["../train/c.jpg", "gone.jpg"], "annotations/all.json"), [Some(4), None]);
        assert_eq!(find(&["rain/a.jpg", "/a.png", ""], "annotations/all.json"), [None; 3]);
    }

    #[test]
    fn other_json_is_none_and_what_is_no_json_an_error() {
        for other in ["[]", "3", "{}", r#"{"images": {"a": 1}}"#, r#"{"images": [1]}"#, r#"{"annotations": []}"#] {
            assert!(Coco::parse(other).unwrap().is_none(), "{other}");
        }
        for broken in ["", "{", r#"{"images": [{"id": 1}"#, r#"{"images": []} {"#, r#"{"images": [], "area": NaN}"#] {
            assert!(Coco::parse(broken).is_err(), "{broken}");
        }
    }
}
