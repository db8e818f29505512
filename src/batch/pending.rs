//! Which jobs of a plan are still to be done, by what the manifest says of earlier runs.

use crate::batch::provenance::Provenance;
use crate::error::{Error, Result};
use crate::files::paths::resolve_links;
use crate::output::manifest::Manifest;
use crate::output::origins::{Origins, is_copy};
use crate::output::resume::{Change, State};
use crate::plan::{Job, Plan};
use crate::units::counted;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// What a run does again although nothing has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// Jobs that are done.
    pub done: bool,
    /// Jobs that failed.
    pub failed: bool,
}

/// The jobs of a plan by what is known about them.
pub struct Pending<'p> {
    pub todo: Vec<&'p Job>,
    /// How many were done before.
    pub done: usize,
    /// How many failed before and are not tried again.
    pub failed: usize,
    /// How many of `todo` were done or failed before and must be done again, by reason.
    pub stale: BTreeMap<Change, usize>,
}

impl<'p> Pending<'p> {
    /// Looks at every file of every job that was done before.
    pub fn of(plan: &'p Plan, provenance: &Provenance, manifest: &Manifest, again: Again) -> Self {
        let state = |job: &'p Job| (job, manifest.state(&provenance.work(plan, job, &plan.style_digest(job))));
        let states: Vec<(&Job, State)> = plan.jobs.par_iter().map(state).collect();
        let mut pending = Self { todo: Vec::new(), done: 0, failed: 0, stale: BTreeMap::new() };
        for (job, state) in states {
            match state {
                State::Done if !again.done => pending.done += 1,
                State::Failed if !again.failed => pending.failed += 1,
                State::New | State::Done | State::Failed => pending.todo.push(job),
                State::Stale(change) => {
                    *pending.stale.entry(change).or_default() += 1;
                    pending.todo.push(job);
                }
            }
        }
        pending
    }
}

/// Whether no picture that is to be made would take the place or the label of one of another frame that is still there.
///
/// # Errors
/// [`Error::Usage`] with the first such picture.
pub fn check_owner(plan: &Plan, todo: &[&Job], manifest: &Manifest) -> Result<()> {
    for job in todo {
        let path = &plan.frame(job).path;
        for output in manifest.in_other_formats(&job.output).chain([job.output.clone()]) {
            let Some(source) = manifest.source_of_done(&output).map(Path::new) else { continue };
            let is_same = || {
                let is_copy = source.file_name() == path.file_name() && is_copy(source, path);
                resolve_links(source) == resolve_links(path) || is_copy
            };
            if source != path && source.is_file() && !is_same() {
                return Err(Error::Usage(format!(
                    "the output has a picture {output} of another frame, {}, which {} would replace; choose another \
                     --output, or give --force",
                    source.display(),
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

/// Whether an output's name ends with this condition, and a variant.
fn is_of_condition(output: &str, condition: &str) -> bool {
    let stem = output.rsplit_once('.').map_or(output, |(stem, _)| stem);
    let before = stem.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix('-');
    before.and_then(|before| before.strip_suffix(condition)).is_some_and(|name| name.ends_with("__"))
}

/// A warning if the output `folder` has pictures of this dataset and these conditions that are not in `whole`, the
/// plans of all jobs: they would be trained on too.
pub fn unplanned_outputs<'a>(
    whole: &'a [Plan],
    origins: &Origins,
    folder: &Path,
    manifest: &'a Manifest,
) -> Option<String> {
    // A picture in another format is replaced together with its label, when its job is done again.
    let stem = |output: &'a str| output.rsplit_once('.').map_or(output, |(stem, _)| stem);
    let planned: HashMap<&str, &str> =
        whole.iter().flat_map(|plan| &plan.jobs).map(|job| (stem(&job.output), &*job.output)).collect();
    let is_replaced = |output: &str, planned: &str| output == planned || !folder.join(planned).exists();
    let is_unplanned = |&(source, output): &(&'a str, &'a str)| {
        planned.get(stem(output)).is_none_or(|planned| !is_replaced(output, planned))
            && whole.iter().any(|plan| is_of_condition(output, plan.condition))
            && origins.split(source, output).is_some()
            && folder.join(output).exists()
    };
    let mut unplanned: Vec<&str> = manifest.done().filter(is_unplanned).map(|(_, output)| output).collect();
    unplanned.sort_unstable();
    let first = unplanned.first()?;
    Some(format!(
        "the output still has {} that this config no longer makes, such as {first}, which are still trained \
         on; delete them and their labels, or choose another --output",
        counted(unplanned.len(), "image")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_told_from_one_whose_name_begins_alike() {
        assert!(is_of_condition("images/a.b__fog-12.jpg", "fog") && is_of_condition("a__fog-rare-1.jpg", "fog-rare"));
        for (output, condition) in [("a__fog-rare-1.jpg", "fog"), ("a__fog-1.jpg", "fog-rare"), ("afog-1.jpg", "fog")] {
            assert!(!is_of_condition(output, condition), "{output} {condition}");
        }
    }
}
