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
    /// The shard that the name of a file says: `1-of-4`.
    pub fn of_file_name(name: &str) -> Option<Self> {
        name.replacen("-of-", "/", 1).parse().ok()
    }

    /// Among how many runs the frames are divided.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether the frame of this relative path belongs to the shard.
    pub fn holds(self, path: &str) -> bool {
        // The run's seed must not count: with another seed, each frame stays on its machine.
        let shard = Draws { seed: 0, path }.number("shard", 0) % u64::from(self.count);
        shard + 1 == u64::from(self.index)
    }
}

/// The variables by which a scheduler of a cluster numbers the tasks of a job.
struct Scheduler {
    name: &'static str,
    number: &'static str,
    /// The number of the first task, if it may be another than 0.
    first: Option<&'static str>,
    /// The difference of the numbers of neighbours, if it may be another than 1.
    step: Option<&'static str>,
    /// How many tasks there are; `None` where it does not tell.
    count: Option<&'static str>,
}

const SCHEDULERS: [Scheduler; 4] = [
    Scheduler { name: "Kubernetes", number: "JOB_COMPLETION_INDEX", first: None, step: None, count: None },
    Scheduler {
        name: "Slurm",
        number: "SLURM_ARRAY_TASK_ID",
        first: Some("SLURM_ARRAY_TASK_MIN"),
        step: Some("SLURM_ARRAY_TASK_STEP"),
        count: Some("SLURM_ARRAY_TASK_COUNT"),
    },
    Scheduler {
        name: "AWS Batch",
        number: "AWS_BATCH_JOB_ARRAY_INDEX",
        first: None,
        step: None,
        count: Some("AWS_BATCH_JOB_ARRAY_SIZE"),
    },
    Scheduler {
        name: "Google Batch",
        number: "BATCH_TASK_INDEX",
        first: None,
        step: None,
        count: Some("BATCH_TASK_COUNT"),
    },
];

impl Shard {
    /// The shard that the scheduler of a cluster gives to this process by variables, which `variable` reads. A `count`
    /// may be given where the scheduler tells none.
    ///
    /// # Errors
    /// If no scheduler or several have set theirs, or what they say is no shard or another count than the given one.
    pub fn of_scheduler(count: Option<u32>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let set: Vec<_> = SCHEDULERS.iter().filter(|scheduler| variable(scheduler.number).is_some()).collect();
        let &[&Scheduler { name, number, first, step, count: total }] = &set[..] else {
            let known: Vec<&str> = SCHEDULERS.iter().map(|scheduler| scheduler.number).collect();
            return Err(match set.len() {
                0 => format!("no scheduler has numbered this process: none of {} is set", known.join(", ")),
                _ => format!("several of {} are set; say I/N instead", known.join(", ")),
            });
        };
        let read = |key: &str| -> Result<u32, String> {
            let text = variable(key).ok_or_else(|| format!("{name} has set {number} and not {key}; say auto/N"))?;
            text.trim().parse().map_err(|_| format!("{key} is `{text}`, and a whole number was expected"))
        };
        let optional = |key: Option<&str>, default: u32| match key {
            Some(key) if variable(key).is_some() => read(key),
            _ => Ok(default),
        };
        let told = total.filter(|total| count.is_none() || variable(total).is_some()).map(read).transpose()?;
        let count = match (count, told) {
            (Some(count), Some(told)) if told != count => {
                return Err(format!(
                    "{name} runs {told} tasks, so auto/{count} would divide the frames among other tasks than there are; \
                     say auto, or I/{count}"
                ));
            }
            (Some(count), _) => count,
            (None, Some(told)) => told,
            (None, None) => return Err(format!("{name} does not tell how many tasks there are; say auto/N")),
        };
        let (id, first, step) = (read(number)?, optional(first, 0)?, optional(step, 1)?.max(1));
        let index = id.checked_sub(first).map(|index| index / step + 1);
        index.filter(|index| (1..=count).contains(index)).map(|index| Self { index, count }).ok_or_else(|| {
            format!(
                "{name} has numbered this process {id}, from {first} in steps of {step}, and there are {count} tasks"
            )
        })
    }

    /// `I/N`, or the scheduler's with `auto` and `auto/N`.
    ///
    /// # Errors
    /// For any other text, and as [`Shard::of_scheduler`].
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        match text.strip_prefix("auto") {
            Some("") => Self::of_scheduler(None, variable),
            Some(rest) => {
                let count = rest.strip_prefix('/').and_then(|count| count.parse().ok()).filter(|&count| count > 0);
                let count = count.ok_or_else(|| format!("`{text}` is not a shard; expected auto/N, such as auto/8"))?;
                Self::of_scheduler(Some(count), variable)
            }
            None => text.parse(),
        }
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
            .ok_or_else(|| format!("`{text}` is not a shard; expected I/N with I from 1 to N, such as 1/4, or auto"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::Config;
    use crate::dataset::Frame;
    use crate::plan::Plan;
    use crate::plan::testing::{config, many, styles};
    use std::collections::{HashMap, HashSet};

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

    #[test]
    fn schedulers_number_their_tasks_in_their_own_ways() {
        let parse = |text: &str, set: &[(&str, &str)]| {
            let set: HashMap<String, String> = set.iter().map(|&(key, value)| (key.into(), value.into())).collect();
            Shard::parse(text, |key| set.get(key).cloned()).map(|shard| shard.to_string())
        };
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_STEP", "3"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        assert_eq!(parse("auto", &slurm).unwrap(), "3-of-4");
        let aws = [("AWS_BATCH_JOB_ARRAY_INDEX", "0"), ("AWS_BATCH_JOB_ARRAY_SIZE", "2")];
        assert_eq!(parse("auto", &aws).unwrap(), "1-of-2");
        assert_eq!(parse("auto", &[("BATCH_TASK_INDEX", "5"), ("BATCH_TASK_COUNT", "6")]).unwrap(), "6-of-6");
        let kubernetes = [("JOB_COMPLETION_INDEX", "3")];
        assert_eq!(parse("auto/8", &kubernetes).unwrap(), "4-of-8");
        assert_eq!(parse("2/8", &kubernetes).unwrap(), "2-of-8");

        let refused = |text: &str, set: &[(&str, &str)], why: &str| {
            let message = parse(text, set).unwrap_err();
            assert!(message.contains(why), "{text} {set:?}: {message}");
        };
        refused("auto", &[], "none of JOB_COMPLETION_INDEX, SLURM_ARRAY_TASK_ID");
        refused("auto", &kubernetes, "auto/N");
        refused("auto/3", &kubernetes, "numbered this process 3");
        refused("auto", &[kubernetes[0], aws[0]], "several");
        assert_eq!(parse("auto/4", &slurm).unwrap(), "3-of-4");
        refused("auto/8", &slurm, "Slurm runs 4 tasks");
        refused("auto", &slurm[..3], "not SLURM_ARRAY_TASK_COUNT");
        refused("auto", &[("BATCH_TASK_INDEX", "x"), ("BATCH_TASK_COUNT", "6")], "`x`");
        for text in ["auto/", "auto/0", "auto/x", "automatic"] {
            refused(text, &kubernetes, "is not a shard");
        }
    }
}
