//! Signals that ask a run to stop.

use crate::batch::stop::{Reason, Stop};
use crate::cli::terminal;
use crate::error::{Error, Result};

/// Exit code of an interrupted run, by the convention of shells: 128 plus the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Makes Ctrl-C, SIGTERM and SIGHUP ask for a stop. The second signal ends the process at once; a file that was being
/// written then keeps its hidden name.
///
/// # Errors
/// [`Error::Run`] if the system accepts no handler.
pub fn stop_on_signals(stop: &Stop) -> Result<()> {
    let stop = stop.clone();
    let mut is_first = true;
    let handler = move || {
        // It may have been asked to stop already, because too many frames have failed.
        stop.ask(Reason::Interrupted);
        if std::mem::take(&mut is_first) {
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

/// The handled signals that the parent process set to be ignored: `nohup` does this with SIGHUP, and shell scripts with
/// the SIGINT of background commands.
#[cfg(unix)]
fn ignored_signals() -> Vec<i32> {
    let is_ignored = |&signal: &i32| {
        // SAFETY: this only reads the present action, into a struct for which zeros are valid.
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
        // SAFETY: SIG_IGN installs no handler, so no code runs when the signal arrives.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

#[cfg(not(unix))]
fn ignored_signals() -> Vec<i32> {
    Vec::new()
}

#[cfg(not(unix))]
fn ignore(_: &[i32]) {}
