//! Text files that list the images of a split, one on each line.

use crate::dataset::scan::{ImageSource, is_image};
use crate::error::{Error, Result};
use crate::files::paths::normalize;
use crate::units::counted;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Reads a list. Its lines are relative to its own folder, or else to one of `bases` or the working folder.
///
/// With `renamed`, the dataset's folder may have another name in the lines, as in exports for Darknet: leading folders
/// of a line that leads to nothing are left out.
///
/// A line that leads to no file stays in: it becomes a failed frame, which is reported.
///
/// # Errors
/// [`Error::Io`] if it cannot be read; [`Error::BadFile`] if none of its lines leads to an image.
pub fn read_list(path: &Path, bases: &[PathBuf], renamed: bool, warnings: &mut Vec<String>) -> Result<ImageSource> {
    let bytes = fs::read(path).map_err(Error::io(path, "read the list of images"))?;
    // A line that is not UTF-8 leads to no file; the other lines still count.
    let text = String::from_utf8_lossy(&bytes);
    // Editors on Windows may write a byte order mark first, which Ultralytics 8.3 takes for a part of the first line.
    let bare = text.trim_start_matches('\u{FEFF}');
    let lines: Vec<(usize, &str)> =
        (1..).zip(bare.lines()).map(|(at, line)| (at, line.trim())).filter(|(_, line)| !line.is_empty()).collect();
    let place = ListPlace::of(path, bases, renamed);
    let (mut images, mut portable, mut others) = (Vec::new(), bare.len() == text.len(), Vec::new());
    for &(at, line) in &lines {
        let image = place.resolve(line);
        portable &= place.loader_path(line).is_some_and(|path| path == image);
        if is_image(&image) { images.push(image) } else { others.push((at, line)) }
    }
    if !lines.is_empty() && !images.iter().any(|image| image.exists()) {
        let message = format!(
            "none of its {} lines leads to an image, such as line {}: `{}`; lines are sought from {}",
            lines.len(),
            lines[0].0,
            lines[0].1,
            place.starts.iter().map(|start| start.display().to_string()).collect::<Vec<_>>().join(" and ")
        );
        return Err(Error::bad_file(path, message));
    }
    if let Some((at, line)) = others.first() {
        warnings.push(format!(
            "{}: left out {}, which should name images, such as line {at}: `{line}`",
            path.display(),
            counted(others.len(), "line")
        ));
    }
    Ok(ImageSource::List { path: path.to_path_buf(), portable, images })
}

/// Where the lines of a list are sought from.
struct ListPlace {
    /// The list's folder.
    folder: PathBuf,
    /// The list's folder as Ultralytics finds it, which resolves a link of the list first. As `folder` if that is the
    /// same folder.
    loader_folder: Option<PathBuf>,
    /// Where lines are sought from, the list's folder first.
    starts: Vec<PathBuf>,
    /// Whether leading folders of a line may be left out.
    renamed: bool,
}

impl ListPlace {
    fn of(path: &Path, bases: &[PathBuf], renamed: bool) -> Self {
        let folder = path.parent().unwrap_or(path).to_path_buf();
        let resolved = fs::canonicalize(path).ok().and_then(|path| Some(path.parent()?.to_path_buf()));
        let is_same = fs::canonicalize(&folder).ok() == resolved;
        let loader_folder = if is_same { Some(folder.clone()) } else { resolved };
        let mut starts = vec![folder.clone()];
        let more = bases.iter().cloned().chain(env::current_dir());
        more.for_each(|start| {
            if !starts.contains(&start) {
                starts.push(start)
            }
        });
        Self { folder, loader_folder, starts, renamed }
    }

    /// The image that a line means. `./` means the list's folder to Ultralytics. Programs on Windows write `\`.
    fn resolve(&self, line: &str) -> PathBuf {
        let beside = normalize(&self.folder.join(line));
        let plain = line.replace('\\', "/");
        let forms = [Some(line), Some(plain.as_str()).filter(|plain| *plain != line)];
        let found = forms.into_iter().flatten().flat_map(|form| self.starts.iter().map(move |start| start.join(form)));
        let found = found.map(|path| normalize(&path)).find(|path| path.exists());
        found.or_else(|| self.renamed.then(|| self.below_other_name(&plain)).flatten()).unwrap_or(beside)
    }

    /// The image at the end of a path whose leading folders have other names here.
    fn below_other_name(&self, line: &str) -> Option<PathBuf> {
        let parts: Vec<&str> = line.split('/').filter(|part| !["", "."].contains(part)).collect();
        let shorter = (1..parts.len()).map(|skipped| normalize(&self.folder.join(parts[skipped..].join("/"))));
        shorter.into_iter().find(|path| path.is_file())
    }

    /// The path that Ultralytics makes of a line; `None` if that depends on the folder that it is started in.
    fn loader_path(&self, line: &str) -> Option<PathBuf> {
        // In a line that starts with `./`, Ultralytics 8.3 replaces every `./`, also within a later `../`.
        let below = line.strip_prefix("./").filter(|rest| !rest.contains("./"));
        match below {
            Some(rest) => Some(normalize(&self.loader_folder.as_ref()?.join(rest))),
            None => Some(normalize(Path::new(line))).filter(|path| path.is_absolute()),
        }
    }
}

/// The same file or folder by its path below `root`, if it lies there under another name, such as through a link.
pub fn below_root(path: PathBuf, root: &Path) -> PathBuf {
    if path.starts_with(root) {
        return path;
    }
    let inside = fs::canonicalize(root).ok().zip(fs::canonicalize(&path).ok());
    match inside.as_ref().and_then(|(root, path)| path.strip_prefix(root).ok()) {
        Some(relative) => root.join(relative),
        None => path,
    }
}
