//! SHA-256 of tensors and files, and the sets of weights that this program knows by them.

use crate::error::{Error, Result};
use crate::files::digest;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

/// SHA-256 of tensors, in 64 lower-case hexadecimal digits, by the names of the tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checksums(BTreeMap<String, String>);

/// A set of weights that is recognized by the digests of its tensors.
pub struct KnownSet {
    pub name: &'static str,
    /// Not every tensor needs to have one.
    pub sums: Checksums,
}

/// The sets that this program knows.
///
/// To add a set, save the lines that `augment weights verify` prints for it as a file here.
pub fn known_sets() -> Vec<KnownSet> {
    let set = |name, text| KnownSet { name, sums: Checksums::parse(text).unwrap_or_default() };
    vec![set("Oxford's VGG19 (ImageNet; Simonyan and Zisserman 2014)", include_str!("oxford.sha256"))]
}

/// The finished digest in 64 hexadecimal digits.
pub fn hex(hash: Sha256) -> String {
    digest::hex(&hash.finalize())
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// The digest of a whole file.
///
/// # Errors
/// [`Error::Io`].
pub fn file_sha256(path: &Path) -> Result<String> {
    let hash = File::open(path).and_then(digest::sha256_of);
    hash.map(hex).map_err(Error::io(path, "read it"))
}

/// Checks a file whose name contains a digest, or its first digits.
///
/// # Errors
/// [`Error::BadFile`] when the digest `sum` of the file does not begin with `promised`.
pub fn verify_name(path: &Path, promised: &str, sum: &str) -> Result<()> {
    if sum.starts_with(promised) {
        return Ok(());
    }
    let why = format!("is damaged: its name says that its SHA-256 begins with {promised}, but it is {sum}");
    Err(Error::bad_file(path, why))
}

impl Checksums {
    /// From lines like `DIGEST  features.0.weight`. What follows a `#` is a comment.
    ///
    /// # Errors
    /// Names the first line that has another form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut sums = BTreeMap::new();
        for (n, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            match words[..] {
                [] => {}
                [sum, name] if sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    sums.insert(name.to_string(), sum.to_ascii_lowercase());
                }
                _ => return Err(format!("line {} is not a SHA-256 in 64 digits and the name of a tensor", n + 1)),
            }
        }
        Ok(Self(sums))
    }

    /// From a file of the lines that `augment weights verify` prints.
    ///
    /// # Errors
    /// When the file cannot be read, has a line of another form, or has no digests.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(Error::io(path, "read the digests"))?;
        let sums = Self::parse(&text).map_err(|message| Error::bad_file(path, message))?;
        let hint = "has no digests; `augment weights verify FILE` prints them";
        if sums.0.is_empty() { Err(Error::bad_file(path, hint)) } else { Ok(sums) }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn insert(&mut self, name: &str, sum: &str) {
        self.0.insert(name.into(), sum.into());
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Of the tensors that both have: how many digests are equal, and how many differ.
    pub fn compare(&self, other: &Self) -> (usize, usize) {
        let both = other.0.iter().filter_map(|(name, sum)| Some(self.get(name)? == sum));
        both.fold((0, 0), |(equal, different), same| if same { (equal + 1, different) } else { (equal, different + 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::Tap;
    use crate::weights::tensors;

    #[test]
    fn lines_are_read_and_errors_name_the_line() {
        let sum = sha256(b"abc");
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let sums = Checksums::parse(&format!("# a set\n\n{sum}  features.0.bias # exact\n")).unwrap();
        assert_eq!((sums.get("features.0.bias"), sums.get("features.0.weight")), (Some(sum.as_str()), None));
        assert!(Checksums::parse("# \nabc  features.0.bias").unwrap_err().contains("line 2"));
        assert!(Checksums::parse(&format!("{sum}\n")).is_err());
    }

    #[test]
    fn every_known_set_has_digests_of_convolutions_only() {
        let names = tensors::names(Tap::LAST);
        assert!(!known_sets().is_empty());
        for set in known_sets() {
            assert!(set.sums.names().count() >= 16, "{}", set.name);
            assert!(set.sums.names().all(|name| names.iter().any(|known| known == name)), "{}", set.name);
        }
    }

    #[test]
    fn equal_and_different_digests_are_counted() {
        let sums = |lines: &[(&str, &str)]| {
            let mut sums = Checksums::default();
            lines.iter().for_each(|(name, text)| sums.insert(name, &sha256(text.as_bytes())));
            sums
        };
        let (one, other) = (sums(&[("a", "1"), ("b", "2"), ("c", "3")]), sums(&[("a", "1"), ("b", "0"), ("d", "4")]));
        assert_eq!(one.compare(&other), (1, 1));
    }

    #[test]
    fn a_file_must_have_the_digest_that_its_name_promises() {
        let path = Path::new("vgg19-dcbb9e9d.pth");
        assert!(verify_name(path, "dcbb9e9d", "dcbb9e9d00").is_ok());
        assert!(verify_name(path, "dcbb9e9d", "dcbb9e9e00").unwrap_err().to_string().contains("is damaged"));
    }
}
