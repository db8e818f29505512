//! Which jobs of a plan are still to be done.

use crate::batch::Batch;
use crate::batch::provenance::Provenance;
use crate::error::Result;
use crate::output::manifest::Manifest;
use crate::output::resume::{Change, State};
use crate::plan::{Job, Plan};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// The jobs of a plan by what is known of them.
pub struct Pending<'p> {
    pub(crate) todo: Vec<&'p Job>,
    pub(crate) done: usize,
    /// Failed before and left so.
    pub(crate) failed: usize,
    /// Why some of them are to be done again.
    pub(crate) stale: BTreeMap<Change, usize>,
}

impl Batch {
    /// By output, where the frames now lie whose rows name another place: the dataset was moved, or was elsewhere on the
    /// machine that did them.
    pub(crate) fn moved(&self, manifest: &Manifest) -> Result<HashMap<String, String>> {
        let here = |source: &str| Path::new(source).starts_with(&self.dataset.root);
        if manifest.done().all(|(source, _)| here(source)) {
            return Ok(HashMap::new());
        }
        let whole = Plan::new(&self.config, &self.dataset.frames, &self.styles)?;
        let place = |job: &Job| (job.output.clone(), whole.frame(job).path.to_string_lossy().into_owned());
        Ok(whole.jobs.iter().map(place).collect())
    }

    /// Which jobs are left to do. Looks at every file of every job that was done before.
    pub(crate) fn sort<'p>(&self, plan: &'p Plan, provenance: &Provenance, manifest: &Manifest) -> Pending<'p> {
        let settings = &self.config.stylize;
        let state =
            |job: &'p Job| (job, manifest.state(&provenance.work(plan, job, settings, &plan.style_digest(job))));
        let states: Vec<(&Job, State)> = plan.jobs.par_iter().map(state).collect();
        let mut pending = Pending { todo: Vec::new(), done: 0, failed: 0, stale: BTreeMap::new() };
        for (job, state) in states {
            match state {
                State::Done if !self.order.force => pending.done += 1,
                State::Failed if !self.order.force && !self.order.retry_failed => pending.failed += 1,
                State::New | State::Done | State::Failed => pending.todo.push(job),
                State::Stale(change) => {
                    *pending.stale.entry(change).or_default() += 1;
                    pending.todo.push(job);
                }
            }
        }
        pending
    }

    /// Says if there are pictures of this dataset and condition that the plan does not have: they would train along.
    pub(crate) fn unplanned_outputs(&self, whole: &Plan, manifest: &Manifest) -> Option<String> {
        let planned: HashSet<&str> = whole.jobs.iter().map(|job| &*job.output).collect();
        let mark = format!("__{}-", self.config.condition);
        let is_stray = |&(source, output): &(&str, &str)| {
            !planned.contains(output)
                && output.contains(&mark)
                && Path::new(source).starts_with(&self.dataset.root)
                && self.output.join(output).exists()
        };
        let mut strays: Vec<&str> = manifest.done().filter(is_stray).map(|(_, output)| output).collect();
        strays.sort_unstable();
        let first = strays.first()?;
        Some(format!(
            "{} pictures of earlier runs, such as {first}, are not of this plan and would be trained on with the others; \
             remove them and their labels, or choose another --output",
            strays.len()
        ))
    }
}
