//! The plan as `--dry-run` prints it, for people and for programs.

use crate::dataset::split::Split;
use crate::plan::styles::Style;
use crate::plan::{Job, Plan};
use crate::units::Rough;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::time::Duration;

/// Jobs that [`Plan::summary`] shows one by one.
const ROWS_SHOWN: usize = 10;

/// What a run would do; `--dry-run --json` prints it.
#[derive(Debug, Serialize)]
pub struct Outline {
    pub condition: String,
    pub jobs: usize,
    pub frames: usize,
    pub styles: usize,
    /// Estimated time for all jobs, whether they are done already or not; `None` if no frame can be read.
    pub seconds: Option<f64>,
    /// What a person should know about the dataset.
    pub warnings: Vec<String>,
    /// Below the output folder.
    pub outputs: Vec<String>,
}

impl Plan<'_> {
    /// The plan for programs.
    pub fn outline(&self, estimate: Option<Duration>, warnings: &[String]) -> Outline {
        let frames: HashSet<usize> = self.jobs.iter().map(|job| job.frame).collect();
        Outline {
            condition: self.condition.into(),
            jobs: self.jobs.len(),
            frames: frames.len(),
            styles: self.styles.len(),
            seconds: estimate.map(|estimate| estimate.as_secs_f64()),
            warnings: warnings.to_vec(),
            outputs: self.jobs.iter().map(|job| job.output.clone()).collect(),
        }
    }

    /// The plan for people: counts, styles and the first jobs.
    pub fn summary(&self, estimate: Option<Duration>) -> String {
        let mut text = format!("{}: {} jobs on {}", self.condition, self.jobs.len(), self.frames_by_split());
        if let Some(estimate) = estimate {
            // Writing to a String cannot fail.
            let _ = write!(text, ", about {}", Rough(estimate));
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
        let name = |(style, share): (&Style, f64)| {
            let name = style.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if job.styles.len() == 1 { name } else { format!("{name} {:.0} %", share * 100.0) }
        };
        self.styles_of(job).map(name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::{Config, Pairing};
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
    fn the_summary_names_blended_styles_with_their_shares() {
        let (frames, styles) = (many(2), styles(&[1.0, 3.0, 1.0]));
        let config = Config { pairing: Pairing::Blend, ..config() };
        let summary = Plan::new(&config, &frames, &styles).unwrap().summary(None);
        assert!(summary.contains("+ 1.png 60 %, 0.png 20 %, 2.png 20 % ->"), "{summary}");
    }
}
