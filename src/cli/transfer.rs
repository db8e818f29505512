//! Shows the progress of a download on standard error.

use crate::cli::terminal::{Lines, print_err};
use crate::units::{duration, megabytes};
use crate::weights::watch::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// The observer for standard error: a bar on a terminal, plain lines elsewhere, nothing with `quiet`.
pub fn observer(quiet: bool) -> Box<dyn Watch> {
    match quiet {
        true => Box::new(()),
        false if stderr().is_terminal() => Box::new(TransferBar::new()),
        false => Box::new(TransferLines::new()),
    }
}

struct TransferBar {
    bar: ProgressBar,
}

impl TransferBar {
    fn new() -> Self {
        let template = "{bar:24.cyan/blue} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::no_length().with_style(style) }
    }
}

impl Watch for TransferBar {
    fn total(&mut self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn received(&mut self, bytes: u64) {
        // The first call counts the bytes of an earlier download, which say nothing about the speed of this one.
        if self.bar.position() == 0 {
            self.bar.reset_eta();
        }
        self.bar.set_position(bytes);
    }

    fn message(&mut self, text: &str) {
        self.bar.suspend(|| print_err(text));
    }
}

impl Drop for TransferBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Prints a line at most every `Lines::EVERY`.
struct TransferLines {
    started: Instant,
    /// When the last line was printed.
    printed: Instant,
    /// Bytes that an earlier download had left; `None` before the first report.
    before: Option<u64>,
    total: u64,
}

impl TransferLines {
    fn new() -> Self {
        let now = Instant::now();
        Self { started: now, printed: now, before: None, total: 0 }
    }
}

impl Watch for TransferLines {
    fn total(&mut self, bytes: u64) {
        self.total = bytes;
    }

    fn received(&mut self, bytes: u64) {
        let before = *self.before.get_or_insert(bytes);
        if self.printed.elapsed() < Lines::EVERY {
            return;
        }
        self.printed = Instant::now();
        let rate = bytes.saturating_sub(before) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let left = duration(self.total.saturating_sub(bytes) as f64 / rate.max(1.0));
        print_err(&format!(
            "{} of {}  {}/s  {left} left",
            megabytes(bytes),
            megabytes(self.total),
            megabytes(rate as u64)
        ));
    }

    fn message(&mut self, text: &str) {
        print_err(text);
    }
}
