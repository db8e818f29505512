//! What a row says about how its picture was made, and what must be the same for a picture to count as done.

use crate::batch::context::DatasetFacts;
use crate::batch::sources;
use crate::config::digest::learning_digest;
use crate::config::values::{BackboneChoice, Config, EngineChoice};
use crate::dataset::Frame;
use crate::error::{Error, Result};
use crate::files::digest::short_digest;
use crate::nst::{Backbone, Device, Settings, Stylizer};
use crate::output::resume::Work;
use crate::output::row::{self, Identity, Producer, Row};
use crate::plan::styles::StylePicture;
use crate::plan::{Job, Plan};
use crate::weights::locate;
use crate::weights::student::{Origin, StudentFile};
use std::sync::Arc;

/// The network and the device that a batch runs on.
#[derive(Clone)]
pub struct Engine {
    /// `None` where nothing is optimized.
    pub backbone: Option<Backbone>,
    pub device: Device,
    /// Draws the frames that it knows.
    pub student: Option<StudentFile>,
}

impl Engine {
    /// Opens the backbone as far as the layers of `settings` need it; none where they ask for no steps.
    ///
    /// # Errors
    /// See [`locate::open`].
    pub fn open(weights: Option<&str>, choice: &BackboneChoice, settings: &Settings, device: Device) -> Result<Self> {
        let backbone = (settings.steps > 0).then(|| locate::open(weights, choice, settings)).transpose()?;
        Ok(Self { backbone, device, student: None })
    }

    /// # Errors
    /// When the settings do not fit to the backbone, or the device refuses.
    pub fn stylizer(&self, settings: Settings) -> Result<Stylizer> {
        match &self.backbone {
            Some(backbone) => {
                let stylizer = Stylizer::new(backbone, settings, self.device.clone()).map_err(Error::Run)?;
                let student = self.student.as_ref().map(|file| Arc::new(file.student.clone()));
                Ok(stylizer.with_student(student))
            }
            None => Ok(Stylizer::without_network(settings)),
        }
    }

    /// What a student learns from under this config with these styles.
    pub fn origin(&self, config: &Config, styles: &[StylePicture]) -> Origin {
        let mut digests: Vec<String> =
            styles.iter().map(|style| format!("{} {}", style.digest, style.weight)).collect();
        digests.sort_unstable();
        Origin {
            version: env!("CARGO_PKG_VERSION").into(),
            settings: learning_digest(config),
            styles: short_digest(digests.join("\n").as_bytes()),
            backbone: self.backbone().1.into(),
        }
    }

    /// Reads the student that the config names, if it names one.
    ///
    /// # Errors
    /// When it cannot be read, or has learned something else.
    pub fn read_student(&mut self, config: &Config, styles: &[StylePicture]) -> Result<()> {
        if let EngineChoice::Student(path) = &config.engine {
            let file = StudentFile::read(path)?;
            file.check(path, &self.origin(config, styles))?;
            self.student = Some(file);
        }
        Ok(())
    }

    /// The name and the digest of the backbone. Without one, both are `none`.
    pub fn backbone(&self) -> (&str, &str) {
        self.backbone.as_ref().map_or(("none", "none"), |backbone| (backbone.name(), backbone.digest()))
    }
}

/// A backbone for people: its name and digest, or that there is none.
pub fn backbone_text(name: &str, digest: &str) -> String {
    if name == digest { name.to_string() } else { format!("{name} {digest}") }
}

/// What all rows of a run share.
pub struct Provenance<'a> {
    settings: &'a Settings,
    producer: Producer,
}

/// The digest of the objects that COCO annotations give a frame.
fn annotations_digest(frame: &Frame) -> Option<String> {
    frame.annotated.as_ref().map(|annotated| short_digest(annotated.label.as_bytes()))
}

impl<'a> Provenance<'a> {
    pub fn new(config: &'a Config, engine: &Engine, facts: &DatasetFacts) -> Self {
        let (name, digest) = engine.backbone();
        let backbone = row::BackboneRow { name: name.into(), digest: digest.into() };
        let producer = Producer {
            device: engine.device.to_string(),
            backbone,
            config_digest: config.digest(),
            engine: env!("CARGO_PKG_VERSION").into(),
            dataset_digest: Some(facts.digest()),
            student: engine.student.as_ref().map(|file| file.digest.clone()),
        };
        Self { settings: &config.stylize, producer }
    }

    /// Checks that a row of another process was made with the same config, backbone, student and version.
    ///
    /// # Errors
    /// [`Error::Run`] with what differs.
    pub fn check(&self, row: &Row) -> Result<()> {
        let (own, other) = (&self.producer, &row.producer);
        let text = |student: &Option<String>| student.clone().unwrap_or("none".into());
        let pairs = [
            ("version of augment", own.engine.clone(), other.engine.clone()),
            ("config", own.config_digest.clone(), other.config_digest.clone()),
            ("backbone", own.backbone.digest.clone(), other.backbone.digest.clone()),
            ("student", text(&own.student), text(&other.student)),
        ];
        match pairs.iter().find(|(_, own, other)| own != other) {
            Some((what, own, other)) => Err(Error::Run(format!(
                "{}: a worker made it with another {what}: {other}, and the run has {own}; give every machine the same",
                row.identity.source
            ))),
            None => Ok(()),
        }
    }

    /// What is compared with the job's row of an earlier run. `style_digest` is [`Plan::style_digest`] of the job.
    pub fn work<'w>(&'w self, plan: &Plan<'w>, job: &'w Job, style_digest: &'w str) -> Work<'w> {
        let frame = plan.frame(job);
        Work {
            source: frame.path.to_string_lossy(),
            source_files: sources::paths(frame, self.settings),
            output: &job.output,
            label: job.label_output.as_deref(),
            annotations_digest: annotations_digest(frame),
            seed: job.seed,
            place: plan.positions.at(job.frame).place,
            style_digest,
            config_digest: &self.producer.config_digest,
            backbone_digest: &self.producer.backbone.digest,
            dataset_digest: self.producer.dataset_digest.as_deref(),
            student: self.producer.student.as_deref(),
            engine: &self.producer.engine,
        }
    }

    /// The row of a job that has not come to anything yet.
    pub fn row(&self, plan: &Plan, job: &Job) -> Row {
        let frame = plan.frame(job);
        let path = |style: &StylePicture| style.path.to_string_lossy().into_owned();
        let style_row = |(style, weight): (&StylePicture, f64)| row::StyleRow { path: path(style), weight };
        let position = plan.positions.in_sequence(job.frame);
        let identity = Identity {
            source: frame.path.to_string_lossy().into_owned(),
            // Known once the files are read.
            source_files: None,
            style: path(plan.style(job)),
            styles: if job.styles.len() > 1 { plan.styles_of(job).map(style_row).collect() } else { Vec::new() },
            style_digest: plan.style_digest(job),
            output: job.output.clone(),
            label: job.label_output.clone(),
            annotations_digest: annotations_digest(frame),
            condition: plan.condition.into(),
            variant: job.variant,
            seed: job.seed,
            sequence: position.map(|position| position.name.into()),
            place: position.map(|position| position.place),
        };
        Row::new(identity, self.producer.clone())
    }
}
