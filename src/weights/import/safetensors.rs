//! `.safetensors` files with any names.

use crate::error::Result;
use crate::weights::file;
use crate::weights::header::TensorEntry;
use crate::weights::import::archive::Archive;
use std::fs::File;
use std::path::{Path, PathBuf};

/// An open `.safetensors` file.
pub struct Safetensors {
    path: PathBuf,
    file: File,
    entries: Vec<TensorEntry>,
}

impl Safetensors {
    /// Reads the header of `file`, which is open at its start. `path` is for errors.
    ///
    /// # Errors
    /// When it is no such file, or damaged.
    pub fn open(path: &Path, mut file: File) -> Result<Self> {
        let entries = file::read_header(path, &mut file)?.all();
        Ok(Self { path: path.into(), file, entries })
    }
}

impl Archive for Safetensors {
    fn list(&self) -> Vec<(String, Vec<usize>)> {
        self.entries.iter().map(|entry| (entry.name.clone(), entry.shape.clone())).collect()
    }

    fn values(&mut self, name: &str) -> Result<Vec<f32>, String> {
        let entry = self.entries.iter().find(|entry| entry.name == name).ok_or("is missing")?.clone();
        let bytes = file::read_range(&self.path, &mut self.file, entry.start, entry.len).map_err(|e| e.to_string())?;
        entry.with(bytes).values()
    }
}
