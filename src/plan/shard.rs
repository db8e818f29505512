//! One of several runs that share a dataset.

use crate::error::Result;
use crate::plan::draws::Draws;
use std::fmt;
use std::str::FromStr;

/// One of several runs that share a dataset between them, written `I/N`, from `1/N` to `N/N`.
///
/// A frame's shard depends on its path alone, so shards are disjoint, complete, and stay as they are when frames are
/// added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    pub(crate) fn holds(self, path: &str) -> bool {
        // Not by the run's seed: another seed shall not move a frame to another machine.
        let shard = Draws { seed: 0, path }.number("shard", 0) % u64::from(self.count);
        shard + 1 == u64::from(self.index)
    }
}

/// As it stands in names of files: `1-of-4`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}-of-{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(index, count)| Some(Self { index: index.parse().ok()?, count: count.parse().ok()? }))
            .filter(|shard| (1..=shard.count).contains(&shard.index))
            .ok_or_else(|| format!("`{text}` is no shard; expected I/N with I from 1 to N, such as 1/4"))
    }
}
