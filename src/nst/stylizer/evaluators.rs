//! What evaluates losses at all scales of one working size.

use crate::nst::backend::{Evaluator, Network};
use crate::nst::failure::StylizeError;
use crate::nst::loss::Guides;
use crate::nst::picture::geometry::Size;
use crate::nst::scene::regions::Regions;
use crate::nst::schedule;
use crate::nst::settings::Settings;

/// The evaluators for pictures of one working size, one for each scale. They hold the memory that an evaluation needs,
/// so they are made once and used for all pictures of that size.
pub struct Evaluators<'a> {
    size: Size,
    /// The finest first; none where nothing is optimized.
    scales: Vec<Evaluator<'a>>,
}

impl<'a> Evaluators<'a> {
    pub(super) fn new(network: Option<&'a Network>, settings: &'a Settings, working_size: Size) -> Self {
        let scales = schedule::scales(settings, working_size).into_iter().rev();
        let evaluators = |network: &'a Network| scales.map(|scale| network.evaluator(settings, scale.size)).collect();
        Self { size: working_size, scales: network.map(evaluators).unwrap_or_default() }
    }

    /// The evaluator for the working size, and those for it after one halving, two, and so on.
    ///
    /// # Panics
    /// Where nothing is optimized.
    pub(super) fn split(&mut self) -> (&mut Evaluator<'a>, &mut [Evaluator<'a>]) {
        let Some(parts) = self.scales.split_first_mut() else { panic!("there is a network where steps are asked for") };
        parts
    }

    /// The working size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The mean wall time, in seconds, of an evaluation at the working size, over `count` of them on a grey picture.
    /// Where the device works in batches, it is the time per picture of a full batch.
    ///
    /// # Errors
    /// When the device refuses; see [`StylizeError`].
    pub fn seconds_per_evaluation(&mut self, count: usize) -> Result<f64, StylizeError> {
        let (evaluator, _) = self.split();
        let grey = vec![0.5; evaluator.size().pixels() * 3];
        let whole = Regions::whole(evaluator.size());
        // The forward passes of the targets warm up memory and caches.
        let style = evaluator.style_target(&grey, Guides::new(&whole))?;
        evaluator.objective(&grey, &style, Guides::new(&whole))?.seconds_per_evaluation(&grey, count)
    }
}
