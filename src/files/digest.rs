//! Digests of bytes as hex text.

use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// The first sixteen hex digits of the SHA-256: enough to tell configs and pictures apart, short enough to read.
pub fn short_digest(bytes: &[u8]) -> String {
    short(Sha256::new_with_prefix(bytes))
}

/// [`short_digest`] of all that can be read, which need not fit into memory.
///
/// # Errors
/// Those of the reader.
pub fn short_digest_of(content: impl Read) -> io::Result<String> {
    sha256_of(content).map(short)
}

/// The SHA-256 of all that can be read.
///
/// # Errors
/// Those of the reader.
pub fn sha256_of(mut content: impl Read) -> io::Result<Sha256> {
    let mut hash = Sha256::new();
    io::copy(&mut content, &mut hash)?;
    Ok(hash)
}

fn short(hash: Sha256) -> String {
    hex(&hash.finalize()[..8])
}

/// Two lowercase hex digits per byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_digest_is_the_start_of_the_sha_256() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa0]), "000fa0");
        // FIPS 180-2, appendix B.1.
        assert_eq!(short_digest(b"abc"), "ba7816bf8f01cfea");
        assert_eq!(short_digest_of(&b"abc"[..]).unwrap(), "ba7816bf8f01cfea");
    }
}
