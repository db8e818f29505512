//! The backbone's weights in the cache: fetched, checked, found, taken from other programs.
//!
//! What is installed holds the convolutions alone, under torchvision's names, and notes of its source and the SHA-256 of
//! each tensor, so that damage is seen later whether or not this program knows the set.

pub mod check;
pub mod digests;
pub mod download;
pub mod file;
pub mod header;
pub mod hub;
pub mod import;
pub mod locate;
pub mod tensors;
pub mod watch;

use crate::error::{Error, Result};
use crate::files::atomic;
use crate::nst::Tap;
use crate::weights::check::WeightsReport;
use crate::weights::digests::Sums;
use crate::weights::file::Weights;
use crate::weights::hub::{Remote, RemoteError, Repo};
use crate::weights::watch::Watch;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Nobody watches.
impl Watch for () {
    fn size(&mut self, _: u64) {}
    fn at(&mut self, _: u64) {}
    fn note(&mut self, _: &str) {}
}

/// What holds for every way to install weights.
#[derive(Debug, Default)]
pub struct InstallOptions {
    /// Replace other weights in the cache.
    pub force: bool,
    /// Digests that someone vouches for.
    pub given: Option<Sums>,
}

/// torch.hub calls files by the first digits of their SHA-256; these are of torchvision's `vgg19-dcbb9e9d.pth`.
const TORCHVISION: &str = "dcbb9e9d";

/// Fetches the convolutions of a repository as far as `through` into the cache: from the cache of the Hub's other
/// programs, else from the network.
///
/// # Errors
/// When they cannot be had, are not what they should be, or other weights are there and must not be replaced.
pub fn pull(repo: &Repo, through: Tap, order: &InstallOptions, watch: &mut dyn Watch) -> Result<WeightsReport> {
    let target = target()?;
    if let Some(report) = already(&target, repo, through, order)? {
        watch.note("they are there already");
        return Ok(report);
    }
    let installed = |mut weights: Weights, revision: Option<&str>| {
        check::note(&mut weights, &repo.at(revision), through);
        install(&weights, &repo.to_string(), &target, order)
    };
    match in_hub_cache(repo, through) {
        Some(Ok((path, revision, weights))) => {
            watch.note(&format!("taken from {}", path.display()));
            return installed(weights, Some(&revision));
        }
        Some(Err(error)) => watch.note(&format!("not taken from the Hub's cache: {error}")),
        None => {}
    }
    if hub::offline() {
        return Err(Error::Run(format!("{repo}: HF_HUB_OFFLINE forbids the network{}", by_hand(repo, &target))));
    }
    let mut remote = Remote::new(repo.url())?;
    watch.note(&format!("{}, as far as {through}", remote.url()));
    let expected = order.given.clone().unwrap_or_default();
    let (found, partial) =
        download::download(&mut remote, &target, through, &expected, watch).map_err(|e| match e {
            RemoteError::Final(error) => error,
            RemoteError::Passing { why, .. } => remote.fail(format!("{why}{}", by_hand(repo, &target))),
        })?;
    let report = installed(Weights::new(found, BTreeMap::new()), remote.revision())?;
    partial.remove();
    Ok(report)
}

/// What to do where no network is.
fn by_hand(repo: &Repo, target: &Path) -> String {
    format!(
        "\n  where there is a network: curl -L -o {file} {url}\n  and then here: augment weights import {file}\n  \
         or put that file as it is at {}",
        target.display(),
        file = hub::FILE,
        url = repo.url(),
    )
}

/// What is at `target`, if it is what a pull would bring. Anything else there is in its way.
fn already(target: &Path, repo: &Repo, through: Tap, order: &InstallOptions) -> Result<Option<WeightsReport>> {
    if order.force || fs::symlink_metadata(target).is_err() {
        return Ok(None);
    }
    let in_the_way = |what: String| Err(Error::bad_file(target, format!("{what}; --force replaces it")));
    let weights = match Weights::read(target, Tap::LAST) {
        Ok(weights) => weights,
        Err(error) => return in_the_way(format!("is there already and cannot be used ({error})")),
    };
    let report = check::check(target, &weights, order.given.as_ref());
    let source = report.source.clone().unwrap_or_else(|| "of unknown source".into());
    match report.faults.first() {
        Some(fault) => in_the_way(format!("is there already and damaged: {fault}")),
        None if !repo.is(&source) => in_the_way(format!("is there already and holds other weights ({source})")),
        None if weights.reach() >= Some(through) => Ok(Some(report)),
        None => Ok(None),
    }
}

/// The repository's file in the cache of the Hub's other programs, its revision, and what it holds.
fn in_hub_cache(repo: &Repo, through: Tap) -> Option<Result<(PathBuf, String, Weights)>> {
    let (path, revision) = repo.in_hub_cache()?;
    let read = || {
        if let Some(promised) = hub::digest_in_name(&path) {
            hold_to(&path, &promised, &file_digest(&path)?)?;
        }
        let weights = Weights::read(&path, through)?;
        match weights.faults(through).first() {
            Some(fault) => Err(Error::bad_file(&path, fault.clone())),
            None => Ok(weights),
        }
    };
    Some(read().map(|weights| (path.clone(), revision, weights)))
}

/// Installs the convolutions of a file of another program, or of this one.
///
/// # Errors
/// When the file cannot be used, is not what it should be, or other weights are there and must not be replaced.
pub fn import(path: &Path, order: &InstallOptions) -> Result<WeightsReport> {
    let from = path.display().to_string();
    let own = Weights::read(path, Tap::LAST).ok().filter(|weights| check::noted(weights).names().next().is_some());
    if let Some(weights) = own {
        return install(&weights, &from, &target()?, order);
    }
    let sum = file_digest(path)?;
    if let Some(promised) = digest_in_pth_name(path) {
        hold_to(path, &promised, &sum)?;
    }
    let imported = import::read(path)?;
    let mut weights = Weights::new(imported.tensors, BTreeMap::new());
    let whose = if sum.starts_with(TORCHVISION) { "torchvision's VGG19 (ImageNet)" } else { "import" };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let through = weights.reach().max(Some(check::least())).unwrap_or(Tap::LAST);
    check::note(&mut weights, &format!("{whose}: {name}, {}, SHA-256 {}", imported.what, &sum[..16]), through);
    install(&weights, &from, &target()?, order)
}

/// The digits in a name like `vgg19-dcbb9e9d.pth`.
fn digest_in_pth_name(path: &Path) -> Option<String> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".pth")?.rsplit_once('-')?.1;
    let are_digits = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    are_digits.then(|| digits.to_ascii_lowercase())
}

/// Refuses a file that is called by another digest than its own.
fn hold_to(path: &Path, promised: &str, sum: &str) -> Result<()> {
    if sum.starts_with(promised) {
        return Ok(());
    }
    Err(Error::bad_file(
        path,
        format!("is damaged: its name says that its SHA-256 begins with {promised}, but it is {sum}"),
    ))
}

fn file_digest(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let read = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash));
    read.map_err(Error::io(path, "read it"))?;
    Ok(digests::hex(hash))
}

/// Writes weights to the cache, once they are what they should be and nothing else is lost.
fn install(weights: &Weights, from: &str, target: &Path, order: &InstallOptions) -> Result<WeightsReport> {
    let report = check::check(target, weights, order.given.as_ref());
    if let Some(first) = report.faults.first() {
        let more = match report.faults.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        return Err(Error::Run(format!("{from}: {first}{more}; nothing was installed")));
    }
    if !order.force && fs::symlink_metadata(target).is_ok() {
        let old = Weights::read(target, Tap::LAST).map(|old| old.tensors).unwrap_or_default();
        if old.is_empty() || old.iter().any(|tensor| weights.get(&tensor.name) != Some(tensor)) {
            return Err(Error::bad_file(target, "is there already and holds something else; --force replaces it"));
        }
    }
    let bytes = weights.encode().map_err(|why| Error::Run(format!("{from}: {why}")))?;
    atomic::write_file(target, &bytes)?;
    Ok(report)
}

/// Where weights are installed.
fn target() -> Result<PathBuf> {
    let unknown = "no folder for the cache is known: neither XDG_CACHE_HOME nor HOME is set";
    locate::cached().ok_or_else(|| Error::Run(unknown.into()))
}

/// Looks at a `.safetensors` file with torchvision's names, tensor by tensor; by default at the one that a run takes.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn verify(file: Option<&Path>, given: Option<&Sums>) -> Result<WeightsReport> {
    let path = match (file, locate::automatic().0) {
        (Some(file), _) => file.to_path_buf(),
        (None, Some(path)) => path,
        (None, None) => {
            let why = "a run takes the built-in backbone, which is part of the program: there is no file to verify";
            return Err(Error::Run(format!("{why}; {}", locate::HINT)));
        }
    };
    let weights = Weights::read(&path, Tap::LAST)?;
    if weights.tensors.is_empty() {
        let why = "has no VGG19 with torchvision's names; `augment weights import` reads files of other programs";
        return Err(Error::bad_file(&path, why));
    }
    Ok(check::check(&path, &weights, given))
}
