//! Files that are written completely or not at all: each is written under a temporary name, synced and renamed.

use crate::error::{Error, Result};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use walkdir::WalkDir;

/// Start and end of the names of temporary files.
const TEMPORARY: (&str, &str) = (".augment-", ".tmp");

/// Removes a file that an earlier run has left, if there is one.
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

/// Writes `bytes` to `path`, completely or not at all, and creates its folder.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_file_with(path, |writer| writer.write_all(bytes))
}

/// Writes to `path` what `write` produces, completely or not at all, and creates its folder.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    // The parent of a bare name is the empty path, which cannot be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        // Temporary files can be read by their owner only. This one becomes part of a dataset, so the umask decides.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(Error::io(folder, "make a temporary file"))?;
    {
        let mut writer = BufWriter::new(file.as_file_mut());
        write(&mut writer).and_then(|()| writer.flush()).map_err(Error::io(path, "write it"))?;
    }
    // Otherwise a power failure may keep the name and lose the content.
    file.as_file().sync_data().map_err(Error::io(path, "write it"))?;
    file.persist(path).map_err(|error| Error::io(path, "put it in its place")(error.error))?;
    sync_folder(folder)
}

/// Makes a rename durable. Otherwise a power failure may bring the previous file back.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<()> {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    match synced {
        // Some network file systems cannot sync a folder.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced.map_err(Error::io(folder, "write it")),
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<()> {
    Ok(())
}

/// Removes the temporary files that a killed run has left below `folder`. One that cannot be removed does no harm.
pub fn remove_unfinished(folder: &Path) {
    let is_ours = |name: &str| name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1);
    let files = WalkDir::new(folder).into_iter().filter_map(|entry| entry.ok());
    for file in files.filter(|file| file.file_type().is_file() && file.file_name().to_str().is_some_and(is_ours)) {
        let _ = fs::remove_file(file.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_written_file_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("plain"), b"").unwrap();
        write_file(&folder.path().join("ours"), b"").unwrap();
        let mode = |name: &str| folder.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode("ours"), mode("plain"));
    }

    #[test]
    fn a_write_that_fails_leaves_the_previous_file_and_no_temporary_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/a");
        write_file(&path, b"before").unwrap();
        let failed = write_file_with(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn only_temporary_files_are_removed_and_a_missing_file_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".augment-1a2b.tmp", ".augment.lock", "a.tmp"] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        remove_unfinished(folder.path());
        assert!(!folder.path().join(".augment-1a2b.tmp").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        remove_file(&folder.path().join("a.tmp")).unwrap();
        remove_file(&folder.path().join("a.tmp")).unwrap();
        remove_file(&folder.path().join(".augment.lock/below/a/file")).unwrap();
    }
}
