//! Numbers drawn from a hash of seed, purpose, variant and path.
//!
//! A draw is `SHA-256("augment 1" 0 purpose 0 seed variant path)`, with the seed as 8 and the variant as 4
//! little-endian bytes. Its first 8 bytes are taken as a little-endian number. The variant is 0 for what all variants
//! of a frame share.

use sha2::{Digest, Sha256};

/// The draws of one frame.
#[derive(Clone, Copy)]
pub struct Draws<'a> {
    pub seed: u64,
    /// [`crate::dataset::Frame::relative`].
    pub path: &'a str,
}

impl Draws<'_> {
    /// Uniform over all numbers of 64 bits.
    pub fn number(self, purpose: &str, variant: u32) -> u64 {
        let hash = Sha256::new()
            .chain_update(b"augment 1\0")
            .chain_update(purpose)
            .chain_update([0])
            .chain_update(self.seed.to_le_bytes())
            .chain_update(variant.to_le_bytes())
            .chain_update(self.path)
            .finalize();
        hash.iter().take(8).rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// Uniform in 0..1, in steps of 2^-53.
    pub fn share(self, purpose: &str, variant: u32) -> f64 {
        (self.number(purpose, variant) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_the_draws_never_changes() {
        // From an independent implementation. With another value, every dataset made so far would come out differently.
        let draws = Draws { seed: 7, path: "images/train/a.jpg" };
        assert_eq!(draws.number("job", 1), 1690840263287327090);
    }
}
