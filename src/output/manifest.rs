//! The record of a run: one row a job, appended and flushed at once, so that whatever happens later is not lost.
//!
//! A run that does a shard writes to a manifest of its own, `manifest.1-of-4.jsonl`, since machines that share a disk
//! cannot append to one file. Who finds the folder free, at its start or at its end, moves the rows of such manifests
//! into the one that has no number. The last row of an output counts, wherever it stands.

use crate::error::{Error, Result};
use crate::files::atomic;
use crate::files::fingerprint::Fingerprint;
use crate::files::marker::{expect_output_folder, is_output_folder};
use crate::output::folder;
use crate::output::lock::{open_lock, pass_gate, take_locks};
use crate::output::resume::{Brief, Change, Record, State, Work, mark};
use crate::output::row::{Row, Status};
use crate::plan::shard::Shard;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The manifest's name in the output folder.
pub const FILE_NAME: &str = "manifest.jsonl";

/// Held alone by a run over everything, and shared by those over shards.
pub const LOCK_NAME: &str = ".augment.lock";

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
        let files = folder::files(&self.folder, work.output, work.label);
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

/// Removes what killed runs left unfinished, and moves the rows of shards into the one manifest. Only for who holds the
/// folder alone.
pub fn tidy(folder: &Path) -> Result<()> {
    atomic::remove_unfinished(folder);
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
    use crate::output::row::{Backbone, StyleRow};

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
        let part = |path: &str, weight| StyleRow { path: path.into(), weight };
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
