//! The plans as `--dry-run` prints them, for people and for programs.

use crate::dataset::split::Split;
use crate::plan::styles::StylePicture;
use crate::plan::{Job, Plan};
use crate::units::{Rough, counted};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

/// Jobs that [`Plan::summary`] shows one by one.
const ROWS_SHOWN: usize = 10;

/// What a run would do; `--dry-run --json` prints it.
#[derive(Debug, Serialize)]
pub struct Outline {
    /// Of several conditions, their names joined by commas.
    pub condition: String,
    pub jobs: usize,
    /// How many of them the output's manifest knows to be done. A run does those again whose inputs have changed.
    pub done: usize,
    pub frames: usize,
    pub styles: usize,
    /// What each condition comes to.
    pub conditions: Vec<ConditionCounts>,
    /// Frames without a job because the config's `where` does not choose them; of several conditions, their sum.
    pub not_chosen_by_where: usize,
    /// Estimated time for all jobs, whether they are done already or not; `None` if no frame can be read.
    pub seconds: Option<f64>,
    /// What a person should know about the dataset, the configs and the plan.
    pub warnings: Vec<String>,
    /// Below the output folder.
    pub outputs: Vec<String>,
}

/// The part of one condition in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConditionCounts {
    pub condition: String,
    pub jobs: usize,
    pub frames: usize,
    pub not_chosen_by_where: usize,
    /// Frames that the expression of `sequence` does not match.
    pub not_matched_by_sequence: usize,
}

impl ConditionCounts {
    pub fn of(plan: &Plan) -> Self {
        Self {
            condition: plan.condition.into(),
            jobs: plan.jobs.len(),
            frames: frames(std::slice::from_ref(plan)),
            not_chosen_by_where: plan.not_chosen,
            not_matched_by_sequence: plan.positions.unmatched().len(),
        }
    }
}

/// How many frames have jobs in any of the plans, which are of the same frames.
fn frames(plans: &[Plan]) -> usize {
    plans.iter().flat_map(|plan| &plan.jobs).map(|job| job.frame).collect::<HashSet<_>>().len()
}

/// The plans of all conditions for programs.
pub fn outline(plans: &[Plan], done: usize, estimate: Option<Duration>, warnings: Vec<String>) -> Outline {
    let conditions: Vec<ConditionCounts> = plans.iter().map(ConditionCounts::of).collect();
    Outline {
        condition: plans.iter().map(|plan| plan.condition).collect::<Vec<_>>().join(", "),
        jobs: plans.iter().map(|plan| plan.jobs.len()).sum(),
        done,
        frames: frames(plans),
        styles: plans.iter().map(|plan| plan.styles.len()).sum(),
        not_chosen_by_where: conditions.iter().map(|counts| counts.not_chosen_by_where).sum(),
        conditions,
        seconds: estimate.map(|estimate| estimate.as_secs_f64()),
        warnings,
        outputs: plans.iter().flat_map(|plan| &plan.jobs).map(|job| job.output.clone()).collect(),
    }
}

/// The plans of all conditions for people; of several conditions, with a line for all.
pub fn summary(plans: &[Plan], estimate: Option<Duration>) -> String {
    if let [plan] = plans {
        return plan.summary(estimate);
    }
    let jobs: usize = plans.iter().map(|plan| plan.jobs.len()).sum();
    let about = estimate.map(|estimate| format!(", about {}", Rough(estimate))).unwrap_or_default();
    let each: Vec<String> = plans.iter().map(|plan| plan.summary(None)).collect();
    format!("{} on {}{about}\n{}", counted(jobs, "job"), counted(frames(plans), "frame"), each.join("\n"))
}

impl Plan<'_> {
    /// The plan for people: counts, styles and the first jobs.
    pub fn summary(&self, estimate: Option<Duration>) -> String {
        let mut text = format!("{}: {} on {}", self.condition, counted(self.jobs.len(), "job"), self.frames_by_split());
        // Writing to a String cannot fail.
        if let Some(sequences) = self.sequences() {
            let _ = write!(text, " in {}", counted(sequences, "sequence"));
        }
        if let Some(estimate) = estimate {
            let _ = write!(text, ", about {}", Rough(estimate));
        }
        if self.not_chosen > 0 {
            let _ = write!(text, "; {} not chosen by `where`", counted(self.not_chosen, "frame"));
        }
        let mut uses = vec![0; self.styles.len()];
        self.jobs.iter().flat_map(|job| &job.styles).for_each(|share| uses[share.style] += 1);
        for (style, uses) in self.styles.iter().zip(&uses) {
            let _ = write!(text, "\n{uses:>8} x {}", style.path.display());
        }
        for job in self.jobs.iter().take(ROWS_SHOWN) {
            let _ = write!(text, "\n  {} + {} -> {}", self.frame(job).relative, self.style_names(job), job.output);
        }
        if self.jobs.len() > ROWS_SHOWN {
            let _ = write!(text, "\n  and {} more", self.jobs.len() - ROWS_SHOWN);
        }
        text
    }

    /// How many sequences the frames with jobs are in; `None` if the config asks for none.
    fn sequences(&self) -> Option<usize> {
        let names = self.jobs.iter().map(|job| Some(self.positions.in_sequence(job.frame)?.name));
        Some(names.collect::<Option<HashSet<_>>>()?.len()).filter(|&count| count > 0)
    }

    fn frames_by_split(&self) -> String {
        let mut splits: BTreeMap<Split, Vec<usize>> = BTreeMap::new();
        for job in &self.jobs {
            splits.entry(self.frame(job).split).or_default().push(job.frame);
        }
        let count = |(split, mut frames): (Split, Vec<usize>)| {
            // The jobs of a frame follow each other.
            frames.dedup();
            format!("{} of {split}", frames.len())
        };
        let counts: Vec<String> = splits.into_iter().map(count).collect();
        if counts.is_empty() { "no frames".to_string() } else { counts.join(", ") }
    }

    /// The file names of a job's styles; with their shares if there are several.
    fn style_names(&self, job: &Job) -> String {
        let name = |(style, share): (&StylePicture, f64)| {
            let name = style.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if job.styles.len() == 1 { name } else { format!("{name} {:.0} %", share * 100.0) }
        };
        self.styles_of(job).map(name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::{Config, Pairing, Sequence};
    use crate::plan::testing::{config, many, styles};

    #[test]
    fn the_summary_counts_jobs_frames_and_styles() {
        let (frames, styles) = (many(8), styles(&[1.0]));
        let config = Config { variants: 2, ..config() };
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let summary = plan.summary(Some(Duration::from_secs(600)));
        assert!(
            summary.starts_with("fog: 16 jobs on 8 of train, about 10 min\n      16 x /styles/0.png\n"),
            "{summary}"
        );
        assert!(summary.contains("images/train/00000.jpg + 0.png -> images/train/00000__fog-1.jpg"), "{summary}");
        assert!(summary.ends_with("and 6 more"), "{summary}");
    }

    #[test]
    fn sequences_frames_that_are_not_chosen_and_all_conditions_are_counted() {
        let (frames, styles) = (many(8), styles(&[1.0]));
        let configs =
            ["fog", "night"].map(|name| Config { condition: name.into(), sequence: Sequence::Folder, ..config() });
        let mut plans = configs.each_ref().map(|config| Plan::new(config, &frames, &styles).unwrap());
        plans[1].choose(&std::array::from_fn::<bool, 8, _>(|n| n < 3));
        let text = summary(&plans, Some(Duration::from_secs(600)));
        assert!(
            text.starts_with("11 jobs on 8 frames, about 10 min\nfog: 8 jobs on 8 of train in 1 sequence\n"),
            "{text}"
        );
        assert!(
            text.contains("\nnight: 3 jobs on 3 of train in 1 sequence; 5 frames not chosen by `where`\n"),
            "{text}"
        );
        let outline = outline(&plans, 0, None, Vec::new());
        assert_eq!((outline.condition.as_str(), outline.jobs, outline.frames), ("fog, night", 11, 8));
        assert_eq!((outline.not_chosen_by_where, outline.conditions[1].jobs), (5, 3));
    }

    #[test]
    fn the_summary_names_blended_styles_with_their_shares() {
        let (frames, styles) = (many(2), styles(&[1.0, 3.0, 1.0]));
        let config = Config { pairing: Pairing::Blend, ..config() };
        let summary = Plan::new(&config, &frames, &styles).unwrap().summary(None);
        assert!(summary.contains("+ 1.png 60 %, 0.png 20 %, 2.png 20 % ->"), "{summary}");
    }
}
