//! Text files that are called after splits and list their images, where nothing else divides a dataset: `train.txt` and
//! `val.txt`, also in `ImageSets/Main`. A line is a path, or the name of an image without its extension.

use crate::dataset::scan::{ImageSource, Scan};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::paths::{has_extension, normalize, relative_text};
use crate::files::text;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// How deep below the dataset's folder files are looked for that divide it.
const DEPTH: usize = 3;

/// Extensions of files that may divide a dataset.
const EXTENSIONS: [&str; 8] = ["txt", "csv", "tsv", "json", "xml", "lst", "list", "parquet"];

/// The files below the dataset's folder whose names are about splits. Labels of images are left out.
pub struct SplitFiles {
    /// Those that are called after a split, or after splits.
    pub named: Vec<PathBuf>,
    /// Those whose names only begin with a split, such as `val_v2.txt`.
    pub begun: Vec<PathBuf>,
}

impl SplitFiles {
    /// # Errors
    /// [`Error::Io`] if a folder cannot be listed.
    pub fn find(scan: &Scan, images: &[PathBuf]) -> Result<Self> {
        let stems: HashSet<&str> = images.iter().filter_map(|image| stem_of(image)).collect();
        let is_named = |stem: &str| Split::of_name(stem).is_some() || Split::is_vague_name(stem);
        let files = scan.files_below(scan.root, DEPTH, |path| {
            let Some(stem) = stem_of(path) else { return false };
            has_extension(path, &EXTENSIONS)
                && !stems.contains(stem)
                && (is_named(stem) || Split::begun_by(stem).is_some())
        })?;
        let (named, begun) = files.into_iter().partition(|path| stem_of(path).is_some_and(is_named));
        Ok(Self { named, begun })
    }
}

fn stem_of(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

/// Splits that lists name.
pub struct ListedSplits {
    /// The list of `train`.
    pub train: PathBuf,
    pub sources: BTreeMap<Split, Vec<ImageSource>>,
}

/// The lists among `files`, with the images that they name; `None` unless they name a `train`.
///
/// # Errors
/// [`Error::BadFile`] if a line of a list leads to no image although others do; [`Error::Io`] if one cannot be read.
pub fn read_split_lists(scan: &Scan, files: &[PathBuf], images: &[PathBuf]) -> Result<Option<ListedSplits>> {
    let is_list = |file: &&PathBuf| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        has_extension(file, &["txt"]) && Split::is_plain_name(stem)
    };
    let known = Images::of(scan.root, images);
    let mut sources: BTreeMap<Split, Vec<ImageSource>> = BTreeMap::new();
    for file in files.iter().filter(is_list) {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let (Some(split), Some(images)) = (Split::of_name(stem), known.read(file)?) else { continue };
        // Of two lists of one split, nobody can say which one is meant.
        if sources.contains_key(&split) {
            return Ok(None);
        }
        sources.insert(split, vec![ImageSource::List { path: file.clone(), portable: false, images }]);
    }
    let first = sources.get(&Split::Train).and_then(|of_train| of_train.first());
    let path = first.and_then(|source| match source {
        ImageSource::List { path, .. } => Some(path.clone()),
        ImageSource::Folder(_) => None,
    });
    Ok(path.map(|train| ListedSplits { train, sources }))
}

/// The images of a dataset by what a list may call them.
struct Images<'a> {
    root: &'a Path,
    /// By the path below the root without the extension, and by the name alone. `None` for what several have.
    by_name: HashMap<String, Option<&'a PathBuf>>,
}

impl<'a> Images<'a> {
    fn of(root: &'a Path, images: &'a [PathBuf]) -> Self {
        let mut by_name: HashMap<String, Option<&PathBuf>> = HashMap::new();
        for image in images {
            let below = relative_text(root, &image.with_extension(""));
            let name = below.rsplit('/').next().unwrap_or_default().to_string();
            let mut names = vec![below];
            if names[0] != name {
                names.push(name);
            }
            for name in names {
                by_name.entry(name).and_modify(|image| *image = None).or_insert(Some(image));
            }
        }
        Self { root, by_name }
    }

    /// The images of a list; `None` if no line leads to one.
    fn read(&self, file: &Path) -> Result<Option<Vec<PathBuf>>> {
        let text = text::read(file)?;
        let lines = (1..).zip(text.lines()).map(|(at, line)| (at, line.trim())).filter(|(_, line)| !line.is_empty());
        let found: Vec<(usize, &str, Option<PathBuf>)> =
            lines.map(|(at, line)| (at, line, self.find(line, file))).collect();
        if found.iter().all(|(.., image)| image.is_none()) {
            return Ok(None);
        }
        let image = |(at, line, image): (usize, &str, Option<PathBuf>)| {
            let message =
                || format!("line {at}: `{line}` leads to no image of the dataset; correct it or remove the line");
            image.ok_or_else(|| Error::bad_file(file, message()))
        };
        found.into_iter().map(image).collect::<Result<_>>().map(Some)
    }

    fn find(&self, line: &str, file: &Path) -> Option<PathBuf> {
        let plain = line.replace('\\', "/");
        let starts = [file.parent().unwrap_or(file), self.root];
        let path = starts.iter().map(|start| normalize(&start.join(&plain))).find(|path| path.is_file());
        let name = plain.split_whitespace().next()?.trim_start_matches("./");
        let named = |name: &str| self.by_name.get(name).copied().flatten().cloned();
        path.or_else(|| named(name)).or_else(|| named(name.rsplit_once('.').map_or(name, |(stem, _)| stem)))
    }
}

#[cfg(test)]
mod tests {
    use crate::dataset::Layout;
    use crate::dataset::split::Split;
    use crate::dataset::testing::{listing, open, tree};

    #[test]
    fn lists_of_paths_or_names_divide_a_dataset_that_nothing_else_divides() {
        for (train, val, at) in [
            ("./pics/a.jpg\n./pics/b.jpg\n", "pics/c.jpg\n", ""),
            ("a\nb\n", "c\n", "ImageSets/Main/"),
            ("pics\\a.jpg\r\npics\\b.jpg\r\n", "pics\\c.jpg\r\n", ""),
            ("a.jpg 1\nb.jpg 0\n", "c.jpg 1\n", "splits/"),
        ] {
            let (train, val) = (format!("{at}train.txt={train}"), format!("{at}val.txt={val}"));
            let folder = tree(&["pics/a.jpg", "pics/b.jpg", "pics/c.jpg", &train, &val]);
            assert_eq!(listing(folder.path()), ["pics/a.jpg -", "pics/b.jpg -"], "{train}");
            let dataset = open(folder.path(), &[Split::Val]).unwrap();
            assert_eq!(dataset.frames[0].relative, "pics/c.jpg");
            assert!(matches!(dataset.layout, Layout::Lists(_)));
        }
        let folder = tree(&["a.jpg", "b.jpg", "TRAIN.TXT=a.jpg\n", "VAL.TXT=b.jpg\n"]);
        assert_eq!(listing(folder.path()), ["a.jpg -"], "in any letter case");
    }

    #[test]
    fn a_line_that_leads_nowhere_is_named_and_an_image_in_no_list_is_told() {
        let folder = tree(&["a.jpg", "b.jpg", "train.txt=a\ngone\n", "val.txt=b\n"]);
        let error = open(folder.path(), &[Split::Train]).unwrap_err().to_string();
        assert!(error.contains("train.txt: line 2: `gone`"), "{error}");
        let folder = tree(&["a.jpg", "b.jpg", "c.jpg", "train.txt=a\n", "val.txt=b\n"]);
        let dataset = open(folder.path(), &[Split::Train]).unwrap();
        assert!(
            dataset.warnings.iter().any(|text| text.contains("in no split and left out: 1 image")),
            "{:?}",
            dataset.warnings
        );
    }

    #[test]
    fn the_label_of_an_image_that_is_called_train_is_no_list() {
        let folder = tree(&["train.jpg", "train.txt=0 .5 .5 .1 .1\n", "test.jpg", "test.txt=0 .5 .5 .1 .1\n"]);
        assert_eq!(listing(folder.path()), ["test.jpg test.txt", "train.jpg train.txt"]);
    }
}
