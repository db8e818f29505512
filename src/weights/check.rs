//! What weights are: whole or damaged, known or not, tensor by tensor.

use crate::nst::Tap;
use crate::weights::digests::{self, Known, Sums};
use crate::weights::file::Weights;
use crate::weights::tensors;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The note that says where an installed file came from.
pub const SOURCE: &str = "source";

/// The note that says how far the installed file was meant to go.
pub const THROUGH: &str = "through";

/// Notes that begin so hold the SHA-256 that a tensor had when it was installed.
const DIGEST: &str = "sha256:";

/// The layer that the default config needs, and without which weights count as incomplete.
pub fn least() -> Tap {
    Tap::all().find(|tap| tap.block() == 4).unwrap_or(Tap::LAST)
}

/// What is known of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is that of a set that this program knows.
    Known,
    /// It is that of the digests that were given.
    Given,
    /// It is as it was when the file was installed.
    Unchanged,
    /// Nobody has said what it should be.
    Unknown,
    /// It is not what it should be.
    Differs,
}

/// What the file is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A set that this program knows: every tensor whose digest is known has it.
    Known,
    /// All tensors are those of the digests that were given.
    Given,
    /// All tensors are as they were when the file was installed.
    Unchanged,
    /// Whole and usable, of unknown digests.
    Unknown,
    /// Not usable, or not what it should be.
    Damaged,
}

#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub shape: Vec<usize>,
    pub sha256: String,
    pub state: State,
}

/// What `augment weights verify` finds.
#[derive(Debug, Serialize)]
pub struct WeightsReport {
    pub path: PathBuf,
    pub verdict: Verdict,
    /// The known set.
    pub known: Option<&'static str>,
    /// Where the file says that it came from.
    pub source: Option<String>,
    /// The last layer that it goes to, such as `relu5_4`.
    pub reach: Option<String>,
    /// Bytes of the tensors.
    pub bytes: u64,
    pub tensors: Vec<Row>,
    /// What is wrong, one sentence each; empty unless damaged.
    pub faults: Vec<String>,
}

/// Notes for a file that is about to be installed: where `weights` came from and what their digests are.
pub fn note(weights: &mut Weights, source: &str, through: Tap) {
    weights.notes.clear();
    weights.notes.insert(SOURCE.into(), source.into());
    weights.notes.insert(THROUGH.into(), through.to_string());
    for tensor in &weights.tensors {
        weights.notes.insert(format!("{DIGEST}{}", tensor.name), digests::sha256(&tensor.bytes));
    }
}

/// What the file says that its tensors' digests are.
pub fn noted(weights: &Weights) -> Sums {
    let mut sums = Sums::default();
    for (key, sum) in &weights.notes {
        key.strip_prefix(DIGEST).into_iter().for_each(|name| sums.insert(name, sum));
    }
    sums
}

/// Looks at every tensor of the file at `path`; `given` are digests that someone vouches for.
pub fn check(path: &Path, weights: &Weights, given: Option<&Sums>) -> WeightsReport {
    let mut sums = Sums::default();
    weights.tensors.iter().for_each(|tensor| sums.insert(&tensor.name, &digests::sha256(&tensor.bytes)));
    let noted = noted(weights);
    let set = digests::known().into_iter().find(|set| sums.against(&set.sums).0 > 0);
    let mut faults = weights.faults(wanted(weights));
    faults.extend(lost(weights, given.unwrap_or(&noted)));
    let mut rows = Vec::new();
    for tensor in &weights.tensors {
        let sum = sums.get(&tensor.name).unwrap_or_default();
        let state = judge(&tensor.name, sum, given, &noted, set.as_ref()).unwrap_or_else(|whose| {
            faults.push(format!("`{}` has the SHA-256 {sum}, not the one {whose}", tensor.name));
            State::Differs
        });
        rows.push(Row { name: tensor.name.clone(), shape: tensor.shape.clone(), sha256: sum.into(), state });
    }
    let known = set.filter(|set| sums.against(&set.sums).1 == 0).map(|set| set.name);
    let all = |state: State| rows.iter().all(|row| row.state == state || row.state == State::Known);
    let verdict = match known {
        _ if !faults.is_empty() => Verdict::Damaged,
        Some(_) => Verdict::Known,
        None if given.is_some() && all(State::Given) => Verdict::Given,
        None if rows.iter().all(|row| noted.get(&row.name).is_some()) => Verdict::Unchanged,
        None => Verdict::Unknown,
    };
    WeightsReport {
        path: path.into(),
        verdict,
        known,
        source: weights.notes.get(SOURCE).cloned(),
        reach: weights.reach().map(|tap| tap.to_string()),
        bytes: weights.bytes(),
        tensors: rows,
        faults,
    }
}

/// What the digest `sum` of a tensor says; the error is whose digest it should be.
fn judge(name: &str, sum: &str, given: Option<&Sums>, noted: &Sums, set: Option<&Known>) -> Result<State, String> {
    let is = |sums: &Sums| sums.get(name).map(|wanted| wanted == sum);
    match (given.and_then(is), is(noted), set.and_then(|set| is(&set.sums))) {
        (Some(false), ..) => Err("that was given".into()),
        (_, Some(false), _) => Err("that it had when it was installed".into()),
        // Whoever installed other numbers than the known ones meant to.
        (None, None, Some(false)) => {
            let name = set.map_or("", |set| set.name);
            Err(format!("of {name}, which others have (weights trained further look so too; import takes them)"))
        }
        (.., Some(true)) => Ok(State::Known),
        (Some(true), ..) => Ok(State::Given),
        (None, Some(true), _) => Ok(State::Unchanged),
        (None, None, None) => Ok(State::Unknown),
    }
}

/// Tensors that are missing beyond those that every such file needs.
fn lost(weights: &Weights, sums: &Sums) -> Vec<String> {
    let needed = tensors::names(wanted(weights));
    let lost = sums.names().filter(|&name| weights.get(name).is_none() && !needed.iter().any(|other| other == name));
    lost.map(|name| format!("`{name}` is missing")).collect()
}

/// How far the file has to go: as it was meant to, or as the default config needs; without holes, as far as it goes.
fn wanted(weights: &Weights) -> Tap {
    let meant = weights.notes.get(THROUGH).and_then(|name| name.parse().ok()).unwrap_or(least());
    weights.reach().map_or(meant, |reach| reach.max(meant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::file::testing::narrow;

    fn verdict(weights: &Weights, given: Option<&Sums>) -> (Verdict, String) {
        let report = check(Path::new("some.safetensors"), weights, given);
        (report.verdict, report.faults.join("\n"))
    }

    #[test]
    fn weights_without_notes_are_usable_and_unknown() {
        assert_eq!(verdict(&narrow("relu5_1"), None), (Verdict::Unknown, String::new()));
        let (verdict, faults) = verdict(&narrow("relu4_4"), None);
        assert!(verdict == Verdict::Damaged && faults.contains("`features.28.bias`"), "{faults}");
    }

    #[test]
    fn installed_weights_are_as_they_were_or_damaged() {
        let mut weights = narrow("relu4_1");
        note(&mut weights, "a test", "relu4_1".parse().unwrap());
        assert_eq!(verdict(&weights, None).0, Verdict::Unchanged, "meant to go no further");
        weights.tensors[2].bytes[0] ^= 1;
        let (damaged, faults) = verdict(&weights, None);
        assert!(damaged == Verdict::Damaged && faults.starts_with("`features.2.weight`"), "{faults}");
        assert_eq!(faults.lines().count(), 1);
        weights.tensors.remove(2);
        assert!(verdict(&weights, None).1.contains("`features.2.weight` (the layer of relu1_2) is missing"));
    }

    #[test]
    fn given_digests_are_what_counts() {
        let weights = narrow("relu5_4");
        let mut sums = Sums::default();
        weights.tensors.iter().for_each(|tensor| sums.insert(&tensor.name, &digests::sha256(&tensor.bytes)));
        assert_eq!(verdict(&weights, Some(&sums)).0, Verdict::Given);
        sums.insert("features.34.bias", &digests::sha256(b"other"));
        let (damaged, faults) = verdict(&weights, Some(&sums));
        assert!(damaged == Verdict::Damaged && faults.contains("`features.34.bias`"), "{faults}");
        let (damaged, faults) = verdict(&narrow("relu5_3"), Some(&sums));
        assert!(damaged == Verdict::Damaged && faults.contains("`features.34.weight` is missing"), "{faults}");
    }
}
