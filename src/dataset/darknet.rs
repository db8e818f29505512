//! Datasets of Darknet, as CVAT exports them too: a file such as `obj.data` names the lists of the splits and the file
//! with the names of the classes.

use crate::dataset::list::read_list;
use crate::dataset::scan::ImageSource;
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::{has_extension, normalize};
use crate::files::text;
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

/// What such a file says.
pub struct DarknetData {
    pub sources: BTreeMap<Split, Vec<ImageSource>>,
    /// The file with the names of the classes.
    pub names: Option<PathBuf>,
    /// What a person should know about it.
    pub warnings: Vec<String>,
}

/// Whether this is such a file.
pub fn is_darknet_data(file: &Path) -> bool {
    has_extension(file, &["data"])
        && text::read(file)
            .is_ok_and(|text| entries(&text).any(|(_, key, _)| Split::of_name(key) == Some(Split::Train)))
}

/// Reads the file of a dataset in `folder`.
///
/// # Errors
/// [`Error::BadFile`] with the line if a file that it names does not exist; see also [`read_list`].
pub fn read_darknet_data(file: &Path, folder: &Path) -> Result<DarknetData> {
    let text = text::read(file)?;
    let mut data = DarknetData { sources: BTreeMap::new(), names: None, warnings: Vec::new() };
    for (line, key, value) in entries(&text) {
        let split = Split::of_name(key);
        if split.is_none() && key != "names" {
            continue;
        }
        let Some(path) = resolve(value, folder) else {
            let message = format!(
                "line {line}: `{key} = {value}` leads to nothing, sought from {} and the working folder; correct it",
                folder.display()
            );
            return Err(Error::bad_file(file, message));
        };
        match split {
            None => data.names = Some(path),
            Some(split) if path.is_dir() => data.sources.entry(split).or_default().push(ImageSource::Folder(path)),
            Some(split) => {
                let source = read_list(&path, &starts(folder), true, &mut data.warnings)?;
                data.sources.entry(split).or_default().push(source);
            }
        }
    }
    Ok(data)
}

/// The line, key and value of each entry.
fn entries(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    (1..).zip(text.lines()).filter_map(|(line, text)| {
        let (key, value) = text.split('#').next()?.split_once('=')?;
        Some((line, key.trim(), value.trim())).filter(|(_, _, value)| !value.is_empty())
    })
}

/// The folders that paths are relative to: the dataset's own, the one that it was called on the computer of the export
/// (Darknet is started in the folder above), and the working folder.
fn starts(folder: &Path) -> Vec<PathBuf> {
    let above = folder.parent().map(Path::to_path_buf);
    [Some(folder.to_path_buf()), above, env::current_dir().ok()].into_iter().flatten().collect()
}

/// Where a path leads. Exports begin their paths with `data/`, which is the dataset's folder under another name, so
/// leading folders are left out until the rest leads to something.
fn resolve(value: &str, folder: &Path) -> Option<PathBuf> {
    let value = value.replace('\\', "/");
    let direct = starts(folder).into_iter().map(|start| start.join(&value)).find(|path| path.exists());
    let parts: Vec<&str> = value.split('/').filter(|part| !part.is_empty()).collect();
    let shorter = (1..parts.len()).map(|skipped| folder.join(parts[skipped..].join("/")));
    direct.or_else(|| shorter.into_iter().find(|path| path.exists())).map(|path| normalize(&path))
}

#[cfg(test)]
mod tests {
    use crate::dataset::Layout;
    use crate::dataset::split::Split;
    use crate::dataset::testing::{listing, open, tree};

    const BOX: &str = "0 .5 .5 .1 .1\n";

    #[test]
    fn an_export_of_cvat_has_its_lists_as_splits_and_its_names() {
        let label = |name: &str| format!("{name}={BOX}");
        let folder = tree(&[
            "obj.data=classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = x\n",
            "obj.names=car\nbus\n",
            "train.txt=data/obj_train_data/a.jpg\ndata/obj_train_data/deep/c.jpg\n",
            "valid.txt=data/obj_valid_data/v.jpg\n",
            "obj_train_data/a.jpg",
            "obj_train_data/deep/c.jpg",
            "obj_valid_data/v.jpg",
            &label("obj_train_data/a.txt"),
            &label("obj_valid_data/v.txt"),
        ]);
        assert_eq!(
            listing(folder.path()),
            ["obj_train_data/a.jpg obj_train_data/a.txt", "obj_train_data/deep/c.jpg -"]
        );
        let dataset = open(folder.path(), &[Split::Val]).unwrap();
        assert_eq!(dataset.frames[0].relative, "obj_valid_data/v.jpg");
        assert_eq!(dataset.layout, Layout::Lists(folder.path().join("obj.data")));
        assert_eq!(dataset.data.unwrap().to_string(), r#"{"names": {0: "car", 1: "bus"}}"#);
        // The file itself may be given.
        assert_eq!(open(&folder.path().join("obj.data"), &[Split::Train]).unwrap().frames.len(), 2);
    }

    #[test]
    fn a_list_that_is_not_there_is_named_with_its_line() {
        let folder = tree(&["my.data=# mine\ntrain = lists/gone.txt\n", "a.jpg"]);
        let error = open(folder.path(), &[Split::Train]).unwrap_err().to_string();
        assert!(error.contains("my.data: line 2: `train = lists/gone.txt`"), "{error}");
        let folder = tree(&["my.data=train = t.txt\n", "t.txt=/home/me/gone/x.jpg\n", "a.jpg"]);
        let error = open(folder.path(), &[Split::Train]).unwrap_err().to_string();
        assert!(
            error.contains("t.txt: none of its 1 lines") && error.contains("line 1: `/home/me/gone/x.jpg`"),
            "{error}"
        );
    }
}
