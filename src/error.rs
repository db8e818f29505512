//! The one error type: place, cause and, where there is one, the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// What `Result` means in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run, or one frame of it, could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config, or a `--set` on top of it, asks for something that cannot be.
    #[error("{place}: {message}{}", help_line(.help))]
    Config {
        /// `file:line:column`, or the `--set` as it was typed.
        place: String,
        message: String,
        /// What to write instead.
        help: Option<String>,
    },
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The system refused something about a file or folder.
    #[error("{}: could not {action}: {source}", path.display())]
    Io {
        path: PathBuf,
        /// What was being done, to follow "could not".
        action: &'static str,
        source: io::Error,
    },
    /// A file that could be read but not used.
    #[error("{}: {message}", path.display())]
    BadFile { path: PathBuf, message: String },
    /// Anything else that ends the run.
    #[error("{0}")]
    Run(String),
}

fn help_line(help: &Option<String>) -> String {
    help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default()
}

impl Error {
    /// For `map_err`: `Error::io(path, "read it")` reads "`path`: could not read it: cause".
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }

    /// A file that could be read but not used.
    pub fn bad_file(path: &Path, message: impl Into<String>) -> Self {
        Self::BadFile { path: path.to_path_buf(), message: message.into() }
    }

    /// Whether every later frame would meet the same: the disk is full or takes no writing, or the GPU is lost.
    pub fn ends_run(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match self {
            Self::Io { source, .. } => [QuotaExceeded, ReadOnlyFilesystem, StorageFull].contains(&source.kind()),
            Self::Run(_) => true,
            _ => false,
        }
    }

    /// The process's exit code: 2 for a mistake in the command or config, 1 for everything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Usage(_) => 2,
            Self::Io { .. } | Self::BadFile { .. } | Self::Run(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_place_cause_and_remedy() {
        let place = "fog.yaml:3:5".to_string();
        let error =
            Error::Config { place, message: "unknown key `stepz`".into(), help: Some("did you mean `steps`?".into()) };
        assert_eq!(error.to_string(), "fog.yaml:3:5: unknown key `stepz`\n  help: did you mean `steps`?");
        assert_eq!(error.exit_code(), 2);

        let error = Error::io(Path::new("a.jpg"), "read it")(io::Error::other("disk on fire"));
        assert_eq!(error.to_string(), "a.jpg: could not read it: disk on fire");
        assert_eq!(error.exit_code(), 1);
        assert!(!error.ends_run() && Error::Run("the device can no longer be used".into()).ends_run());
    }
}
