//! Digests of bytes.

use sha2::{Digest, Sha256};

/// The first sixteen hex digits of the SHA-256: enough to tell configs and pictures apart, short enough to read.
pub fn short_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
