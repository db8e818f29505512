//! `augment bench`

use crate::cli::measure::{self, Measured};
use crate::cli::setup::{print_json, set_up};
use crate::cli::{args, terminal};
use crate::config::values::EngineChoice;
use crate::error::{Error, Result};
use crate::memory;
use crate::nst::{Settings, Size, Stylizer, schedule};
use crate::weights::locate;
use crate::weights::student::StudentFile;

/// Runs `augment bench --config …` and returns the exit code.
///
/// # Errors
/// When the config, the weights or the device cannot be used, or the measurement fails.
pub fn bench(args: args::BenchArgs) -> Result<u8> {
    let args::BenchArgs { config, compute, size, height, evals } = args;
    let (device, config) = set_up(&config, &compute, None)?;
    let student = match &config.engine {
        EngineChoice::Student(path) => Some(StudentFile::read(path)?.student),
        EngineChoice::Optimize | EngineChoice::Learn => None,
    };
    let steps = config.stylize.steps;
    let width = size.map_or(config.stylize.size, usize::from);
    let size = Size { height: height.map_or(width, usize::from), width };
    let long = size.height.max(size.width);
    let asked = Settings { size: long, ..config.stylize };
    let per_frame = schedule::cost(&schedule::scales(&asked, asked.working_size(size)));
    let settings = Settings { steps: usize::from(evals) + 1, scales: Some(1), ..asked };
    let backbone = locate::open(compute.weights.as_deref(), &config.backbone, &settings)?;
    let stylizer = Stylizer::new(&backbone, settings, device.clone()).map_err(Error::Run)?;
    let (seconds, rest) = measure::measure(&stylizer, size).map_err(Error::Run)?;
    let by_student = student.map(|student| measure::by_student(&stylizer, &student, size));
    let by_student = by_student.transpose().map_err(Error::Run)?;
    let median = measure::median(&seconds);
    let measured = Measured {
        seconds_per_eval_median: median,
        seconds_per_eval_min: seconds.iter().copied().fold(f64::INFINITY, f64::min),
        seconds_per_eval_max: seconds.iter().copied().fold(0.0, f64::max),
        // `rest` contains the first evaluation.
        seconds_per_frame: rest + median * (per_frame - 1.0),
        seconds_per_frame_by_student: by_student,
        evals: seconds.len(),
        steps,
        size: long,
        height: size.height,
        width: size.width,
        threads: rayon::current_num_threads(),
        batch: stylizer.batch(stylizer.working_size(size)).unwrap_or(1),
        device: device.to_string(),
        backbone: backbone.name().into(),
        backbone_digest: backbone.digest().into(),
        peak_memory_mb: memory::peak().map(|bytes| bytes as f64 / 1e6),
    };
    if compute.json {
        print_json(&measured);
    } else {
        terminal::print_out(&bench_lines(&measured));
    }
    Ok(0)
}

/// The result of `augment bench` as text.
fn bench_lines(measured: &Measured) -> String {
    let Measured { width, height, steps, threads, batch, device, backbone, backbone_digest, .. } = measured;
    let batch = if *batch > 1 { format!(", {batch} pictures at once") } else { String::new() };
    let student = measured.seconds_per_frame_by_student;
    let student = student.map_or(String::new(), |seconds| format!("\nby the student      {seconds:.3} s"));
    let memory = measured.peak_memory_mb.map_or(String::new(), |mb| format!("\npeak memory         {mb:.0} MB"));
    format!(
        "{width}x{height} on {device}, {threads} threads{batch}, backbone {backbone} {backbone_digest}\n\
         per evaluation      {:.3} s  (median of {}, {:.3} to {:.3})\n\
         per frame           {:.2} s  ({steps} evaluations){student}{memory}",
        measured.seconds_per_eval_median,
        measured.evals,
        measured.seconds_per_eval_min,
        measured.seconds_per_eval_max,
        measured.seconds_per_frame,
    )
}
