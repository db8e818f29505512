//! Divides the frames of a dataset among several runs.

use crate::error::Result;
use crate::plan::draws::Draws;
use std::fmt;
use std::str::FromStr;

/// One of several runs that divide a dataset among them, written `I/N`, from `1/N` to `N/N`.
///
/// A frame's shard depends on its path alone. So shards are disjoint and complete, and no frame changes its shard when
/// others are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Whether the frame of this relative path belongs to the shard.
    pub fn holds(self, path: &str) -> bool {
        // The run's seed must not count: with another seed, each frame stays on its machine.
        let shard = Draws { seed: 0, path }.number("shard", 0) % u64::from(self.count);
        shard + 1 == u64::from(self.index)
    }
}

/// The form for file names: `1-of-4`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::Config;
    use crate::dataset::Frame;
    use crate::plan::Plan;
    use crate::plan::testing::{config, many, styles};
    use std::collections::HashSet;

    #[test]
    fn shards_are_disjoint_complete_and_stay_when_frames_are_added() {
        let (config, styles) = (Config { variants: 2, ..config() }, styles(&[1.0]));
        let (few, more) = (many(100), many(150));
        let shard = |frames: &[Frame], text: &str| -> HashSet<String> {
            let plan = Plan::new(&config, frames, &styles).unwrap().shard(text.parse().unwrap());
            plan.jobs.into_iter().map(|job| job.output).collect()
        };
        let shards = ["1/3", "2/3", "3/3"].map(|text| shard(&few, text));
        assert!(shards.iter().all(|shard| shard.len() > 30));
        assert_eq!(shards.iter().map(HashSet::len).sum::<usize>(), 200);
        assert_eq!(shards.iter().flatten().collect::<HashSet<_>>().len(), 200);
        assert!(shards[1].is_subset(&shard(&more, "2/3")));
        for bad in ["0/3", "4/3", "1", "1/0", "a/b", "-1/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
