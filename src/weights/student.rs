//! The file of a student: its tensors, and what it was made from.
//!
//! It is a `.safetensors` file whose metadata has one key, `augment`, with [`StudentFacts`] and a digest as JSON. Several
//! keys would have no order, and the same student would give other bytes.

use crate::error::{Error, Result};
use crate::files::atomic;
use crate::files::digest::hex;
use crate::nst::Student;
use crate::nst::student::{Mlp, NETWORKS, Scaling};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// The key of the metadata.
const KEY: &str = "augment";

/// What a student was made from, and how well it draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudentFacts {
    pub origin: Origin,
    pub figures: Figures,
    /// The largest disagreement of a picture that is trusted.
    pub gate: f32,
}

/// What the metadata holds.
#[derive(Serialize, Deserialize)]
struct Envelope {
    /// Sixteen hex digits of the tensors and of the text of the facts.
    digest: String,
    /// As text: numbers that are read and written again may differ in their last digit.
    facts: Box<RawValue>,
}

/// What must be the same where a student draws and where it learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of the program.
    pub version: String,
    /// [`learning_digest`](crate::config::digest::learning_digest) of the settings.
    pub settings: String,
    /// Of all style pictures.
    pub styles: String,
    /// Of the backbone.
    pub backbone: String,
}

/// How a student compares with the optimizer on frames that it has not learned from. Peak signal-to-noise ratios are
/// those of pictures at the working size against the optimized ones, in dB.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Frames that it has learned from.
    pub learned: usize,
    /// Frames that it has not.
    pub held_out: usize,
    /// Medians of the start and of the student.
    pub start_db: f64,
    pub student_db: f64,
    /// The student's worst twentieth.
    pub worst_db: f64,
    /// Share of the held-out frames that the gate passes to the optimizer.
    pub passed_on: f64,
    /// The student's worst picture of those that it keeps.
    pub worst_kept_db: f64,
}

/// A student and its facts.
#[derive(Clone, Debug)]
pub struct StudentFile {
    pub student: Student,
    pub facts: StudentFacts,
    /// Sixteen hex digits, which every change of it changes.
    pub digest: String,
    /// The facts as they stand in the file.
    text: Box<RawValue>,
}

impl Origin {
    /// What differs from `here`, in words; `None` if nothing does.
    fn difference(&self, here: &Self) -> Option<String> {
        let pairs = [
            ("version of augment", &self.version, &here.version),
            ("settings", &self.settings, &here.settings),
            ("style pictures", &self.styles, &here.styles),
            ("backbone", &self.backbone, &here.backbone),
        ];
        let different: Vec<String> = pairs
            .iter()
            .filter(|(_, there, here)| there != here)
            .map(|(name, there, here)| format!("{name} ({there} then, {here} now)"))
            .collect();
        (!different.is_empty()).then(|| different.join(", "))
    }
}

impl StudentFile {
    /// # Errors
    /// [`Error::Run`] when the tensors cannot be read.
    pub fn new(student: Student, origin: Origin, figures: Figures) -> Result<Self> {
        let facts = StudentFacts { origin, figures, gate: student.gate() };
        let text = serde_json::value::to_raw_value(&facts).map_err(|error| Error::Run(error.to_string()))?;
        let digest = digest(&bytes_of(&student).map_err(|error| Error::Run(error.to_string()))?, &text);
        Ok(Self { student, facts, digest, text })
    }

    /// Writes it to `path`, completely or not at all.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Run`] when the tensors cannot be read.
    pub fn write(&self, path: &Path) -> Result<()> {
        let tensors = tensors(&self.student).map_err(|error| Error::Run(error.to_string()))?;
        let tensors = tensors.into_iter().collect::<HashMap<_, _>>();
        let envelope = Envelope { digest: self.digest.clone(), facts: self.text.clone() };
        let envelope = serde_json::to_string(&envelope).map_err(|error| Error::Run(error.to_string()))?;
        let metadata = HashMap::from([(KEY.to_string(), envelope)]);
        let bytes = safetensors::serialize(&tensors, Some(metadata))
            .map_err(|error| Error::bad_file(path, error.to_string()))?;
        atomic::write_file(path, &bytes)
    }

    /// Reads the student at `path`.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::BadFile`] for a file that is no student or a damaged one.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io(path, "read the student"))?;
        let bad = |what: String| Error::bad_file(path, format!("{what}; make it anew with `augment learn`"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| bad(format!("is not a student, or a damaged one: {error}")))?;
        let envelope = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
        let envelope = envelope.ok_or_else(|| bad("is not a student: its header lacks the key `augment`".into()))?;
        let other = |error| bad(format!("is a damaged student, or one of another version: {error}"));
        let Envelope { digest: expected, facts: text } = serde_json::from_str(envelope).map_err(other)?;
        let facts: StudentFacts = serde_json::from_str(text.get()).map_err(other)?;
        let found = SafeTensors::deserialize(&bytes).map_err(|error| bad(format!("is a damaged student: {error}")))?;
        let student = student(&found, facts.gate).map_err(|error| bad(format!("is a damaged student: {error}")))?;
        let digest = digest(&bytes_of(&student).map_err(|error| bad(error.to_string()))?, &text);
        if digest != expected {
            return Err(bad(format!("is a damaged student: its digest is {digest}, but {expected} by its header")));
        }
        Ok(Self { student, facts, digest, text })
    }

    /// Refuses a student of other settings, styles, backbone or program. `path` is for the error.
    ///
    /// # Errors
    /// [`Error::BadFile`] with what differs.
    pub fn check(&self, path: &Path, here: &Origin) -> Result<()> {
        match self.facts.origin.difference(here) {
            None => Ok(()),
            Some(what) => {
                let help = "learn a new one with `augment learn`, or leave `stylize.engine` out";
                Err(Error::bad_file(path, format!("this student learned something else: {what}; {help}")))
            }
        }
    }
}

/// The tensors of a student by name, in a fixed order.
fn tensors(student: &Student) -> candle_core::Result<Vec<(String, Tensor)>> {
    let Scaling { means, deviations } = student.scaling();
    let vector = |values: &Vec<f32>| Tensor::from_slice(values, values.len(), &Device::Cpu);
    let mut tensors =
        vec![("scaling.means".to_string(), vector(means)?), ("scaling.deviations".into(), vector(deviations)?)];
    for (n, Mlp(layers)) in student.networks().iter().enumerate() {
        for (layer, (weight, bias)) in layers.iter().enumerate() {
            tensors.push((name(n, layer, "weight"), weight.clone()));
            tensors.push((name(n, layer, "bias"), bias.clone()));
        }
    }
    Ok(tensors)
}

fn name(network: usize, layer: usize, part: &str) -> String {
    format!("network.{network}.layer.{layer}.{part}")
}

fn student(tensors: &SafeTensors, gate: f32) -> std::result::Result<Student, String> {
    let load = |name: &str| {
        let view = tensors.tensor(name).map_err(|error| format!("`{name}`: {error}"))?;
        view.load(&Device::Cpu).map_err(|error| format!("`{name}`: {error}"))
    };
    let vector = |name: &str| load(name)?.to_vec1::<f32>().map_err(|error| format!("`{name}`: {error}"));
    let scaling = Scaling { means: vector("scaling.means")?, deviations: vector("scaling.deviations")? };
    let depth = crate::nst::student::WIDTHS.len() - 1;
    let network = |n: usize| {
        let layer = |layer| Ok((load(&name(n, layer, "weight"))?, load(&name(n, layer, "bias"))?));
        (0..depth).map(layer).collect::<std::result::Result<_, String>>().map(Mlp)
    };
    let networks = (0..NETWORKS).map(network).collect::<std::result::Result<Vec<_>, String>>()?;
    let networks = networks.try_into().map_err(|_| "too few networks".to_string())?;
    Student::new(scaling, networks, gate)
}

/// The bytes of all tensors, in a fixed order.
fn bytes_of(student: &Student) -> candle_core::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, tensor) in tensors(student)? {
        bytes.extend(name.bytes());
        bytes.extend(tensor.flatten_all()?.to_vec1::<f32>()?.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(bytes)
}

/// The digest of a student with these facts.
fn digest(tensors: &[u8], facts: &RawValue) -> String {
    let mut hash = Sha256::new();
    hash.update(tensors);
    hash.update(facts.get());
    hex(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::student::WIDTHS;

    fn origin() -> Origin {
        let text = |text: &str| text.to_string();
        Origin { version: text("1"), settings: text("a"), styles: text("b"), backbone: text("c") }
    }

    fn made() -> StudentFile {
        let layers = |seed: f32| {
            let layer = |widths: &[usize]| {
                let weight: Vec<f32> = (0..widths[0] * widths[1]).map(|n| (n as f32 * seed).sin()).collect();
                let weight = Tensor::from_vec(weight, (widths[1], widths[0]), &Device::Cpu).unwrap();
                (weight, Tensor::from_vec(vec![seed; widths[1]], widths[1], &Device::Cpu).unwrap())
            };
            Mlp(WIDTHS.windows(2).map(layer).collect())
        };
        let scaling = Scaling { means: vec![0.25; WIDTHS[0]], deviations: vec![0.5; WIDTHS[0]] };
        let student = Student::new(scaling, [layers(0.1), layers(0.2)], 0.03).unwrap();
        let figures = Figures {
            learned: 80,
            held_out: 20,
            start_db: 20.254_321_098_765_43,
            student_db: 30.5,
            worst_db: 24.1,
            passed_on: 0.05,
            worst_kept_db: 25.0,
        };
        StudentFile::new(student, origin(), figures).unwrap()
    }

    #[test]
    fn a_student_is_read_as_it_was_written_and_the_same_student_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        made().write(&a).unwrap();
        let read = StudentFile::read(&a).unwrap();
        assert_eq!(read.facts, made().facts);
        assert_eq!(bytes_of(&read.student).unwrap(), bytes_of(&made().student).unwrap());
        read.write(&b).unwrap();
        assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
    }

    #[test]
    fn a_damaged_student_is_named_wherever_the_damage_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fog.student");
        made().write(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in [0, 9, 60, 200, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let text = StudentFile::read(&path).unwrap_err().to_string();
            assert!(text.contains("fog.student") && text.contains("augment learn"), "{at}: {text}");
        }
        for length in [0, 7, 100, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(StudentFile::read(&path).unwrap_err().to_string().contains("fog.student"), "{length}");
        }
    }

    #[test]
    fn a_student_of_something_else_is_refused_with_what_differs() {
        let path = Path::new("fog.student");
        let student = made();
        assert!(student.check(path, &origin()).is_ok());
        let here = Origin { styles: "other".into(), backbone: "none".into(), ..origin() };
        let text = student.check(path, &here).unwrap_err().to_string();
        let expected = "style pictures (b then, other now), backbone (c then, none now)";
        assert!(text.contains(expected) && text.contains("fog.student"), "{text}");
    }
}
