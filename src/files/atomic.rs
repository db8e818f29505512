//! Files that are written whole or not at all.

use crate::error::{Error, Result};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use walkdir::WalkDir;

/// Unfinished files are called `.augment-*.tmp`.
const TEMPORARY: (&str, &str) = (".augment-", ".tmp");

/// Removes a file of an earlier run, if it is there.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound && error.kind() != io::ErrorKind::NotADirectory => {
            Err(Error::io(path, "remove what an earlier run left")(error))
        }
        _ => Ok(()),
    }
}

/// Puts `bytes` at `path`, all or nothing, and makes the folders above.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_file_with(path, |writer| writer.write_all(bytes))
}

/// Puts what `write` writes at `path`, all or nothing, and makes the folders above.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    // The folder of a bare name is an empty path, which cannot be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        // Temporary files are for their owner's eyes only; these become the dataset, as open as the umask lets them be.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(Error::io(folder, "make a temporary file"))?;
    {
        let mut writer = BufWriter::new(file.as_file_mut());
        write(&mut writer).and_then(|()| writer.flush()).map_err(Error::io(path, "write it"))?;
    }
    // Else a machine that loses its power may keep the name and lose the content.
    file.as_file().sync_data().map_err(Error::io(path, "write it"))?;
    file.persist(path).map_err(|error| Error::io(path, "put it in its place")(error.error))?;
    sync_folder(folder)
}

/// Makes a rename last: else a machine that loses its power may come back with the file that was there before.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    match synced {
        // Some network file systems know no such thing.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(Error::io(folder, "write it")),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

/// Removes the unfinished files that a killed run has left below `folder`, as far as that goes: they harm nobody.
pub fn remove_unfinished(folder: &Path) {
    let is_ours = |name: &str| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1);
    let files = WalkDir::new(folder).into_iter().filter_map(|entry| entry.ok());
    for file in files.filter(|file| file.file_type().is_file() && file.file_name().to_str().is_some_and(is_ours)) {
        let _ = fs::remove_file(file.path());
    }
}
