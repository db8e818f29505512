//! Seeded random numbers.

/// What decides all that is left to chance in one picture. The frames of a sequence share the seed and differ in their
/// places, so that what belongs to the scene stays and what is new in every frame changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSeed {
    pub seed: u64,
    /// The frame's place in its sequence, from 0; 0 for a picture that is in none.
    pub place: u64,
}

impl FrameSeed {
    /// The seed of what is new in every frame. At place 0 it is the seed itself.
    pub fn of_frame(self) -> u64 {
        // Not a plain product: the generators of effects differ by products already.
        self.seed ^ scrambled(self.place)
    }
}

/// A picture that is in no sequence.
impl From<u64> for FrameSeed {
    fn from(seed: u64) -> Self {
        Self { seed, place: 0 }
    }
}

/// What SplitMix64 adds to its state for each number.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 (Steele, Lea and Flood 2014). Any seed gives a good sequence, small and consecutive ones too.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        scrambled(self.0)
    }

    /// What [`bits`](Self::bits) would give after as many other calls as `before`.
    #[inline(always)]
    pub fn bits_after(&self, before: u64) -> u64 {
        scrambled(self.0.wrapping_add(STEP.wrapping_mul(before + 1)))
    }

    /// Uniform in 0..1, 1 excluded.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        // 1 - u keeps the logarithm's argument above 0.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// SplitMix64's scrambling of its state: one to one, and 0 for 0.
#[inline(always)]
fn scrambled(state: u64) -> u64 {
    let mut z = state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_ahead_is_the_one_that_comes_after_as_many_others() {
        let (ahead, mut one_by_one) = (Random::new(u64::MAX - 5), Random::new(u64::MAX - 5));
        assert!((0..9).all(|before| ahead.bits_after(before) == one_by_one.bits()));
    }
}
