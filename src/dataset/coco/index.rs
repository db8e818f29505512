//! Finds the images that the file names in an annotation file mean.

use crate::dataset::coco::document::Image;
use crate::dataset::coco::file_name::{Name, readings};
use crate::dataset::split::Split;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// The image that an entry means.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its number in the index.
    pub number: usize,
    /// The folders in front of a new image's name in the copy: empty or ending with `/`.
    pub folder: String,
    /// Whether the name leads to it from the folder that the names are relative to, and need not be interpreted.
    pub is_direct: bool,
}

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

    /// The image that each entry of the annotation file at `file` means.
    ///
    /// All names in a file are relative to one folder, but COCO does not say which one. It is the folder from which
    /// most names lead to an image; of several such folders, the file's own or the one that the file is named after.
    /// A name that leads to nothing from there may be of another place, such as a server, and is then interpreted.
    pub fn find(&self, entries: &[Image], file: &str) -> Vec<Option<Found>> {
        let names: Vec<Vec<Name>> =
            entries.iter().map(|entry| entry.name.as_ref().map_or(Vec::new(), |name| readings(&name.text))).collect();
        let best = self.best_start(&names, file);
        let mut count: HashMap<&str, usize> = HashMap::new();
        entries
            .iter()
            .filter_map(|entry| entry.name.as_ref())
            .for_each(|name| *count.entry(&name.text).or_default() += 1);
        // Of several entries of one name, and several images that it may mean, nobody can tell which means which.
        let is_doubtful = |entry: &Image, names: &[Name]| {
            entry.name.as_ref().is_some_and(|name| count[&*name.text] > 1)
                && names.iter().any(|name| self.starts(&name.path).nth(1).is_some())
        };
        let below = |(entry, names): (&Image, &Vec<Name>)| {
            if is_doubtful(entry, names) { None } else { self.below(names, best?) }
        };
        let mut found: Vec<Option<Found>> = entries.iter().zip(&names).map(below).collect();
        let mut taken: HashSet<usize> = found.iter().flatten().map(|found| found.number).collect();
        for (found, names) in found.iter_mut().zip(&names).filter(|(found, _)| found.is_none()) {
            *found = self.elsewhere(names, best.unwrap_or_default(), &taken);
            taken.extend(found.iter().map(|found| found.number));
        }
        found
    }

    /// The folder from which most names lead to an image. A name that begins with folders, `train/a.jpg`, is half a vote
    /// for each of these: some names may have their folder although the others have none.
    fn best_start(&self, names: &[Vec<Name>], file: &str) -> Option<&'a str> {
        let mut votes: HashMap<&str, usize> = HashMap::new();
        for names in names {
            let Some(name) = names.iter().find(|name| self.starts(&name.path).next().is_some()) else { continue };
            for (_, start, path) in self.starts(&name.path) {
                *votes.entry(start).or_default() += 2;
                let folders = name.path.match_indices('/').map(|(slash, _)| &path[..start.len() + slash + 1]);
                folders.for_each(|folder| *votes.entry(folder).or_default() += 1);
            }
        }
        let (own, name) = file.split_at(file.rfind('/').map_or(0, |slash| slash + 1));
        let fits = |start: &str| {
            let folder = start.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            start == own || !folder.is_empty() && name.contains(folder)
        };
        let best = votes.into_iter().max_by_key(|&(start, votes)| (votes, fits(start), Reverse(start)));
        best.map(|(start, _)| start)
    }

    /// The image that one of the names leads to from the folder `start`.
    fn below(&self, names: &[Name], start: &str) -> Option<Found> {
        names.iter().find_map(|name| {
            let (number, _, path) = self.starts(&name.path).find(|&(_, found, _)| found == start)?;
            let folder = name.folder.clone().unwrap_or_else(|| folder_below(path, start));
            Some(Found { number, folder, is_direct: true })
        })
    }

    /// The one image that a name of another place can only mean: a path from another folder, or the path on another
    /// machine or server, of which as many folders are passed over as it takes. A name without folders means no such
    /// image, nor does one whose image another entry means or whose folders name another split.
    fn elsewhere(&self, names: &[Name], start: &str, taken: &HashSet<usize>) -> Option<Found> {
        let only = |path: &str| {
            let mut images = self.starts(path);
            images.next().filter(|(number, ..)| images.next().is_none() && !taken.contains(number))
        };
        let tails = |name: &'_ Name| {
            let folders = if name.is_of_other_place { name.path.matches('/').count() } else { 0 };
            let path = name.path.clone();
            (0..=folders).map(move |skipped| path.splitn(skipped + 1, '/').last().unwrap_or_default().to_string())
        };
        let found = names.iter().filter(|name| name.path.contains('/')).find_map(|name| {
            let (_, _, path) = tails(name).find_map(|tail| only(&tail))?;
            let splits =
                [&name.path, path].map(|path| Split::named_in(path.rsplit_once('/').map_or("", |(folder, _)| folder)));
            (splits[0].is_none() || splits[1].is_none() || splits[0] == splits[1]).then_some(path)
        })?;
        let number = only(found)?.0;
        Some(Found { number, folder: folder_below(found, start), is_direct: false })
    }

    /// The images whose path ends with `path`: number, start of the path before that (empty or ending with `/`), path.
    fn starts(&self, path: &str) -> impl Iterator<Item = (usize, &'a str, &'a str)> {
        let images = self.by_name.get(path.rsplit('/').next().unwrap_or(path)).into_iter().flatten();
        images.filter_map(move |&(number, image)| {
            let start = image.strip_suffix(path)?;
            (start.is_empty() || start.ends_with('/')).then_some((number, start, image))
        })
    }
}

/// The folders of an image below `start`; all of them if it lies elsewhere.
fn folder_below(image: &str, start: &str) -> String {
    let path = image.strip_prefix(start).unwrap_or(image);
    path[..path.rfind('/').map_or(0, |slash| slash + 1)].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::coco::document::Coco;

    /// What the file names mean among `images`: number and folders in a copy.
    fn find(images: &[&str], names: &[&str], file: &str) -> Vec<Option<(usize, String)>> {
        let list: Vec<String> = names.iter().map(|name| format!(r#"{{"file_name":{name:?}}}"#)).collect();
        let text = format!(r#"{{"images":[{}]}}"#, list.join(","));
        let index = Index::new(images.iter().copied().enumerate());
        let found = index.find(&Coco::parse(&text).unwrap().unwrap().images, file);
        found.into_iter().map(|found| found.map(|found| (found.number, found.folder))).collect()
    }

    #[test]
    fn names_lead_to_images_from_one_folder() {
        let images = ["train/a.jpg", "train/b.jpg", "thumbs/a.jpg", "thumbs/b.jpg", "more/train/c.jpg"];
        let find = |names: &[&str], file: &str| -> Vec<Option<usize>> {
            find(&images, names, file).into_iter().map(|found| Some(found?.0)).collect()
        };
        assert_eq!(find(&["a.jpg", "b.jpg", "c.jpg"], "annotations/train.json"), [Some(0), Some(1), None]);
        assert_eq!(find(&["a.jpg", "b.jpg"], "thumbs/_annotations.coco.json"), [Some(2), Some(3)]);
        assert_eq!(find(&["./train/b.jpg", "thumbs\\a.jpg"], "annotations/all.json"), [Some(1), Some(2)]);
        assert_eq!(find(&["../train/c.jpg", "gone.jpg"], "annotations/all.json"), [Some(4), None]);
        assert_eq!(find(&["rain/a.jpg", "/a.png", ""], "annotations/all.json"), [None; 3]);
    }

    #[test]
    fn a_name_of_another_place_leads_to_the_image_that_it_can_only_mean() {
        let images = ["train/a.jpg", "train/b c.jpg", "train/sub/d.jpg", "val/e.jpg"];
        let own = ["a.jpg", "sub/d.jpg"];
        let meant = |name: &str| find(&images, &[own[0], own[1], name], "train.json")[2].clone();
        let of = |number: usize, folder: &str| Some((number, folder.to_string()));
        for name in [
            "train\\b c.jpg",
            "train/b c.jpg",
            "1a2b3c4d-b c.jpg",
            "/data/upload/3/1a2b3c4d-b c.jpg",
            "../../label-studio/media/upload/3/1A2B3C4D-b%20c.jpg",
            "/data/local-files/?d=photos/train/b%20c.jpg&x=1",
            "https://host.example/photos/b%20c.jpg?token=1",
            "s3://bucket/b c.jpg",
            "C:\\photos\\train\\b c.jpg",
            "images/deadbeef-b c.jpg",
        ] {
            assert_eq!(meant(name), of(1, ""), "{name}");
        }
        // Another entry means it, the folders are another split's or of this dataset, or there is no such image.
        for name in
            ["/x/a.jpg", "1a2b3c4-b c.jpg", "x/b c.jpg", "/home/val/b c.jpg", "/home/train/e.jpg", "e.jpg", "?d="]
        {
            assert_eq!(meant(name), None, "{name}");
        }
        assert_eq!(meant("val/e.jpg"), of(3, "val/"));
        let twice = ["x/train/a.jpg", "y/train/a.jpg", "z/b.jpg"];
        assert_eq!(find(&twice, &["b.jpg", "/home/train/a.jpg"], "all.json")[1], None, "it may mean two images");
    }

    #[test]
    fn names_with_and_without_their_folder_may_stand_side_by_side() {
        let images = ["images/a.jpg", "images/b.jpg"];
        for other in ["images/b.jpg", "images\\b.jpg", "./images/b.jpg"] {
            let found = find(&images, &["a.jpg", other], "result.json");
            assert_eq!(found, [Some((0, String::new())), Some((1, String::new()))], "{other}");
        }
        let found = find(&images, &["images/a.jpg", "images/b.jpg"], "images/result.json");
        assert_eq!(found, [Some((0, "images/".to_string())), Some((1, "images/".to_string()))]);
    }

    #[test]
    fn backslashes_are_part_of_a_name_where_an_image_has_them() {
        let images = ["train/back\\slash.jpg", "train/sub/a.jpg"];
        let found = find(&images, &["back\\slash.jpg", "sub\\a.jpg", ".\\sub\\a.jpg"], "train.json");
        let of = |number: usize, folder: &str| Some((number, folder.to_string()));
        assert_eq!(found, [of(0, ""), of(1, "sub/"), of(1, "./sub/")]);
    }
}
