//! Installs weights in the cache: from the Hugging Face Hub, or from a file.

use crate::error::{Error, Result};
use crate::files::atomic;
use crate::nst::layers::Tap;
use crate::weights::check::{self, WeightsReport};
use crate::weights::digests::{self, Checksums};
use crate::weights::file::Weights;
use crate::weights::hub::{self, Repo};
use crate::weights::import;
use crate::weights::locate;
use crate::weights::watch::Watch;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Options of every way to install weights.
#[derive(Debug, Default)]
pub struct InstallOptions {
    /// Replace other weights in the cache.
    pub force: bool,
    /// Digests that the tensors must have.
    pub given: Option<Checksums>,
}

/// How the SHA-256 of torchvision's `vgg19-dcbb9e9d.pth` begins. torch.hub puts these digits into the names of its
/// files.
const TORCHVISION: &str = "dcbb9e9d";

/// Installs the convolutions of a repository as far as `through`. Takes them from the cache that the Hub's programs
/// share, else from the network.
///
/// # Errors
/// When they cannot be had, do not pass the [check](check::check), or would replace other weights without `force`.
pub fn pull(repo: &Repo, through: Tap, options: &InstallOptions, watch: &mut dyn Watch) -> Result<WeightsReport> {
    let pull = Pull { repo, through, options, target: target()? };
    if let Some(report) = pull.already_installed()? {
        watch.message("they are there already");
        return Ok(report);
    }
    match pull.in_hub_cache() {
        Some(Ok((path, revision, weights))) => {
            watch.message(&format!("taken from {}", path.display()));
            return pull.install(weights, Some(&revision));
        }
        Some(Err(error)) => watch.message(&format!("not taken from the Hub's cache: {error}")),
        None => {}
    }
    pull.download(watch)
}

/// One call of [`pull`].
struct Pull<'a> {
    repo: &'a Repo,
    through: Tap,
    options: &'a InstallOptions,
    /// Where the weights are installed.
    target: PathBuf,
}

impl Pull<'_> {
    /// The report about the installed weights, if they are what this pull would install.
    ///
    /// # Errors
    /// When something else is at the target.
    fn already_installed(&self) -> Result<Option<WeightsReport>> {
        let Self { repo, through, options, target } = self;
        if options.force || fs::symlink_metadata(target).is_err() {
            return Ok(None);
        }
        let in_the_way = |what: String| Err(Error::bad_file(target, format!("{what}; --force replaces it")));
        let weights = match Weights::read(target, Tap::LAST) {
            Ok(weights) => weights,
            Err(error) => return in_the_way(format!("is there already and cannot be used ({error})")),
        };
        let report = check::check(target, &weights, options.given.as_ref());
        let source = report.source.clone().unwrap_or_else(|| "of unknown source".into());
        match report.faults.first() {
            Some(fault) => in_the_way(format!("is there already and damaged: {fault}")),
            None if !repo.is(&source) => in_the_way(format!("is there already and holds other weights ({source})")),
            None if weights.reach() >= Some(*through) => Ok(Some(report)),
            None => Ok(None),
        }
    }

    /// The repository's file in the cache of the Hub's programs: its path, its revision, and the weights.
    fn in_hub_cache(&self) -> Option<Result<(PathBuf, String, Weights)>> {
        let (path, revision) = self.repo.in_hub_cache()?;
        let read = || {
            if let Some(promised) = hub::digest_in_name(&path) {
                digests::verify_name(&path, &promised, &digests::file_sha256(&path)?)?;
            }
            let weights = Weights::read(&path, self.through)?;
            match weights.faults(self.through).first() {
                Some(fault) => Err(Error::bad_file(&path, fault.clone())),
                None => Ok(weights),
            }
        };
        Some(read().map(|weights| (path.clone(), revision, weights)))
    }

    #[cfg(feature = "download")]
    fn download(&self, watch: &mut dyn Watch) -> Result<WeightsReport> {
        use crate::weights::download;
        use crate::weights::remote::{Remote, RemoteError};

        let Self { repo, through, options, target } = self;
        if hub::offline() {
            return Err(Error::Run(format!("{repo}: HF_HUB_OFFLINE forbids the network{}", self.by_hand())));
        }
        let mut remote = Remote::new(repo.url())?;
        watch.message(&format!("{}, as far as {through}", remote.url()));
        let expected = options.given.clone().unwrap_or_default();
        let (tensors, partial) =
            download::download(&mut remote, target, *through, &expected, watch).map_err(|error| match error {
                RemoteError::Permanent(error) => error,
                RemoteError::Temporary { why, .. } => remote.fail(format!("{why}{}", self.by_hand())),
            })?;
        let report = self.install(Weights::new(tensors, BTreeMap::new()), remote.revision())?;
        partial.remove();
        Ok(report)
    }

    #[cfg(not(feature = "download"))]
    fn download(&self, _: &mut dyn Watch) -> Result<WeightsReport> {
        let why = "this build cannot download; build it with `--features download`";
        Err(Error::Run(format!("{}: {why}{}", self.repo, self.by_hand())))
    }

    fn install(&self, mut weights: Weights, revision: Option<&str>) -> Result<WeightsReport> {
        check::annotate(&mut weights, &self.repo.at(revision), self.through);
        install(&weights, &self.repo.to_string(), &self.target, self.options)
    }

    /// How to install the weights without a network here.
    fn by_hand(&self) -> String {
        format!(
            "\n  on a computer with a network: curl -L -o {file} {url}\n  then here: augment weights import {file}\n  \
             or copy that file to {}",
            self.target.display(),
            file = hub::FILE,
            url = self.repo.url(),
        )
    }
}

/// Installs the convolutions of a file that another program or this one wrote.
///
/// # Errors
/// When the file cannot be used, does not pass the [check](check::check), or would replace other weights without
/// `force`.
pub fn import_file(path: &Path, options: &InstallOptions) -> Result<WeightsReport> {
    let from = path.display().to_string();
    let has_digests = |weights: &Weights| check::recorded_digests(weights).names().next().is_some();
    if let Some(weights) = Weights::read(path, Tap::LAST).ok().filter(has_digests) {
        return install(&weights, &from, &target()?, options);
    }
    let sum = digests::file_sha256(path)?;
    if let Some(promised) = digest_in_pth_name(path) {
        digests::verify_name(path, &promised, &sum)?;
    }
    let imported = import::read_foreign(path)?;
    let mut weights = Weights::new(imported.tensors, BTreeMap::new());
    let whose = if sum.starts_with(TORCHVISION) { "torchvision's VGG19 (ImageNet)" } else { "import" };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let through = weights.reach().max(Some(check::minimum_layer())).unwrap_or(Tap::LAST);
    check::annotate(&mut weights, &format!("{whose}: {name}, {}, SHA-256 {}", imported.format, &sum[..16]), through);
    install(&weights, &from, &target()?, options)
}

/// The hexadecimal digits in a name like `vgg19-dcbb9e9d.pth`. Decimal ones alone are a date.
fn digest_in_pth_name(path: &Path) -> Option<String> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".pth")?.rsplit_once('-')?.1;
    let has_letter = digits.bytes().any(|byte| byte.is_ascii_alphabetic());
    let are_digits = has_letter && digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    are_digits.then(|| digits.to_ascii_lowercase())
}

/// Checks `weights` and writes them to `target`. Without `force`, only weights of which nothing is lost are replaced.
/// `from` is the source as errors name it.
fn install(weights: &Weights, from: &str, target: &Path, options: &InstallOptions) -> Result<WeightsReport> {
    let report = check::check(target, weights, options.given.as_ref());
    if let Some(first) = report.faults.first() {
        let more = match report.faults.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        return Err(Error::Run(format!("{from}: {first}{more}; nothing was installed")));
    }
    if !options.force && fs::symlink_metadata(target).is_ok() {
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
    locate::installed_path().ok_or_else(|| Error::Run(unknown.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_the_names_of_torch_hub() {
        let digest = |name: &str| digest_in_pth_name(Path::new(name));
        assert_eq!(digest("a/vgg19-DCBB9E9D.pth").as_deref(), Some("dcbb9e9d"));
        for name in ["vgg19.pth", "vgg19-bn.pth", "vgg19-dcbb9e9.pth", "vgg19-dcbb9e9d.pt", "vgg19-20240131.pth"] {
            assert_eq!(digest(name), None, "{name}");
        }
    }

    #[cfg(not(feature = "download"))]
    #[test]
    fn a_build_that_cannot_download_says_so_and_how_to_do_without() {
        let repo: Repo = "someone/narrow".parse().unwrap();
        let options = InstallOptions::default();
        let pull = Pull { repo: &repo, through: Tap::LAST, options: &options, target: "vgg19.safetensors".into() };
        let message = pull.download(&mut ()).unwrap_err().to_string();
        for words in ["cannot download", "--features download", "augment weights import"] {
            assert!(message.contains(words), "{words}: {message}");
        }
    }
}
