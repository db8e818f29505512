//! Prints the progress and the summary of a run. Progress is a bar on a terminal and plain lines elsewhere.

use crate::batch::progress::{Event, Observer, RunHeader, SceneCounts, Summary};
use crate::batch::provenance::backbone_text;
use crate::batch::stop::Reason;
use crate::output::row::Status;
use crate::units::{counted, duration};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

/// The most failures that the summary lists one by one.
const FAILURES_SHOWN: usize = 20;

/// The observer for standard error: a bar on a terminal, plain lines elsewhere, warnings alone with `quiet`.
pub fn observer(quiet: bool) -> Box<dyn Observer> {
    match quiet {
        true => Box::new(Warnings),
        false if stderr().is_terminal() => Box::new(Bar::new()),
        false => Box::new(Lines::new()),
    }
}

/// Says what a person should know, and nothing else.
struct Warnings;

impl Observer for Warnings {
    fn event(&mut self, event: Event) {
        if let Event::Warning(text) = event {
            print_err(&format!("warning: {text}"));
        }
    }
}

/// One line with the version, the backbone, the device, the frames, the styles and the output folder.
fn header_line(header: &RunHeader) -> String {
    let before = match header.skipped {
        0 => String::new(),
        n => format!(" ({n} done before)"),
    };
    let student = match &header.students[..] {
        [] => String::new(),
        students => format!(" | student {}", students.join(", ")),
    };
    format!(
        "augment {} | backbone {}{student} | {} | {}{before}, {} -> {}",
        env!("CARGO_PKG_VERSION"),
        backbone_text(&header.backbone, &header.backbone_digest),
        header.device,
        counted(header.jobs, "frame"),
        counted(header.styles, "style"),
        header.output.display()
    )
}

/// How many jobs are done again, by reason; `None` if there are none.
fn done_again_line(header: &RunHeader) -> Option<String> {
    (!header.done_again.is_empty()).then(|| format!("done again: {}", header.done_again.join(", ")))
}

fn failure_line(source: &str, reason: &str) -> String {
    // Most reasons begin with the path of the file already.
    if reason.starts_with(source) { format!("failed: {reason}") } else { format!("failed: {source}: {reason}") }
}

/// How a run ended: the failures with their reasons, how to go on after a stop, and last one line of figures.
pub fn summary_lines(summary: &Summary) -> String {
    let mut lines = failures(summary);
    lines.extend(label_warnings(summary));
    lines.extend(counts(summary).into_iter().flatten());
    lines.extend(summary.data_yaml_warnings.iter().map(|text| format!("warning: {text}")));
    if let [first, ..] = &summary.annotations[..] {
        let files = counted(summary.annotations.len(), "file");
        lines.push(format!("annotations of the new images: {files}, first {}", first.display()));
    }
    lines.extend(summary.annotations_left.iter().map(|reason| format!("annotations were not copied: {reason}")));
    lines.extend(summary.annotations_partial.iter().map(|what| format!("left out of the copied annotations: {what}")));
    lines.extend(stopped(summary));
    lines.push(figures(summary));
    lines.join("\n")
}

/// The first failures with their reasons, and what to do about those of earlier runs.
fn failures(summary: &Summary) -> Vec<String> {
    let all = summary.failed + summary.failed_before;
    let shown = summary.failures.iter().take(FAILURES_SHOWN);
    let mut lines: Vec<String> = shown.map(|failure| failure_line(&failure.source, &failure.error)).collect();
    if all > FAILURES_SHOWN {
        let more = counted(all - FAILURES_SHOWN, "more failure");
        lines.push(format!("and {more}; all are in {}", summary.manifest.display()));
    }
    if summary.failed_before > 0 {
        let before = summary.failed_before;
        lines.push(format!("{before} failed before and were not tried again; --retry-failed does that"));
    }
    lines
}

/// Labels that loaders will not take.
fn label_warnings(summary: &Summary) -> impl Iterator<Item = String> {
    let faults = [
        (
            summary.malformed_labels,
            "lines that are not YOLO labels",
            &summary.first_malformed_place,
            "the dataset's labels",
        ),
        (summary.unnamed_classes, "class ids without a name", &summary.first_unnamed_place, "`names` or the labels"),
    ];
    faults.into_iter().filter(|(frames, ..)| *frames > 0).map(|(frames, fault, first, remedy)| {
        let frames = counted(frames, "frame");
        format!(
            "warning: the labels of {frames} have {fault}, first {first}; loaders leave such images out: correct \
             {remedy}"
        )
    })
}

/// What was made in another way than asked for, left out or chosen.
fn counts(summary: &Summary) -> [Option<String>; 9] {
    let frames = |count: usize| counted(count, "frame");
    let several = (summary.several > 0).then(|| {
        let files = counted(summary.several, "file");
        format!("only the first picture was used of {files} with several or an animation")
    });
    let unread = (!summary.unread.is_empty()).then(|| {
        let formats: Vec<&str> = summary.unread.keys().map(String::as_str).collect();
        let files = counted(summary.unread.values().sum(), "image file");
        format!("left out, because {} cannot be read: {files}", formats.join(", "))
    });
    let reduced = (summary.reduced > 0)
        .then(|| format!("stylized at a smaller size, because memory was short: {}", frames(summary.reduced)));
    let restarted = (summary.restarted > 0).then(|| {
        let frames = frames(summary.restarted);
        format!("started over from the frame itself, because losses or pixels were no numbers: {frames}")
    });
    let student = (summary.drawn_by_student + summary.passed_on_by_student > 0).then(|| {
        let (drawn, passed_on) = (frames(summary.drawn_by_student), summary.passed_on_by_student);
        format!("drawn by a student: {drawn}; optimized, since it does not know them: {passed_on}")
    });
    let not_chosen = (summary.not_chosen_by_where > 0)
        .then(|| format!("{} not chosen by `where`", frames(summary.not_chosen_by_where)));
    let (labelled, annotated, background) = (summary.labelled, summary.annotated, summary.background);
    let labels = (labelled + annotated + background > 0).then(|| match (labelled, annotated) {
        (_, 0) => format!("labels: {} with one, {background} without (background)", frames(labelled)),
        (0, _) => format!("COCO annotations: {} with objects, {background} without (background)", frames(annotated)),
        _ => format!(
            "labels: {} with one; COCO annotations: {} with objects; {background} without either (background)",
            frames(labelled),
            frames(annotated)
        ),
    });
    let SceneCounts { road, aerial, none } = summary.scenes;
    let scenes = (none > 0).then(|| {
        format!(
            "ground: seen in {}; none was found in {none}, so no snow lies there, no road is wet and no \
             lamp is lit (`stylize.scene` says what frames show)",
            frames(road + aerial)
        )
    });
    [several, unread, reduced, restarted, student, conditions_line(summary), not_chosen, labels, scenes]
}

/// That a run stopped, and how to go on.
fn stopped(summary: &Summary) -> Option<String> {
    let left = counted(summary.left, "frame");
    Some(match summary.stopped? {
        Reason::TooManyFailures => format!("stopped after {}; {left} left", counted(summary.failed, "failure")),
        Reason::Interrupted => format!("stopped; {left} left: the same command, without --force, goes on with them"),
    })
}

/// Says that lines of manifests, which are left out, are no rows.
pub fn warn_of_unreadable(lines: usize) {
    if lines > 0 {
        let lines = counted(lines, "line");
        print_err(&format!(
            "warning: left out {lines} of the manifest that cannot be read; a run makes the pictures anew"
        ));
    }
}

/// How the frames are divided among several conditions.
fn conditions_line(summary: &Summary) -> Option<String> {
    let counts = summary.conditions.iter().map(|counts| format!("{} {}", counts.condition, counts.frames));
    (summary.conditions.len() > 1).then(|| format!("frames by condition: {}", counts.collect::<Vec<_>>().join(", ")))
}

/// The last line of the summary: how many frames, in what time, and where they are.
fn figures(summary: &Summary) -> String {
    let Summary { jobs, done, failed, failed_before, skipped, seconds, .. } = summary;
    if *jobs == 0 {
        return "nothing to do: the plan has no frame (see --limit, --shard and the config's fraction and where)"
            .into();
    }
    if *skipped == *jobs {
        return format!("nothing to do: {} done before, in {}", counted(*jobs, "frame"), summary.output.display());
    }
    if *skipped + *failed_before == *jobs {
        let folder = summary.output.display();
        let frames = counted(*skipped, "frame");
        return format!("nothing to do: {frames} done before, {failed_before} FAILED before, in {folder}");
    }
    let mut line = format!("{} in {}", counted(*done, "frame"), duration(*seconds));
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

/// A bar with the finished frames, frames per second, time left, and the loss of the latest evaluation.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new() -> Self {
        let template = "{bar:24.cyan/blue} {pos}/{len} frames  {rate}  {left}  {wide_msg:.dim}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        // Rate and time left are unknown until the first frame is finished.
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

impl Bar {
    fn learning(&self, done: usize, of: usize, what: &'static str) {
        if done == 1 {
            self.bar.reset();
            self.bar.set_length(of as u64);
            self.bar.set_message(what);
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
        self.bar.set_position(done as u64);
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
            Event::Lesson { done, of } => self.learning(done, of, "optimized frames for the student to learn from"),
            Event::Training { done, of } => self.learning(done, of, "passes of the student through its lessons"),
            Event::Frame { .. } => {}
            Event::Evaluated { name, evaluation, of, loss } => {
                let file = name.rsplit('/').next().unwrap_or(name);
                self.bar.set_message(format!("loss {loss:.3}  {evaluation}/{of}  {file}"));
            }
            Event::Row(row) => {
                if row.status == Status::Failed {
                    self.bar
                        .println(failure_line(&row.identity.source, row.outcome.error.as_deref().unwrap_or_default()));
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

/// Prints a line for every failure, for the first and the last frame, and in between at most one every `EVERY`.
pub struct Lines {
    begun: Instant,
    /// When the last line of progress was printed.
    printed: Option<Instant>,
    /// Frames that are neither done nor failed yet.
    left: usize,
    /// Frames that are done or failed.
    finished: usize,
    /// The loss of the latest evaluation, NaN before the first one.
    loss: f64,
}

impl Lines {
    /// The shortest time between two lines of progress.
    pub(crate) const EVERY: Duration = Duration::from_secs(10);

    fn new() -> Self {
        Self { begun: Instant::now(), printed: None, left: 0, finished: 0, loss: f64::NAN }
    }
}

impl Lines {
    fn learning(&mut self, done: usize, of: usize, what: &str) {
        if done == 1 {
            self.begun = Instant::now();
        }
        if done < of && self.printed.is_some_and(|printed| printed.elapsed() < Self::EVERY) {
            return;
        }
        self.printed = Some(Instant::now());
        let left = self.begun.elapsed().as_secs_f64() / done as f64 * (of - done) as f64;
        print_err(&format!("{done}/{of} {what}  {} left", duration(left)));
    }
}

impl Observer for Lines {
    fn event(&mut self, event: Event) {
        match event {
            Event::Begin(header) => {
                print_err(&header_line(header));
                done_again_line(header).iter().for_each(|line| print_err(line));
                self.left = header.todo;
                self.begun = Instant::now();
            }
            Event::Lesson { done, of } => self.learning(done, of, "frames optimized for the student"),
            Event::Training { done, of } => self.learning(done, of, "passes of the student through its lessons"),
            Event::Frame { .. } => {}
            Event::Evaluated { loss, .. } => self.loss = loss,
            Event::Warning(text) => print_err(&format!("warning: {text}")),
            Event::Row(row) => {
                if row.status == Status::Failed {
                    print_err(&failure_line(&row.identity.source, row.outcome.error.as_deref().unwrap_or_default()));
                }
                self.finished += 1;
                self.left = self.left.saturating_sub(1);
                if self.left > 0 && self.printed.is_some_and(|printed| printed.elapsed() < Self::EVERY) {
                    return;
                }
                self.printed = Some(Instant::now());
                let rate = self.finished as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
                let loss = if self.loss.is_nan() { String::new() } else { format!("  loss {:.3}", self.loss) };
                let left = duration(self.left as f64 / rate);
                let all = self.finished + self.left;
                print_err(&format!("{}/{all} frames  {rate:.2}/s  {left} left{loss}", self.finished));
            }
        }
    }
}

/// Prints a line on standard error. Errors are ignored: neither a closed terminal nor a full disk must stop a run.
pub fn print_err(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Prints a line on standard output. Errors are ignored, because a reader such as `head` may close the pipe early.
pub fn print_out(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}
