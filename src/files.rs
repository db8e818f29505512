//! Files as such, whatever is in them.
//!
//! - [`atomic`]: files that are written completely or not at all
//! - [`digest`]: digests of bytes as hex text
//! - [`fingerprint`]: whether files still have the content that they had
//! - [`listing`]: what lies in a folder
//! - [`marker`]: whether a folder is an output of this program
//! - [`paths`]: paths made absolute, resolved and portable
//! - [`text`]: text files that must be UTF-8

pub mod atomic;
pub mod digest;
pub mod fingerprint;
pub mod listing;
pub mod marker;
pub mod paths;
pub mod text;
