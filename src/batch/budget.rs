//! Memory that the frames in progress share.

use crate::memory;
use std::sync::{Condvar, Mutex, PoisonError};

/// The memory that frames in progress share. How many fit is guessed from the sizes of some; so a few that are much larger
/// could meet, each find the same memory free, and all take it.
pub struct Budget {
    bytes: u64,
    held: Mutex<Held>,
    given_back: Condvar,
}

/// What frames in progress hold.
#[derive(Default)]
struct Held {
    bytes: u64,
    frames: usize,
}

impl Budget {
    /// All memory that is free now.
    pub fn free() -> Self {
        Self::of(memory::free())
    }

    fn of(bytes: u64) -> Self {
        Self { bytes, held: Mutex::default(), given_back: Condvar::new() }
    }

    /// Takes what a frame needs, until the result is dropped. Waits while other frames hold too much of it; a frame that
    /// is alone never waits.
    pub fn take(&self, bytes: u64) -> impl Drop {
        let is_short = |held: &mut Held| held.frames > 0 && held.bytes.saturating_add(bytes) > self.bytes;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.given_back.wait_while(held, is_short).unwrap_or_else(PoisonError::into_inner);
        (held.bytes, held.frames) = (held.bytes.saturating_add(bytes), held.frames + 1);
        Taken { from: self, bytes }
    }
}

/// What one frame has taken of a budget.
struct Taken<'a> {
    from: &'a Budget,
    bytes: u64,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut held = self.from.held.lock().unwrap_or_else(PoisonError::into_inner);
        (held.bytes, held.frames) = (held.bytes.saturating_sub(self.bytes), held.frames - 1);
        self.from.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn frames_wait_for_memory_that_others_hold_and_one_that_is_alone_never_waits() {
        let (budget, most) = (Budget::of(100), AtomicU64::new(0));
        drop(budget.take(1000));
        let now = AtomicU64::new(0);
        thread::scope(|scope| {
            for bytes in [60, 60, 60, 30, 30, 1000] {
                let (budget, most, now) = (&budget, &most, &now);
                scope.spawn(move || {
                    let _taken = budget.take(bytes);
                    let all = now.fetch_add(bytes, Ordering::SeqCst) + bytes;
                    most.fetch_max(if bytes > 100 { all - 900 } else { all }, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(bytes, Ordering::SeqCst);
                });
            }
        });
        assert!((60..=100).contains(&most.into_inner()));
        assert_eq!(budget.held.into_inner().unwrap().frames, 0);
    }
}
