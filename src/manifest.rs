//! The record of a run: one row a job, appended and flushed at once, so that whatever happens later is not lost.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The manifest's name in the output folder.
pub const FILE_NAME: &str = "manifest.jsonl";
const LOCK_NAME: &str = ".augment.lock";

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Done,
    Failed,
}

/// The trunk that a job ran with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backbone {
    pub name: String,
    pub digest: String,
}

/// One of several styles of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Absolute path of the style picture.
    pub path: String,
    /// Its share, above 0; those of one job sum to 1.
    pub weight: f64,
}

/// What is known about one finished job. What a failed job never came to know is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub status: Status,
    /// Absolute path of the frame.
    pub source: String,
    /// Absolute path of the style picture, of several that with the largest weight.
    pub style: String,
    /// All styles, that one first, where there are more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub styles: Vec<Part>,
    /// Digest of the style picture's bytes, of several one of all digests and weights.
    pub style_digest: String,
    /// The image written, relative to the manifest, with `/`.
    pub output: String,
    /// Its label, relative to the manifest, with `/`; `null` for a background frame.
    pub label: Option<String>,
    pub condition: String,
    /// Which copy of the frame this is, from 1.
    pub variant: u32,
    pub seed: u64,
    /// Pixels of the upright frame.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub device: String,
    pub backbone: Backbone,
    pub config_digest: String,
    /// Version of the program.
    pub engine: String,
    /// Evaluations of loss and gradient that were made, at all scales.
    pub evals: Option<u32>,
    /// Losses of the result and, `first_`, of the picture that the optimizer started from, both at the working size.
    pub content_loss: Option<f64>,
    pub style_loss: Option<f64>,
    pub first_content_loss: Option<f64>,
    pub first_style_loss: Option<f64>,
    /// The blend between the frame (0) and the result (1) that was drawn.
    #[serde(default)]
    pub strength: Option<f64>,
    /// What is left of each labelled object, in the label's order; `null` without labels or guard.
    #[serde(default)]
    pub boxes: Option<Vec<BoxRow>>,
    /// The least `edges` of them.
    #[serde(default)]
    pub box_edges_min: Option<f64>,
    /// How many of them had to be eased.
    #[serde(default)]
    pub guard: Option<GuardRow>,
    /// Lines of the label that could not be understood; they are copied like all others.
    #[serde(default)]
    pub malformed_labels: Option<u32>,
    /// Wall time of the whole job, from reading the frame to the renamed output.
    pub seconds: f64,
    /// Why the job failed.
    pub error: Option<String>,
}

/// One labelled object in the stylized frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxRow {
    /// Correlation of the luma's gradients with the frame's.
    pub edges: f64,
    /// Local contrast over the frame's.
    pub contrast: f64,
    /// Toward what the guard had to blend it, and how far.
    pub eased: Option<String>,
}

/// Objects that the guard blended toward the start of the optimization, and on toward the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRow {
    pub start: u32,
    pub original: u32,
}

/// What must be equal for a row to speak of the same work.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Absolute path of the frame: another dataset may have one of the same name.
    pub source: &'a str,
    /// Absolute path of the frame's label, whose copy must still be equal.
    pub source_label: Option<&'a Path>,
    /// Relative to the manifest, with `/`.
    pub output: &'a str,
    pub label: Option<&'a str>,
    pub seed: u64,
    pub style_digest: &'a str,
    pub config_digest: &'a str,
    pub backbone_digest: &'a str,
    pub engine: &'a str,
}

/// The open manifest of an output folder, which no other run can open meanwhile.
#[derive(Debug)]
pub struct Manifest {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    rows: HashMap<String, Row>,
    damaged: usize,
    /// Held, never read: closing it gives the lock back, also when the process is killed.
    _lock: File,
}

impl Manifest {
    /// Opens the manifest in `folder`, makes both if need be, and takes the folder's lock.
    ///
    /// A last line without its end, as a killed run leaves it, is cut off. A line in the middle that is no row is left
    /// alone and counted: its job counts as not done.
    ///
    /// # Errors
    /// [`Error::Run`] if another run holds the folder; [`Error::BadFile`] if it is a file or holds other
    /// people's files; [`Error::Io`] otherwise.
    pub fn open(folder: &Path) -> Result<Self> {
        if folder.exists() && !folder.is_dir() {
            return Err(Error::bad_file(
                folder,
                "the output must be a folder, and this is a file; choose another --output",
            ));
        }
        let occupied = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if occupied && !is_output_folder(folder) {
            let message = "the output holds files that augment has not written; choose another --output, or empty it";
            return Err(Error::bad_file(folder, message));
        }
        fs::create_dir_all(folder).map_err(Error::io(folder, "make the output folder"))?;
        let lock = take_lock(folder)?;
        let path = folder.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io(&path, "open it"))?;
        let (rows, damaged) = read_rows(&mut file).map_err(Error::io(&path, "read it back"))?;
        Ok(Self { folder: folder.to_path_buf(), path, file, rows, damaged, _lock: lock })
    }

    /// Appends one row, on its disk when this returns, as far as the system tells the truth.
    pub fn append(&mut self, row: &Row) -> Result<()> {
        let mut line = serde_json::to_vec(row).map_err(|error| Error::bad_file(&self.path, error.to_string()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io(&self.path, "append a row"))?;
        self.rows.insert(row.output.clone(), row.clone());
        Ok(())
    }

    /// Whether this very work was done and its files are still there.
    pub fn is_done(&self, work: &Work) -> bool {
        let Some(row) = self.rows.get(work.output) else { return false };
        row.status == Status::Done
            && row.source == work.source
            && row.seed == work.seed
            && row.label.as_deref() == work.label
            && row.style_digest == work.style_digest
            && row.config_digest == work.config_digest
            && row.backbone.digest == work.backbone_digest
            && row.engine == work.engine
            // A machine that lost its power may leave an empty file behind a finished rename.
            && self.folder.join(work.output).metadata().is_ok_and(|file| file.len() > 0)
            && work.label.is_none_or(|copy| {
                let copied = fs::read(self.folder.join(copy));
                copied.is_ok_and(|copied| work.source_label.is_none_or(|label| fs::read(label).is_ok_and(|l| l == copied)))
            })
    }

    /// The last row of every output, in no order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// Lines that could not be read back.
    pub fn damaged(&self) -> usize {
        self.damaged
    }
}

/// Whether this program has written to the folder, so that no walk should take its images for originals.
pub fn is_output_folder(folder: &Path) -> bool {
    if folder.join(LOCK_NAME).exists() {
        return true;
    }
    // The lock file may be left behind in a copy. Other tools call their manifests so too: look at the first row.
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only asked whether they are there")]
    struct Marker {
        status: Status,
        config_digest: String,
        engine: String,
    }
    let Ok(file) = File::open(folder.join(FILE_NAME)) else { return false };
    let mut first = String::new();
    BufReader::new(file).read_line(&mut first).is_ok() && serde_json::from_str::<Marker>(&first).is_ok()
}

fn take_lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK_NAME);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io(&path, "make the lock file"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Run(format!(
            "{}: another run is writing here; wait for it or choose another --output",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, "lock it")(error)),
    }
}

/// The last row of every output and the number of unreadable lines; leaves `file` cut to whole lines, at its end.
fn read_rows(file: &mut File) -> std::io::Result<(HashMap<String, Row>, usize)> {
    let (mut rows, mut damaged, mut whole) = (HashMap::new(), 0, 0);
    let mut reader = BufReader::new(&mut *file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.last() != Some(&b'\n') {
            break;
        }
        whole += line.len() as u64;
        match serde_json::from_slice::<Row>(&line) {
            Ok(row) => drop(rows.insert(row.output.clone(), row)),
            Err(_) => damaged += 1,
        }
        line.clear();
    }
    file.set_len(whole)?;
    file.seek(SeekFrom::Start(whole))?;
    Ok((rows, damaged))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(output: &str, status: Status) -> Row {
        Row {
            status,
            source: "/ds/a.jpg".into(),
            style: "/styles/fog/1.png".into(),
            styles: Vec::new(),
            style_digest: "5717".into(),
            output: output.into(),
            label: Some("a__fog-1.txt".into()),
            condition: "fog".into(),
            variant: 1,
            seed: u64::MAX,
            width: Some(64),
            height: Some(48),
            device: "cpu".into(),
            backbone: Backbone { name: "builtin".into(), digest: "bb".into() },
            config_digest: "cc".into(),
            engine: "0.1.0".into(),
            evals: Some(30),
            content_loss: Some(0.1),
            style_loss: Some(f64::NAN),
            first_content_loss: None,
            first_style_loss: None,
            strength: Some(1.0),
            boxes: None,
            box_edges_min: None,
            guard: None,
            malformed_labels: None,
            seconds: 1.5,
            error: None,
        }
    }

    const WORK: Work = Work {
        source: "/ds/a.jpg",
        source_label: None,
        output: "a__fog-1.jpg",
        label: Some("a__fog-1.txt"),
        seed: u64::MAX,
        style_digest: "5717",
        config_digest: "cc",
        backbone_digest: "bb",
        engine: "0.1.0",
    };

    #[test]
    fn a_row_survives_reopening_and_counts_as_done_while_its_files_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(folder.path()).unwrap();
        manifest.append(&row(WORK.output, Status::Done)).unwrap();
        assert!(!manifest.is_done(&WORK), "the files are missing");
        fs::write(folder.path().join("a__fog-1.txt"), b"").unwrap();
        fs::write(folder.path().join("a__fog-1.jpg"), b"").unwrap();
        assert!(!manifest.is_done(&WORK), "the image is empty");
        fs::write(folder.path().join("a__fog-1.jpg"), b"x").unwrap();
        drop(manifest);

        let manifest = Manifest::open(folder.path()).unwrap();
        assert!(manifest.is_done(&WORK));
        assert_eq!(manifest.rows().next().unwrap().style_loss, None, "NaN has no place in JSON");
        for other in [
            Work { seed: 1, ..WORK },
            Work { source: "/other/a.jpg", ..WORK },
            Work { source_label: Some(Path::new("/no/such/label.txt")), ..WORK },
            Work { style_digest: "x", ..WORK },
            Work { config_digest: "x", ..WORK },
            Work { backbone_digest: "x", ..WORK },
            Work { engine: "0.2.0", ..WORK },
            Work { label: None, ..WORK },
            Work { output: "b.jpg", ..WORK },
        ] {
            assert!(!manifest.is_done(&other), "{other:?}");
        }
    }

    #[test]
    fn several_styles_survive_reopening_and_one_is_written_as_ever() {
        let one = row("a.jpg", Status::Done);
        assert!(!serde_json::to_string(&one).unwrap().contains("\"styles\""));
        let part = |path: &str, weight| Part { path: path.into(), weight };
        let two = Row { styles: vec![part("/a.png", 0.75), part("/b.png", 0.25)], ..one.clone() };
        let read =
            serde_json::from_str::<Row>(&serde_json::to_string(&Row { style_loss: None, ..two.clone() }).unwrap());
        assert_eq!(read.unwrap().styles, two.styles);
    }

    #[test]
    fn the_last_row_of_an_output_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(folder.path()).unwrap();
        fs::write(folder.path().join("a__fog-1.jpg"), b"x").unwrap();
        fs::write(folder.path().join("a__fog-1.txt"), b"x").unwrap();
        manifest.append(&row(WORK.output, Status::Done)).unwrap();
        manifest.append(&row(WORK.output, Status::Failed)).unwrap();
        assert!(!manifest.is_done(&WORK));
        assert_eq!(manifest.rows().count(), 1);
    }

    #[test]
    fn a_half_written_last_line_is_cut_off_and_a_broken_one_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let whole = serde_json::to_string(&row("b.jpg", Status::Done)).unwrap();
        // The torn row is longer than the next one, which must not be read as its end.
        let torn = whole.replace("/ds/", &"/long".repeat(500));
        fs::write(&path, format!("{whole}\n\0\0garbage\n{}", &torn[..2000])).unwrap();
        let mut manifest = Manifest::open(folder.path()).unwrap();
        assert_eq!((manifest.rows().count(), manifest.damaged()), (1, 1));
        manifest.append(&row("c.jpg", Status::Done)).unwrap();
        drop(manifest);

        let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.lines().last().unwrap().contains("c.jpg") && text.ends_with('\n'));
    }

    #[test]
    fn a_second_run_on_the_same_folder_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = Manifest::open(folder.path()).unwrap();
        let error = Manifest::open(folder.path()).unwrap_err();
        assert!(error.exit_code() == 1 && error.to_string().contains("another run"), "{error}");
        drop(first);
        assert!(Manifest::open(folder.path()).is_ok());
    }

    #[test]
    fn an_output_that_is_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        fs::write(&file, b"x").unwrap();
        let error = Manifest::open(&file).unwrap_err().to_string();
        assert!(error.contains("out: the output must be a folder"), "{error}");
    }

    #[test]
    fn an_output_folder_is_known_by_its_lock_or_its_first_row() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_output_folder(folder.path()));
        let mut manifest = Manifest::open(folder.path()).unwrap();
        assert!(is_output_folder(folder.path()), "from the start, before the first row");
        manifest.append(&row("a.jpg", Status::Done)).unwrap();
        assert!(is_output_folder(folder.path()));
        fs::remove_file(folder.path().join(LOCK_NAME)).unwrap();
        assert!(is_output_folder(folder.path()));
        fs::write(folder.path().join(FILE_NAME), "{\"files\": []}\n").unwrap();
        assert!(!is_output_folder(folder.path()));
    }
}
