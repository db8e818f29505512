//! Tensors from a server, part by part, so that what was got is never lost: a broken connection, a killed program and a
//! damaged disk cost what they broke.

use crate::error::{Error, Result};
use crate::nst::Tap;
use crate::units::megabytes;
use crate::weights::digests::{self, Sums};
use crate::weights::file;
use crate::weights::header::{self, Header, TensorEntry};
use crate::weights::hub::{Remote, RemoteError};
use crate::weights::tensors::{self, Named};
use crate::weights::watch::Watch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// Tries in a row that may bring less than [`STEP`].
const TRIES: u32 = 4;

/// The wait after the first failed try; it doubles with each.
const WAIT: Duration = Duration::from_millis(500);

/// A server that asks for patience gets no more than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// After so many bytes the journal learns their digest; later ones are lost when the program is killed.
const STEP: u64 = 1 << 20;

/// Bytes that are asked for before the header's length is known; most headers fit.
const FIRST: u64 = 16 << 10;

/// The convolutions of the file at `remote` as far as `through`, with every digest that `expected` names.
///
/// What comes is kept beside `target` under hidden names, where another call goes on. They stay until
/// [`Partial::remove`].
///
/// # Errors
/// When the file has no such tensors, the network fails too often, or a tensor is wrong twice.
pub fn download(
    remote: &mut Remote,
    target: &Path,
    through: Tap,
    expected: &Sums,
    watch: &mut dyn Watch,
) -> Result<(Vec<Named>, Partial), RemoteError> {
    let mut patience = Patience::default();
    let header = patience.until_done(remote, watch, |remote, _, _| read_header(remote))?;
    let all = header.all();
    let misfits = tensors::misfits(through, |name| Some(&all.iter().find(|part| part.name == name)?.shape));
    if let Some(first) = misfits.first() {
        let more = if misfits.len() > 1 { format!(" (and {} more)", misfits.len() - 1) } else { String::new() };
        let hint = "--through takes fewer layers; `augment weights import` reads files with other names";
        let why = format!("is no VGG19 with torchvision's names as far as {through}: {first}{more}; {hint}");
        return Err(remote.fail(why).into());
    }
    let parts = header.convolutions(through);
    let identity = format!("{} {} {}", remote.url(), remote.identity().unwrap_or_default(), header.file_len());
    let partial = Partial::open(target, &identity, parts)?;
    watch.size(partial.parts.iter().map(|part| part.len).sum());
    watch.at(partial.bytes());
    match partial.found {
        Found::Nothing => {}
        Found::Other => watch.note("what an earlier download left is of another file; starting over"),
        Found::Some { damaged: 0 } => watch.note(&format!("going on after {}", megabytes(partial.bytes()))),
        Found::Some { damaged } => watch.note(&format!(
            "going on after {}; {damaged} tensors that were damaged on the disk are fetched again",
            megabytes(partial.bytes())
        )),
    }
    let mut fetch = Fetch { partial, expected, again: Vec::new() };
    patience.until_done(remote, watch, |remote, watch, gained| fetch.round(remote, watch, gained))?;
    let tensors = fetch.partial.tensors()?;
    Ok((tensors, fetch.partial))
}

fn read_header(remote: &mut Remote) -> Result<Header, RemoteError> {
    let mut first = [0; header::LENGTH];
    fill(remote, 0, FIRST, &mut first)?;
    let length = header::length(first).map_err(|why| remote.fail(why))?;
    let mut bytes = vec![0; length as usize];
    fill(remote, header::LENGTH as u64, FIRST, &mut bytes)?;
    Ok(Header::parse(&bytes).map_err(|why| remote.fail(why))?)
}

/// Fills `buffer` from byte `from` on, asking for bytes up to `to` if need be.
fn fill(remote: &mut Remote, from: u64, to: u64, buffer: &mut [u8]) -> Result<(), RemoteError> {
    let mut done = 0;
    while done < buffer.len() {
        let at = from + done as u64;
        let end = from + buffer.len() as u64;
        let to = if at < to { to } else { end };
        done += remote.read(at, to, &mut buffer[done..])?;
    }
    Ok(())
}

/// Tries again what may go better, a few times.
#[derive(Default)]
struct Patience {
    failed: u32,
}

impl Patience {
    fn until_done<T>(
        &mut self,
        remote: &mut Remote,
        watch: &mut dyn Watch,
        mut once: impl FnMut(&mut Remote, &mut dyn Watch, &mut u64) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        loop {
            let mut gained = 0;
            let (why, wait) = match once(remote, watch, &mut gained) {
                Err(RemoteError::Passing { why, wait }) => (why, wait),
                done => return done,
            };
            self.failed = if gained >= STEP { 1 } else { self.failed + 1 };
            if self.failed >= TRIES {
                return Err(RemoteError::Passing { why: format!("{why}; given up after {TRIES} tries"), wait: None });
            }
            let wait = wait.unwrap_or(WAIT * (1 << (self.failed - 1))).min(LONGEST_WAIT);
            watch.note(&format!("{why}; trying again in {:.1} s", wait.as_secs_f64()));
            sleep(wait);
        }
    }
}

/// The download of all parts that are not there yet.
struct Fetch<'a> {
    partial: Partial,
    expected: &'a Sums,
    /// Tensors that came wrong once.
    again: Vec<String>,
}

impl Fetch<'_> {
    /// Reads what is missing, as far as the connection lasts; counts what it gains.
    fn round(&mut self, remote: &mut Remote, watch: &mut dyn Watch, gained: &mut u64) -> Result<(), RemoteError> {
        let done = self.read_on(remote, watch, gained);
        (0..self.partial.parts.len()).try_for_each(|n| self.partial.note(n))?;
        done
    }

    fn read_on(&mut self, remote: &mut Remote, watch: &mut dyn Watch, gained: &mut u64) -> Result<(), RemoteError> {
        let mut buffer = vec![0; 256 << 10];
        while let Some(n) = self.partial.next() {
            let part = self.partial.parts[n].clone();
            let got = self.partial.got[n].bytes;
            let most = buffer.len().min((part.len - got) as usize);
            let read = remote.read(part.start + got, self.partial.end_of_run(n), &mut buffer[..most])?;
            self.partial.add(n, &buffer[..read])?;
            *gained += read as u64;
            watch.at(self.partial.bytes());
            if self.partial.got[n].bytes == part.len {
                self.judge(n, remote, watch)?;
            }
        }
        Ok(())
    }

    /// Looks at a tensor that is complete; one that is wrong is fetched again once.
    fn judge(&mut self, n: usize, remote: &Remote, watch: &mut dyn Watch) -> Result<(), RemoteError> {
        let tensor = self.partial.tensor(n)?;
        let sum = digests::sha256(&tensor.bytes);
        let wrong = match self.expected.get(&tensor.name) {
            Some(wanted) if wanted != sum => Some(format!("`{}` has the SHA-256 {sum}, not {wanted}", tensor.name)),
            _ => tensor.fault(),
        };
        let Some(wrong) = wrong else { return Ok(()) };
        self.partial.forget(n)?;
        if self.again.contains(&tensor.name) {
            return Err(remote.fail(format!("{wrong}, twice; nothing was installed")).into());
        }
        watch.note(&format!("{wrong}; fetching it again"));
        self.again.push(tensor.name);
        Ok(())
    }
}

/// What an earlier download has left.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Nothing,
    Other,
    Some { damaged: usize },
}

/// The parts that came so far: their bytes in one hidden file, and what is known of them in a journal beside it.
pub struct Partial {
    path: PathBuf,
    /// Held and locked.
    file: File,
    journal: File,
    parts: Vec<TensorEntry>,
    got: Vec<Got>,
    found: Found,
}

/// How much of a part came.
#[derive(Clone, Default)]
struct Got {
    bytes: u64,
    hash: Sha256,
    /// Bytes that the journal knows of.
    noted: u64,
}

/// One line of the journal. The last one about a tensor counts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Of { identity: String },
    Got { name: String, bytes: u64, sha256: String },
}

impl Partial {
    /// What is there of `parts` of the file that `identity` stands for. Bytes without their digest count as missing.
    fn open(target: &Path, identity: &str, parts: Vec<TensorEntry>) -> Result<Self> {
        let path = hidden(target, "part");
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
        let open = |path: &Path| {
            let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
            options.map_err(Error::io(path, "open what was downloaded before"))
        };
        let file = open(&path)?;
        if file.try_lock().is_err() {
            return Err(Error::bad_file(
                &path,
                "another `augment weights pull` is writing this; wait for it, or end it",
            ));
        }
        let mut journal = open(&hidden(target, "journal"))?;
        let mut text = String::new();
        // A journal that is no text tells nothing.
        let _ = journal.read_to_string(&mut text);
        let lines: Vec<Line> = text.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
        let same = matches!(lines.first(), Some(Line::Of { identity: own }) if own == identity);
        let found = match lines.is_empty() {
            true => Found::Nothing,
            false if same => Found::Some { damaged: 0 },
            false => Found::Other,
        };
        let got = vec![Got::default(); parts.len()];
        let mut partial = Self { path, file, journal, parts, got, found };
        if same {
            partial.recall(lines)?;
        }
        partial.begin_journal(identity)?;
        Ok(partial)
    }

    /// Takes what the journal knows and the file still holds.
    fn recall(&mut self, lines: Vec<Line>) -> Result<()> {
        let mut known = HashMap::new();
        for line in lines {
            if let Line::Got { name, bytes, sha256 } = line {
                known.insert(name, (bytes, sha256));
            }
        }
        let mut damaged = 0;
        for n in 0..self.parts.len() {
            let part = &self.parts[n];
            let Some((bytes, sha256)) = known.get(&part.name).filter(|(bytes, _)| (1..=part.len).contains(bytes))
            else {
                continue;
            };
            let mut held = vec![0; *bytes as usize];
            let read = self.file.seek(SeekFrom::Start(part.slot)).and_then(|_| self.file.read_exact(&mut held));
            let hash = Sha256::new_with_prefix(&held);
            if read.is_ok() && digests::hex(hash.clone()) == *sha256 {
                self.got[n] = Got { bytes: *bytes, hash, noted: 0 };
            } else {
                damaged += 1;
            }
        }
        self.found = if damaged == 0 && self.bytes() == 0 { Found::Nothing } else { Found::Some { damaged } };
        Ok(())
    }

    fn begin_journal(&mut self, identity: &str) -> Result<()> {
        let emptied = self.journal.set_len(0).and_then(|()| self.journal.seek(SeekFrom::Start(0)));
        emptied.map_err(Error::io(&self.path, "write its journal"))?;
        self.tell_journal(&Line::Of { identity: identity.into() })?;
        (0..self.parts.len()).try_for_each(|n| self.note(n))
    }

    fn tell_journal(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line).unwrap_or_default() + "\n";
        self.journal.write_all(text.as_bytes()).map_err(Error::io(&self.path, "write its journal"))
    }

    /// Tells the journal of all bytes of a part.
    fn note(&mut self, n: usize) -> Result<()> {
        let got = &mut self.got[n];
        if got.noted == got.bytes {
            return Ok(());
        }
        got.noted = got.bytes;
        let (bytes, sha256) = (got.bytes, digests::hex(got.hash.clone()));
        let name = self.parts[n].name.clone();
        self.tell_journal(&Line::Got { name, bytes, sha256 })
    }

    /// Bytes that are there.
    fn bytes(&self) -> u64 {
        self.got.iter().map(|got| got.bytes).sum()
    }

    /// The first part that is not whole.
    fn next(&self) -> Option<usize> {
        (0..self.parts.len()).find(|&n| self.got[n].bytes < self.parts[n].len)
    }

    /// Where the bytes end that can be asked for together with those of part `n`.
    fn end_of_run(&self, n: usize) -> u64 {
        let mut end = self.parts[n].start + self.parts[n].len;
        for (part, got) in self.parts[n + 1..].iter().zip(&self.got[n + 1..]) {
            if part.start != end || got.bytes > 0 {
                break;
            }
            end += part.len;
        }
        end
    }

    fn add(&mut self, n: usize, bytes: &[u8]) -> Result<()> {
        let at = self.parts[n].slot + self.got[n].bytes;
        let written = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.write_all(bytes));
        written.map_err(Error::io(&self.path, "write it"))?;
        let got = &mut self.got[n];
        got.hash.update(bytes);
        got.bytes += bytes.len() as u64;
        if got.bytes == self.parts[n].len || got.bytes - got.noted >= STEP { self.note(n) } else { Ok(()) }
    }

    /// Counts a part as missing.
    fn forget(&mut self, n: usize) -> Result<()> {
        self.got[n] = Got::default();
        let (name, sha256) = (self.parts[n].name.clone(), String::new());
        self.tell_journal(&Line::Got { name, bytes: 0, sha256 })
    }

    fn tensor(&mut self, n: usize) -> Result<Named> {
        let part = self.parts[n].clone();
        let bytes = file::read_range(&self.path, &mut self.file, part.slot, part.len)?;
        Ok(part.with(bytes))
    }

    fn tensors(&mut self) -> Result<Vec<Named>> {
        (0..self.parts.len()).map(|n| self.tensor(n)).collect()
    }

    /// Removes what was kept; the tensors have a better place now.
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

    fn parts() -> Vec<TensorEntry> {
        let part = |name: &str, start: u64, slot: u64| {
            let (name, shape) = (name.to_string(), vec![3]);
            TensorEntry { name, dtype: Dtype::F32, shape, start, len: 12, slot }
        };
        vec![part("a", 100, 0), part("b", 112, 12), part("c", 200, 36)]
    }

    #[test]
    fn what_came_is_there_for_the_next_run_as_far_as_its_digest_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("cache/weights");
        let mut partial = Partial::open(&target, "one", parts()).unwrap();
        assert_eq!((partial.next(), partial.end_of_run(0), partial.found), (Some(0), 124, Found::Nothing));
        partial.add(0, &[1; 12]).unwrap();
        partial.add(1, &[2; 5]).unwrap();
        assert!(Partial::open(&target, "one", parts()).err().unwrap().to_string().contains("another"));
        drop(partial);
        let mut partial = Partial::open(&target, "one", parts()).unwrap();
        assert_eq!((partial.next(), partial.bytes(), partial.found), (Some(1), 12, Found::Some { damaged: 0 }));
        assert_eq!(partial.tensor(0).unwrap().bytes, [1; 12]);
        partial.add(1, &[2; 5]).unwrap();
        partial.note(1).unwrap();
        drop(partial);
        let partial = Partial::open(&target, "one", parts()).unwrap();
        assert_eq!((partial.next(), partial.bytes()), (Some(1), 17));
        drop(partial);
        let partial = Partial::open(&target, "two", parts()).unwrap();
        assert_eq!((partial.bytes(), partial.found), (0, Found::Other));
        partial.remove();
        assert_eq!(fs::read_dir(folder.path().join("cache")).unwrap().count(), 0);
    }

    #[test]
    fn damage_on_the_disk_costs_the_tensor_that_it_hit() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("weights");
        let mut partial = Partial::open(&target, "one", parts()).unwrap();
        (0..3).for_each(|n| partial.add(n, &[n as u8; 12]).unwrap());
        drop(partial);
        let mut bytes = fs::read(folder.path().join(".weights.part")).unwrap();
        bytes[13] ^= 1;
        fs::write(folder.path().join(".weights.part"), &bytes).unwrap();
        let mut partial = Partial::open(&target, "one", parts()).unwrap();
        assert_eq!((partial.next(), partial.bytes(), partial.found), (Some(1), 24, Found::Some { damaged: 1 }));
        partial.forget(2).unwrap();
        drop(partial);
        let mut journal = fs::read(folder.path().join(".weights.journal")).unwrap();
        journal.extend(b"{\"name\":\"a\",\"byt");
        fs::write(folder.path().join(".weights.journal"), &journal).unwrap();
        let partial = Partial::open(&target, "one", parts()).unwrap();
        assert_eq!((partial.bytes(), partial.end_of_run(1)), (12, 124));
    }
}
