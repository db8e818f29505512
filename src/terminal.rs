//! The only file that knows bars, colours and what a person sees.

use crate::bench::Measured;
use crate::manifest::Status;
use crate::progress::{Event, Header, Observer, Summary};
use crate::stop::Reason;
use crate::weights::check::{Report, State, Verdict};
use crate::weights::{Watch, megabytes};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

/// Failures that the end of a run names one by one.
const FAILURES_SHOWN: usize = 20;

/// The listener that fits where standard error goes: a bar on a terminal, plain lines elsewhere, silence with `quiet`.
pub fn observer(quiet: bool) -> Box<dyn Observer> {
    match quiet {
        true => Box::new(()),
        false if stderr().is_terminal() => Box::new(Bar::new()),
        false => Box::new(Lines::new()),
    }
}

/// One line: what runs on what, and where it goes.
fn header_line(header: &Header) -> String {
    let before = match header.skipped {
        0 => String::new(),
        n => format!(" ({n} done before)"),
    };
    format!(
        "augment {} | backbone {} {} | {} | {} frames{before}, {} styles -> {}",
        env!("CARGO_PKG_VERSION"),
        header.backbone,
        header.backbone_digest,
        header.device,
        header.jobs,
        header.styles,
        header.output.display()
    )
}

/// What is done again and why, if anything is.
fn done_again_line(header: &Header) -> Option<String> {
    (!header.done_again.is_empty()).then(|| format!("done again: {}", header.done_again.join(", ")))
}

fn failure_line(source: &str, reason: &str) -> String {
    // Most reasons begin with the file already.
    if reason.starts_with(source) { format!("failed: {reason}") } else { format!("failed: {source}: {reason}") }
}

/// How a run ended: what failed and why, how it goes on if it was stopped, and last one line of figures.
pub fn summary_lines(summary: &Summary) -> String {
    let mut lines = Vec::new();
    let all = summary.failed + summary.failed_before;
    let shown = summary.failures.iter().take(FAILURES_SHOWN);
    lines.extend(shown.map(|failure| failure_line(&failure.source, &failure.error)));
    if all > FAILURES_SHOWN {
        lines.push(format!("and {} more that failed, in {}", all - FAILURES_SHOWN, summary.manifest.display()));
    }
    if summary.failed_before > 0 {
        lines
            .push(format!("{} failed before and were left so; --retry-failed tries them again", summary.failed_before));
    }
    if summary.several > 0 {
        lines.push(format!("{} files hold several pictures or an animation; the first was taken", summary.several));
    }
    if summary.reduced > 0 {
        lines.push(format!("{} were worked on at a smaller size: memory was short", summary.reduced));
    }
    lines.extend(summary.annotations_left.iter().map(|reason| format!("annotations were not copied: {reason}")));
    match summary.stopped {
        Some(Reason::TooManyFailures) => {
            lines.push(format!("stopped after {} failures; {} frames are left", summary.failed, summary.left));
        }
        Some(Reason::Interrupted) => {
            lines.push(format!(
                "stopped; {} frames are left: the same command, without --force, goes on with them",
                summary.left
            ));
        }
        None => {}
    }
    lines.push(figures(summary));
    lines.join("\n")
}

fn figures(summary: &Summary) -> String {
    let Summary { jobs, done, failed, failed_before, skipped, seconds, .. } = summary;
    if *jobs == 0 {
        return "nothing to do: the plan has no frame (see --limit, --shard and the config's fraction)".into();
    }
    if *skipped == *jobs {
        return format!("nothing to do: all {jobs} frames were done before, in {}", summary.output.display());
    }
    if *skipped + *failed_before == *jobs {
        let folder = summary.output.display();
        return format!("nothing to do: {skipped} frames were done before, {failed_before} FAILED before, in {folder}");
    }
    let mut line = format!("{done} frames in {}", duration(*seconds));
    if *done > 0 {
        line += &format!(" ({:.2} s each)", seconds / *done as f64);
    }
    if *skipped > 0 {
        line += &format!(", {skipped} done before");
    }
    if *failed > 0 {
        line += &format!(", {failed} FAILED (see {})", summary.manifest.display());
    }
    if *failed_before > 0 {
        line += &format!(", {failed_before} FAILED before");
    }
    let result = summary.data_yaml.as_ref().unwrap_or(&summary.output);
    format!("{line} -> {}", result.display())
}

/// Seconds as a person says them.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A bar with frames done, frames per second, time left and the loss of the frame in hand.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new() -> Self {
        let template = "{bar:24.cyan/blue} {pos}/{len} frames  {rate}  {left}  {wide_msg:.dim}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        // Nothing is known before the first frame is done.
        let style = style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
            let known = state.pos() > 0;
            let _ = if known { write!(to, "{:.2}/s", state.per_sec()) } else { write!(to, "-/s") };
        });
        let style = style.with_key("left", |state: &ProgressState, to: &mut dyn fmt::Write| {
            let known = state.pos() > 0;
            let left = duration(state.eta().as_secs_f64());
            let _ = if known { write!(to, "{left} left") } else { write!(to, "- left") };
        });
        Self { bar: ProgressBar::no_length().with_style(style) }
    }
}

impl Observer for Bar {
    fn event(&mut self, event: Event) {
        match event {
            Event::Begin(header) => {
                self.bar.println(header_line(header));
                done_again_line(header).iter().for_each(|line| self.bar.println(line));
                self.bar.set_length(header.todo as u64);
                self.bar.reset();
                self.bar.enable_steady_tick(Duration::from_millis(200));
            }
            Event::Frame { .. } => {}
            Event::Evaluated { name, evaluation, of, loss } => {
                let file = name.rsplit('/').next().unwrap_or(name);
                self.bar.set_message(format!("loss {loss:.3}  {evaluation}/{of}  {file}"));
            }
            Event::Row(row) => {
                if row.status == Status::Failed {
                    self.bar.println(failure_line(&row.source, row.error.as_deref().unwrap_or_default()));
                }
                self.bar.inc(1);
            }
            Event::Warning(text) => self.bar.println(format!("warning: {text}")),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line for the first frame, for every failure, and from then on every few seconds.
struct Lines {
    begun: Instant,
    said: Option<Instant>,
    left: usize,
    finished: usize,
    loss: f64,
}

impl Lines {
    const EVERY: Duration = Duration::from_secs(10);

    fn new() -> Self {
        Self { begun: Instant::now(), said: None, left: 0, finished: 0, loss: f64::NAN }
    }
}

impl Observer for Lines {
    fn event(&mut self, event: Event) {
        match event {
            Event::Begin(header) => {
                tell(&header_line(header));
                done_again_line(header).iter().for_each(|line| tell(line));
                self.left = header.todo;
                self.begun = Instant::now();
            }
            Event::Frame { .. } => {}
            Event::Evaluated { loss, .. } => self.loss = loss,
            Event::Warning(text) => tell(&format!("warning: {text}")),
            Event::Row(row) => {
                if row.status == Status::Failed {
                    tell(&failure_line(&row.source, row.error.as_deref().unwrap_or_default()));
                }
                self.finished += 1;
                self.left = self.left.saturating_sub(1);
                if self.left > 0 && self.said.is_some_and(|said| said.elapsed() < Self::EVERY) {
                    return;
                }
                self.said = Some(Instant::now());
                let rate = self.finished as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
                let loss = if self.loss.is_nan() { String::new() } else { format!("  loss {:.3}", self.loss) };
                let left = duration(self.left as f64 / rate);
                let all = self.finished + self.left;
                tell(&format!("{}/{all} frames  {rate:.2}/s  {left} left{loss}", self.finished));
            }
        }
    }
}

/// Says something on standard error. A terminal that was closed, or a full disk behind it, stops nothing.
pub fn tell(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Prints on standard output. A reader that has heard enough, such as `head`, is no error.
pub fn say(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}

/// What `augment bench` found.
pub fn bench_lines(measured: &Measured) -> String {
    let Measured { width, height, steps, threads, batch, device, backbone, backbone_digest, .. } = measured;
    let batch = if *batch > 1 { format!(", {batch} pictures at once") } else { String::new() };
    let memory = measured.peak_memory_mb.map_or(String::new(), |mb| format!("\npeak memory         {mb:.0} MB"));
    format!(
        "{width}x{height} on {device}, {threads} threads{batch}, backbone {backbone} {backbone_digest}\n\
         per evaluation      {:.3} s  (median of {}, {:.3} to {:.3})\n\
         per frame           {:.2} s  ({steps} evaluations){memory}",
        measured.seconds_per_eval_median,
        measured.evals,
        measured.seconds_per_eval_min,
        measured.seconds_per_eval_max,
        measured.seconds_per_frame,
    )
}

/// Follows a download on standard error: a bar on a terminal, plain lines elsewhere, silence with `quiet`.
pub fn transfer(quiet: bool) -> Box<dyn Watch> {
    match quiet {
        true => Box::new(()),
        false if stderr().is_terminal() => Box::new(TransferBar::new()),
        false => Box::new(TransferLines { begun: Instant::now(), said: Instant::now(), before: None, size: 0 }),
    }
}

struct TransferBar {
    bar: ProgressBar,
}

impl TransferBar {
    fn new() -> Self {
        let template = "{bar:24.cyan/blue} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::no_length().with_style(style) }
    }
}

impl Watch for TransferBar {
    fn size(&mut self, bytes: u64) {
        self.bar.set_length(bytes);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    fn at(&mut self, bytes: u64) {
        // What an earlier download left says nothing about the speed of this one.
        if self.bar.position() == 0 {
            self.bar.reset_eta();
        }
        self.bar.set_position(bytes);
    }

    fn note(&mut self, text: &str) {
        self.bar.suspend(|| tell(text));
    }
}

impl Drop for TransferBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line every few seconds.
struct TransferLines {
    begun: Instant,
    said: Instant,
    /// Bytes that were there when it began.
    before: Option<u64>,
    size: u64,
}

impl Watch for TransferLines {
    fn size(&mut self, bytes: u64) {
        self.size = bytes;
    }

    fn at(&mut self, bytes: u64) {
        let before = *self.before.get_or_insert(bytes);
        if self.said.elapsed() < Lines::EVERY {
            return;
        }
        self.said = Instant::now();
        let rate = bytes.saturating_sub(before) as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let left = duration(self.size.saturating_sub(bytes) as f64 / rate.max(1.0));
        tell(&format!("{} of {}  {}/s  {left} left", megabytes(bytes), megabytes(self.size), megabytes(rate as u64)));
    }

    fn note(&mut self, text: &str) {
        tell(text);
    }
}

/// The digests of all tensors, one a line, for `--digests`.
pub fn digest_lines(report: &Report) -> String {
    let lines: Vec<String> = report.tensors.iter().map(|row| format!("{}  {}", row.sha256, row.name)).collect();
    lines.join("\n")
}

/// What weights are: their faults, what is known of them, and last one line with the place.
pub fn weights_lines(report: &Report) -> String {
    let mut lines = report.faults.clone();
    let count = |state: State| report.tensors.iter().filter(|row| row.state == state).count();
    let all = report.tensors.len();
    let source = report.source.as_deref().map_or(String::new(), |source| format!(", {source}"));
    lines.push(match report.verdict {
        Verdict::Known => format!(
            "{} by the {} of {all} digests that are known",
            report.known.unwrap_or_default(),
            count(State::Known)
        ),
        Verdict::Given => format!("all {all} digests are those that were given"),
        Verdict::Unchanged => {
            format!("all {all} tensors are as they were installed; this program knows no digests of these weights")
        }
        Verdict::Unknown => "usable; this program knows no digests of these weights".into(),
        Verdict::Damaged => format!("DAMAGED: {} faults in {all} tensors", report.faults.len()),
    });
    let reach = report.reach.as_deref().unwrap_or("nowhere");
    let place = report.path.display();
    lines.push(format!("{all} tensors, {}, as far as {reach}{source}: {place}", megabytes(report.bytes)));
    lines.join("\n")
}
