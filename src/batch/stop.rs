//! Requests to end a run before its work is done.

use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long frames in progress may go on after a stop request. Most are done by then, and a person who presses Ctrl-C
/// does not wait longer.
pub const GRACE: Duration = Duration::from_secs(5);

/// A request to stop, which clones share: some may make it, others must obey it. Frames in progress are finished, no
/// new ones are begun.
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
    /// One that asks by itself once `most` frames have failed.
    pub fn after_failures(most: Option<usize>) -> Self {
        Self(Arc::new(Shared { most_failures: most, ..Shared::default() }))
    }

    /// Asks to stop. Returns `true` for the first request, which alone counts.
    pub fn ask(&self, reason: Reason) -> bool {
        self.ask_at(Instant::now(), reason)
    }

    fn ask_at(&self, moment: Instant, reason: Reason) -> bool {
        self.0.asked.set((moment, reason)).is_ok()
    }

    /// Asks as if the grace period were over already.
    #[cfg(test)]
    pub(super) fn ask_overdue(&self) {
        self.ask_at(Instant::now().checked_sub(2 * GRACE).unwrap(), Reason::Interrupted);
    }

    /// Counts a frame that failed.
    pub fn count_failure(&self) {
        let failures = self.0.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if self.0.most_failures.is_some_and(|most| failures >= most) {
            self.ask(Reason::TooManyFailures);
        }
    }

    /// Why to stop, if anyone has asked.
    pub fn reason(&self) -> Option<Reason> {
        self.0.asked.get().map(|&(_, reason)| reason)
    }

    pub fn asked(&self) -> bool {
        self.reason().is_some()
    }

    /// Whether frames in progress must be given up too.
    pub fn overdue(&self) -> bool {
        self.0.asked.get().is_some_and(|(asked, _)| asked.elapsed() > GRACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_a_request_and_frames_in_progress_have_some_time_left() {
        let stop = Stop::default();
        let other = stop.clone();
        assert!(!other.asked() && !other.overdue());
        assert!(stop.ask(Reason::Interrupted) && !stop.ask(Reason::TooManyFailures));
        assert_eq!(other.reason(), Some(Reason::Interrupted));
        assert!(!other.overdue());
        let late = Stop::default();
        late.ask_overdue();
        assert!(late.asked() && late.overdue());
    }

    #[test]
    fn too_many_failures_ask_to_stop() {
        let stop = Stop::after_failures(Some(2));
        stop.count_failure();
        assert!(!stop.asked());
        stop.count_failure();
        assert_eq!(stop.reason(), Some(Reason::TooManyFailures));
        let unlimited = Stop::default();
        (0..100).for_each(|_| unlimited.count_failure());
        assert!(!unlimited.asked());
    }
}
