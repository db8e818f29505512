//! The record of a run: one row a job, appended and flushed at once, so that whatever happens later is not lost.
//!
//! A run that does a shard writes to a manifest of its own, `manifest.1-of-4.jsonl`, since machines that share a disk
//! cannot append to one file. Who finds the folder free, at its start or at its end, moves the rows of such manifests
//! into the one that has no number. The last row of an output counts, wherever it stands.

use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::output;
use crate::plan::Shard;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The manifest's name in the output folder.
pub const FILE_NAME: &str = "manifest.jsonl";
/// Held alone by a run over everything, and shared by those over shards.
const LOCK_NAME: &str = ".augment.lock";
/// Held while a run takes or gives back its other locks, and waited for. Who tidies holds the lock above alone for a
/// moment, which no run that comes or goes meanwhile must take for another run's.
const GATE_NAME: &str = ".augment.gate.lock";

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
    /// Content of the frame, its label and its maps, in one.
    #[serde(default)]
    pub source_files: Option<Fingerprint>,
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
    /// The total loss of every evaluation, at all scales, in five digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<f64>,
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
    /// The working size's long side that memory allowed, where that was less than the config's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_size: Option<u32>,
    /// Whether the losses were no numbers at first, so that Adam began again from the frame itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// Whether the frame's file holds more pictures, as animations do; the first was taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_of_several: bool,
    /// Content of the picture and its label as they were written, in one.
    #[serde(default)]
    pub made_files: Option<Fingerprint>,
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
#[derive(Clone, Debug)]
pub struct Work<'a> {
    /// Absolute path of the frame: another dataset may have one of the same name.
    pub source: Cow<'a, str>,
    /// The frame, its label and its maps, whose content must be the same.
    pub source_files: Vec<PathBuf>,
    /// Relative to the manifest, with `/`.
    pub output: &'a str,
    pub label: Option<&'a str>,
    pub seed: u64,
    pub style_digest: &'a str,
    pub config_digest: &'a str,
    pub backbone_digest: &'a str,
    pub engine: &'a str,
}

/// What the manifest knows of a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    Done,
    /// It failed, and nothing has changed since.
    Failed,
    /// It was done or failed once, and is to be done again.
    Stale(Change),
}

/// Why a work is to be done again. Displays as what has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Engine,
    Backbone,
    Seed,
    Config,
    Style,
    Source,
    Output,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "another version of augment",
            Self::Backbone => "another backbone",
            Self::Seed => "another seed",
            Self::Config => "another config",
            Self::Style => "another style",
            Self::Source => "a changed image, label, mask or depth",
            Self::Output => "missing or changed pictures or labels",
        })
    }
}

/// What is kept of a row while a run lasts: rows may be hundreds of thousands.
struct Record {
    status: Status,
    source: Box<str>,
    source_files: Option<Fingerprint>,
    made_files: Option<Fingerprint>,
    seed: u64,
    label: Option<u64>,
    style: u64,
    config: u64,
    backbone: u64,
    engine: u64,
}

/// A row as far as [`Record`] needs it.
#[derive(Deserialize)]
struct Brief<'a> {
    status: Status,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(default)]
    source_files: Option<Fingerprint>,
    #[serde(default)]
    made_files: Option<Fingerprint>,
    #[serde(borrow)]
    output: Cow<'a, str>,
    #[serde(borrow)]
    label: Option<Cow<'a, str>>,
    seed: u64,
    #[serde(borrow)]
    style_digest: Cow<'a, str>,
    #[serde(borrow)]
    config_digest: Cow<'a, str>,
    backbone: Backbone,
    #[serde(borrow)]
    engine: Cow<'a, str>,
}

impl From<Brief<'_>> for Record {
    fn from(row: Brief) -> Self {
        Self {
            status: row.status,
            source: row.source.into(),
            source_files: row.source_files,
            made_files: row.made_files,
            seed: row.seed,
            label: row.label.map(|label| mark(&label)),
            style: mark(&row.style_digest),
            config: mark(&row.config_digest),
            backbone: mark(&row.backbone.digest),
            engine: mark(&row.engine),
        }
    }
}

/// Stands for a text among those of one folder.
fn mark(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The open manifest of an output folder, which no other run of the same shard can open meanwhile.
pub struct Manifest {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    records: HashMap<Box<str>, Record>,
    damaged: usize,
    shard: Option<Shard>,
    /// Held, never read: closing them gives the locks back, also when the process is killed.
    locks: Vec<File>,
}

impl Manifest {
    /// Opens the manifest in `folder` for a run over everything or over one shard, makes both if need be, and takes the
    /// folder's lock. Where no other run is at work, what killed ones left unfinished is removed.
    ///
    /// A last line without its end, as a killed run leaves it, is cut off. A line in the middle that is no row is left
    /// alone and counted: its job counts as not done.
    ///
    /// # Errors
    /// [`Error::Run`] if another run holds the folder or the shard; [`Error::BadFile`] if it is a file or holds other
    /// people's files; [`Error::Io`] otherwise.
    pub fn open(folder: &Path, shard: Option<Shard>) -> Result<Self> {
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
        let locks = take_locks(folder, shard)?;
        let path = folder.join(shard.map_or(FILE_NAME.to_string(), |shard| format!("manifest.{shard}.jsonl")));
        let file = open_at_whole_lines(&path)?;
        let (records, damaged) = (HashMap::new(), 0);
        let mut manifest = Self { folder: folder.to_path_buf(), path, file, records, damaged, shard, locks };
        manifest.read_back()?;
        Ok(manifest)
    }

    /// Waits for other runs that come or go; they wait until the answer is dropped.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn pass_gate(&self) -> Result<File> {
        pass_gate(&self.folder)
    }

    /// Takes in what runs over other shards have done meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`] where a manifest cannot be read back.
    pub fn read_back(&mut self) -> Result<()> {
        self.damaged = 0;
        for path in self.paths()? {
            let file = File::open(&path).map_err(Error::io(&path, "read it back"))?;
            self.damaged += read_records(file, &mut self.records).map_err(Error::io(&path, "read it back"))?;
        }
        Ok(())
    }

    /// All manifests of the folder, that of this run last: its rows are the newest.
    fn paths(&self) -> Result<Vec<PathBuf>> {
        let mut paths = manifests(&self.folder)?;
        paths.retain(|path| *path != self.path);
        paths.push(self.path.clone());
        Ok(paths)
    }

    /// Appends one row, on its disk when this returns, as far as the system tells the truth.
    pub fn append(&mut self, row: &Row) -> Result<()> {
        let mut line = serde_json::to_vec(row).map_err(|error| Error::bad_file(&self.path, error.to_string()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io(&self.path, "append a row"))?;
        take(&line, &mut self.records).map_err(|error| Error::bad_file(&self.path, error.to_string()))?;
        Ok(())
    }

    /// Whether this very work was done and its files are still there, and if not, why.
    pub fn state(&self, work: &Work) -> State {
        let Some(record) = self.records.get(work.output) else { return State::New };
        let changes = [
            (record.engine != mark(work.engine), Change::Engine),
            (record.backbone != mark(work.backbone_digest), Change::Backbone),
            (record.seed != work.seed, Change::Seed),
            (record.config != mark(work.config_digest), Change::Config),
            (record.style != mark(work.style_digest), Change::Style),
            (record.label != work.label.map(mark), Change::Source),
        ];
        if let Some(&(_, change)) = changes.iter().find(|(changed, _)| *changed) {
            return State::Stale(change);
        }
        // A dataset that was moved, or that another machine has elsewhere, is the same while its content is.
        let holds = |files: &Fingerprint| match *record.source == *work.source {
            true => files.holds(&work.source_files),
            false => files.holds_elsewhere(&work.source_files),
        };
        if !record.source_files.as_ref().is_some_and(holds) {
            return State::Stale(Change::Source);
        }
        if record.status == Status::Failed {
            return State::Failed;
        }
        let files = output::files(&self.folder, work.output, work.label);
        let own = match &record.made_files {
            // A run of other settings that was killed before its row leaves its picture under this one's row, and a
            // machine that lost its power an empty file behind a finished rename.
            Some(made) => made.holds(&files),
            None => files[0].metadata().is_ok_and(|file| file.len() > 0) && files.iter().all(|file| file.is_file()),
        };
        if own { State::Done } else { State::Stale(Change::Output) }
    }

    /// Source and output of every picture that was made, in no order.
    pub fn done(&self) -> impl Iterator<Item = (&str, &str)> {
        let done = self.records.iter().filter(|(_, record)| record.status == Status::Done);
        done.map(|(output, record)| (&*record.source, &**output))
    }

    /// The last rows of these outputs, in their order, as far as there are any.
    ///
    /// # Errors
    /// [`Error::Io`] where a manifest cannot be read back.
    pub fn rows(&self, outputs: &[&str]) -> Result<Vec<Row>> {
        let mut found: HashMap<String, Row> = HashMap::new();
        each_row(&self.paths()?, |row| {
            if outputs.contains(&&*row.output) {
                found.insert(row.output.clone(), row);
            }
            Ok(())
        })?;
        Ok(outputs.iter().filter_map(|&output| found.remove(output)).collect())
    }

    /// The last that is known of an output.
    pub fn status(&self, output: &str) -> Option<Status> {
        self.records.get(output).map(|record| record.status)
    }

    /// Lines that could not be read back.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Ends the run's hold of the folder. The last of several shards moves their rows into the one manifest.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses.
    pub fn close(mut self) -> Result<()> {
        let _gate = pass_gate(&self.folder)?;
        self.locks.clear();
        if self.shard.is_some() {
            let lock = open_lock(&self.folder.join(LOCK_NAME))?;
            if lock.try_lock().is_ok() {
                tidy(&self.folder)?;
            }
        }
        Ok(())
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

/// Refuses what no run of this program has written to.
///
/// # Errors
/// [`Error::BadFile`].
pub fn expect_output_folder(folder: &Path) -> Result<()> {
    if is_output_folder(folder) {
        return Ok(());
    }
    Err(Error::bad_file(folder, "it is no output of augment: it has no manifest of its own"))
}

/// The locks of a run over `shard`; while it holds the folder alone, it tidies it.
fn take_locks(folder: &Path, shard: Option<Shard>) -> Result<Vec<File>> {
    let path = folder.join(LOCK_NAME);
    let all = open_lock(&path)?;
    let _gate = pass_gate(folder)?;
    let alone = locked(all.try_lock(), &path)?;
    if alone {
        tidy(folder)?;
    }
    let Some(shard) = shard else {
        return if alone { Ok(vec![all]) } else { Err(held(folder, "another run is writing here")) };
    };
    all.unlock().map_err(Error::io(&path, "unlock it"))?;
    if !locked(all.try_lock_shared(), &path)? {
        return Err(held(folder, "another run over all shards is writing here"));
    }
    let path = folder.join(format!(".augment.{shard}.lock"));
    let own = open_lock(&path)?;
    if !locked(own.try_lock(), &path)? {
        return Err(held(folder, &format!("another run over the shard {shard} is writing here")));
    }
    Ok(vec![all, own])
}

/// Waits for the gate, which is open again when the answer is dropped.
fn pass_gate(folder: &Path) -> Result<File> {
    let path = folder.join(GATE_NAME);
    let gate = open_lock(&path)?;
    gate.lock().map_err(Error::io(&path, "lock it"))?;
    Ok(gate)
}

fn open_lock(path: &Path) -> Result<File> {
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    options.map_err(Error::io(path, "make the lock file"))
}

fn locked(tried: Result<(), TryLockError>, path: &Path) -> Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io(path, "lock it")(error)),
    }
}

fn held(folder: &Path, who: &str) -> Error {
    Error::Run(format!("{}: {who}; wait for it or choose another --output", folder.display()))
}

/// Removes what killed runs left unfinished, and moves the rows of shards into the one manifest. Only for who holds the
/// folder alone.
fn tidy(folder: &Path) -> Result<()> {
    output::remove_unfinished(folder);
    let shards = shard_manifests(folder)?;
    if shards.is_empty() {
        return Ok(());
    }
    let path = folder.join(FILE_NAME);
    let action = "append the rows of shards";
    let mut file = open_at_whole_lines(&path)?;
    for shard in &shards {
        let rows = File::open(shard).map_err(Error::io(shard, "read it back"))?;
        let whole = whole_lines(&rows).map_err(Error::io(shard, "read it back"))?;
        let mut rows = io::Read::take(&rows, whole);
        io::copy(&mut rows, &mut file).map_err(Error::io(&path, action))?;
    }
    // A run that is killed here leaves some rows twice, of which the last count.
    file.sync_data().map_err(Error::io(&path, action))?;
    shards.iter().try_for_each(|shard| fs::remove_file(shard).map_err(Error::io(shard, "remove it")))
}

/// The last row of every output in `folder`, sorted by output. Takes no lock: a run may be writing there meanwhile.
///
/// # Errors
/// [`Error::BadFile`] for a folder that is no output, [`Error::Io`] where a manifest cannot be read.
pub fn last_rows(folder: &Path) -> Result<Vec<Row>> {
    expect_output_folder(folder)?;
    let mut rows = BTreeMap::new();
    each_row(&manifests(folder)?, |row| {
        rows.insert(row.output.clone(), row);
        Ok(())
    })?;
    Ok(rows.into_values().collect())
}

/// Hears every row of `manifests` that can be read, in their order.
fn each_row(manifests: &[PathBuf], mut hear: impl FnMut(Row) -> Result<()>) -> Result<()> {
    for path in manifests {
        let file = File::open(path).map_err(Error::io(path, "read it back"))?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(Error::io(path, "read it back"))?;
            if let Ok(row) = serde_json::from_slice(&line) {
                hear(row)?;
            }
        }
    }
    Ok(())
}

/// All manifests that are in the folder, those of shards last.
fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = vec![folder.join(FILE_NAME)];
    paths.append(&mut shard_manifests(folder)?);
    paths.retain(|path| path.exists());
    Ok(paths)
}

/// The manifests of shards, in the order of their names.
fn shard_manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder, "list it"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_shard = |name: &String| {
        let shard = name.strip_prefix("manifest.").and_then(|name| name.strip_suffix(".jsonl"));
        shard.is_some_and(|shard| shard.replacen("-of-", "/", 1).parse::<Shard>().is_ok())
    };
    let mut names: Vec<String> = names.filter(is_shard).collect();
    names.sort();
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// Opens a manifest to append to, behind its last whole line, which is all that a killed run leaves of its rows.
fn open_at_whole_lines(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let mut file = file.map_err(Error::io(path, "open it"))?;
    let cut = whole_lines(&file).and_then(|whole| {
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))
    });
    cut.map_err(Error::io(path, "cut off its unfinished end"))?;
    Ok(file)
}

/// The length of `file` up to the end of its last whole line; leaves it at its start.
fn whole_lines(mut file: &File) -> io::Result<u64> {
    const BLOCK: u64 = 4096;
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        io::Read::read_to_end(&mut io::Read::take(file, end - start), &mut block)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            file.rewind()?;
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    file.rewind()?;
    Ok(0)
}

/// Takes the last row of every output into `records`, and counts the lines that are none.
fn read_records(file: impl io::Read, records: &mut HashMap<Box<str>, Record>) -> io::Result<usize> {
    let mut damaged = 0;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        // Another run may be writing the last line just now.
        if line.last() != Some(&b'\n') {
            break;
        }
        damaged += usize::from(take(&line, records).is_err());
        line.clear();
    }
    Ok(damaged)
}

/// Takes the row of one line into `records`.
fn take(line: &[u8], records: &mut HashMap<Box<str>, Record>) -> serde_json::Result<()> {
    let row: Brief = serde_json::from_slice(line)?;
    records.insert(row.output.as_ref().into(), row.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(output: &str, status: Status) -> Row {
        Row {
            status,
            source: "/ds/a.jpg".into(),
            source_files: Some(Fingerprint::of(&[])),
            made_files: None,
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
            losses: vec![2.5, 1.25],
            strength: Some(1.0),
            boxes: None,
            box_edges_min: None,
            guard: None,
            malformed_labels: None,
            reduced_size: None,
            restarted: false,
            first_of_several: false,
            seconds: 1.5,
            error: None,
        }
    }

    fn work() -> Work<'static> {
        Work {
            source: "/ds/a.jpg".into(),
            source_files: Vec::new(),
            output: "a__fog-1.jpg",
            label: Some("a__fog-1.txt"),
            seed: u64::MAX,
            style_digest: "5717",
            config_digest: "cc",
            backbone_digest: "bb",
            engine: "0.1.0",
        }
    }

    fn open(folder: &Path) -> Result<Manifest> {
        Manifest::open(folder, None)
    }

    fn shard(text: &str) -> Option<Shard> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_row_survives_reopening_and_counts_as_done_while_its_files_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = open(folder.path()).unwrap();
        assert_eq!(manifest.state(&work()), State::New);
        manifest.append(&row("a__fog-1.jpg", Status::Done)).unwrap();
        assert_eq!(manifest.state(&work()), State::Stale(Change::Output), "the files are missing");
        fs::write(folder.path().join("a__fog-1.txt"), b"").unwrap();
        fs::write(folder.path().join("a__fog-1.jpg"), b"").unwrap();
        assert_eq!(manifest.state(&work()), State::Stale(Change::Output), "the image is empty");
        fs::write(folder.path().join("a__fog-1.jpg"), b"x").unwrap();
        drop(manifest);

        let manifest = open(folder.path()).unwrap();
        assert_eq!(manifest.state(&work()), State::Done);
        let rows = manifest.rows(&["a__fog-1.jpg"]).unwrap();
        assert_eq!(rows[0].style_loss, None, "NaN has no place in JSON");
        let frame = folder.path().join("frame");
        fs::write(&frame, b"x").unwrap();
        for (other, change) in [
            (Work { seed: 1, ..work() }, Change::Seed),
            (Work { source_files: vec![frame], ..work() }, Change::Source),
            (Work { style_digest: "x", ..work() }, Change::Style),
            (Work { config_digest: "x", ..work() }, Change::Config),
            (Work { backbone_digest: "x", ..work() }, Change::Backbone),
            (Work { engine: "0.2.0", ..work() }, Change::Engine),
            (Work { label: None, ..work() }, Change::Source),
        ] {
            assert_eq!(manifest.state(&other), State::Stale(change), "{other:?}");
        }
        assert_eq!(manifest.state(&Work { output: "b.jpg", ..work() }), State::New);
        let moved = Work { source: "/other/a.jpg".into(), ..work() };
        assert_eq!(manifest.state(&moved), State::Done, "the same content elsewhere");
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
        let mut manifest = open(folder.path()).unwrap();
        fs::write(folder.path().join("a__fog-1.jpg"), b"x").unwrap();
        fs::write(folder.path().join("a__fog-1.txt"), b"x").unwrap();
        manifest.append(&row(work().output, Status::Done)).unwrap();
        manifest.append(&row(work().output, Status::Failed)).unwrap();
        assert_eq!(manifest.state(&work()), State::Failed);
        assert!(manifest.status(work().output) == Some(Status::Failed) && manifest.done().count() == 0);
    }

    #[test]
    fn a_half_written_last_line_is_cut_off_and_a_broken_one_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let whole = serde_json::to_string(&row("b.jpg", Status::Done)).unwrap();
        // The torn row is longer than the next one, which must not be read as its end.
        let torn = whole.replace("/ds/", &"/long".repeat(500));
        fs::write(&path, format!("{whole}\n\0\0garbage\n{}", &torn[..2000])).unwrap();
        let mut manifest = open(folder.path()).unwrap();
        assert_eq!((manifest.done().count(), manifest.damaged()), (1, 1));
        manifest.append(&row("c.jpg", Status::Done)).unwrap();
        drop(manifest);

        let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.lines().last().unwrap().contains("c.jpg") && text.ends_with('\n'));
    }

    #[test]
    fn a_second_run_on_the_same_folder_is_refused_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap();
        let error = open(folder.path()).err().unwrap();
        assert!(error.exit_code() == 1 && error.to_string().contains("another run"), "{error}");
        drop(first);
        assert!(open(folder.path()).is_ok());
    }

    #[test]
    fn shards_write_side_by_side_and_the_last_one_joins_their_rows() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = Manifest::open(folder.path(), shard("1/2")).unwrap();
        let mut two = Manifest::open(folder.path(), shard("2/2")).unwrap();
        for other in [shard("1/2"), None] {
            let error = Manifest::open(folder.path(), other).err().unwrap().to_string();
            assert!(error.contains("another run"), "{error}");
        }
        one.append(&row("a.jpg", Status::Done)).unwrap();
        two.append(&row("b.jpg", Status::Done)).unwrap();
        one.close().unwrap();
        assert!(!folder.path().join(FILE_NAME).exists(), "the other still runs");
        two.read_back().unwrap();
        assert_eq!((two.done().count(), two.rows(&["a.jpg", "c.jpg", "b.jpg"]).unwrap().len()), (2, 2));
        two.close().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(FILE_NAME)).unwrap().lines().count(), 2);
        assert!(shard_manifests(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn shards_that_come_and_go_at_one_time_do_not_shut_each_other_out() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 1..=8 {
                let folder = folder.path();
                scope.spawn(move || {
                    for round in 0..20 {
                        let mut manifest = Manifest::open(folder, shard(&format!("{n}/8"))).unwrap();
                        manifest.append(&row(&format!("{n}-{round}.jpg"), Status::Done)).unwrap();
                        manifest.close().unwrap();
                    }
                });
            }
        });
        assert_eq!(open(folder.path()).unwrap().done().count(), 160);
    }

    #[test]
    fn a_shard_that_comes_while_another_tidies_waits() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        drop(open(folder).unwrap());
        std::thread::scope(|scope| {
            let gate = pass_gate(folder).unwrap();
            let all = open_lock(&folder.join(LOCK_NAME)).unwrap();
            all.lock().unwrap();
            let (comes, came) = std::sync::mpsc::channel();
            let other = scope.spawn(move || {
                comes.send(()).unwrap();
                Manifest::open(folder, shard("1/2")).map(drop)
            });
            came.recv().unwrap();
            // Some time in which it would be refused if it did not wait. That it waits holds at any time.
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert!(!other.is_finished());
            drop((all, gate));
            other.join().unwrap().unwrap();
        });
    }

    #[test]
    fn rows_of_killed_shards_are_joined_at_the_next_start_without_their_unfinished_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut one = Manifest::open(folder.path(), shard("1/3")).unwrap();
        one.append(&row("a.jpg", Status::Done)).unwrap();
        drop(one);
        let path = folder.path().join("manifest.1-of-3.jsonl");
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{}", &whole[..40])).unwrap();
        fs::write(folder.path().join(".augment-1a2b.tmp"), b"half").unwrap();
        let manifest = open(folder.path()).unwrap();
        assert_eq!((manifest.done().count(), manifest.damaged()), (1, 0));
        assert_eq!(fs::read_to_string(folder.path().join(FILE_NAME)).unwrap(), whole);
        assert!(!path.exists() && !folder.path().join(".augment-1a2b.tmp").exists());
    }

    #[test]
    fn the_end_of_the_last_whole_line_is_found_in_files_of_any_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        for (text, whole) in [
            (String::new(), 0),
            ("no end".into(), 0),
            ("a\nb\n".into(), 4),
            ("a\nb".into(), 2),
            (format!("a\n{}", "b".repeat(10_000)), 2),
            (format!("{}\n{}", "a".repeat(8191), "b".repeat(4096)), 8192),
        ] {
            fs::write(&path, &text).unwrap();
            assert_eq!(whole_lines(&File::open(&path).unwrap()).unwrap(), whole, "{} bytes", text.len());
        }
    }

    #[test]
    fn an_output_that_is_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        fs::write(&file, b"x").unwrap();
        let error = open(&file).err().unwrap().to_string();
        assert!(error.contains("out: the output must be a folder"), "{error}");
    }

    #[test]
    fn an_output_folder_is_known_by_its_lock_or_its_first_row() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_output_folder(folder.path()));
        let mut manifest = open(folder.path()).unwrap();
        assert!(is_output_folder(folder.path()), "from the start, before the first row");
        manifest.append(&row("a.jpg", Status::Done)).unwrap();
        assert!(is_output_folder(folder.path()));
        fs::remove_file(folder.path().join(LOCK_NAME)).unwrap();
        assert!(is_output_folder(folder.path()));
        fs::write(folder.path().join(FILE_NAME), "{\"files\": []}\n").unwrap();
        assert!(!is_output_folder(folder.path()));
    }
}
