//! The generators of random numbers of effects.

use crate::nst::random::Random;

/// What has a generator of its own in each picture, so that an effect that is off changes no other.
#[derive(Clone, Copy)]
pub enum Stream {
    Snow = 1,
    Puddles,
    Spray,
    Drops,
    Sensor,
    VehicleLamps,
    StreetLamps,
    Headlamps,
    Windows,
    /// How much of each effect.
    Amounts,
}

/// The generator of one stream of one picture.
pub fn random(seed: u64, stream: Stream) -> Random {
    numbered(seed, stream as u64)
}

/// A generator for each number.
pub fn numbered(seed: u64, number: u64) -> Random {
    Random::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95))
}

/// A seed for noise.
pub fn seed_of(random: &mut Random) -> u64 {
    (random.uniform() * 1e15) as u64
}
