//! Reading backbone tensors from files.

use crate::error::{Error, Result};
use crate::nst::Tap;
use crate::weights::header::{self, Header};
use crate::weights::tensors::{Named, misfits, names};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What a file holds of a VGG19.
#[derive(Debug)]
pub struct Weights {
    /// In the order of the network, weight before bias.
    pub tensors: Vec<Named>,
    /// What the file says about itself.
    pub notes: BTreeMap<String, String>,
}

/// The header of the file at `path`, which is as long as its header says.
///
/// # Errors
/// When the file cannot be read, is no `.safetensors` file or is cut off.
pub fn read_header(path: &Path, file: &mut File) -> Result<Header> {
    let bad = |message: String| Error::bad_file(path, message);
    let found = file.metadata().map_err(Error::io(path, "read it"))?;
    if !found.is_file() {
        return Err(bad("is no file".into()));
    }
    let mut first = [0; header::LENGTH];
    file.read_exact(&mut first).map_err(|_| bad("is no .safetensors file: it ends before its header".into()))?;
    let length = header::length(first).map_err(bad)?;
    if length > found.len() {
        return Err(bad("is no .safetensors file, or cut off: it ends within its header".into()));
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes).map_err(Error::io(path, "read it"))?;
    let header = Header::parse(&bytes).map_err(bad)?;
    match header.file_len() {
        len if len == found.len() => Ok(header),
        len => Err(bad(format!("is damaged: it has {} bytes, its header tells of {len}", found.len()))),
    }
}

/// Bytes `start` to `start + len` of a file.
///
/// # Errors
/// [`Error::Io`].
pub fn read_range(path: &Path, file: &mut File, start: u64, len: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(Error::io(path, "read it"))?;
    Ok(bytes)
}

impl Weights {
    /// Tensors in the order of the network.
    pub fn new(mut tensors: Vec<Named>, notes: BTreeMap<String, String>) -> Self {
        let order = names(Tap::LAST);
        tensors.sort_by_key(|tensor| order.iter().position(|name| *name == tensor.name));
        Self { tensors, notes }
    }

    /// The convolutions in a `.safetensors` file with torchvision's names, as far as `through`; other tensors are not
    /// looked at.
    ///
    /// # Errors
    /// When the file cannot be read, is none or is cut off.
    pub fn read(path: &Path, through: Tap) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io(path, "read the weights"))?;
        let header = read_header(path, &mut file)?;
        let mut tensors = Vec::new();
        for part in header.convolutions(through) {
            let bytes = read_range(path, &mut file, part.start, part.len)?;
            tensors.push(part.with(bytes));
        }
        Ok(Self::new(tensors, header.notes()))
    }

    /// The bytes of a `.safetensors` file.
    ///
    /// # Errors
    /// When a tensor has other bytes than its shape needs.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let notes: HashMap<String, String> = self.notes.clone().into_iter().collect();
        let tensors = self.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
        safetensors::serialize(tensors, Some(notes)).map_err(|e| e.to_string())
    }

    pub fn get(&self, name: &str) -> Option<&Named> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The last layer that the file has a kernel or bias for.
    pub fn reach(&self) -> Option<Tap> {
        Tap::all().filter(|&tap| tap.parameters().iter().any(|name| self.get(name).is_some())).last()
    }

    /// What makes the weights useless as far as `through`: missing tensors, wrong shapes, numbers that are none.
    pub fn faults(&self, through: Tap) -> Vec<String> {
        let mut found = misfits(through, |name| self.get(name).map(|tensor| &tensor.shape[..]));
        found.extend(self.tensors.iter().filter_map(Named::fault));
        found
    }

    pub fn bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes.len() as u64).sum()
    }
}

#[cfg(test)]
pub mod testing {
    use super::*;
    use crate::weights::tensors::Named;

    /// A VGG19 of made-up kernels, sixteen channels wide, as far as `through`.
    pub fn narrow(through: &str) -> Weights {
        let numbers = |count: usize| -> Vec<f32> { (0..count).map(|n| (n * 37 % 101) as f32 / 64.0 - 0.75).collect() };
        let through = through.parse().unwrap();
        let mut tensors = Vec::new();
        let mut inputs = 3;
        for tap in Tap::all().take_while(|&tap| tap <= through) {
            let [weight, bias] = tap.parameters();
            tensors.push(Named::of_f32(weight, vec![16, inputs, 3, 3], &numbers(16 * inputs * 9)));
            tensors.push(Named::of_f32(bias, vec![16], &numbers(16)));
            inputs = 16;
        }
        Weights::new(tensors, BTreeMap::new())
    }
}
