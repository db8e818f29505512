//! How often colours occur.

/// Counts of RGB colours in `BINS` equal steps of each channel.
#[derive(Clone)]
pub struct Histogram<const BINS: usize> {
    counts: Vec<f32>,
    sum: f32,
}

impl<const BINS: usize> Histogram<BINS> {
    /// Every colour with the same count to begin with.
    pub fn filled(count: f32) -> Self {
        let counts = vec![count; BINS.pow(3)];
        Self { sum: counts.iter().sum(), counts }
    }

    /// The index of the count of a colour. Channels are cut to 0..1.
    pub fn bin(rgb: &[f32]) -> usize {
        rgb.iter().fold(0, |bin, v| bin * BINS + ((v.clamp(0.0, 1.0) * BINS as f32) as usize).min(BINS - 1))
    }

    pub fn add(&mut self, rgb: &[f32], weight: f32) {
        self.add_to(Self::bin(rgb), weight);
    }

    /// Adds to the count of this index.
    pub fn add_to(&mut self, bin: usize, weight: f32) {
        self.counts[bin] += weight;
        self.sum += weight;
    }

    /// The count of a colour.
    pub fn count(&self, rgb: &[f32]) -> f32 {
        self.counts[Self::bin(rgb)]
    }

    /// All counts, in an order that is the same for all histograms.
    pub fn counts(&self) -> &[f32] {
        &self.counts
    }

    /// The sum of all counts.
    pub fn sum(&self) -> f32 {
        self.sum
    }

    /// These counts and `count` more, shared out as `others` are.
    pub fn with(mut self, others: &Self, count: f32) -> Self {
        let scale = count / others.sum.max(1e-6);
        self.counts.iter_mut().zip(&others.counts).for_each(|(own, other)| *own += scale * other);
        self.sum = self.counts.iter().sum();
        self
    }

    /// Every count with a part of its neighbours' along each channel.
    pub fn smoothed(self) -> Self {
        let mut counts = self.counts;
        for stride in [1, BINS, BINS * BINS] {
            let from = counts.clone();
            let none = vec![0.0; stride];
            let lines = counts.chunks_exact_mut(stride * BINS).zip(from.chunks_exact(stride * BINS));
            for (line, from) in lines {
                for place in 0..BINS {
                    let at = |place: usize| &from[place * stride..][..stride];
                    let lower = if place > 0 { at(place - 1) } else { &none };
                    let upper = if place + 1 < BINS { at(place + 1) } else { &none };
                    let to = &mut line[place * stride..][..stride];
                    to.iter_mut().zip(lower).zip(upper).for_each(|((to, lower), upper)| *to += 0.3 * (lower + upper));
                }
            }
        }
        Self { sum: counts.iter().sum(), counts }
    }
}
