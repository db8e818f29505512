//! Progress of a download.

use crate::cli::terminal::{Lines, print_err};
use crate::units::{duration, megabytes};
use crate::weights::watch::Watch;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// Follows a download on standard error: a bar on a terminal, plain lines elsewhere, silence with `quiet`.
pub fn transfer(quiet: bool) -> Box<dyn Watch> {
    match quiet {
        true => Box::new(()),
        false if stderr().is_terminal() => Box::new(TransferBar::new()),
        false => Box::new(TransferLines { begun: Instant::now(), said: Instant::now(), before: None, size: 0 }),
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
    fn size(&mut self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn at(&mut self, bytes: u64) {
        // What an earlier download left says nothing about the speed of this one.
        if self.bar.position() == 0 {
            self.bar.reset_eta();
        }
        self.bar.set_position(bytes);
    }

    fn note(&mut self, text: &str) {
        self.bar.suspend(|| print_err(text));
    }
}

impl Drop for TransferBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line every few seconds.
struct TransferLines {
    begun: Instant,
    said: Instant,
    /// Bytes that were there when it began.
    before: Option<u64>,
    size: u64,
}

impl Watch for TransferLines {
    fn size(&mut self, bytes: u64) {
        self.size = bytes;
    }

    fn at(&mut self, bytes: u64) {
        let before = *self.before.get_or_insert(bytes);
        if self.said.elapsed() < Lines::EVERY {
            return;
        }
        self.said = Instant::now();
        let rate = bytes.saturating_sub(before) as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let left = duration(self.size.saturating_sub(bytes) as f64 / rate.max(1.0));
        print_err(&format!(
            "{} of {}  {}/s  {left} left",
            megabytes(bytes),
            megabytes(self.size),
            megabytes(rate as u64)
        ));
    }

    fn note(&mut self, text: &str) {
        print_err(text);
    }
}
