//! The names of classes beside labels: `classes.txt` of labelImg and Label Studio, `obj.names` of Darknet and CVAT,
//! `_darknet.labels` of Roboflow. Each has one name on a line.

use crate::dataset::scan::ImageSource;
use crate::error::{Error, Result};
use crate::files::listing::entries;
use crate::files::paths::{has_extension, label_path};
use crate::files::text;
use crate::yaml::Yaml;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The names of such files, besides `*.names`.
const FILES: [&str; 2] = ["classes.txt", "_darknet.labels"];

/// Whether a text file is one of names and not a label.
pub fn is_class_file(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| FILES.iter().any(|file| name.eq_ignore_ascii_case(file)));
    named || has_extension(path, &["names"])
}

/// The names of the classes in a file, as a mapping `names` from ids. An empty line between names is a class without a
/// name.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::BadFile`] with the line if it is not UTF-8.
pub fn read_class_file(file: &Path) -> Result<Yaml> {
    let text = text::read(file)?;
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim).collect();
    let name = |(id, line): (usize, &&str)| {
        let name = if line.is_empty() { format!("class{id}") } else { line.to_string() };
        (Yaml::Int(id as i128), Yaml::Text(name))
    };
    Ok(Yaml::Map(vec![(Yaml::Text("names".into()), Yaml::Map(lines.iter().enumerate().map(name).collect()))]))
}

/// The names from the files in the dataset's folder, its folders of images and of labels; `None` without such a file.
///
/// # Errors
/// [`Error::BadFile`] if two files disagree; see also [`read_class_file`].
pub fn find_classes<'a>(root: &Path, sources: impl Iterator<Item = &'a ImageSource>) -> Result<Option<Yaml>> {
    let mut first: Option<(PathBuf, Yaml)> = None;
    for file in files(root, sources) {
        let names = read_class_file(&file)?;
        match &first {
            None => first = Some((file, names)),
            Some((other, expected)) if *expected != names => {
                let message = format!(
                    "its names of classes are not those of {}; write a data.yaml with `train:`, `val:` and the right \
                     `names:`",
                    other.display()
                );
                return Err(Error::bad_file(&file, message));
            }
            Some(_) => {}
        }
    }
    Ok(first.map(|(_, names)| names))
}

/// The files with names, sorted, those in the dataset's own folder first.
fn files<'a>(root: &Path, sources: impl Iterator<Item = &'a ImageSource>) -> Vec<PathBuf> {
    let mut folders: BTreeSet<PathBuf> = ["labels", "label", "Labels"].iter().map(|name| root.join(name)).collect();
    for source in sources {
        let images: Vec<PathBuf> = match source {
            ImageSource::Folder(folder) => vec![folder.join("x")],
            ImageSource::List { path, images, .. } => images.iter().take(1).chain([path]).cloned().collect(),
        };
        for image in images {
            // The folder, the one above it, and the one of the labels.
            folders.extend(image.parent().map(Path::to_path_buf));
            folders
                .extend(image.parent().and_then(Path::parent).filter(|up| up.starts_with(root)).map(Path::to_path_buf));
            folders.extend(label_path(&image).parent().map(Path::to_path_buf));
        }
    }
    folders.remove(root);
    let mut files = Vec::new();
    for folder in std::iter::once(root.to_path_buf()).chain(folders) {
        let mut found: Vec<PathBuf> = entries(&folder).filter(|path| is_class_file(path) && path.is_file()).collect();
        found.sort();
        files.extend(found);
    }
    files
}

#[cfg(test)]
mod tests {
    use crate::dataset::split::Split;
    use crate::dataset::testing::{open, tree};

    fn names(files: &[&str]) -> Result<String, String> {
        let folder = tree(files);
        let dataset = open(folder.path(), &[Split::Train]).map_err(|error| error.to_string())?;
        Ok(dataset.data.map(|data| data.to_string()).unwrap_or_default())
    }

    #[test]
    fn names_are_taken_from_the_files_of_labelling_programs() {
        let expected = Ok(r#"{"names": {0: "car", 1: "08", 2: "traffic light"}}"#.to_string());
        let list = "car\r\n08\ntraffic light\n\n";
        for file in [
            "classes.txt",
            "obj.names",
            "voc.names",
            "labels/classes.txt",
            "labels/train/classes.txt",
            "images/train/_darknet.labels",
        ] {
            assert_eq!(names(&["images/train/a.jpg", &format!("{file}={list}")]), expected, "{file}");
        }
        let folders = ["train/a.jpg", "valid/b.jpg"];
        let labels = ["train/_darknet.labels=car\n08\ntraffic light", "valid/_darknet.labels=car\n08\ntraffic light\n"];
        assert_eq!(names(&[folders, labels].concat()), expected);
        assert_eq!(names(&["a.jpg", "notes.txt=car\n"]), Ok(String::new()));
        assert_eq!(
            names(&["a.jpg", "classes.txt=car\n\nbus"]),
            Ok(r#"{"names": {0: "car", 1: "class1", 2: "bus"}}"#.into())
        );
    }

    #[test]
    fn files_that_disagree_are_named_instead_of_taking_one() {
        let files = ["train/a.jpg", "valid/b.jpg", "train/_darknet.labels=car\nbus", "valid/_darknet.labels=bus\ncar"];
        let error = names(&files).unwrap_err();
        assert!(error.contains("valid/_darknet.labels") && error.contains("train/_darknet.labels"), "{error}");
        assert!(error.contains("data.yaml"), "{error}");
    }
}
