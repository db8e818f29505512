//! Finds the images that the file names in an annotation file mean.

use crate::dataset::coco::document::Image;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Images by the last part of their paths below the dataset's folder.
pub struct Index<'a> {
    by_name: HashMap<&'a str, Vec<(usize, &'a str)>>,
}

impl<'a> Index<'a> {
    /// Takes numbered paths below the dataset's folder, with `/`.
    pub fn new(images: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let mut by_name: HashMap<&str, Vec<(usize, &str)>> = HashMap::new();
        for (number, path) in images {
            by_name.entry(path.rsplit('/').next().unwrap_or(path)).or_default().push((number, path));
        }
        Self { by_name }
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The number of the image that each entry of the annotation file at `file` means.
    ///
    /// All names in a file are relative to one folder, but COCO does not say which one. It is the folder from which
    /// most names lead to an image; of several such folders, the file's own or the one that the file is named after.
    pub fn find(&self, entries: &[Image], file: &str) -> Vec<Option<usize>> {
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

    /// The images whose path ends with `path`, each with the start of its path before that: empty or ending with `/`.
    fn starts(&self, path: &str) -> impl Iterator<Item = (usize, &'a str)> {
        let images = self.by_name.get(path.rsplit('/').next().unwrap_or(path)).into_iter().flatten();
        images.filter_map(move |&(number, image)| {
            let start = image.strip_suffix(path)?;
            (start.is_empty() || start.ends_with('/')).then_some((number, start))
        })
    }
}

/// The path with `/`, without `..`, `.` and empty parts.
fn plain(name: &str) -> String {
    let parts = name.split(['/', '\\']).filter(|part| !["", ".", ".."].contains(part));
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::coco::document::Coco;

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
}
