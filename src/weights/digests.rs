//! SHA-256 of tensors: of those that are known, of those that a person vouches for, and of what a file holds.

use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Digests of one set of weights by the names of the tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums(BTreeMap<String, String>);

/// A set of weights whose tensors can be told from all others.
pub struct Known {
    pub name: &'static str,
    pub sums: Sums,
}

/// The sets that this program knows.
///
/// A set is added as a file of the lines that `augment weights verify` prints for it.
pub fn known() -> Vec<Known> {
    let set = |name, text| Known { name, sums: Sums::parse(text).unwrap_or_default() };
    vec![set("Oxford's VGG19 (ImageNet; Simonyan and Zisserman 2014)", include_str!("oxford.sha256"))]
}

/// Digits of a digest.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

impl Sums {
    /// From lines like `DIGEST  features.0.weight`; what follows a `#` is a comment.
    ///
    /// # Errors
    /// Names the line that is none.
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

    /// From a file of such lines, as `augment weights verify` prints them.
    ///
    /// # Errors
    /// When it cannot be read or holds none.
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

    /// How many tensors of `other` are the same here, and how many are not.
    pub fn against(&self, other: &Self) -> (usize, usize) {
        let both = other.0.iter().filter_map(|(name, sum)| Some(self.get(name)? == sum));
        both.fold((0, 0), |(same, not), equal| if equal { (same + 1, not) } else { (same, not + 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::Tap;
    use crate::weights::tensors;

    #[test]
    fn lines_are_read_and_mistakes_named() {
        let sum = sha256(b"abc");
        assert_eq!(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let sums = Sums::parse(&format!("# a set\n\n{sum}  features.0.bias # exact\n")).unwrap();
        assert_eq!((sums.get("features.0.bias"), sums.get("features.0.weight")), (Some(sum.as_str()), None));
        assert!(Sums::parse("# \nabc  features.0.bias").unwrap_err().contains("line 2"));
        assert!(Sums::parse(&format!("{sum}\n")).is_err());
    }

    #[test]
    fn every_known_set_has_digests_of_convolutions_alone() {
        let names = tensors::names(Tap::LAST);
        assert!(!known().is_empty());
        for set in known() {
            assert!(set.sums.names().count() >= 16, "{}", set.name);
            assert!(set.sums.names().all(|name| names.iter().any(|known| known == name)), "{}", set.name);
        }
    }

    #[test]
    fn equal_and_other_tensors_are_counted() {
        let sums = |lines: &[(&str, &str)]| {
            let mut sums = Sums::default();
            lines.iter().for_each(|(name, text)| sums.insert(name, &sha256(text.as_bytes())));
            sums
        };
        let (one, other) = (sums(&[("a", "1"), ("b", "2"), ("c", "3")]), sums(&[("a", "1"), ("b", "0"), ("d", "4")]));
        assert_eq!(one.against(&other), (1, 1));
    }
}
