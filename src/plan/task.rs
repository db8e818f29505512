//! A job that another process can do: it names its frame and style in full, so that no dataset has to be read there.

use crate::config::values::{Config, Sequence};
use crate::dataset::Frame;
use crate::error::{Error, Result};
use crate::plan::sequence::{Position, Positions};
use crate::plan::styles::StylePicture;
use crate::plan::{Job, Plan};
use serde::{Deserialize, Serialize};

/// One job with all that its picture depends on, besides config, styles, weights and files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub condition: String,
    pub frame: Frame,
    /// Its index of the frame counts in the plan that it comes from.
    pub job: Job,
    /// See [`Plan::style_digest`].
    pub style_digest: String,
    /// The name and place of [`Position`].
    pub sequence: String,
    pub place: u64,
}

impl Task {
    /// For a job of `plan`.
    pub fn of(plan: &Plan, job: &Job) -> Self {
        let Position { name, place } = plan.positions.at(job.frame);
        Self {
            condition: plan.condition.into(),
            frame: plan.frame(job).clone(),
            job: job.clone(),
            style_digest: plan.style_digest(job),
            sequence: name.into(),
            place,
        }
    }

    /// The plan of `tasks`, whose frames are `frames`, with the styles that this process finds.
    ///
    /// # Errors
    /// [`Error::Run`] for tasks of another condition, or if the styles are not those that the tasks were planned with.
    pub fn plan<'a>(
        tasks: &'a [Self],
        config: &'a Config,
        frames: &'a [Frame],
        styles: &'a [StylePicture],
    ) -> Result<Plan<'a>> {
        if let Some(other) = tasks.iter().find(|task| task.condition != config.condition) {
            let (own, other) = (&config.condition, &other.condition);
            return Err(Error::Run(format!("a task of the condition `{other}` came to a worker of `{own}`")));
        }
        let positions =
            tasks.iter().map(|task| Position { name: &task.sequence, place: task.place }).collect::<Vec<_>>();
        let positions = Positions::known(positions, config.sequence != Sequence::None);
        let jobs: Vec<Job> = tasks.iter().enumerate().map(|(frame, task)| Job { frame, ..task.job.clone() }).collect();
        let has_styles = |job: &Job| job.styles.iter().all(|share| share.style < styles.len());
        let are_known = jobs.iter().all(has_styles);
        let plan = Plan::of_jobs(config, frames, styles, jobs, positions);
        if !are_known || plan.jobs.iter().zip(tasks).any(|(job, task)| plan.style_digest(job) != task.style_digest) {
            return Err(Error::Run(
                "the style pictures here are not those that the run was planned with; give every machine the same files"
                    .into(),
            ));
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{config, frames, styles};

    #[test]
    fn a_task_comes_back_from_its_text_and_makes_the_plan_that_it_is_from() {
        let (frames, styles) = (frames(&["drive/2.jpg", "drive/10.jpg", "b.jpg"]), styles(&[1.0, 2.0]));
        let config = Config { variants: 2, mix: 2, sequence: Sequence::Folder, ..config() };
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let text =
            serde_json::to_string(&plan.jobs.iter().map(|job| Task::of(&plan, job)).collect::<Vec<_>>()).unwrap();
        let tasks: Vec<Task> = serde_json::from_str(&text).unwrap();
        let own: Vec<Frame> = tasks.iter().map(|task| task.frame.clone()).collect();
        let again = Task::plan(&tasks, &config, &own, &styles).unwrap();
        for (job, (whole, task)) in again.jobs.iter().zip(plan.jobs.iter().zip(&tasks)) {
            assert_eq!(Job { frame: whole.frame, ..job.clone() }, *whole);
            assert_eq!(again.positions.in_sequence(job.frame), plan.positions.in_sequence(whole.frame));
            assert_eq!(again.frame(job), &task.frame);
        }
        assert_eq!(tasks[2].place, 1, "10.jpg is the second of its folder");

        let mut others = styles.clone();
        others[0].digest = "x".into();
        for (config, styles) in [
            (&config, &others[..]),
            (&config, &styles[..1]),
            (&Config { condition: "rain".into(), ..config.clone() }, &styles),
        ] {
            assert!(Task::plan(&tasks, config, &own, styles).is_err());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_task_keeps_paths_that_are_not_utf8() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let odd = |name: &[u8]| std::path::PathBuf::from(OsStr::from_bytes(name));
        for (path, label) in [
            (odd(b"/caf\xe9.jpg"), Some(odd(b"/caf\xe9.txt"))),
            (odd(b"/caf\xe9.jpg"), None),
            ("/a.jpg".into(), Some("/a.txt".into())),
        ] {
            let frame = Frame { path, label, ..frames(&["a.jpg"]).remove(0) };
            let text = serde_json::to_string(&frame).unwrap();
            assert_eq!(serde_json::from_str::<Frame>(&text).unwrap(), frame, "{text}");
        }
    }

    #[test]
    fn the_plan_of_one_frame_has_the_job_that_the_plan_of_all_frames_has() {
        let (frames, styles) = (frames(&["drive/2.jpg", "drive/10.jpg", "b.jpg"]), styles(&[1.0, 2.0]));
        for sequence in [Sequence::None, Sequence::Folder] {
            let config = Config { variants: 2, sequence, fraction: 1.0.into(), ..config() };
            let plan = Plan::new(&config, &frames, &styles).unwrap();
            for job in &plan.jobs {
                let (frame, place) = ([plan.frame(job).clone()], plan.positions.at(job.frame).place);
                let one = Plan::of_frame(&config, &frame, &styles, job.variant, place).unwrap();
                assert_eq!(Job { frame: job.frame, ..one.jobs[0].clone() }, *job);
                assert_eq!(one.positions.at(0), plan.positions.at(job.frame));
            }
        }
    }
}
