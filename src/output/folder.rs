//! What a run leaves behind: images, labels and the `data.yaml` that trains on both.
//!
//! Every file is written beside its place under a hidden name and then renamed, so that a file with its right name is
//! always whole.

use crate::error::{Error, Result};
use crate::files::atomic::{remove_file, write_file};
use crate::files::paths::{self, label_path};
use crate::imageio::encode::encode_image;
use crate::plan::Job;
use image::RgbImage;
use std::fs;
use std::path::{Path, PathBuf};

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
    let folder = paths::real(&folder);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;
    use crate::dataset::split::Split;
    use crate::output::data_yaml::write_data_yaml;
    use image::ImageFormat;
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
            let back = crate::imageio::decode::decode(&path).unwrap().image;
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
            let back = crate::imageio::decode::decode(&path).unwrap();
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
            styles: vec![crate::plan::pairing::StyleShare { style: 0, share: 1.0 }],
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
