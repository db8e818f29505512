//! Writes the `data.yaml` of an output.

use crate::dataset::Dataset;
use crate::dataset::scan::{ImageSource, image_files};
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::atomic::write_file;
use crate::files::paths::relative_text;
use crate::output::origins::Origins;
use crate::units::counted;
use crate::yaml::{self, Yaml};
use std::collections::HashSet;
use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The file's name in the output folder.
pub const DATA_YAML: &str = "data.yaml";

/// Keys of the dataset's `data.yaml` that are not copied, because this program writes them anew or because they are not
/// true of the copy.
const OWN_KEYS: [&str; 8] = ["path", "train", "val", "valid", "validation", "test", "minival", "download"];

/// A `data.yaml` that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub path: PathBuf,
    /// What a person should know about it.
    pub warnings: Vec<String>,
}

/// Writes a `data.yaml` that Ultralytics can train on: `train` has the original train images and the new ones, `val`
/// and `test` have the originals, and every other key is copied from the dataset's own file.
///
/// Entries are relative to `folder`, and there is no `path`; Ultralytics then resolves them from the file's own folder.
/// A list of images is named as it is, unless Ultralytics would read its lines relative to the folder that it is
/// started in; then `original-<split>.txt` with absolute paths takes its place. It also takes the place of a linked
/// folder, behind which Ultralytics would look for the labels elsewhere. New images that share their folder with other
/// splits are listed in `augmented-train.txt`. New images of other splits are in no entry. Ultralytics demands a `val`,
/// so a dataset without validation images gets its own train images there, and a warning.
///
/// `done` has the source (absolute) and the output (below `folder`, with `/`) of every finished picture. If no file
/// names the classes, they are called `class0`, `class1` and so on up to the highest class id in the labels. If there
/// are no labels either, there is nothing to train on: no file is written, and the result is `None`.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn write_data_yaml<'a>(
    folder: &Path,
    dataset: &Dataset,
    origins: &Origins,
    done: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Option<Written>> {
    let mut warnings = Vec::new();
    let classes = classes(dataset, &mut warnings)?;
    if dataset.data.is_none() && classes.is_empty() {
        return Ok(None);
    }
    let train = originals(folder, dataset, Split::Train, &mut warnings)?;
    let new = new_entries(folder, dataset, Made::of(origins, done, &mut warnings), &mut warnings)?;
    if train.is_empty() && new.is_empty() {
        warnings.push(format!("the dataset has no `train`, so {DATA_YAML} names no images to train on"));
    }
    let mut text = "# Written by augment: the original images and their stylized copies.\n".to_string();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "train: {}", list(train.iter().chain(&new)));
    match originals(folder, dataset, Split::Val, &mut warnings)? {
        val if val.is_empty() => {
            let _ = writeln!(text, "val: {}  # the dataset has no validation images of its own", list(&train));
            warnings.push(format!(
                "the dataset has no `val`: in {DATA_YAML} its train images stand in, so validation is on images that \
                 were trained on"
            ));
        }
        val => {
            let _ = writeln!(text, "val: {}", list(&val));
        }
    }
    let test = originals(folder, dataset, Split::Test, &mut warnings)?;
    if !test.is_empty() {
        let _ = writeln!(text, "test: {}", list(&test));
    }
    if let Some(Yaml::Map(pairs)) = &dataset.data {
        let is_own = |key: &Yaml| OWN_KEYS.iter().any(|&own| key.text() == Some(own));
        let is_replaced = |key: &Yaml| !classes.is_empty() && key.text() == Some("names");
        for (key, value) in pairs.iter().filter(|(key, _)| !is_own(key) && !is_replaced(key)) {
            let _ = writeln!(text, "{}: {value}", bare(key));
        }
    }
    if !classes.is_empty() {
        let _ = writeln!(text, "names: {}", Yaml::Map(classes));
    }
    let path = folder.join(DATA_YAML);
    write_file(&path, text.as_bytes())?;
    Ok(Some(Written { path, warnings }))
}

/// Names for classes that no file names.
fn classes(dataset: &Dataset, warnings: &mut Vec<String>) -> Result<Vec<(Yaml, Yaml)>> {
    let known = match dataset.data.as_ref().and_then(|data| data.get("names")) {
        Some(Yaml::Map(names)) if dataset.has_class_file => names.clone(),
        Some(names) if *names != Yaml::Null => return Ok(Vec::new()),
        _ if dataset.data.as_ref().is_some_and(|data| data.get("nc").is_some()) => return Ok(Vec::new()),
        _ => Vec::new(),
    };
    let count = dataset.class_count()?;
    if count <= known.len() {
        return Ok(Vec::new());
    }
    let first = known.len();
    warnings.push(match first {
        0 => {
            format!(
                "no file names the {count} classes of the labels; {DATA_YAML} calls them class0, class1 and so on; to \
                 name them, add a data.yaml with `names` or a classes.txt to the dataset"
            )
        }
        _ => format!(
            "the labels have class ids up to {}, and only {first} classes have names; {DATA_YAML} calls the others \
             class{first} and so on",
            count - 1
        ),
    });
    let new = (first..count).map(|id| (Yaml::Int(id as i128), Yaml::Text(format!("class{id}"))));
    Ok(known.into_iter().chain(new).collect())
}

/// The key without quotes, if that is safe.
fn bare(key: &Yaml) -> String {
    match key.text() {
        Some(text)
            if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && text.starts_with(char::is_alphabetic) =>
        {
            text.to_string()
        }
        _ => key.to_string(),
    }
}

fn list<'a>(entries: impl IntoIterator<Item = &'a String>) -> String {
    let entries: Vec<String> = entries.into_iter().map(|entry| yaml::quoted(entry)).collect();
    format!("[{}]", entries.join(", "))
}

/// Entries for the original images of a split. A list has no place for a path that is not UTF-8.
fn originals(folder: &Path, dataset: &Dataset, split: Split, warnings: &mut Vec<String>) -> Result<Vec<String>> {
    let mut entries = Vec::new();
    let mut lines = Vec::new();
    for source in dataset.sources.get(&split).into_iter().flatten() {
        let images = match source {
            ImageSource::Folder(_) if dataset.needs_list(source)? => dataset.images_of(source)?,
            ImageSource::Folder(path) | ImageSource::List { path, portable: true, .. } => {
                entries.extend(relative(folder, path)?);
                continue;
            }
            ImageSource::List { images, .. } => images.clone(),
        };
        lines.extend(images.iter().filter_map(|image| image.to_str()).map(str::to_string));
        warnings.extend(unlisted(images.iter().filter(|image| image.to_str().is_none()).map(|image| image.display())));
    }
    if !lines.is_empty() {
        entries.push(write_list(folder, &format!("original-{split}.txt"), &lines)?);
    }
    Ok(entries)
}

/// What a person should know of images that no list can name.
fn unlisted(images: impl Iterator<Item = impl Display>) -> Option<String> {
    let mut images = images.peekable();
    let first = images.peek()?.to_string().escape_debug().to_string();
    let count = counted(images.count(), "image");
    Some(format!(
        "{DATA_YAML} leaves out {count} whose names no list can hold, first {first}; rename them to train on them"
    ))
}

/// Entries for the new images of the train split: their folders, and a list of those that share a folder with others.
fn new_entries(folder: &Path, dataset: &Dataset, made: Made, warnings: &mut Vec<String>) -> Result<Vec<String>> {
    let Made { train: mut new, others } = made;
    let (mut entries, mut listed) = (Vec::new(), HashSet::<&str>::new());
    for source in dataset.sources.get(&Split::Train).into_iter().flatten() {
        let ImageSource::Folder(original) = source else { continue };
        // If the output lies inside an original folder, that folder's entry covers the new images.
        if canonical(folder)?.starts_with(canonical(original)?) && !dataset.needs_list(source)? {
            let text = "the output lies among the images of train, where loaders take all new images for originals, those \
                        of other outputs there, too; an --output elsewhere keeps them apart";
            warnings.push(text.to_string());
            return Ok(Vec::new());
        }
        let mirror = dataset.relative(original);
        // If the mirror is the output folder itself, it holds more than new images.
        let inside = if mirror.is_empty() { &[] } else { below(&new, &mirror) };
        if !inside.is_empty()
            && !inside.iter().any(|output| listed.contains(output))
            && below(&others, &mirror).is_empty()
            && holds_only(&folder.join(&mirror), folder, inside)?
        {
            listed.extend(inside);
            entries.push(mirror);
        }
    }
    new.retain(|output| !listed.contains(output));
    // Readers of lists take these for ends of lines.
    let ends_line = |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}') || c.is_control();
    warnings.extend(unlisted(new.iter().filter(|output| output.contains(ends_line))));
    new.retain(|output| !output.contains(ends_line));
    if !new.is_empty() {
        // Ultralytics takes each `./` of such a line for the list's folder.
        let line = |output: &&str| match output.contains("./") {
            true => folder.join(output).to_string_lossy().into_owned(),
            false => format!("./{output}"),
        };
        let lines: Vec<String> = new.iter().map(line).collect();
        entries.push(write_list(folder, "augmented-train.txt", &lines)?);
    }
    Ok(entries)
}

/// Finished pictures, sorted.
struct Made<'a> {
    /// Those of frames of train.
    train: Vec<&'a str>,
    others: Vec<&'a str>,
}

impl<'a> Made<'a> {
    /// Warns of pictures that are not to be trained on.
    fn of(origins: &Origins, done: impl IntoIterator<Item = (&'a str, &'a str)>, warnings: &mut Vec<String>) -> Self {
        if let [first, ..] = &origins.in_train_and_others[..] {
            warnings.push(format!(
                "{} both in train and in val or test, such as {first}: a detector is validated on what it was trained on",
                match origins.in_train_and_others.len() {
                    1 => "1 image is".to_string(),
                    count => format!("{count} images are"),
                }
            ));
        }
        let (mut train, mut validation, mut foreign, mut gone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (source, output) in done {
            match origins.split(source, output) {
                Some(Split::Train) => train.push(output),
                Some(Split::Val | Split::Test) => validation.push(output),
                None if Path::new(source).exists() => foreign.push(output),
                None => gone.push(output),
            }
        }
        [&mut train, &mut foreign, &mut gone].into_iter().for_each(|outputs| outputs.sort_unstable());
        if !validation.is_empty() {
            warnings.push(format!(
                "{} of val or test: {DATA_YAML} has no entry for them, since a detector is validated on real images; to \
                 use them, name their folder in a data.yaml of your own",
                counted(validation.len(), "new image")
            ));
        }
        if let [first, ..] = foreign[..] {
            warnings.push(format!(
                "{DATA_YAML} leaves out {} of frames that are not in this dataset, such as {first}; give each dataset \
                 its own --output, or name their folders in a data.yaml of your own",
                counted(foreign.len(), "new image")
            ));
        }
        if let [first, ..] = gone[..] {
            warnings.push(format!(
                "{DATA_YAML} leaves out {} of frames that are gone, such as {first}",
                counted(gone.len(), "new image")
            ));
        }
        let mut others = [validation, foreign, gone].concat();
        others.sort_unstable();
        Self { train, others }
    }
}

/// Those of the sorted `outputs` that lie below the folder `mirror`.
fn below<'p, 's>(outputs: &'p [&'s str], mirror: &str) -> &'p [&'s str] {
    let folder = format!("{mirror}/");
    let first = outputs.partition_point(|output| *output < &*folder);
    let count = outputs[first..].partition_point(|output| output.starts_with(&folder));
    &outputs[first..first + count]
}

/// Whether all images below `mirror` are among the `new` ones, which are sorted and whose paths are below `folder`. Others
/// have no row, such as one that was written just before the program was killed.
fn holds_only(mirror: &Path, folder: &Path, new: &[&str]) -> Result<bool> {
    let is_new = |image: &PathBuf| new.binary_search(&&*relative_text(folder, image)).is_ok();
    Ok(image_files(mirror)?.iter().all(is_new))
}

fn write_list(folder: &Path, name: &str, lines: &[String]) -> Result<String> {
    write_file(&folder.join(name), (lines.join("\n") + "\n").as_bytes())?;
    Ok(name.to_string())
}

/// The relative path from `folder` to `target`, with `/`. Both must exist. `None` if it is not UTF-8.
fn relative(folder: &Path, target: &Path) -> Result<Option<String>> {
    // Links are resolved first, as Ultralytics does: `..` behind a link leads elsewhere.
    let (folder, target) = (canonical(folder)?, canonical(target)?);
    let (from, to): (Vec<Component>, Vec<Component>) = (folder.components().collect(), target.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 {
        // Another drive.
        return Ok(target.to_str().map(str::to_string));
    }
    let up = from[common..].iter().map(|_| Some(".."));
    let down = to[common..].iter().map(|part| part.as_os_str().to_str());
    let parts: Option<Vec<&str>> = up.chain(down).collect();
    Ok(parts.map(|parts| if parts.is_empty() { ".".to_string() } else { parts.join("/") }))
}

fn canonical(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(Error::io(path, "find where it lies"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// `ds` with these files and the empty folder `out` beside it; `a.txt=0 1` gives a file its content.
    fn tree(files: &[&str]) -> (TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (ds, out) = (folder.path().join("ds"), folder.path().join("out"));
        for file in files {
            let (name, content) = file.split_once('=').unwrap_or((file, ""));
            fs::create_dir_all(ds.join(name).parent().unwrap()).unwrap();
            fs::write(ds.join(name), content).unwrap();
        }
        fs::create_dir_all(&out).unwrap();
        (folder, ds, out)
    }

    /// The data.yaml that is written after these outputs (source below `ds`, output) were made.
    fn data_yaml(ds: &Path, out: &Path, splits: &[Split], done: &[(&str, &str)]) -> String {
        let dataset = Dataset::open(ds, splits, out).unwrap();
        let done: Vec<_> =
            done.iter().map(|(source, output)| (ds.join(source).display().to_string(), output.to_string())).collect();
        for (_, output) in &done {
            write_file(&out.join(output), b"x").unwrap();
        }
        let done = done.iter().map(|(source, output)| (source.as_str(), output.as_str()));
        let path = write_data_yaml(out, &dataset, &Origins::of(&dataset).unwrap(), done).unwrap().unwrap().path;
        let text = fs::read_to_string(path).unwrap();
        text.split_once('\n').unwrap().1.to_string()
    }

    const YOLO: [&str; 4] =
        ["images/train/a.jpg", "labels/train/a.txt=2 .5 .5 .1 .1", "images/val/v.jpg", "images/test/t.jpg"];

    const MADE: [(&str, &str); 1] = [("images/train/a.jpg", "images/train/a__fog-1.jpg")];

    #[test]
    fn the_data_yaml_of_split_folders_names_originals_copies_and_classes() {
        let (_folder, ds, out) = tree(&YOLO);
        let expected = r#"train: ["../ds/images/train", "images/train"]
val: ["../ds/images/val"]
test: ["../ds/images/test"]
names: {0: "class0", 1: "class1", 2: "class2"}
"#;
        assert_eq!(data_yaml(&ds, &out, &[Split::Train], &MADE), expected);
    }

    #[test]
    fn what_else_a_data_yaml_holds_is_copied_faithfully() {
        let data = "data.yaml=path: /gone\ntrain: images/train\nval: images/val\nnc: 2\nnames:\n  0: person\n  1: 'no'\n\
                    kpt_shape: [17, 3]\ndownload: |\n  import os\n";
        let (_folder, ds, out) = tree(&[&YOLO[..], &[data]].concat());
        let expected = r#"train: ["../ds/images/train", "images/train"]
val: ["../ds/images/val"]
nc: 2
names: {0: "person", 1: "no"}
kpt_shape: [17, 3]
"#;
        assert_eq!(data_yaml(&ds, &out, &[Split::Train], &MADE), expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn images_whose_names_no_list_can_hold_are_counted() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        // The originals must be listed, since the folder has two splits.
        let lists = ["data.yaml=train: t.txt\nnames: [a]\n", "images/a\u{85}.jpg", "images/b.jpg"];
        let (_folder, ds, out) = tree(&lists);
        let odd = OsStr::from_bytes(b"images/caf\xe9.jpg");
        fs::write(ds.join(odd), "").unwrap();
        fs::write(ds.join("t.txt"), b"images/caf\xe9.jpg\nimages/b.jpg\nimages/a\xc2\x85.jpg\n").unwrap();
        let dataset = Dataset::open(&ds, &[Split::Train], &out).unwrap();
        let outputs = ["images/a\u{85}__fog-1.jpg", "images/b__fog-1.jpg"];
        let sources = ["images/a\u{85}.jpg", "images/b.jpg"].map(|name| ds.join(name).display().to_string());
        let done = sources.iter().map(String::as_str).zip(outputs);
        let warnings = write_data_yaml(&out, &dataset, &Origins::of(&dataset).unwrap(), done)
            .unwrap()
            .unwrap()
            .warnings
            .join("\n");
        assert!(warnings.contains("leaves out 1 image") && warnings.contains("a\\u{85}__fog-1.jpg"), "{warnings}");
    }

    #[test]
    fn a_list_is_referred_to_when_its_lines_mean_the_same_everywhere() {
        let files = [
            "data.yaml=train: train.txt\nval: val.txt\nnames: [a]\n",
            "train.txt=./images/a.jpg\n",
            "val.txt=images/b.jpg\n",
            "images/a.jpg",
            "images/b.jpg",
        ];
        let (_folder, ds, out) = tree(&files);
        let done = [("images/a.jpg", "images/a__fog-1.jpg"), ("images/b.jpg", "images/b__fog-1.jpg")];
        let text = data_yaml(&ds, &out, &[Split::Train, Split::Val], &done);
        let expected =
            "train: [\"../ds/train.txt\", \"augmented-train.txt\"]\nval: [\"original-val.txt\"]\nnames: [\"a\"]\n";
        assert_eq!(text, expected);
        assert_eq!(fs::read_to_string(out.join("augmented-train.txt")).unwrap(), "./images/a__fog-1.jpg\n");
        let absolute = format!("{}\n", ds.join("images/b.jpg").display());
        assert_eq!(fs::read_to_string(out.join("original-val.txt")).unwrap(), absolute);
    }

    #[test]
    fn copies_of_other_splits_never_enter_train() {
        let (_folder, ds, out) = tree(&[
            "data.yaml=train: images\nval: val.txt\nnames: [a]\n",
            "images/a.jpg",
            "val.txt=./pool/b.jpg",
            "pool/b.jpg",
        ]);
        let done = [("images/a.jpg", "images/a__fog-1.jpg"), ("pool/b.jpg", "images/b__fog-1.jpg")];
        let text = data_yaml(&ds, &out, &[Split::Train, Split::Val], &done);
        assert!(text.starts_with("train: [\"../ds/images\", \"augmented-train.txt\"]\n"), "{text}");
    }

    #[test]
    fn a_folder_with_a_picture_that_has_no_row_is_not_named() {
        let (_folder, ds, out) = tree(&YOLO);
        fs::create_dir_all(out.join("images/train")).unwrap();
        fs::write(out.join("images/train/z__fog-1.jpg"), "x").unwrap();
        let text = data_yaml(&ds, &out, &[Split::Train], &MADE);
        assert!(text.starts_with("train: [\"../ds/images/train\", \"augmented-train.txt\"]\n"), "{text}");
        assert_eq!(fs::read_to_string(out.join("augmented-train.txt")).unwrap(), "./images/train/a__fog-1.jpg\n");
    }

    #[test]
    fn a_line_in_which_ultralytics_would_replace_more_than_its_start_is_absolute() {
        let (_folder, ds, out) = tree(&["drive./a.jpg", "drive./a.txt=0 .5 .5 .1 .1"]);
        data_yaml(&ds, &out, &[Split::Train], &[("drive./a.jpg", "drive./a__fog-1.jpg")]);
        let lines = fs::read_to_string(out.join("augmented-train.txt")).unwrap();
        assert_eq!(lines.trim_end(), out.join("drive./a__fog-1.jpg").display().to_string());
    }

    #[test]
    fn a_flat_dataset_trains_on_both_folders_and_validates_on_its_own() {
        let (_folder, ds, out) = tree(&["a.jpg", "a.txt=0 .5 .5 .1 .1"]);
        let text = data_yaml(&ds, &out, &[Split::Train], &[("a.jpg", "a__fog-1.jpg")]);
        assert!(text.starts_with("train: [\"../ds\", \"augmented-train.txt\"]\nval: [\"../ds\"]  # "), "{text}");

        let inside = ds.join("out");
        let text = data_yaml(&ds, &inside, &[Split::Train], &[("a.jpg", "a__fog-1.jpg")]);
        assert!(text.starts_with("train: [\"..\"]\n"), "the copies are below the originals: {text}");
    }

    #[cfg(unix)]
    #[test]
    fn originals_behind_a_link_are_listed_where_their_labels_are_only_found_by_their_own_paths() {
        let (folder, ds, out) = tree(&["labels/train/a.txt=0 .5 .5 .1 .1", "labels/val/v.txt=0 .5 .5 .1 .1"]);
        for (pool, name) in [("pool_train", "a.jpg"), ("pool_val", "v.jpg")] {
            write_file(&folder.path().join(pool).join(name), b"x").unwrap();
        }
        fs::create_dir(ds.join("images")).unwrap();
        std::os::unix::fs::symlink("../../pool_train", ds.join("images/train")).unwrap();
        std::os::unix::fs::symlink("../../pool_val", ds.join("images/val")).unwrap();
        let text = data_yaml(&ds, &out, &[Split::Train], &MADE);
        assert!(
            text.starts_with("train: [\"original-train.txt\", \"images/train\"]\nval: [\"original-val.txt\"]\n"),
            "{text}"
        );
        let line = format!("{}\n", ds.join("images/train/a.jpg").display());
        assert_eq!(fs::read_to_string(out.join("original-train.txt")).unwrap(), line);
        // A label behind the link is found by the folder.
        for (label, name) in [("pool_train/a.txt", "labels/train/a.txt"), ("pool_val/v.txt", "labels/val/v.txt")] {
            fs::rename(ds.join(name), folder.path().join(label)).unwrap();
        }
        let text = data_yaml(&ds, &out, &[Split::Train], &MADE);
        assert!(text.starts_with("train: [\"../pool_train\", \"images/train\"]\nval: [\"../pool_val\"]\n"), "{text}");
    }

    #[test]
    fn what_is_guessed_is_told() {
        let warnings = |files: &[&str]| {
            let (_folder, ds, out) = tree(files);
            let dataset = Dataset::open(&ds, &[Split::Train], &out).unwrap();
            write_data_yaml(&out, &dataset, &Origins::of(&dataset).unwrap(), []).unwrap().unwrap().warnings.join("\n")
        };
        let text = warnings(&["images/train/a.jpg", "labels/train/a.txt=2 .5 .5 .1 .1"]);
        assert!(text.contains("has no `val`") && text.contains("no file names the 3 classes"), "{text}");
        assert!(warnings(&YOLO).contains("no file names the 3 classes") && !warnings(&YOLO).contains("`val`"));
        let named = [&YOLO[..], &["classes.txt=car\nbus\nvan\n"]].concat();
        assert_eq!(warnings(&named), "");
        let short = [&YOLO[..], &["classes.txt=car\n"]].concat();
        assert!(warnings(&short).contains("ids up to 2, and only 1 classes have names"), "{}", warnings(&short));
        let (_folder, ds, out) = tree(&short);
        let text = data_yaml(&ds, &out, &[Split::Train], &MADE);
        assert!(text.ends_with("names: {0: \"car\", 1: \"class1\", 2: \"class2\"}\n"), "{text}");
    }

    #[test]
    fn without_labels_and_data_yaml_there_is_nothing_to_train_on() {
        let (_folder, ds, out) = tree(&["a.jpg"]);
        let dataset = Dataset::open(&ds, &[Split::Train], &out).unwrap();
        assert_eq!(write_data_yaml(&out, &dataset, &Origins::of(&dataset).unwrap(), []).unwrap(), None);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }
}
