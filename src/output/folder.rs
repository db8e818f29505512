//! The output folder: its default place, its checks, and the pictures and labels in it.
//!
//! Every file is written under a hidden name beside its place and then renamed, so that a file with its final name is
//! always complete.

use crate::error::{Error, Result};
use crate::files::atomic::{remove_file, write_file};
use crate::files::fingerprint::{Fingerprint, Stamp};
use crate::files::paths::{absolute, label_path, resolve_links};
use crate::imageio::encode::{Metadata, encode_image};
use crate::plan::Job;
use image::RgbImage;
use std::path::{Path, PathBuf};

/// The default output folder: `<DATASET>-<condition>` beside the dataset. `root` is the dataset's absolute folder.
///
/// # Errors
/// [`Error::Usage`] for a dataset without a name or a parent folder, such as `/`.
pub fn default_folder(root: &Path, condition: &str) -> Result<PathBuf> {
    match (root.parent(), root.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.join(format!("{}-{condition}", name.to_string_lossy()))),
        _ => Err(Error::Usage(format!("no folder can lie beside {}; choose one with --output", root.display()))),
    }
}

/// Refuses an output folder in which Ultralytics would not find the labels.
///
/// Ultralytics replaces the last folder `images` of the absolute path by `labels`. If a job's own path has no such
/// folder but the output folder lies below one, the label is looked for in another tree, and every labelled frame would
/// train as background without a word.
///
/// # Errors
/// [`Error::Usage`], with the remedy.
pub fn check_folder(folder: &Path, jobs: &[Job]) -> Result<()> {
    let folder = absolute(folder)?;
    let folder = resolve_links(&folder);
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

/// Writes an image in the format of its extension: jpg and jpeg at `quality` (1 to 100); png, webp, bmp and tiff
/// without loss. The ICC profile goes into all of them but bmp.
///
/// # Errors
/// [`Error::BadFile`] for another extension or a picture that the format cannot hold, [`Error::Io`] if the system
/// refuses.
pub fn write_image(path: &Path, image: &RgbImage, metadata: Metadata, quality: u8) -> Result<()> {
    write_file(path, &encode_image(path, image, metadata, quality)?)
}

/// Writes a finished picture and its label (path and content) into the output `folder`, in place of the files of an
/// earlier run, and returns the fingerprint of both. `output` and the label's path are relative to `folder`, with `/`.
///
/// # Errors
/// [`Error::Io`].
pub fn write_files(folder: &Path, output: &str, picture: &[u8], label: Option<(&str, &[u8])>) -> Result<Fingerprint> {
    clear(folder, output)?;
    let picture = (folder.join(output), picture);
    let label = label.map(|(path, content)| (folder.join(path), content));
    // The label first: a picture without its label would count as background.
    label.iter().chain([&picture]).try_for_each(|(path, content)| write_file(path, content))?;
    let files: Vec<_> = [&picture].into_iter().chain(&label).map(|(path, content)| (&**path, Some(*content))).collect();
    Ok(Fingerprint::of_contents(Stamp::of(files.iter().map(|(path, _)| path)), &files))
}

/// The picture of a row in the output `folder`, and its label if it has one.
pub fn files(folder: &Path, output: &str, label: Option<&str>) -> Vec<PathBuf> {
    std::iter::once(output).chain(label).map(|file| folder.join(file)).collect()
}

/// Removes a picture of an earlier run and the label beside it, also if the frame has no label any more.
///
/// # Errors
/// [`Error::Io`].
pub fn clear(folder: &Path, output: &str) -> Result<()> {
    // The picture first: if the process is killed in between, no picture is left without its label.
    let label = label_path(Path::new(output));
    [Path::new(output), &label].iter().try_for_each(|path| remove_file(&folder.join(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ImageFormat;
    use std::fs;

    #[test]
    fn images_are_written_in_the_format_of_their_extension_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let image = RgbImage::from_fn(33, 17, |x, y| image::Rgb([x as u8 * 7, y as u8 * 15, 128]));
        for name in ["a.JPG", "a.jpeg", "a.png", "a.webp", "a.bmp", "a.tif", "a.TIFF"] {
            let path = folder.path().join("deep/er").join(name);
            write_image(&path, &image, Metadata::default(), 95).unwrap();
            let back = crate::imageio::decode::decode(&path).unwrap().image;
            assert_eq!(back.dimensions(), (33, 17));
            if !name.to_lowercase().starts_with("a.j") {
                assert_eq!(back, image, "{name} is lossless");
            }
            assert_eq!(image::guess_format(&fs::read(&path).unwrap()).unwrap(), ImageFormat::from_path(&path).unwrap());
        }
        assert_eq!(fs::read_dir(folder.path().join("deep/er")).unwrap().count(), 7);
        assert!(write_image(&folder.path().join("a.gif"), &image, Metadata::default(), 95).is_err());
    }

    #[test]
    fn a_profile_comes_back_from_every_format_that_can_hold_one() {
        let folder = tempfile::tempdir().unwrap();
        // Longer than a segment of a JPEG.
        let mut profile = vec![7; 70_000];
        profile[..4].copy_from_slice(&70_000_u32.to_be_bytes());
        profile[16..20].copy_from_slice(b"RGB ");
        profile[36..40].copy_from_slice(b"acsp");
        let metadata = Metadata { profile: Some(&profile), ..Metadata::default() };
        for (name, kept) in [("a.jpg", true), ("a.png", true), ("a.webp", true), ("a.tif", true), ("a.bmp", false)] {
            let path = folder.path().join(name);
            write_image(&path, &RgbImage::new(9, 5), metadata, 95).unwrap();
            let back = crate::imageio::decode::decode(&path).unwrap();
            assert_eq!(back.profile.as_ref() == Some(&profile), kept, "{name}");
            assert!(back.profile.is_none() || kept && !back.first_of_several, "{name}");
        }
    }

    #[test]
    fn a_picture_and_its_label_replace_those_of_an_earlier_run_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let (output, label) = ("images/b.jpg", "labels/b.txt");
        let bytes: &[u8] = b"0 .5 0.50000000001 1e-3 .1\r\n\xff 1 2";
        write_file(&folder.path().join(label), b"old and longer than the new content will ever be").unwrap();
        let written = write_files(folder.path(), output, b"picture", Some((label, bytes))).unwrap();
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        assert_eq!((read(output), read(label)), (b"picture".to_vec(), bytes.to_vec()));
        assert_eq!(written, Fingerprint::of(&files(folder.path(), output, Some(label))));

        // The label cannot be removed. Then the picture, which is removed before it, is gone already.
        fs::remove_file(folder.path().join(label)).unwrap();
        fs::create_dir(folder.path().join(label)).unwrap();
        assert!(clear(folder.path(), output).is_err() && !folder.path().join(output).exists());
        fs::remove_dir(folder.path().join(label)).unwrap();

        write_files(folder.path(), output, b"another", None).unwrap();
        assert!(!folder.path().join(label).exists(), "the frame has no label any more");
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
