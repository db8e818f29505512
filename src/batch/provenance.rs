//! What a row says of how its picture was made.

use crate::config::values::Config;
use crate::dataset::{Frame, masks};
use crate::files::fingerprint::Fingerprint;
use crate::nst::{Backbone, Device, Settings};
use crate::output::resume::Work;
use crate::output::row::{self, Row, Status};
use crate::plan::styles::Style;
use crate::plan::{Job, Plan};
use std::path::PathBuf;

/// The engine's parts that a batch runs on.
pub struct Engine {
    pub backbone: Backbone,
    pub device: Device,
}

/// What all rows of a run share.
pub struct Provenance {
    device: String,
    config_digest: String,
    backbone: row::Backbone,
}

impl Provenance {
    pub(crate) fn new(config: &Config, engine: &Engine) -> Self {
        Self {
            device: engine.device.to_string(),
            config_digest: config.digest(),
            backbone: row::Backbone { name: engine.backbone.name().into(), digest: engine.backbone.digest().into() },
        }
    }

    pub(crate) fn work<'a>(
        &'a self,
        plan: &Plan<'a>,
        job: &'a Job,
        settings: &Settings,
        style_digest: &'a str,
    ) -> Work<'a> {
        let frame = plan.frame(job);
        Work {
            source: frame.path.to_string_lossy(),
            source_files: source_files(frame, settings),
            output: &job.output,
            label: job.label_output.as_deref(),
            seed: job.seed,
            style_digest,
            config_digest: &self.config_digest,
            backbone_digest: &self.backbone.digest,
            engine: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The row of a job that has not come to anything yet.
    pub(crate) fn row(&self, plan: &Plan, job: &Job, settings: &Settings) -> Row {
        let (frame, style) = (plan.frame(job), plan.style(job));
        let part =
            |(style, weight): (&Style, f64)| row::StyleRow { path: style.path.to_string_lossy().into_owned(), weight };
        Row {
            status: Status::Failed,
            source: frame.path.to_string_lossy().into_owned(),
            source_files: Some(Fingerprint::of(&source_files(frame, settings))),
            made_files: None,
            style: style.path.to_string_lossy().into_owned(),
            styles: if job.styles.len() > 1 { plan.parts(job).map(part).collect() } else { Vec::new() },
            style_digest: plan.style_digest(job),
            output: job.output.clone(),
            label: job.label_output.clone(),
            condition: plan.condition.into(),
            variant: job.variant,
            seed: job.seed,
            width: None,
            height: None,
            device: self.device.clone(),
            backbone: self.backbone.clone(),
            config_digest: self.config_digest.clone(),
            engine: env!("CARGO_PKG_VERSION").into(),
            evals: None,
            content_loss: None,
            style_loss: None,
            first_content_loss: None,
            first_style_loss: None,
            losses: Vec::new(),
            strength: None,
            boxes: None,
            box_edges_min: None,
            guard: None,
            malformed_labels: None,
            reduced_size: None,
            restarted: false,
            first_of_several: false,
            seconds: 0.0,
            error: None,
        }
    }
}

/// The files that a frame's picture and label are made from.
fn source_files(frame: &Frame, settings: &Settings) -> Vec<PathBuf> {
    let own = std::iter::once(frame.path.clone()).chain(frame.label.clone());
    own.chain(masks::Paths::of(&frame.path, settings).all()).collect()
}
