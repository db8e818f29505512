//! Whether a run shall end before its work is done.

use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long frames in hand may go on: most are done by then, and a person who presses Ctrl-C waits no longer.
const GRACE: Duration = Duration::from_secs(5);

/// A wish to stop, shared by who may ask for it and who has to heed it. Frames in hand are finished, new ones not begun.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    asked: OnceLock<(Instant, Reason)>,
    failures: AtomicUsize,
    most_failures: Option<usize>,
}

/// Why a run ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Interrupted,
    TooManyFailures,
}

impl Stop {
    /// One that is wished for by itself once so many frames have failed.
    pub fn after_failures(most: Option<usize>) -> Self {
        Self(Arc::new(Shared { most_failures: most, ..Shared::default() }))
    }

    /// Asks; returns whether nobody had before.
    pub fn ask(&self, reason: Reason) -> bool {
        self.0.asked.set((Instant::now(), reason)).is_ok()
    }

    /// Counts a frame that failed.
    pub fn count_failure(&self) {
        let failures = self.0.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if self.0.most_failures.is_some_and(|most| failures >= most) {
            self.ask(Reason::TooManyFailures);
        }
    }

    /// Why it was asked for, if it was.
    pub fn reason(&self) -> Option<Reason> {
        self.0.asked.get().map(|&(_, reason)| reason)
    }

    pub fn asked(&self) -> bool {
        self.reason().is_some()
    }

    /// Whether frames in hand must be given up too.
    pub fn overdue(&self) -> bool {
        self.0.asked.get().is_some_and(|(asked, _)| asked.elapsed() > GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_shared_and_leaves_frames_in_hand_some_time() {
        let stop = Stop::default();
        let other = stop.clone();
        assert!(!other.asked() && !other.overdue());
        assert!(stop.ask(Reason::Interrupted) && !stop.ask(Reason::TooManyFailures));
        assert_eq!(other.reason(), Some(Reason::Interrupted));
        let asked =
            |at: Instant| Stop(Arc::new(Shared { asked: (at, Reason::Interrupted).into(), ..Shared::default() }));
        // Times that no delay of this test can bring to the other side of the limit.
        assert!(!asked(Instant::now() + Duration::from_secs(3600)).overdue());
        assert!(asked(Instant::now() - 2 * GRACE).overdue());
    }

    #[test]
    fn failures_ask_once_there_are_too_many() {
        let stop = Stop::after_failures(Some(2));
        stop.count_failure();
        assert!(!stop.asked());
        stop.count_failure();
        assert_eq!(stop.reason(), Some(Reason::TooManyFailures));
        let patient = Stop::default();
        (0..100).for_each(|_| patient.count_failure());
        assert!(!patient.asked());
    }
}
