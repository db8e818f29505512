//! Files as such, whatever is in them.
//!
//! - [`atomic`]: files that are written whole or not at all
//! - [`digest`]: digests of bytes
//! - [`fingerprint`]: whether files have the same content still
//! - [`marker`]: what tells an output folder of this program from others
//! - [`paths`]: absolute, real and portable paths, and where labels lie

pub mod atomic;
pub mod digest;
pub mod fingerprint;
pub mod marker;
pub mod paths;
