//! The header of a `.safetensors` file, on a disk or far away, and where in it a VGG19's convolutions lie.

use crate::nst::Tap;
use crate::weights::tensors::{self, Named};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::collections::BTreeMap;

/// Bytes that say how long the header is.
pub const LENGTH: usize = 8;

/// No file of tensors has a longer header; what claims to is something else.
const LONGEST: u64 = 16 << 20;

/// A header that was read and whose offsets fit each other.
pub struct Header {
    /// Where in the file the tensors begin.
    data: u64,
    metadata: Metadata,
}

/// One tensor's place in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorEntry {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Its first byte in the file.
    pub start: u64,
    /// Its bytes.
    pub len: u64,
    /// Where it begins when all convolutions of the file lie behind each other, whichever of them are taken.
    pub slot: u64,
}

/// How long the header is that follows the file's `first` bytes.
///
/// # Errors
/// When these begin no `.safetensors` file.
pub fn length(first: [u8; LENGTH]) -> Result<u64, String> {
    match u64::from_le_bytes(first) {
        length @ 2..=LONGEST => Ok(length),
        length => Err(format!("is no .safetensors file: its header would have {length} bytes")),
    }
}

impl Header {
    /// From the bytes between [`length`] and the tensors.
    ///
    /// # Errors
    /// When they are no header, or one whose offsets, shapes and types contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let metadata = serde_json::from_slice(bytes)
            .map_err(|e| format!("is no .safetensors file: its header is unreadable: {e}"))?;
        Ok(Self { data: (LENGTH + bytes.len()) as u64, metadata })
    }

    /// How long the whole file is.
    pub fn file_len(&self) -> u64 {
        self.data + self.metadata.data_len() as u64
    }

    /// What the file says about itself.
    pub fn notes(&self) -> BTreeMap<String, String> {
        self.metadata.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// All tensors with their place, in the file's order.
    pub fn all(&self) -> Vec<TensorEntry> {
        let part = |name: String| {
            let info = self.metadata.info(&name)?;
            let (start, end) = info.data_offsets;
            let (start, len) = (self.data + start as u64, (end - start) as u64);
            Some(TensorEntry { name, dtype: info.dtype, shape: info.shape.clone(), start, len, slot: 0 })
        };
        self.metadata.offset_keys().into_iter().filter_map(part).collect()
    }

    /// The convolutions with torchvision's names as far as `through`, in the file's order.
    pub fn convolutions(&self, through: Tap) -> Vec<TensorEntry> {
        let (every, wanted) = (tensors::names(Tap::LAST), tensors::names(through));
        let mut slot = 0;
        let mut parts: Vec<TensorEntry> = self.all().into_iter().filter(|part| every.contains(&part.name)).collect();
        for part in &mut parts {
            part.slot = slot;
            slot += part.len;
        }
        parts.retain(|part| wanted.contains(&part.name));
        parts
    }
}

impl TensorEntry {
    /// With its bytes.
    pub fn with(self, bytes: Vec<u8>) -> Named {
        Named { name: self.name, dtype: self.dtype, shape: self.shape, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_header_is_told_apart() {
        assert_eq!(length(700u64.to_le_bytes()), Ok(700));
        assert!(length(*b"<!DOCTYP").unwrap_err().contains("no .safetensors file"));
        assert!(length([0; 8]).is_err());
        for bad in [&b"{"[..], b"[]", br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#] {
            assert!(Header::parse(bad).is_err());
        }
        let gap = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        assert!(Header::parse(gap).is_err(), "a hole");
    }

    #[test]
    fn convolutions_keep_their_slot_whatever_is_taken() {
        let tensor = |name: &str, start: usize| {
            format!(r#""{name}":{{"dtype":"F32","shape":[2],"data_offsets":[{start},{}]}}"#, start + 8)
        };
        let names = ["classifier.0.bias", "features.0.bias", "features.10.bias", "other", "features.2.bias"];
        let all: Vec<String> = names.iter().enumerate().map(|(n, name)| tensor(name, n * 8)).collect();
        let header = Header::parse(format!("{{{}}}", all.join(",")).as_bytes()).unwrap();
        let places = |through: &str| -> Vec<(String, u64, u64)> {
            let parts = header.convolutions(through.parse().unwrap());
            parts.into_iter().map(|part| (part.name, part.start - header.data, part.slot)).collect()
        };
        assert_eq!(places("relu1_2"), [("features.0.bias".into(), 8, 0), ("features.2.bias".into(), 32, 16)]);
        assert_eq!(places("relu5_4").len(), 3);
        assert_eq!(header.file_len(), header.data + 40);
    }
}
