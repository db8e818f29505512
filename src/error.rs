//! The error type of the crate. A message names the place, the cause and, if there is one, the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command or a frame failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A mistake in the config or in a `--set` on top of it.
    #[error("{place}: {message}{}", help_line(.help))]
    Config {
        /// `file:line:column`, or the `--set` as it was typed.
        place: String,
        message: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// A mistake on the command line.
    #[error("{0}")]
    Usage(String),
    /// The system refused an action on a file or folder.
    #[error("{}: could not {action}: {source}", path.display())]
    Io {
        path: PathBuf,
        /// What was tried, in words that follow "could not".
        action: &'static str,
        source: io::Error,
        /// Whether every later frame would meet it, too.
        ends_run: bool,
    },
    /// A file that can be read but not used.
    #[error("{}: {message}", path.display())]
    BadFile { path: PathBuf, message: String },
    /// A failure that every later frame would have as well, such as a lost GPU. It ends the batch.
    #[error("{0}")]
    Fatal(String),
    /// Any other reason why a command or a frame failed.
    #[error("{0}")]
    Run(String),
}

fn help_line(help: &Option<String>) -> String {
    help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default()
}

impl Error {
    /// A mistake at `place` of the config, with what to write instead.
    pub fn config(place: impl Into<String>, message: impl Into<String>, help: Option<String>) -> Self {
        Self::Config { place: place.into(), message: message.into(), help }
    }

    /// For `map_err`: `Error::io(path, "read it")` reads "`path`: could not read it: cause".
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let path = path.to_path_buf();
        move |source| {
            let ends_run = [QuotaExceeded, ReadOnlyFilesystem, StorageFull].contains(&source.kind());
            Self::Io { path, action, source, ends_run }
        }
    }

    /// An error over a file of the output as one that every later file would have, too, unless it comes from the name of
    /// the file.
    pub fn over_output(self) -> Self {
        use io::ErrorKind::{
            AlreadyExists, DirectoryNotEmpty, FileTooLarge, InvalidFilename, InvalidInput, IsADirectory, NotADirectory,
        };
        let of_one_file = [
            AlreadyExists,
            DirectoryNotEmpty,
            FileTooLarge,
            InvalidFilename,
            InvalidInput,
            IsADirectory,
            NotADirectory,
        ];
        match self {
            Self::Io { path, action, source, .. } if !of_one_file.contains(&source.kind()) => {
                Self::Io { path, action, source, ends_run: true }
            }
            other => other,
        }
    }

    /// A file that can be read but not used.
    pub fn bad_file(path: &Path, message: impl Into<String>) -> Self {
        Self::BadFile { path: path.to_path_buf(), message: message.into() }
    }

    /// Whether this error ends the batch. It does if every later frame would fail in the same way, because the disk is
    /// full or read-only, the output cannot be written, or the GPU is lost. Any other error fails one frame.
    pub fn ends_run(&self) -> bool {
        match self {
            Self::Io { ends_run, .. } => *ends_run,
            Self::Fatal(_) => true,
            Self::Config { .. } | Self::Usage(_) | Self::BadFile { .. } | Self::Run(_) => false,
        }
    }

    /// The process's exit code: 2 for a mistake in the command or config, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Usage(_) => 2,
            Self::Io { .. } | Self::BadFile { .. } | Self::Fatal(_) | Self::Run(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_place_cause_and_remedy() {
        let error = Error::config("fog.yaml:3:5", "unknown key `stepz`", Some("did you mean `steps`?".into()));
        assert_eq!(error.to_string(), "fog.yaml:3:5: unknown key `stepz`\n  help: did you mean `steps`?");
        assert_eq!(error.exit_code(), 2);

        let error = Error::io(Path::new("a.jpg"), "read it")(io::Error::other("disk on fire"));
        assert_eq!(error.to_string(), "a.jpg: could not read it: disk on fire");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn only_an_error_that_every_frame_would_have_ends_a_batch() {
        let io = |kind: io::ErrorKind| Error::io(Path::new("a.jpg"), "write it")(kind.into());
        let ends = [
            io(io::ErrorKind::StorageFull),
            io(io::ErrorKind::ReadOnlyFilesystem),
            Error::Fatal("the GPU is lost".into()),
            io(io::ErrorKind::PermissionDenied).over_output(),
        ];
        assert!(ends.iter().all(Error::ends_run));
        let goes_on = [
            io(io::ErrorKind::NotFound),
            io(io::ErrorKind::PermissionDenied),
            io(io::ErrorKind::InvalidFilename).over_output(),
            Error::bad_file(Path::new("a.jpg"), "is damaged"),
            Error::Run("no threads".into()),
            Error::Usage("--threads".into()),
        ];
        assert!(!goes_on.iter().any(Error::ends_run));
    }
}
