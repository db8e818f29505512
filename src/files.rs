//! Files as such: atomic writing, digests, fingerprints, paths, and the marker of an output folder.

pub mod atomic;
pub mod digest;
pub mod fingerprint;
pub mod marker;
pub mod paths;
