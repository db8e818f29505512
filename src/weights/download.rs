//! Downloads the convolutions of a `.safetensors` file, tensor by tensor, and resumes where an earlier try broke off.

use crate::error::Result;
use crate::nst::layers::Tap;
use crate::nst::network::shapes::shape_errors;
use crate::units::megabytes;
use crate::weights::digests::{self, Checksums};
use crate::weights::header::{self, Header};
use crate::weights::partial::{Earlier, Partial};
use crate::weights::remote::{Remote, RemoteError};
use crate::weights::tensors::NamedTensor;
use crate::weights::watch::Watch;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Tries in a row that may fail without [`PROGRESS`] bytes in between.
const TRIES: u32 = 4;

/// Bytes that make a failed try count as the first one again.
const PROGRESS: u64 = 1 << 20;

/// The wait after the first failed try. It doubles with each further one.
const WAIT: Duration = Duration::from_millis(500);

/// The longest wait, also where the server asks for a longer one.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Bytes that the first request asks for, before the length of the header is known. Most headers fit.
const FIRST_REQUEST: u64 = 16 << 10;

/// Bytes that are read, hashed and written at once.
const BUFFER: usize = 256 << 10;

/// Downloads the convolutions of the file at `remote` as far as `through`. Each tensor must have the digest that
/// `expected` has for it, if any.
///
/// Bytes are kept in hidden files beside `target`, and another call goes on from there. Call [`Partial::remove`] once
/// the tensors are stored elsewhere.
///
/// # Errors
/// When the file has no such tensors, the network fails too often, or a tensor is wrong twice.
pub fn download(
    remote: &mut Remote,
    target: &Path,
    through: Tap,
    expected: &Checksums,
    watch: &mut dyn Watch,
) -> Result<(Vec<NamedTensor>, Partial), RemoteError> {
    let mut retries = Retries::default();
    let header = retries.until_done(remote, watch, |remote, _, _| read_header(remote))?;
    check_shapes(remote, &header, through)?;
    let identity = format!("{} {} {}", remote.url(), remote.identity().unwrap_or_default(), header.file_len());
    let partial = Partial::open(target, &identity, header.convolutions(through))?;
    watch.total(partial.total());
    watch.received(partial.bytes());
    match partial.earlier() {
        Earlier::Nothing => {}
        Earlier::OtherFile => watch.message("an earlier download here was of another file; starting over"),
        Earlier::Some { damaged: 0 } => watch.message(&format!("going on after {}", megabytes(partial.bytes()))),
        Earlier::Some { damaged } => watch.message(&format!(
            "going on after {}; {damaged} tensors that were damaged on the disk are fetched again",
            megabytes(partial.bytes())
        )),
    }
    let mut fetch = Fetch { partial, expected, refetched: Vec::new() };
    retries.until_done(remote, watch, |remote, watch, gained| fetch.run(remote, watch, gained))?;
    let tensors = fetch.partial.tensors()?;
    Ok((tensors, fetch.partial))
}

/// Checks that the file holds a VGG19, before anything else of it is downloaded.
fn check_shapes(remote: &Remote, header: &Header, through: Tap) -> Result<(), RemoteError> {
    let all = header.all();
    let errors = shape_errors(through, |name| Some(&all.iter().find(|entry| entry.name == name)?.shape));
    let Some(first) = errors.first() else { return Ok(()) };
    let more = if errors.len() > 1 { format!(" (and {} more)", errors.len() - 1) } else { String::new() };
    let hint = "--through takes fewer layers; `augment weights import` reads files with other names";
    let why = format!("is no VGG19 with torchvision's names as far as {through}: {first}{more}; {hint}");
    Err(remote.fail(why).into())
}

fn read_header(remote: &mut Remote) -> Result<Header, RemoteError> {
    let mut first = [0; header::LENGTH];
    fill(remote, 0, FIRST_REQUEST, &mut first)?;
    let length = header::length(first).map_err(|why| remote.fail(why))?;
    let mut bytes = vec![0; length as usize];
    fill(remote, header::LENGTH as u64, FIRST_REQUEST, &mut bytes)?;
    Ok(Header::parse(&bytes).map_err(|why| remote.fail(why))?)
}

/// Fills `buffer` with the bytes from `from` on. A new request asks for everything up to byte `to`, beyond it for what
/// the buffer still lacks.
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

/// Repeats what failed for a reason that may pass.
#[derive(Default)]
struct Retries {
    /// Failed tries in a row.
    failed: u32,
}

impl Retries {
    /// Calls `attempt` until it succeeds, fails for good, or has failed [`TRIES`] times. Its last argument counts the
    /// bytes that it gains.
    fn until_done<T>(
        &mut self,
        remote: &mut Remote,
        watch: &mut dyn Watch,
        mut attempt: impl FnMut(&mut Remote, &mut dyn Watch, &mut u64) -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        loop {
            let mut gained = 0;
            let (why, wait) = match attempt(remote, watch, &mut gained) {
                Err(RemoteError::Temporary { why, wait }) => (why, wait),
                done => return done,
            };
            self.failed = if gained >= PROGRESS { 1 } else { self.failed + 1 };
            if self.failed >= TRIES {
                return Err(RemoteError::Temporary { why: format!("{why}; given up after {TRIES} tries"), wait: None });
            }
            let wait = wait.unwrap_or(WAIT * (1 << (self.failed - 1))).min(LONGEST_WAIT);
            watch.message(&format!("{why}; trying again in {:.1} s", wait.as_secs_f64()));
            sleep(wait);
        }
    }
}

/// The download of all tensors that are not complete yet.
struct Fetch<'a> {
    partial: Partial,
    expected: &'a Checksums,
    /// Names of tensors that were wrong once.
    refetched: Vec<String>,
}

impl Fetch<'_> {
    /// Downloads what is missing until the connection fails. Adds the bytes that came to `gained`.
    fn run(&mut self, remote: &mut Remote, watch: &mut dyn Watch, gained: &mut u64) -> Result<(), RemoteError> {
        let done = self.receive(remote, watch, gained);
        self.partial.update_journal()?;
        done
    }

    fn receive(&mut self, remote: &mut Remote, watch: &mut dyn Watch, gained: &mut u64) -> Result<(), RemoteError> {
        let mut buffer = vec![0; BUFFER];
        while let Some(gap) = self.partial.next_gap() {
            let most = buffer.len().min(gap.missing as usize);
            let read = remote.read(gap.start, gap.end_of_run, &mut buffer[..most])?;
            self.partial.add(gap.entry, &buffer[..read])?;
            *gained += read as u64;
            watch.received(self.partial.bytes());
            if read as u64 == gap.missing {
                self.check(gap.entry, remote, watch)?;
            }
        }
        Ok(())
    }

    /// Checks the tensor of entry `n`, which is complete. A wrong one is downloaded again once.
    fn check(&mut self, n: usize, remote: &Remote, watch: &mut dyn Watch) -> Result<(), RemoteError> {
        let tensor = self.partial.tensor(n)?;
        let sum = digests::sha256(&tensor.bytes);
        let wrong = match self.expected.get(&tensor.name) {
            Some(expected) if expected != sum => {
                Some(format!("`{}` has the SHA-256 {sum}, not {expected}", tensor.name))
            }
            _ => tensor.fault(),
        };
        let Some(wrong) = wrong else { return Ok(()) };
        self.partial.discard(n)?;
        if self.refetched.contains(&tensor.name) {
            return Err(remote.fail(format!("{wrong}, twice; nothing was installed")).into());
        }
        watch.message(&format!("{wrong}; fetching it again"));
        self.refetched.push(tensor.name);
        Ok(())
    }
}
