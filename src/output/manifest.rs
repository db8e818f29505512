//! The manifest: one row per job, appended and flushed at once, so that nothing that happens later can lose it.
//!
//! A run over a shard writes to its own manifest, `manifest.1-of-4.jsonl`, because machines that share a disk cannot
//! append to one file. A run that holds the folder alone, at its start or at its end, moves the rows of these manifests
//! into the one without a number. If an output has several rows, the last one counts.

use crate::dataset::scan::EXTENSIONS;
use crate::error::{Error, Result};
use crate::files::atomic;
use crate::files::marker::{LOCK_NAME, MANIFEST_NAME, expect_output_folder, is_output_folder};
use crate::output::lock::{open_lock, pass_gate, take_locks};
use crate::output::resume::{Change, Record, RowHead, State, Work};
use crate::output::row::{Line, Removed, Row, Status};
use crate::plan::shard::Shard;
use serde::Serialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The open manifest of an output folder. While it is open, no other run of the same shard can open it.
pub struct Manifest {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    records: HashMap<Box<str>, Record>,
    damaged: usize,
    shard: Option<Shard>,
    /// Never read. Closing them releases the locks, also if the process is killed.
    locks: Vec<File>,
}

impl Manifest {
    /// Opens the manifest in `folder` for a run over everything or over one shard, and takes the folder's lock. Creates
    /// the folder and the manifest if they are missing. If no other run is active, removes the unfinished files of
    /// killed runs.
    ///
    /// A killed run may leave an incomplete last line; it is cut off. A line in the middle that is not a row stays and
    /// is counted; its job counts as not done.
    ///
    /// # Errors
    /// [`Error::Run`] if another run holds the folder or the shard; [`Error::BadFile`] if `folder` is a file or holds
    /// files that this program has not written; [`Error::Io`] if the system refuses.
    pub fn open(folder: &Path, shard: Option<Shard>) -> Result<Self> {
        check_free(folder)?;
        fs::create_dir_all(folder).map_err(Error::io(folder, "create the output folder"))?;
        let locks = take_locks(folder, shard, || tidy(folder))?;
        let path = folder.join(shard.map_or(MANIFEST_NAME.to_string(), |shard| format!("manifest.{shard}.jsonl")));
        let file = open_at_whole_lines(&path)?;
        let (records, damaged) = (HashMap::new(), 0);
        let mut manifest = Self { folder: folder.to_path_buf(), path, file, records, damaged, shard, locks };
        manifest.read_back()?;
        Ok(manifest)
    }

    /// Waits for runs that are starting or ending. They wait until the returned file is closed.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
    pub fn pass_gate(&self) -> Result<File> {
        pass_gate(&self.folder)
    }

    /// Reads the rows that runs over other shards have written in the meantime.
    ///
    /// # Errors
    /// [`Error::Io`] if a manifest cannot be read.
    pub fn read_back(&mut self) -> Result<()> {
        self.damaged = 0;
        for path in self.paths()? {
            let file = File::open(&path).map_err(Error::io(&path, "read it back"))?;
            self.damaged += read_records(file, &mut self.records).map_err(Error::io(&path, "read it back"))?;
        }
        Ok(())
    }

    /// All manifests of the folder. This run's is last because its rows are the newest.
    fn paths(&self) -> Result<Vec<PathBuf>> {
        let mut paths = manifests(&self.folder)?;
        paths.retain(|path| *path != self.path);
        paths.push(self.path.clone());
        Ok(paths)
    }

    /// Appends one row and waits until the system says that it is on disk.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn append(&mut self, row: &Row) -> Result<()> {
        self.append_line(row)
    }

    fn append_line(&mut self, line: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(line).map_err(|error| Error::bad_file(&self.path, error.to_string()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::io(&self.path, "append a row"))?;
        insert_record(&line, &mut self.records).map_err(|error| Error::bad_file(&self.path, error.to_string()))?;
        Ok(())
    }

    /// Whether this work was done and its files are still there, and if not, why.
    pub fn state(&self, work: &Work) -> State {
        match self.records.get(work.output) {
            Some(record) => record.state(work, &self.folder),
            None if self.in_other_formats(work.output).next().is_some() => State::Stale(Change::Config),
            None => State::New,
        }
    }

    /// Removes the pictures that share the label of `output`: those that the same job made under another
    /// `output.format`. A changed or missing label would be theirs, too.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_other_formats(&mut self, output: &str) -> Result<()> {
        let others: Vec<String> = self.in_other_formats(output).collect();
        for removed in others {
            atomic::remove_file(&self.folder.join(&removed))?;
            self.append_line(&Removed { removed })?;
        }
        Ok(())
    }

    /// The finished pictures that are called like `output` but for their extension, and so share its label.
    pub fn in_other_formats(&self, output: &str) -> impl Iterator<Item = String> {
        let (stem, own) = output.rsplit_once('.').unwrap_or((output, ""));
        let extensions = EXTENSIONS.iter().flat_map(|extension| [extension.to_string(), extension.to_uppercase()]);
        let others = extensions.filter(move |other| !other.eq_ignore_ascii_case(own));
        let outputs = others.map(move |other| format!("{stem}.{other}"));
        outputs.filter(|other| self.source_of_done(other).is_some())
    }

    /// Source and output of every finished picture, in no particular order.
    pub fn done(&self) -> impl Iterator<Item = (&str, &str)> {
        let done = self.records.iter().filter(|(_, record)| record.status == Status::Done);
        done.map(|(output, record)| (&*record.source, &**output))
    }

    /// The frame that an output was made from, if its last row says that it is done.
    pub fn source_of_done(&self, output: &str) -> Option<&str> {
        self.records.get(output).filter(|record| record.status == Status::Done).map(|record| &*record.source)
    }

    /// The last rows of these outputs, in their order. Outputs without a row are left out.
    ///
    /// # Errors
    /// [`Error::Io`] if a manifest cannot be read.
    pub fn rows(&self, outputs: &[&str]) -> Result<Vec<Row>> {
        rows_in(&self.paths()?, outputs)
    }

    /// The status in the last row of an output.
    pub fn status(&self, output: &str) -> Option<Status> {
        self.records.get(output).map(|record| record.status)
    }

    /// Whether the files of a finished picture are there, and those that its row was written for.
    pub fn is_whole(&self, output: &str) -> bool {
        self.records.get(output).is_some_and(|record| record.is_whole(&self.folder, output))
    }

    /// Whether the last row of the output of `row` is about the same picture; see [`Record::is_of`].
    pub fn knows(&self, row: &Row) -> bool {
        self.records.get(&*row.identity.output).is_some_and(|record| record.is_of(row))
    }

    /// How many lines could not be read.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Releases the folder. The last of several shards moves their rows into the one manifest.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses.
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

/// Removes the unfinished files of killed runs, and moves the rows of shards into the one manifest. The caller must
/// hold the folder alone.
fn tidy(folder: &Path) -> Result<()> {
    atomic::remove_unfinished(folder);
    let shards = shard_manifests(folder)?;
    if shards.is_empty() {
        return Ok(());
    }
    let path = folder.join(MANIFEST_NAME);
    let action = "append the rows of shards";
    let mut file = open_at_whole_lines(&path)?;
    for shard in &shards {
        let rows = File::open(shard).map_err(Error::io(shard, "read it back"))?;
        let whole = whole_lines(&rows).map_err(Error::io(shard, "read it back"))?;
        let mut rows = io::Read::take(&rows, whole);
        io::copy(&mut rows, &mut file).map_err(Error::io(&path, action))?;
    }
    // A run that is killed here leaves some rows twice. That does no harm: the last one counts.
    file.sync_data().map_err(Error::io(&path, action))?;
    shards.iter().try_for_each(|shard| fs::remove_file(shard).map_err(Error::io(shard, "remove it")))
}

/// What the manifests of a folder say.
#[derive(Debug, Default)]
pub struct LastRows {
    /// The last row of every output, sorted by output.
    pub rows: Vec<Row>,
    /// Lines that are no rows.
    pub unreadable: usize,
}

/// Reads all rows of `folder`. Takes no lock: a run may be writing there at the same time.
///
/// # Errors
/// [`Error::BadFile`] for a folder that is not an output, [`Error::Io`] if a manifest cannot be read.
pub fn last_rows(folder: &Path) -> Result<LastRows> {
    expect_output_folder(folder)?;
    let (mut rows, mut unreadable) = (BTreeMap::new(), 0);
    each_line(&manifests(folder)?, |line| match Line::<Row>::parse(line) {
        Ok(Line::Row(row)) => drop(rows.insert(row.identity.output.clone(), row)),
        Ok(Line::Removed(line)) => drop(rows.remove(&line.removed)),
        Err(_) => unreadable += 1,
    })?;
    Ok(LastRows { rows: rows.into_values().collect(), unreadable })
}

/// Whether `folder` can be an output: it does not exist yet, is empty, or this program has written to it.
///
/// # Errors
/// [`Error::BadFile`] if not.
pub fn check_free(folder: &Path) -> Result<()> {
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
    Ok(())
}

/// The outputs in `folder` whose last row says that they are done, sorted. Takes no lock.
///
/// # Errors
/// [`Error::Io`] if a manifest cannot be read.
pub fn done_outputs(folder: &Path) -> Result<Vec<String>> {
    let mut records = HashMap::new();
    for path in manifests(folder)? {
        let file = File::open(&path).map_err(Error::io(&path, "read it back"))?;
        read_records(file, &mut records).map_err(Error::io(&path, "read it back"))?;
    }
    let done = records.into_iter().filter(|(_, record)| record.status == Status::Done);
    let mut outputs: Vec<String> = done.map(|(output, _)| output.into()).collect();
    outputs.sort_unstable();
    Ok(outputs)
}

/// The last rows of these outputs in `folder`, in their order. Outputs without a row are left out. Takes no lock.
///
/// # Errors
/// [`Error::Io`] if a manifest cannot be read.
pub fn rows_of(folder: &Path, outputs: &[&str]) -> Result<Vec<Row>> {
    rows_in(&manifests(folder)?, outputs)
}

fn rows_in(manifests: &[PathBuf], outputs: &[&str]) -> Result<Vec<Row>> {
    let mut found: HashMap<String, Row> = HashMap::new();
    each_line(manifests, |line| {
        // Most lines belong to other outputs, and a whole row takes much longer to parse than its head.
        match Line::<RowHead>::parse(line) {
            Ok(Line::Row(row)) if outputs.contains(&&*row.output) => {
                if let Ok(row) = serde_json::from_slice::<Row>(line) {
                    found.insert(row.identity.output.clone(), row);
                }
            }
            Ok(Line::Removed(line)) => drop(found.remove(&line.removed)),
            _ => {}
        }
    })?;
    Ok(outputs.iter().filter_map(|&output| found.remove(output)).collect())
}

/// Calls `take` with every whole line of `manifests`, in their order.
fn each_line(manifests: &[PathBuf], mut take: impl FnMut(&[u8])) -> Result<()> {
    for path in manifests {
        let file = File::open(path).map_err(Error::io(path, "read it back"))?;
        each_line_of(file, &mut take).map_err(Error::io(path, "read it back"))?;
    }
    Ok(())
}

fn each_line_of(file: impl io::Read, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    // Another run may be writing the last line at this moment. It counts if only its end of line is missing.
    let is_whole = |line: &[u8]| line.last() == Some(&b'\n') || serde_json::from_slice::<IgnoredAny>(line).is_ok();
    while reader.read_until(b'\n', &mut line)? > 0 && is_whole(&line) {
        take(&line);
        line.clear();
    }
    Ok(())
}

/// All manifests in the folder, those of shards last.
fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = vec![folder.join(MANIFEST_NAME)];
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
        shard.and_then(Shard::of_file_name).is_some()
    };
    let mut names: Vec<String> = names.filter(is_shard).collect();
    names.sort();
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// Opens a manifest for appending. An incomplete last line, which a killed run may leave, is cut off. If only its end of
/// line is missing, as some editors leave files, it is added.
fn open_at_whole_lines(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let mut file = file.map_err(Error::io(path, "open it"))?;
    let cut = whole_lines(&file).and_then(|whole| {
        file.seek(SeekFrom::Start(whole))?;
        let mut rest = Vec::new();
        io::Read::read_to_end(&mut file, &mut rest)?;
        if Line::<RowHead>::parse(&rest).is_ok() {
            return file.write_all(b"\n");
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole)).map(drop)
    });
    cut.map_err(Error::io(path, "cut off its unfinished end"))?;
    Ok(file)
}

/// The length of `file` up to the end of its last whole line. Rewinds the file.
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

/// Puts the last row of every output into `records`, and counts the lines that are not rows.
fn read_records(file: impl io::Read, records: &mut HashMap<Box<str>, Record>) -> io::Result<usize> {
    let mut damaged = 0;
    each_line_of(file, &mut |line| damaged += usize::from(insert_record(line, records).is_err()))?;
    Ok(damaged)
}

/// Notes in `records` what one line says.
fn insert_record(line: &[u8], records: &mut HashMap<Box<str>, Record>) -> serde_json::Result<()> {
    match Line::<RowHead>::parse(line)? {
        Line::Row(row) => drop(records.insert(row.output.as_ref().into(), row.into())),
        Line::Removed(line) => drop(records.remove(&*line.removed)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::fingerprint::Fingerprint;
    use crate::output::row::{BackboneRow, Identity, Outcome, Producer, StyleRow};

    fn row(output: &str, status: Status) -> Row {
        let identity = Identity {
            source: "/ds/a.jpg".into(),
            source_files: Some(Fingerprint::of(&[])),
            style_digest: "5717".into(),
            output: output.into(),
            label: Some("a__fog-1.txt".into()),
            seed: u64::MAX,
            ..Identity::default()
        };
        let backbone = BackboneRow { name: "builtin".into(), digest: "bb".into() };
        let producer = Producer {
            device: "cpu".into(),
            backbone,
            config_digest: "cc".into(),
            engine: "0.1.0".into(),
            dataset_digest: Some("dd".into()),
            student: None,
        };
        let outcome =
            Outcome { style_loss: Some(f64::NAN), losses: vec![Some(2.5), None, Some(1.25)], ..Outcome::default() };
        Row { status, outcome, ..Row::new(identity, producer) }
    }

    fn work() -> Work<'static> {
        Work {
            source: "/ds/a.jpg".into(),
            source_files: Vec::new(),
            output: "a__fog-1.jpg",
            label: Some("a__fog-1.txt"),
            annotations_digest: None,
            seed: u64::MAX,
            place: 0,
            style_digest: "5717",
            config_digest: "cc",
            backbone_digest: "bb",
            dataset_digest: Some("dd"),
            student: None,
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
        assert_eq!(rows[0].outcome.style_loss, None, "NaN has no place in JSON");
        let frame = folder.path().join("frame");
        fs::write(&frame, b"x").unwrap();
        for (other, change) in [
            (Work { seed: 1, ..work() }, Change::Seed),
            (Work { source_files: vec![frame], ..work() }, Change::Source),
            (Work { style_digest: "x", ..work() }, Change::Style),
            (Work { config_digest: "x", ..work() }, Change::Config),
            (Work { backbone_digest: "x", ..work() }, Change::Backbone),
            (Work { dataset_digest: Some("x"), ..work() }, Change::Dataset),
            (Work { student: Some("x"), ..work() }, Change::Student),
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
        let part = |path: &str, weight| StyleRow { path: path.into(), weight };
        let mut two = Row { outcome: Outcome::default(), ..one };
        two.identity.styles = vec![part("/a.png", 0.75), part("/b.png", 0.25)];
        let read = serde_json::from_str::<Row>(&serde_json::to_string(&two).unwrap());
        assert_eq!(read.unwrap(), two);
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
        let path = folder.path().join(MANIFEST_NAME);
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
    fn a_last_row_without_its_end_of_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MANIFEST_NAME);
        fs::write(&path, serde_json::to_string(&row("b.jpg", Status::Done)).unwrap()).unwrap();
        let mut manifest = open(folder.path()).unwrap();
        assert_eq!((manifest.done().count(), manifest.damaged()), (1, 0));
        manifest.append(&row("c.jpg", Status::Done)).unwrap();
        drop(manifest);
        assert_eq!(last_rows(folder.path()).unwrap().rows.len(), 2);
    }

    #[test]
    fn the_rows_of_a_removed_picture_no_longer_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = open(folder.path()).unwrap();
        for name in ["a.jpg", "a.png", "b.jpg"] {
            fs::write(folder.path().join(name), "x").unwrap();
            manifest.append(&row(name, Status::Done)).unwrap();
        }
        manifest.remove_other_formats("a.png").unwrap();
        assert!(!folder.path().join("a.jpg").exists());
        let done = |manifest: &Manifest| {
            let mut outputs: Vec<String> = manifest.done().map(|(_, output)| output.to_string()).collect();
            outputs.sort();
            outputs
        };
        assert_eq!(done(&manifest), ["a.png", "b.jpg"]);
        drop(manifest);
        let manifest = open(folder.path()).unwrap();
        assert_eq!((done(&manifest), manifest.damaged()), (vec!["a.png".to_string(), "b.jpg".to_string()], 0));
        let LastRows { rows, unreadable } = last_rows(folder.path()).unwrap();
        assert_eq!((rows.len(), unreadable), (2, 0));
        assert!(rows_of(folder.path(), &["a.jpg"]).unwrap().is_empty());
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
        for (other, why) in [(shard("1/2"), "another run"), (None, "another run"), (shard("2/3"), "in another way")] {
            let error = Manifest::open(folder.path(), other).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
        }
        one.append(&row("a.jpg", Status::Done)).unwrap();
        two.append(&row("b.jpg", Status::Done)).unwrap();
        one.close().unwrap();
        assert!(!folder.path().join(MANIFEST_NAME).exists(), "the other still runs");
        two.read_back().unwrap();
        assert_eq!((two.done().count(), two.rows(&["a.jpg", "c.jpg", "b.jpg"]).unwrap().len()), (2, 2));
        assert_eq!(done_outputs(folder.path()).unwrap(), ["a.jpg", "b.jpg"]);
        assert_eq!(rows_of(folder.path(), &["b.jpg", "c.jpg"]).unwrap()[0].identity.output, "b.jpg");
        two.close().unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(MANIFEST_NAME)).unwrap().lines().count(), 2);
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
        assert_eq!(fs::read_to_string(folder.path().join(MANIFEST_NAME)).unwrap(), whole);
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
        fs::write(folder.path().join(MANIFEST_NAME), "{\"files\": []}\n").unwrap();
        assert!(!is_output_folder(folder.path()));
    }
}
