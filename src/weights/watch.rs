//! Progress of a download.

/// Is told how a download proceeds. `()` ignores everything.
pub trait Watch {
    /// The download has `bytes` in all.
    fn total(&mut self, bytes: u64);
    /// `bytes` of them are on the disk.
    fn received(&mut self, bytes: u64);
    /// Something that a person may want to know.
    fn message(&mut self, text: &str);
}

impl Watch for () {
    fn total(&mut self, _: u64) {}
    fn received(&mut self, _: u64) {}
    fn message(&mut self, _: &str) {}
}
