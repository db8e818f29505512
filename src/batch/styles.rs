//! Measured styles, kept while there is memory for them.

use crate::error::Result;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the styles that were asked for last, by number. `S` is the type of a measured style.
pub struct StyleCache<S> {
    styles: Vec<Mutex<Option<Arc<S>>>>,
    /// Numbers of those kept; the one that was asked for last is at the end.
    recent: Mutex<VecDeque<usize>>,
    most_bytes: usize,
}

impl<S> StyleCache<S> {
    /// Room for `count` styles, of which those are kept that fit into `most_bytes`, but at least one.
    pub fn new(count: usize, most_bytes: usize) -> Self {
        Self { styles: (0..count).map(|_| Mutex::new(None)).collect(), recent: Mutex::default(), most_bytes }
    }

    /// The style of this number. If it is not kept, `measure` makes it; of two measurements at once, the first is kept.
    /// `bytes` says what a style takes; all styles of one cache should take about the same.
    ///
    /// # Errors
    /// Those of `measure`.
    pub fn get(
        &self,
        number: usize,
        bytes: impl Fn(&S) -> usize,
        measure: impl FnOnce() -> Result<S>,
    ) -> Result<Arc<S>> {
        let kept = || self.styles[number].lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().clone();
        let style = match known {
            Some(style) => style,
            None => {
                // Without the lock: a measurement waits for threads of its pool, which may meanwhile begin another frame
                // that needs this style, and would wait for itself.
                let measured = Arc::new(measure()?);
                kept().get_or_insert(measured).clone()
            }
        };
        self.keep(number, (self.most_bytes / bytes(&style).max(1)).max(1));
        Ok(style)
    }

    /// Notes that a style was asked for. If there are more than `most`, forgets the one that was not for longest.
    fn keep(&self, number: usize, most: usize) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|&other| other != number);
        recent.push_back(number);
        if recent.len() > most
            && let Some(oldest) = recent.pop_front()
        {
            *self.styles[oldest].lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn the_style_that_was_not_asked_for_longest_is_measured_again() {
        let cache = StyleCache::new(3, 20);
        let measured = |number: usize| {
            let mut measured = false;
            let style = cache.get(
                number,
                |_| 10,
                || {
                    measured = true;
                    Ok(number)
                },
            );
            assert_eq!(*style.unwrap(), number);
            measured
        };
        assert_eq!([0, 1, 0, 2, 0, 1].map(measured), [true, true, false, true, false, true]);
    }

    #[test]
    fn a_frame_that_begins_while_its_thread_measures_the_same_style_does_not_wait_for_itself() {
        let cache = StyleCache::new(1, 10);
        let again = || cache.get(0, |_| 10, || Ok(1)).map(|style| *style);
        assert_eq!(*cache.get(0, |_| 10, || again().map(|one| one + 1)).unwrap(), 1, "the first is kept");
    }

    #[test]
    fn a_measurement_that_failed_is_tried_again() {
        let cache = StyleCache::new(1, 1);
        assert!(cache.get(0, |_| 10, || Err(Error::Run("no".into()))).is_err());
        assert_eq!(*cache.get(0, |_| 10, || Ok(7)).unwrap(), 7);
        assert_eq!(*cache.get(0, |_| 10, || Ok(8)).unwrap(), 7, "one is kept even if it is too large");
    }
}
