//! Watching a download.

/// What follows a download.
pub trait Watch {
    /// How many bytes there are to have.
    fn size(&mut self, bytes: u64);
    /// How many are there.
    fn at(&mut self, bytes: u64);
    /// Something that a person may want to know.
    fn note(&mut self, text: &str);
}
