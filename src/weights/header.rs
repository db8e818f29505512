//! The header of a `.safetensors` file, local or remote, and where in the file a VGG19's convolutions lie.

use crate::nst::layers::Tap;
use crate::weights::tensors::{self, NamedTensor};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use std::collections::BTreeMap;

/// Bytes at the start of a file that give the length of the header.
pub const LENGTH: usize = 8;

/// The longest header that is accepted. A file of another format seems to have a longer one.
const LONGEST: u64 = 16 << 20;

/// A header whose offsets, shapes and types fit each other.
pub struct Header {
    /// Where in the file the tensors begin.
    data: u64,
    metadata: Metadata,
}

/// Where one tensor lies in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorEntry {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// Its first byte in the file.
    pub start: u64,
    /// Its bytes.
    pub len: u64,
    /// Its first byte if all convolutions of the file lay one behind the other and nothing else. It is the same however
    /// many of them are wanted.
    pub slot: u64,
}

/// The length of the header in bytes, from the `first` bytes of the file.
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
    /// Parses the bytes between the length and the tensors.
    ///
    /// # Errors
    /// When they are no header, or its offsets, shapes and types contradict each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let metadata = serde_json::from_slice(bytes)
            .map_err(|e| format!("is no .safetensors file: its header is unreadable: {e}"))?;
        Ok(Self { data: (LENGTH + bytes.len()) as u64, metadata })
    }

    /// The length of the whole file in bytes.
    pub fn file_len(&self) -> u64 {
        self.data + self.metadata.data_len() as u64
    }

    /// The file's metadata.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        self.metadata.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// All tensors, in the order of the file. Their slots are 0.
    pub fn all(&self) -> Vec<TensorEntry> {
        let entry = |name: String| {
            let info = self.metadata.info(&name)?;
            let (start, end) = info.data_offsets;
            let (start, len) = (self.data + start as u64, (end - start) as u64);
            Some(TensorEntry { name, dtype: info.dtype, shape: info.shape.clone(), start, len, slot: 0 })
        };
        self.metadata.offset_keys().into_iter().filter_map(entry).collect()
    }

    /// The convolutions with torchvision's names as far as `through`, in the order of the file.
    pub fn convolutions(&self, through: Tap) -> Vec<TensorEntry> {
        let (every, wanted) = (tensors::names(Tap::LAST), tensors::names(through));
        let mut slot = 0;
        let mut entries: Vec<TensorEntry> =
            self.all().into_iter().filter(|entry| every.contains(&entry.name)).collect();
        for entry in &mut entries {
            entry.slot = slot;
            slot += entry.len;
        }
        entries.retain(|entry| wanted.contains(&entry.name));
        entries
    }
}

impl TensorEntry {
    /// The tensor, whose bytes were read elsewhere.
    pub fn with(self, bytes: Vec<u8>) -> NamedTensor {
        NamedTensor { name: self.name, dtype: self.dtype, shape: self.shape, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_headers_and_other_formats_are_refused() {
        assert_eq!(length(700u64.to_le_bytes()), Ok(700));
        assert!(length(*b"<!DOCTYP").unwrap_err().contains("no .safetensors file"));
        assert!(length([0; 8]).is_err());
        for bad in [&b"{"[..], b"[]", br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#] {
            assert!(Header::parse(bad).is_err());
        }
        let gap = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        assert!(Header::parse(gap).is_err(), "a gap before the first tensor");
    }

    #[test]
    fn convolutions_keep_their_slot_however_many_are_wanted() {
        let tensor = |name: &str, start: usize| {
            format!(r#""{name}":{{"dtype":"F32","shape":[2],"data_offsets":[{start},{}]}}"#, start + 8)
        };
        let names = ["classifier.0.bias", "features.0.bias", "features.10.bias", "other", "features.2.bias"];
        let all: Vec<String> = names.iter().enumerate().map(|(n, name)| tensor(name, n * 8)).collect();
        let header = Header::parse(format!("{{{}}}", all.join(",")).as_bytes()).unwrap();
        let places = |through: &str| -> Vec<(String, u64, u64)> {
            let entries = header.convolutions(through.parse().unwrap());
            entries.into_iter().map(|entry| (entry.name, entry.start - header.data, entry.slot)).collect()
        };
        assert_eq!(places("relu1_2"), [("features.0.bias".into(), 8, 0), ("features.2.bias".into(), 32, 16)]);
        assert_eq!(places("relu5_4").len(), 3);
        assert_eq!(header.file_len(), header.data + 40);
    }
}
