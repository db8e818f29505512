//! Signals that ask a run to stop.

use crate::batch::stop::{Reason, Stop};
use crate::cli::terminal;
use crate::error::{Error, Result};

/// Exit code of a run that was interrupted, as shells know it: 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

impl Stop {
    /// Makes Ctrl-C and the system's request to terminate ask; the second time the process ends at once. What it was
    /// writing then keeps its hidden name.
    ///
    /// # Errors
    /// [`Error::Run`] if the system takes no handler.
    pub fn on_signals(&self) -> Result<()> {
        let stop = self.clone();
        let handler = move || {
            if stop.ask(Reason::Interrupted) {
                terminal::print_err("\nstopping: the frames in hand are finished first (again: stop at once)");
            } else {
                std::process::exit(INTERRUPTED.into());
            }
        };
        let ignored = ignored_signals();
        ctrlc::set_handler(handler).map_err(|error| Error::Run(format!("cannot listen for Ctrl-C: {error}")))?;
        ignore(&ignored);
        Ok(())
    }
}

/// Which of the handled signals whoever started this has told it to ignore: `nohup` does so with SIGHUP, a shell's script
/// with the SIGINT of what it puts into the background.
#[cfg(unix)]
fn ignored_signals() -> Vec<i32> {
    let is_ignored = |&signal: &i32| {
        // SAFETY: only asks; an action of zeros is a valid one to write to.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
        }
    };
    [libc::SIGHUP, libc::SIGINT].into_iter().filter(is_ignored).collect()
}

#[cfg(unix)]
fn ignore(signals: &[i32]) {
    for &signal in signals {
        // SAFETY: to ignore a signal needs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

#[cfg(not(unix))]
fn ignored_signals() -> Vec<i32> {
    Vec::new()
}

#[cfg(not(unix))]
fn ignore(_: &[i32]) {}
