//! What a run leaves behind: images, labels and the `data.yaml` that trains on both.
//!
//! Every file is written beside its place under a hidden name and then renamed, so that a file with its right name is
//! always whole.

use crate::dataset::{self, Dataset, Source, Split, label_path};
use crate::error::{Error, Result};
use crate::plan::Job;
use crate::yaml::{self, Yaml};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::tiff::TiffEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageFormat, ImageResult, RgbImage};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Component, Path, PathBuf};
use walkdir::WalkDir;

/// Where the new dataset's description lies in the output folder.
pub const DATA_YAML: &str = "data.yaml";

/// Unfinished files are called `.augment-*.tmp`.
const TEMPORARY: (&str, &str) = (".augment-", ".tmp");

/// Keys of a `data.yaml` that this program answers anew, or that no longer hold for the copy.
const OWN_KEYS: [&str; 8] = ["path", "train", "val", "valid", "validation", "test", "minival", "download"];

/// Where the output goes unless said otherwise: `<DATASET>-<condition>` beside the dataset, whose absolute folder `root` is.
///
/// # Errors
/// [`Error::Usage`] for a dataset that has no name or nothing beside it, such as `/`.
pub fn default_folder(root: &Path, condition: &str) -> Result<PathBuf> {
    match (root.parent(), root.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.join(format!("{}-{condition}", name.to_string_lossy()))),
        _ => Err(Error::Usage(format!("nothing can lie beside {}; say --output", root.display()))),
    }
}

/// Refuses an output folder in which Ultralytics would not find the labels.
///
/// It replaces the last folder `images` of the whole path. Where the mirrored tree has none, one above the output folder
/// would send it to another tree, and every labelled frame would silently train as background.
///
/// # Errors
/// [`Error::Usage`], with the remedy.
pub fn check_folder(folder: &Path, jobs: &[Job]) -> Result<()> {
    let folder = std::path::absolute(folder).map_err(Error::io(folder, "find where it lies"))?;
    let folder = dataset::real(&folder);
    let has_images = |path: &Path| path.components().any(|part| part.as_os_str() == "images");
    let lost = jobs.iter().find(|job| job.label_output.is_some() && !has_images(Path::new(&job.output)));
    match lost {
        Some(job) if has_images(&folder) => Err(Error::Usage(format!(
            "the output {} lies below a folder called `images`, so that YOLO loaders would not look for the label of {} \
             beside it; choose an --output elsewhere",
            folder.display(),
            job.output
        ))),
        _ => Ok(()),
    }
}

/// Writes an image in the format of its extension: jpg and jpeg at `quality` (1 to 100), png, webp, bmp and tiff lossless.
/// The ICC profile goes into all of them but bmp.
///
/// # Errors
/// [`Error::BadFile`] for another extension or a picture that the format cannot hold, [`Error::Io`] otherwise.
pub fn write_image(path: &Path, image: &RgbImage, profile: Option<&[u8]>, quality: u8) -> Result<()> {
    write_file(path, &encode_image(path, image, profile, quality)?)
}

/// The bytes that [`write_image`] writes to `path`.
///
/// # Errors
/// [`Error::BadFile`] as there.
pub fn encode_image(path: &Path, image: &RgbImage, profile: Option<&[u8]>, quality: u8) -> Result<Vec<u8>> {
    let format = ImageFormat::from_path(path).map_err(|error| Error::bad_file(path, error.to_string()))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => encode(JpegEncoder::new_with_quality(&mut bytes, quality), image, profile),
        ImageFormat::Png => encode(PngEncoder::new(&mut bytes), image, profile),
        ImageFormat::WebP => encode(WebPEncoder::new_lossless(&mut bytes), image, profile),
        ImageFormat::Tiff => encode(TiffEncoder::new(&mut bytes), image, profile),
        format => image.write_to(&mut bytes, format),
    }
    .map_err(|error| Error::bad_file(path, format!("the image cannot be encoded: {error}")))?;
    Ok(bytes.into_inner())
}

fn encode(mut encoder: impl ImageEncoder, image: &RgbImage, profile: Option<&[u8]>) -> ImageResult<()> {
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile.to_vec()).map_err(ImageError::Unsupported)?;
    }
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)
}

/// Copies a label, byte for byte.
///
/// # Errors
/// [`Error::Io`], naming the file that could not be read or written.
pub fn copy_label(from: &Path, to: &Path) -> Result<()> {
    write_file(to, &fs::read(from).map_err(Error::io(from, "read the label"))?)
}

/// The picture of a row of the output `folder`, and its label if it has one.
pub fn files(folder: &Path, output: &str, label: Option<&str>) -> Vec<PathBuf> {
    std::iter::once(output).chain(label).map(|file| folder.join(file)).collect()
}

/// Removes what an earlier run has left in place of a picture and its label, whether this frame still has one or not.
///
/// # Errors
/// [`Error::Io`].
pub fn clear(folder: &Path, output: &str) -> Result<()> {
    let picture = folder.join(output);
    [folder.join(label_path(Path::new(output))), picture].iter().try_for_each(|path| remove_file(path))
}

/// Removes a file of an earlier run, if it is there.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound && error.kind() != io::ErrorKind::NotADirectory => {
            Err(Error::io(path, "remove what an earlier run left")(error))
        }
        _ => Ok(()),
    }
}

/// Puts `bytes` at `path`, all or nothing, and makes the folders above.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_file_with(path, |writer| writer.write_all(bytes))
}

/// Puts what `write` writes at `path`, all or nothing, and makes the folders above.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    // The folder of a bare name is an empty path, which cannot be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        // Temporary files are for their owner's eyes only; these become the dataset, as open as the umask lets them be.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(Error::io(folder, "make a temporary file"))?;
    {
        let mut writer = BufWriter::new(file.as_file_mut());
        write(&mut writer).and_then(|()| writer.flush()).map_err(Error::io(path, "write it"))?;
    }
    // Else a machine that loses its power may keep the name and lose the content.
    file.as_file().sync_data().map_err(Error::io(path, "write it"))?;
    file.persist(path).map_err(|error| Error::io(path, "put it in its place")(error.error))?;
    sync_folder(folder)
}

/// Makes a rename last: else a machine that loses its power may come back with the file that was there before.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    match synced {
        // Some network file systems know no such thing.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(Error::io(folder, "write it")),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

/// Removes the unfinished files that a killed run has left below `folder`, as far as that goes: they harm nobody.
pub fn remove_unfinished(folder: &Path) {
    let is_ours = |name: &str| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1);
    let files = WalkDir::new(folder).into_iter().filter_map(|entry| entry.ok());
    for file in files.filter(|file| file.file_type().is_file() && file.file_name().to_str().is_some_and(is_ours)) {
        let _ = fs::remove_file(file.path());
    }
}

/// Writes the `data.yaml` that Ultralytics trains on as it stands: `train` is the original train images and the new ones,
/// `val` and `test` are the originals, everything else is as the dataset's own file had it.
///
/// Entries are relative to `folder`, and there is no `path`: Ultralytics then resolves them from the file's own folder. A
/// list of images is referred to, unless what its lines mean to Ultralytics depends on the folder that it is started in;
/// then `original-<split>.txt` with absolute paths takes its place. New images that no folder of their own holds are
/// listed in `augmented-train.txt`. New images of other splits are in no entry. A dataset without validation images gets
/// its own train images as `val`, since Ultralytics demands one.
///
/// `done` is the source (absolute) and output (below `folder`, with `/`) of every picture made so far. A dataset without
/// a `data.yaml` has its classes called `class0`, `class1`, ... as far as its labels go; without labels either there is
/// nothing to train on, no file is written, and the answer is `None`.
///
/// # Errors
/// [`Error::Io`] where the system refuses.
pub fn write_data_yaml<'a>(
    folder: &Path,
    dataset: &Dataset,
    done: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Option<PathBuf>> {
    let classes = classes(dataset)?;
    if dataset.data.is_none() && classes.is_empty() {
        return Ok(None);
    }
    let train = originals(folder, dataset, Split::Train)?;
    let new = new_entries(folder, dataset, done)?;
    let mut text = "# Written by augment: the original images and their stylized copies.\n".to_string();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "train: {}", list(train.iter().chain(&new)));
    match originals(folder, dataset, Split::Val)? {
        val if val.is_empty() => {
            let _ = writeln!(text, "val: {}  # the dataset has no validation images of its own", list(&train));
        }
        val => {
            let _ = writeln!(text, "val: {}", list(&val));
        }
    }
    let test = originals(folder, dataset, Split::Test)?;
    if !test.is_empty() {
        let _ = writeln!(text, "test: {}", list(&test));
    }
    if let Some(Yaml::Map(pairs)) = &dataset.data {
        for (key, value) in pairs.iter().filter(|(key, _)| !OWN_KEYS.iter().any(|&own| key.text() == Some(own))) {
            let _ = writeln!(text, "{}: {value}", bare(key));
        }
    }
    if !classes.is_empty() {
        let _ = writeln!(text, "names: {}", Yaml::Map(classes));
    }
    let path = folder.join(DATA_YAML);
    write_file(&path, text.as_bytes())?;
    Ok(Some(path))
}

/// Names for a dataset that has none of its own.
fn classes(dataset: &Dataset) -> Result<Vec<(Yaml, Yaml)>> {
    if dataset.data.as_ref().is_some_and(|data| data.get("names").or(data.get("nc")).is_some()) {
        return Ok(Vec::new());
    }
    Ok((0..dataset.class_count()?).map(|id| (Yaml::Int(id as i128), Yaml::Text(format!("class{id}")))).collect())
}

/// The key as people write it, where that is safe.
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

/// Entries for the original images of a split. A path that is not UTF-8 cannot be in one.
fn originals(folder: &Path, dataset: &Dataset, split: Split) -> Result<Vec<String>> {
    let mut entries = Vec::new();
    let mut lines = Vec::new();
    for source in dataset.sources.get(&split).into_iter().flatten() {
        match source {
            Source::Folder(path) | Source::List { path, portable: true, .. } => entries.extend(relative(folder, path)?),
            Source::List { images, .. } => {
                lines.extend(images.iter().filter_map(|image| image.to_str()).map(str::to_string));
            }
        }
    }
    if !lines.is_empty() {
        entries.push(write_list(folder, &format!("original-{split}.txt"), &lines)?);
    }
    Ok(entries)
}

/// Entries for the new images of the train split: their folders, and a list of those that share one with other splits.
fn new_entries<'a>(
    folder: &Path,
    dataset: &Dataset,
    done: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<String>> {
    // As rows name their sources, UTF-8 or not.
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let originals: HashSet<String> = dataset.images(Split::Train)?.into_iter().map(text).collect();
    let (mut new, others): (Vec<&str>, Vec<&str>) = {
        let (new, others): (Vec<_>, Vec<_>) = done.into_iter().partition(|(source, _)| originals.contains(*source));
        (new.into_iter().map(|(_, output)| output).collect(), others.into_iter().map(|(_, output)| output).collect())
    };
    let mut entries = Vec::new();
    for source in dataset.sources.get(&Split::Train).into_iter().flatten() {
        let Source::Folder(original) = source else { continue };
        // Inside one of the original folders, the new images are already there with it.
        if real(folder)?.starts_with(real(original)?) {
            return Ok(Vec::new());
        }
        let mirror = dataset.identity(original);
        // A mirror that is the output folder itself holds more than new images.
        let inside = |output: &&str| !mirror.is_empty() && Path::new(output).starts_with(&mirror);
        if new.iter().any(inside) && !others.iter().any(inside) {
            entries.push(mirror.clone());
            new.retain(|output| !inside(output));
        }
    }
    // A list has no way to name such a file.
    new.retain(|output| {
        !output.contains(|c: char| c == '\u{2028}' || c == '\u{2029}' || c == '\u{85}' || c.is_control())
    });
    if !new.is_empty() {
        new.sort_unstable();
        let lines: Vec<String> = new.iter().map(|output| format!("./{output}")).collect();
        entries.push(write_list(folder, "augmented-train.txt", &lines)?);
    }
    Ok(entries)
}

fn write_list(folder: &Path, name: &str, lines: &[String]) -> Result<String> {
    write_file(&folder.join(name), (lines.join("\n") + "\n").as_bytes())?;
    Ok(name.to_string())
}

/// The way from `folder` to `target`, both of which exist, with `/`; `None` if it is not UTF-8.
fn relative(folder: &Path, target: &Path) -> Result<Option<String>> {
    // Links first, as Ultralytics does: the way up from behind a link is another.
    let (folder, target) = (real(folder)?, real(target)?);
    let (from, to): (Vec<Component>, Vec<Component>) = (folder.components().collect(), target.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if common == 0 {
        // Another drive.
        return Ok(target.to_str().map(str::to_string));
    }
    let up = from[common..].iter().map(|_| Some(".."));
    let down = to[common..].iter().map(|part| part.as_os_str().to_str());
    let way: Option<Vec<&str>> = up.chain(down).collect();
    Ok(way.map(|way| if way.is_empty() { ".".to_string() } else { way.join("/") }))
}

fn real(path: &Path) -> Result<PathBuf> {
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
        let path = write_data_yaml(out, &dataset, done).unwrap().unwrap();
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
    fn a_flat_dataset_trains_on_both_folders_and_validates_on_its_own() {
        let (_folder, ds, out) = tree(&["a.jpg", "a.txt=0 .5 .5 .1 .1"]);
        let text = data_yaml(&ds, &out, &[Split::Train], &[("a.jpg", "a__fog-1.jpg")]);
        assert!(text.starts_with("train: [\"../ds\", \"augmented-train.txt\"]\nval: [\"../ds\"]  # "), "{text}");

        let inside = ds.join("out");
        let text = data_yaml(&ds, &inside, &[Split::Train], &[("a.jpg", "a__fog-1.jpg")]);
        assert!(text.starts_with("train: [\"..\"]\n"), "the copies are below the originals: {text}");
    }

    #[test]
    fn without_labels_and_data_yaml_there_is_nothing_to_train_on() {
        let (_folder, ds, out) = tree(&["a.jpg"]);
        let dataset = Dataset::open(&ds, &[Split::Train], &out).unwrap();
        assert_eq!(write_data_yaml(&out, &dataset, []).unwrap(), None);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }

    #[test]
    fn images_are_written_in_the_format_of_their_extension_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let image = RgbImage::from_fn(33, 17, |x, y| image::Rgb([x as u8 * 7, y as u8 * 15, 128]));
        for name in ["a.JPG", "a.jpeg", "a.png", "a.webp", "a.bmp", "a.tif", "a.TIFF"] {
            let path = folder.path().join("deep/er").join(name);
            write_image(&path, &image, None, 95).unwrap();
            let back = crate::decode::decode(&path).unwrap().image;
            assert_eq!(back.dimensions(), (33, 17));
            if !name.to_lowercase().starts_with("a.j") {
                assert_eq!(back, image, "{name} is lossless");
            }
            assert_eq!(image::guess_format(&fs::read(&path).unwrap()).unwrap(), ImageFormat::from_path(&path).unwrap());
        }
        assert_eq!(fs::read_dir(folder.path().join("deep/er")).unwrap().count(), 7);
        assert!(write_image(&folder.path().join("a.gif"), &image, None, 95).is_err());
    }

    #[test]
    fn a_profile_comes_back_from_every_format_that_can_hold_one() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than a segment of a JPEG.
        let mut profile = vec![7; 70_000];
        profile[..4].copy_from_slice(&70_000_u32.to_be_bytes());
        profile[16..20].copy_from_slice(b"RGB ");
        profile[36..40].copy_from_slice(b"acsp");
        for (name, kept) in [("a.jpg", true), ("a.png", true), ("a.webp", true), ("a.tif", true), ("a.bmp", false)] {
            let path = folder.path().join(name);
            write_image(&path, &RgbImage::new(9, 5), Some(&profile), 95).unwrap();
            let back = crate::decode::decode(&path).unwrap();
            assert_eq!(back.profile.as_ref() == Some(&profile), kept, "{name}");
            assert!(back.profile.is_none() || kept && !back.first_of_several, "{name}");
        }
    }

    #[test]
    fn a_label_is_copied_byte_for_byte_over_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.txt"), folder.path().join("labels/b.txt"));
        let bytes = b"0 .5 0.50000000001 1e-3 .1\r\n\xff 1 2";
        fs::write(&from, bytes).unwrap();
        write_file(&to, b"old and much longer than the new content will be ever").unwrap();
        copy_label(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), bytes);
        let error = copy_label(&folder.path().join("none.txt"), &to).unwrap_err().to_string();
        assert!(error.contains("none.txt"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_as_open_as_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plain"), b"").unwrap();
        write_file(&folder.path().join("ours"), b"").unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode("ours"), mode("plain"));
    }

    #[test]
    fn an_output_where_labels_would_be_lost_is_refused() {
        let job = |output: &str| Job {
            frame: 0,
            variant: 1,
            styles: vec![crate::plan::Part { style: 0, share: 1.0 }],
            seed: 0,
            output: output.into(),
            label_output: Some("l.txt".into()),
        };
        let below = Path::new("/data/images/ds-fog");
        assert!(check_folder(below, &[job("images/train/a.jpg")]).is_ok());
        assert!(check_folder(Path::new("/data/ds-fog"), &[job("a.jpg")]).is_ok());
        let error = check_folder(below, &[job("a.jpg")]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("--output"), "{error}");
        assert!(check_folder(below, &[Job { label_output: None, ..job("a.jpg") }]).is_ok());
    }

    #[test]
    fn the_default_output_lies_beside_the_dataset() {
        assert_eq!(default_folder(Path::new("/data/street"), "fog").unwrap(), Path::new("/data/street-fog"));
        assert!(default_folder(Path::new("/"), "fog").is_err());
    }
}
