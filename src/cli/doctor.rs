//! `augment doctor`: what this machine computes with, how long a frame takes, and what would make a run faster.

use crate::batch::provenance::{Engine, backbone_text};
use crate::batch::{capacity, remedy};
use crate::cli::setup::{choose_device, print_json, use_threads};
use crate::cli::{args, measure, terminal};
use crate::config::check::unlearnable;
use crate::config::values::{BackboneChoice, Config};
use crate::error::{Error, Result};
use crate::memory;
use crate::nst::settings::{Init, Render};
use crate::nst::{Device, Isa, Settings, Size, Stylizer, schedule};
use crate::plan::styles;
use crate::units::gigabytes;
use crate::weights::locate;
use serde::Serialize;
use std::path::Path;
use std::{fmt, thread};

/// Runs `augment doctor` and returns the exit code.
///
/// # Errors
/// [`Error::Usage`] for `--set` without a config, the errors of [`use_threads`], [`choose_device`] and [`Config::load`],
/// and when the weights or the styles cannot be read or the device fails.
pub fn doctor(args: args::DoctorArgs) -> Result<u8> {
    let args::DoctorArgs { config: path, compute, size } = args;
    use_threads(compute.threads)?;
    let device = choose_device(&compute)?;
    if path.is_none() && !compute.sets.is_empty() {
        return Err(Error::Usage("--set changes a config, but there is none; add --config FILE".into()));
    }
    let config = path.as_ref().map(|path| Config::load(path, &compute.sets)).transpose()?;
    let found = examine(config.as_ref(), compute.weights.as_deref(), &device, size)?;
    match compute.json {
        true => print_json(&found),
        false => terminal::print_out(&found.lines(path.as_deref())),
    }
    Ok(0)
}

/// Evaluations to time, after a warm-up.
const EVALUATIONS: usize = 3;

/// The findings of `augment doctor`; `--json` prints them.
#[derive(Debug, Serialize)]
struct Diagnosis {
    version: &'static str,
    device: String,
    /// Instruction sets that this processor has, the fastest first.
    instruction_sets: Vec<String>,
    cores: usize,
    threads: usize,
    /// In units of 10^6 bytes.
    free_memory_mb: f64,
    /// Frames of this size that a batch works on at once.
    frames_at_once: usize,
    backbone: String,
    backbone_digest: String,
    /// The number of style pictures of the config; `None` without a config.
    styles: Option<usize>,
    /// Size of a frame, in pixels.
    width: usize,
    height: usize,
    /// Size at which it is optimized, in pixels.
    working_width: usize,
    working_height: usize,
    /// Evaluations per frame, at all scales.
    evaluations: usize,
    /// `None` where a frame has no evaluations.
    seconds_per_evaluation: Option<f64>,
    /// The digest of the config's student, if it names one.
    student: Option<String>,
    /// The share of frames that the optimizer works on; 1 without a student.
    optimized_share: f64,
    seconds_per_frame: f64,
    /// What would make a run faster, one sentence each.
    advice: Vec<String>,
}

/// Inspects the machine and times a few evaluations for a frame of the size `full`. Without a `config`, the defaults
/// apply.
///
/// # Errors
/// When the weights or the styles cannot be read, or the device fails. A run would fail as well.
fn examine(config: Option<&Config>, weights: Option<&str>, device: &Device, full: Size) -> Result<Diagnosis> {
    let settings = config.map_or_else(Settings::default, |config| config.stylize.clone());
    let choice = config.map_or(&BackboneChoice::Auto, |config| &config.backbone);
    let styles = config.map(|config| styles::find_styles(&config.styles, &settings)).transpose()?;
    let mut engine = Engine::open(weights, choice, &settings, device.clone())?;
    if let Some((config, styles)) = config.zip(styles.as_ref()) {
        engine.read_student(config, styles)?;
    }
    let stylizer = engine.stylizer(settings)?;
    let (backbone, backbone_digest) = engine.backbone();
    let size = stylizer.working_size(full);
    let scales = stylizer.scales(size);
    let (threads, free) = (rayon::current_num_threads(), memory::free());
    let seconds_per_evaluation =
        engine.backbone.as_ref().map(|_| seconds_per_evaluation(&stylizer, size)).transpose()?;
    // What a student draws costs as much as a start, within a few hundredths.
    let optimized = engine.student.as_ref().map_or(1.0, |file| file.facts.figures.passed_on);
    let besides = capacity::seconds_without_evaluations(&stylizer, measure::drawn(full, 5.0))?;
    let mut found = Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        device: device.to_string(),
        instruction_sets: Isa::available().iter().map(Isa::to_string).collect(),
        cores: thread::available_parallelism().map_or(1, usize::from),
        threads,
        free_memory_mb: free as f64 / 1e6,
        frames_at_once: capacity::frames_that_fit(
            capacity::most_frames(stylizer.batch(size), threads),
            capacity::bytes_per_frame(full, &scales),
        ),
        backbone: backbone.into(),
        backbone_digest: backbone_digest.into(),
        styles: styles.map(|styles| styles.len()),
        width: full.width,
        height: full.height,
        working_width: size.width,
        working_height: size.height,
        evaluations: schedule::evaluations(&scales),
        seconds_per_evaluation,
        student: engine.student.as_ref().map(|file| file.digest.clone()),
        optimized_share: optimized,
        seconds_per_frame: besides + optimized * seconds_per_evaluation.unwrap_or(0.0) * schedule::cost(&scales),
        advice: Vec::new(),
    };
    found.advice = found.advise(&stylizer, device)?;
    Ok(found)
}

fn seconds_per_evaluation(stylizer: &Stylizer, size: Size) -> Result<f64> {
    let seconds = stylizer.evaluators(size).seconds_per_evaluation(EVALUATIONS);
    seconds.map_err(|why| Error::Run(remedy::message(&why)))
}

impl Diagnosis {
    /// What would make a run faster on this machine, one sentence each.
    fn advise(&self, stylizer: &Stylizer, device: &Device) -> Result<Vec<String>> {
        let mut advice = Vec::new();
        if cfg!(debug_assertions) {
            advice.push("this is a debug build; `cargo build --release` is many times faster".to_string());
        }
        match *device {
            Device::Cpu(isa) if isa != Isa::available()[0] => {
                advice.push(format!(
                    "AUGMENT_ISA limits kernels to {isa}; without it, {} is used",
                    self.instruction_sets[0]
                ));
            }
            Device::Cpu(Isa::Portable) if cfg!(target_arch = "x86_64") => {
                advice.push("this processor has neither AVX2 nor AVX-512, which are several times faster".into());
            }
            _ => {}
        }
        if self.threads < self.cores {
            advice.push(format!(
                "only {} of {} cores compute; leave out --threads and RAYON_NUM_THREADS",
                self.threads, self.cores
            ));
        }
        if self.frames_at_once < self.threads {
            advice.push(format!(
                "free memory is enough for {} frames at once, but there are {} threads; free some memory, or lower \
                 `stylize.size`",
                self.frames_at_once, self.threads
            ));
        }
        let settings = stylizer.settings();
        let Some(seconds) = self.seconds_per_evaluation else { return Ok(advice) };
        if self.student.is_some() {
            return Ok(advice);
        }
        // Of all work on a frame, that besides its evaluations.
        let besides = 1.0 - seconds * schedule::cost(&stylizer.scales(self.working_size())) / self.seconds_per_frame;
        if settings.render == Render::Photoreal && matches!(settings.init, Init::Colour | Init::Weather) {
            advice.push(format!(
                "`stylize.steps: 0` takes {:.0} % of the time; pictures are then what the optimizer starts from, which \
                 for weather is all they need",
                besides * 100.0
            ));
        }
        if unlearnable(settings).is_none() {
            advice.push(format!(
                "`stylize.engine: learn` takes about {:.0} % of the time for large datasets: a student learns from \
                 optimized frames and draws the pictures",
                besides * 100.0
            ));
        }
        if self.backbone != "builtin" {
            advice.extend(self.builtin_advice(seconds, stylizer, device)?);
        }
        let (smaller, now) = (settings.size * 2 / 3, self.working_size());
        if smaller >= 128 && now.height.max(now.width) > smaller {
            advice.push(format!("`stylize.size: {smaller}` takes less than half of the time, but loses small texture"));
        }
        Ok(advice)
    }

    fn working_size(&self) -> Size {
        Size { height: self.working_height, width: self.working_width }
    }

    /// Advice to use the built-in backbone, with the time that it needs. `None` if the config needs a deeper layer.
    fn builtin_advice(&self, now: f64, stylizer: &Stylizer, device: &Device) -> Result<Option<String>> {
        let settings = stylizer.settings().clone();
        // It ends at relu5_1, and a config may need a deeper layer.
        let Ok(builtin) = locate::open(Some("builtin"), &BackboneChoice::Auto, &settings) else { return Ok(None) };
        let size = self.working_size();
        let narrow = Stylizer::new(&builtin, settings, device.clone()).map_err(Error::Run)?;
        let share = seconds_per_evaluation(&narrow, size)? / now * 100.0;
        Ok(Some(format!(
            "`--weights builtin` takes {share:.0} % of the time, but pictures move less toward their style"
        )))
    }

    /// The findings as text. `config` is the path of the config.
    pub fn lines(&self, config: Option<&Path>) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: fmt::Arguments| text += &format!("{name:<11} {value}\n");
        let Self { threads, cores, width, height, working_width, working_height, evaluations, .. } = self;
        line("augment", format_args!("{}", self.version));
        line("device", format_args!("{} (this processor has {})", self.device, self.instruction_sets.join(", ")));
        line("threads", format_args!("{threads} of {cores} cores"));
        let free = gigabytes((self.free_memory_mb * 1e6) as u64);
        line("memory", format_args!("{free} free, {} frames at once at {width}x{height}", self.frames_at_once));
        line("backbone", format_args!("{}", backbone_text(&self.backbone, &self.backbone_digest)));
        match (config, self.styles) {
            (Some(path), Some(styles)) => line("config", format_args!("{}, {styles} styles", path.display())),
            _ => line("config", format_args!("none given; these are the defaults")),
        }
        if let Some(seconds) = self.seconds_per_evaluation {
            line("evaluation", format_args!("{seconds:.3} s at {working_width}x{working_height}"));
        }
        if let Some(student) = &self.student {
            let share = self.optimized_share * 100.0;
            line("student", format_args!("{student}, which passes about {share:.0} % of frames to the optimizer"));
        }
        line(
            "frame",
            format_args!("{:.2} s, {evaluations} evaluations, without reading and writing", self.seconds_per_frame),
        );
        text += if self.advice.is_empty() { "\nNothing known would make a run faster here." } else { "\nFaster:" };
        self.advice.iter().for_each(|advice| text += &format!("\n- {advice}"));
        text
    }
}
