//! Numbers drawn from a hash of seed, purpose, variant and path.

use sha2::{Digest, Sha256};

/// The draws of one frame.
#[derive(Clone, Copy)]
pub struct Draws<'a> {
    pub(crate) seed: u64,
    pub(crate) path: &'a str,
}

impl Draws<'_> {
    pub(crate) fn number(self, purpose: &str, variant: u32) -> u64 {
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

    /// Uniform in 0..1, with the 53 bits that an f64 holds.
    pub(crate) fn share(self, purpose: &str, variant: u32) -> f64 {
        (self.number(purpose, variant) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
