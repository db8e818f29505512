//! Checks weights tensor by tensor: are they complete, undamaged, and known to this program?

use crate::error::{Error, Result};
use crate::nst::layers::Tap;
use crate::weights::digests::{self, Checksums, KnownSet};
use crate::weights::file::Weights;
use crate::weights::locate;
use crate::weights::tensors;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The key of the metadata that says where an installed file came from.
pub const SOURCE: &str = "source";

/// The key of the metadata that names the deepest layer that was installed.
pub const THROUGH: &str = "through";

/// Keys of the metadata with this prefix hold the SHA-256 that a tensor had when it was installed.
const DIGEST: &str = "sha256:";

/// The deepest layer that the default config reads, relu5_1. Weights that end before it are incomplete.
pub fn minimum_layer() -> Tap {
    Tap::all().find(|tap| tap.block() == 4).unwrap_or(Tap::LAST)
}

/// What the digest of one tensor says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorState {
    /// It is that of a set that this program knows.
    Known,
    /// It is the one that the caller gave.
    Given,
    /// It is the one that was recorded when the file was installed.
    Unchanged,
    /// There is no digest to compare it with.
    Unknown,
    /// It is not the expected one.
    Differs,
}

/// What the file is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A set that this program knows: every tensor that has a digest in the set has that digest.
    Known,
    /// All tensors have the digests that the caller gave.
    Given,
    /// All tensors are as they were when the file was installed.
    Unchanged,
    /// Complete and usable, but there are no digests to compare with.
    Unknown,
    /// Incomplete or unusable, or a digest is not the expected one.
    Damaged,
}

/// One tensor of a [`WeightsReport`].
#[derive(Debug, Serialize)]
pub struct TensorReport {
    pub name: String,
    pub shape: Vec<usize>,
    pub sha256: String,
    pub state: TensorState,
}

/// What `augment weights verify` finds.
#[derive(Debug, Serialize)]
pub struct WeightsReport {
    pub path: PathBuf,
    pub verdict: Verdict,
    /// The name of the known set that this is.
    pub known: Option<&'static str>,
    /// Where the file came from, by its metadata.
    pub source: Option<String>,
    /// The deepest layer in the file, such as `relu5_4`.
    pub reach: Option<String>,
    /// Bytes of all tensors.
    pub bytes: u64,
    pub tensors: Vec<TensorReport>,
    /// What is wrong, one sentence each. Empty unless damaged.
    pub faults: Vec<String>,
}

/// Replaces the metadata of `weights`: where they came from, how far they go, and the digest of each tensor.
pub fn annotate(weights: &mut Weights, source: &str, through: Tap) {
    weights.metadata.clear();
    weights.metadata.insert(SOURCE.into(), source.into());
    weights.metadata.insert(THROUGH.into(), through.to_string());
    for tensor in &weights.tensors {
        weights.metadata.insert(format!("{DIGEST}{}", tensor.name), digests::sha256(&tensor.bytes));
    }
}

/// The digests that were recorded when the file was installed. Empty if this program did not install it.
pub fn recorded_digests(weights: &Weights) -> Checksums {
    let mut sums = Checksums::default();
    for (key, sum) in &weights.metadata {
        if let Some(name) = key.strip_prefix(DIGEST) {
            sums.insert(name, sum);
        }
    }
    sums
}

/// Checks a `.safetensors` file with torchvision's names, by default the one that a run takes. With `given`, its
/// tensors must have these digests.
///
/// # Errors
/// When there is no such file, it cannot be read, or it has no tensors with these names.
pub fn verify(file: Option<&Path>, given: Option<&Checksums>) -> Result<WeightsReport> {
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
    Ok(check(&path, &weights, given))
}

/// Checks the weights that were read from `path`, or that are to be written there. With `given`, tensors must have
/// these digests.
pub fn check(path: &Path, weights: &Weights, given: Option<&Checksums>) -> WeightsReport {
    let mut sums = Checksums::default();
    weights.tensors.iter().for_each(|tensor| sums.insert(&tensor.name, &digests::sha256(&tensor.bytes)));
    let set = digests::known_sets().into_iter().find(|set| sums.compare(&set.sums).0 > 0);
    let known = set.as_ref().filter(|set| sums.compare(&set.sums).1 == 0).map(|set| set.name);
    let expected = Expected { given, recorded: recorded_digests(weights), set };
    let mut faults = weights.faults(required_layer(weights));
    faults.extend(missing_tensors(weights, given.unwrap_or(&expected.recorded)));
    if let Some(given) = given {
        let unlisted = weights.tensors.iter().filter(|tensor| given.get(&tensor.name).is_none());
        faults.extend(unlisted.map(|tensor| format!("`{}` has no SHA-256 among those that were given", tensor.name)));
    }
    let mut rows = Vec::new();
    for tensor in &weights.tensors {
        let sum = sums.get(&tensor.name).unwrap_or_default();
        let state = expected.state(&tensor.name, sum).unwrap_or_else(|which| {
            faults.push(format!("`{}` has the SHA-256 {sum}, not the one {which}", tensor.name));
            TensorState::Differs
        });
        rows.push(TensorReport { name: tensor.name.clone(), shape: tensor.shape.clone(), sha256: sum.into(), state });
    }
    let all_given = rows.iter().all(|row| [TensorState::Given, TensorState::Known].contains(&row.state));
    let verdict = match known {
        _ if !faults.is_empty() => Verdict::Damaged,
        Some(_) => Verdict::Known,
        None if given.is_some() && all_given => Verdict::Given,
        None if rows.iter().all(|row| expected.recorded.get(&row.name).is_some()) => Verdict::Unchanged,
        None => Verdict::Unknown,
    };
    WeightsReport {
        path: path.into(),
        verdict,
        known,
        source: weights.metadata.get(SOURCE).cloned(),
        reach: weights.reach().map(|tap| tap.to_string()),
        bytes: weights.bytes(),
        tensors: rows,
        faults,
    }
}

/// The digests that tensors are compared with.
struct Expected<'a> {
    /// From the caller.
    given: Option<&'a Checksums>,
    /// From the file's metadata.
    recorded: Checksums,
    /// The known set that the file shares tensors with.
    set: Option<KnownSet>,
}

impl Expected<'_> {
    /// Compares the digest `sum` of the tensor `name`.
    ///
    /// # Errors
    /// Which of the expected digests it differs from.
    fn state(&self, name: &str, sum: &str) -> Result<TensorState, String> {
        let equals = |sums: &Checksums| sums.get(name).map(|expected| expected == sum);
        let set = self.set.as_ref();
        match (self.given.and_then(equals), equals(&self.recorded), set.and_then(|set| equals(&set.sums))) {
            (Some(false), ..) => Err("that was given".into()),
            (_, Some(false), _) => Err("that it had when it was installed".into()),
            // A given or recorded digest that is equal overrules this: other numbers were installed on purpose.
            (None, None, Some(false)) => {
                let name = set.map_or("", |set| set.name);
                let hint =
                    "weights that were trained further look like this too, and `augment weights import` takes them";
                Err(format!("of {name}, from which other tensors come; {hint}"))
            }
            (.., Some(true)) => Ok(TensorState::Known),
            (Some(true), ..) => Ok(TensorState::Given),
            (None, Some(true), _) => Ok(TensorState::Unchanged),
            (None, None, None) => Ok(TensorState::Unknown),
        }
    }
}

/// Tensors of `sums` that the file lacks. Those as far as [`required_layer`] are left out: [`Weights::faults`] names
/// them.
fn missing_tensors(weights: &Weights, sums: &Checksums) -> Vec<String> {
    let required = tensors::names(required_layer(weights));
    let missing =
        sums.names().filter(|&name| weights.get(name).is_none() && !required.iter().any(|other| other == name));
    missing.map(|name| format!("`{name}` is missing")).collect()
}

/// The layer that a complete file reaches: the one that was installed, by default [`minimum_layer`], or the deepest
/// layer that the file has, if that is deeper.
fn required_layer(weights: &Weights) -> Tap {
    let installed = weights.metadata.get(THROUGH).and_then(|name| name.parse().ok()).unwrap_or(minimum_layer());
    weights.reach().map_or(installed, |reach| reach.max(installed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::file::testing::narrow;

    fn verdict(weights: &Weights, given: Option<&Checksums>) -> (Verdict, String) {
        let report = check(Path::new("some.safetensors"), weights, given);
        (report.verdict, report.faults.join("\n"))
    }

    #[test]
    fn weights_without_metadata_are_usable_and_unknown() {
        assert_eq!(verdict(&narrow("relu5_1"), None), (Verdict::Unknown, String::new()));
        let (verdict, faults) = verdict(&narrow("relu4_4"), None);
        assert!(verdict == Verdict::Damaged && faults.contains("`features.28.bias`"), "{faults}");
    }

    #[test]
    fn installed_weights_are_unchanged_or_damaged() {
        let mut weights = narrow("relu4_1");
        annotate(&mut weights, "a test", "relu4_1".parse().unwrap());
        assert_eq!(verdict(&weights, None).0, Verdict::Unchanged, "no deeper layer was installed");
        weights.tensors[2].bytes[0] ^= 1;
        let (damaged, faults) = verdict(&weights, None);
        assert!(damaged == Verdict::Damaged && faults.starts_with("`features.2.weight`"), "{faults}");
        assert_eq!(faults.lines().count(), 1);
        weights.tensors.remove(2);
        assert!(verdict(&weights, None).1.contains("`features.2.weight` (the layer of relu1_2) is missing"));
    }

    #[test]
    fn tensors_must_have_the_digests_that_were_given() {
        let weights = narrow("relu5_4");
        let mut sums = Checksums::default();
        weights.tensors.iter().for_each(|tensor| sums.insert(&tensor.name, &digests::sha256(&tensor.bytes)));
        assert_eq!(verdict(&weights, Some(&sums)).0, Verdict::Given);
        let mut fewer = Checksums::default();
        sums.names()
            .filter(|name| *name != "features.34.bias")
            .for_each(|name| fewer.insert(name, sums.get(name).unwrap()));
        let (unlisted, faults) = verdict(&weights, Some(&fewer));
        assert!(unlisted == Verdict::Damaged && faults.contains("`features.34.bias` has no SHA-256 among"), "{faults}");
        sums.insert("features.34.bias", &digests::sha256(b"other"));
        let (damaged, faults) = verdict(&weights, Some(&sums));
        assert!(damaged == Verdict::Damaged && faults.contains("`features.34.bias`"), "{faults}");
        let (damaged, faults) = verdict(&narrow("relu5_3"), Some(&sums));
        assert!(damaged == Verdict::Damaged && faults.contains("`features.34.weight` is missing"), "{faults}");
    }
}
