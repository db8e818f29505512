//! A download in progress, on the disk: hidden files from which it can be resumed.
//!
//! One file holds the tensors, each at its [`slot`](TensorEntry::slot). A journal beside it says how many bytes of each
//! tensor came and what their SHA-256 is. After a broken connection, a killed program or damage on the disk, only those
//! bytes are lost that the journal does not vouch for.

use crate::error::{Error, Result};
use crate::weights::digests;
use crate::weights::file;
use crate::weights::header::TensorEntry;
use crate::weights::tensors::NamedTensor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of one tensor after which the journal gets another line. If the program is killed, later bytes are lost.
const JOURNAL_STEP: u64 = 1 << 20;

/// What an earlier download left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Earlier {
    Nothing,
    /// Bytes of another file; they are dropped.
    OtherFile,
    /// Bytes of the same file. `damaged` tensors are not as the journal says and are dropped.
    Some {
        damaged: usize,
    },
}

/// The tensors that are downloaded, and what came of them so far.
pub struct Partial {
    path: PathBuf,
    /// Locked, so that two downloads do not write here at once.
    file: File,
    journal: File,
    entries: Vec<TensorEntry>,
    /// For each entry.
    received: Vec<Received>,
    earlier: Earlier,
}

/// How much of a tensor came.
#[derive(Clone, Default)]
struct Received {
    bytes: u64,
    hash: Sha256,
    /// Bytes by the last line of the journal.
    journaled: u64,
}

/// The bytes that are missing next.
pub struct Gap {
    /// The number of the tensor's entry.
    pub entry: usize,
    /// The first missing byte, in the remote file.
    pub start: u64,
    /// How many bytes of this tensor are missing.
    pub missing: u64,
    /// Where the missing bytes end that can be had by one request, in the remote file. Other tensors may follow this
    /// one.
    pub end_of_run: u64,
}

/// One line of the journal. The last one about a tensor counts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum JournalLine {
    /// The first line: which remote file this is.
    Head { identity: String },
    /// The first `bytes` of a tensor have this digest.
    Received { name: String, bytes: u64, sha256: String },
}

impl Partial {
    /// Opens the hidden files beside `target` for the tensors `entries` of the remote file that `identity` stands for.
    /// Creates the folder and the files if need be.
    ///
    /// # Errors
    /// When another process is downloading here, or the files cannot be read or written.
    pub fn open(target: &Path, identity: &str, entries: Vec<TensorEntry>) -> Result<Self> {
        let path = hidden(target, "part");
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
        let open = |path: &Path| {
            let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
            options.map_err(Error::io(path, "open what was downloaded before"))
        };
        let file = open(&path)?;
        if file.try_lock().is_err() {
            let why = "another `augment weights pull` is writing this; wait for it, or end it";
            return Err(Error::bad_file(&path, why));
        }
        let mut journal = open(&hidden(target, "journal"))?;
        let mut text = String::new();
        // A journal that is not UTF-8 is damaged, and counts as empty.
        let _ = journal.read_to_string(&mut text);
        let lines: Vec<JournalLine> = text.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
        let same_file = matches!(lines.first(), Some(JournalLine::Head { identity: own }) if own == identity);
        let earlier = match lines.is_empty() {
            true => Earlier::Nothing,
            false if same_file => Earlier::Some { damaged: 0 },
            false => Earlier::OtherFile,
        };
        let received = vec![Received::default(); entries.len()];
        let mut partial = Self { path, file, journal, entries, received, earlier };
        if same_file {
            partial.restore(lines)?;
        }
        partial.restart_journal(identity)?;
        Ok(partial)
    }

    /// Takes over the bytes that still have the digests of the journal.
    fn restore(&mut self, lines: Vec<JournalLine>) -> Result<()> {
        let mut journaled = HashMap::new();
        for line in lines {
            if let JournalLine::Received { name, bytes, sha256 } = line {
                journaled.insert(name, (bytes, sha256));
            }
        }
        let mut damaged = 0;
        for (entry, received) in self.entries.iter().zip(&mut self.received) {
            let line = journaled.get(&entry.name).filter(|(bytes, _)| (1..=entry.len).contains(bytes));
            let Some((bytes, sha256)) = line else { continue };
            let mut found = vec![0; *bytes as usize];
            let read = self.file.seek(SeekFrom::Start(entry.slot)).and_then(|_| self.file.read_exact(&mut found));
            let hash = Sha256::new_with_prefix(&found);
            if read.is_ok() && digests::hex(hash.clone()) == *sha256 {
                *received = Received { bytes: *bytes, hash, journaled: 0 };
            } else {
                damaged += 1;
            }
        }
        let nothing = damaged == 0 && self.bytes() == 0;
        self.earlier = if nothing { Earlier::Nothing } else { Earlier::Some { damaged } };
        Ok(())
    }

    fn restart_journal(&mut self, identity: &str) -> Result<()> {
        let emptied = self.journal.set_len(0).and_then(|()| self.journal.seek(SeekFrom::Start(0)));
        emptied.map_err(Error::io(&self.path, "write its journal"))?;
        self.append(&JournalLine::Head { identity: identity.into() })?;
        self.update_journal()
    }

    fn append(&mut self, line: &JournalLine) -> Result<()> {
        let text = serde_json::to_string(line).unwrap_or_default() + "\n";
        self.journal.write_all(text.as_bytes()).map_err(Error::io(&self.path, "write its journal"))
    }

    /// Appends a line for each tensor of which more came than the journal says.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn update_journal(&mut self) -> Result<()> {
        (0..self.entries.len()).try_for_each(|n| self.journal_entry(n))
    }

    fn journal_entry(&mut self, n: usize) -> Result<()> {
        let received = &mut self.received[n];
        if received.journaled == received.bytes {
            return Ok(());
        }
        received.journaled = received.bytes;
        let (bytes, sha256) = (received.bytes, digests::hex(received.hash.clone()));
        let name = self.entries[n].name.clone();
        self.append(&JournalLine::Received { name, bytes, sha256 })
    }

    /// What an earlier download left.
    pub fn earlier(&self) -> Earlier {
        self.earlier
    }

    /// Bytes of all tensors.
    pub fn total(&self) -> u64 {
        self.entries.iter().map(|entry| entry.len).sum()
    }

    /// Bytes that came so far.
    pub fn bytes(&self) -> u64 {
        self.received.iter().map(|received| received.bytes).sum()
    }

    /// The missing bytes of the first tensor that is not complete; `None` if all are.
    pub fn next_gap(&self) -> Option<Gap> {
        let n = (0..self.entries.len()).find(|&n| self.received[n].bytes < self.entries[n].len)?;
        let (entry, bytes) = (&self.entries[n], self.received[n].bytes);
        let mut end = entry.start + entry.len;
        for (entry, received) in self.entries[n + 1..].iter().zip(&self.received[n + 1..]) {
            if entry.start != end || received.bytes > 0 {
                break;
            }
            end += entry.len;
        }
        Some(Gap { entry: n, start: entry.start + bytes, missing: entry.len - bytes, end_of_run: end })
    }

    /// Appends `bytes` to the tensor of entry `n`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let at = self.entries[n].slot + self.received[n].bytes;
        let written = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(bytes));
        written.map_err(Error::io(&self.path, "write it"))?;
        let received = &mut self.received[n];
        received.hash.update(bytes);
        received.bytes += bytes.len() as u64;
        let complete = received.bytes == self.entries[n].len;
        if complete || received.bytes - received.journaled >= JOURNAL_STEP { self.journal_entry(n) } else { Ok(()) }
    }

    /// Drops what came of entry `n`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn discard(&mut self, n: usize) -> Result<()> {
        self.received[n] = Received::default();
        let (name, sha256) = (self.entries[n].name.clone(), String::new());
        self.append(&JournalLine::Received { name, bytes: 0, sha256 })
    }

    /// The tensor of entry `n`, which must be complete.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tensor(&mut self, n: usize) -> Result<NamedTensor> {
        let entry = self.entries[n].clone();
        let bytes = file::read_range(&self.path, &mut self.file, entry.slot, entry.len)?;
        Ok(entry.with(bytes))
    }

    /// All tensors, which must be complete.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn tensors(&mut self) -> Result<Vec<NamedTensor>> {
        (0..self.entries.len()).map(|n| self.tensor(n)).collect()
    }

    /// Removes the hidden files.
    pub fn remove(self) {
        let journal = self.path.with_extension("journal");
        drop((self.file, self.journal));
        for path in [&self.path, &journal] {
            let _ = fs::remove_file(path);
        }
    }
}

/// `.vgg19.safetensors.part` beside `vgg19.safetensors`.
fn hidden(target: &Path, kind: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::Dtype;

    fn entries() -> Vec<TensorEntry> {
        let entry = |name: &str, start: u64, slot: u64| {
            let (name, shape) = (name.to_string(), vec![3]);
            TensorEntry { name, dtype: Dtype::F32, shape, start, len: 12, slot }
        };
        vec![entry("a", 100, 0), entry("b", 112, 12), entry("c", 200, 36)]
    }

    /// The entry of the next gap, and all bytes that came.
    fn progress(partial: &Partial) -> (Option<usize>, u64) {
        (partial.next_gap().map(|gap| gap.entry), partial.bytes())
    }

    #[test]
    fn bytes_are_kept_for_the_next_run_if_the_journal_has_their_digest() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("cache/weights");
        let mut partial = Partial::open(&target, "one", entries()).unwrap();
        assert_eq!((progress(&partial), partial.earlier()), ((Some(0), 0), Earlier::Nothing));
        assert_eq!(partial.next_gap().map(|gap| (gap.start, gap.missing, gap.end_of_run)), Some((100, 12, 124)));
        partial.add(0, &[1; 12]).unwrap();
        partial.add(1, &[2; 5]).unwrap();
        assert!(Partial::open(&target, "one", entries()).err().unwrap().to_string().contains("another"));
        drop(partial);
        let mut partial = Partial::open(&target, "one", entries()).unwrap();
        assert_eq!((progress(&partial), partial.earlier()), ((Some(1), 12), Earlier::Some { damaged: 0 }));
        assert_eq!(partial.tensor(0).unwrap().bytes, [1; 12]);
        partial.add(1, &[2; 5]).unwrap();
        partial.update_journal().unwrap();
        drop(partial);
        let partial = Partial::open(&target, "one", entries()).unwrap();
        assert_eq!(progress(&partial), (Some(1), 17));
        assert_eq!(partial.next_gap().map(|gap| (gap.start, gap.missing, gap.end_of_run)), Some((117, 7, 124)));
        drop(partial);
        let partial = Partial::open(&target, "two", entries()).unwrap();
        assert_eq!((partial.bytes(), partial.earlier()), (0, Earlier::OtherFile));
        partial.remove();
        assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 0);
    }

    #[test]
    fn only_tensors_that_are_damaged_on_the_disk_are_lost() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("weights");
        let mut partial = Partial::open(&target, "one", entries()).unwrap();
        (0..3).for_each(|n| partial.add(n, &[n as u8; 12]).unwrap());
        drop(partial);
        let mut bytes = fs::read(folder.path().join(".weights.part")).unwrap();
        bytes[13] ^= 1;
        fs::write(folder.path().join(".weights.part"), &bytes).unwrap();
        let mut partial = Partial::open(&target, "one", entries()).unwrap();
        assert_eq!((progress(&partial), partial.earlier()), ((Some(1), 24), Earlier::Some { damaged: 1 }));
        partial.discard(2).unwrap();
        drop(partial);
        let mut journal = fs::read(folder.path().join(".weights.journal")).unwrap();
        journal.extend(b"{\"name\":\"a\",\"byt");
        fs::write(folder.path().join(".weights.journal"), &journal).unwrap();
        let partial = Partial::open(&target, "one", entries()).unwrap();
        assert_eq!(progress(&partial), (Some(1), 12), "the cut line at the end of the journal is ignored");
        assert_eq!(partial.next_gap().map(|gap| gap.end_of_run), Some(124));
    }
}
