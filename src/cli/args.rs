//! The command line, as clap reads it.

use crate::cli::device::PrecisionArg;
use crate::config::preset::Preset;
use crate::nst::{Size, Tap};
use crate::plan::shard::Shard;
use crate::weights::hub::{DEFAULT_REPO, Repo};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Turn a YOLO dataset into the same dataset under fog, rain, snow, night or any style.
///
/// Every frame of the train split is stylized after a reference picture and written beside its label, which is copied
/// byte for byte. The originals are not touched.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    #[command(flatten)]
    pub batch: Option<BatchArgs>,
    /// Beside the batch and not in it: an optional group of arguments cannot hold another.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

const EXAMPLES: &str = "\
Examples:
  augment init fog                                                 writes fog.yaml and its style pictures
  augment --config fog.yaml datasets/drive                         writes datasets/drive-fog
  augment --config night.yaml datasets/drive --dry-run             shows what would be done, and how long it takes
  augment --config snow.yaml datasets/drive --limit 20 --set stylize.steps=60
  augment preview --config fog.yaml datasets/drive                 a few frames under every style, as a page
  augment report datasets/drive-fog                                a page of what a run has made, worst boxes first
  augment merge drive-fog part-1 part-2                            after --shard 1/2 and 2/2 elsewhere
  augment bench --config fog.yaml --size 512
  augment doctor                                                   what would make it faster here
  augment weights pull                                             ImageNet's VGG19, for the best pictures

Exit codes: 0 all done, 1 could not run, 2 usage or config error, 3 finished but some frames failed,
130 interrupted.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Stylize a few frames under every style and show them on one page, with boxes, figures and the time for all.
    Preview(PreviewArgs),
    /// Show what finished or running outputs hold on one page: figures, failures, the worst boxes first.
    Report(ReportArgs),
    /// Measure seconds per evaluation and per frame on this machine.
    Bench(BenchArgs),
    /// Write a commented config to start from, with its style pictures.
    Init(InitArgs),
    /// Say what this machine computes with, how long a frame takes, and what would make it faster.
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the config, for editors.
    Schema,
    /// Print a script that completes commands: augment completions bash > /etc/bash_completion.d/augment
    Completions(CompletionsArgs),
    /// Print the manual page, of augment or of one verb: augment man | man -l -
    Man(ManArgs),
    /// Bring the outputs of shards that ran on machines of their own together in one.
    Merge(MergeArgs),
    /// Fetch, check, find or import the backbone's weights.
    Weights(WeightsArgs),
}

/// With what to compute, and what to change of the config for it.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// VGG19 weights: a .safetensors file with torchvision's names, `builtin`, or `auto`
    #[arg(long, value_name = "PATH|builtin|auto")]
    pub weights: Option<String>,
    /// Where to compute: auto, cpu, cuda, cuda:N, or candle (Candle's own operations on the CPU: slow, to compare with)
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// In what numbers a GPU keeps activations; f32 unless said
    #[arg(long, value_name = "NUMBERS")]
    pub precision: Option<PrecisionArg>,
    /// Override a config key, e.g. stylize.steps=60; the value is YAML; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Threads to compute with; all cores by default. Never changes a pixel
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BatchArgs {
    /// The YAML config
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// The dataset: a folder in YOLO layout, its data.yaml, or a flat folder of images
    pub dataset: PathBuf,
    /// Where to write; by default DATASET-CONDITION beside the dataset
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Do only the first N jobs of the plan
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Do part I of N of the plan (after --limit), counted from 1; several may run at one time into one output
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Frames to work on at once, sharing the threads; by default one a thread, as far as memory goes. Never changes a
    /// pixel
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Show the plan and the time that it would take, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do everything again, done or not
    #[arg(long)]
    pub force: bool,
    /// Try frames again that failed before; without it they stay failed until they, their style or the config change
    #[arg(long)]
    pub retry_failed: bool,
    /// Stop once N frames of this run have failed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_failures: Option<u32>,
    /// Seed of the pairing and of noise; overrides the config's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// No progress, only errors and the last line
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  augment preview --config fog.yaml datasets/drive --open
  augment preview --config night.yaml datasets/drive --frames 12 --set stylize.strength=0.8")]
pub struct PreviewArgs {
    /// The YAML config
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// The dataset: a folder in YOLO layout, its data.yaml, or a flat folder of images
    pub dataset: PathBuf,
    /// Frames to look at, spread over the dataset by the seed
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub frames: u16,
    /// Where to write; by default DATASET-CONDITION-preview beside the dataset
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Seed of what is looked at and of pairing and noise; overrides the config's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Open the page when it is made
    #[arg(long)]
    pub open: bool,
    /// No progress, only errors and the last lines
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  augment report datasets/drive-fog --open
  augment report datasets/drive-fog datasets/drive-night --output all.html")]
pub struct ReportArgs {
    /// Output folders, any number of shards and conditions
    #[arg(required = true, value_name = "OUT")]
    pub outputs: Vec<PathBuf>,
    /// The page to write; by default report.html in the first of them. Its thumbnails go into .report beside it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Open the page when it is made
    #[arg(long)]
    pub open: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  augment bench --config fog.yaml --size 1280 --height 720 --weights builtin")]
pub struct BenchArgs {
    /// The YAML config
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Width to measure at; by default the config's `stylize.size`
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(16..=8192))]
    pub size: Option<u16>,
    /// Height; by default as large as the width
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(16..=8192))]
    pub height: Option<u16>,
    /// Evaluations to measure, after one that warms up
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub evals: u16,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  augment init fog && augment preview --config fog.yaml datasets/drive --open")]
pub struct InitArgs {
    /// What to start from
    pub preset: Preset,
    /// Where to write PRESET.yaml, styles/PRESET/ and the schema; by default here
    #[arg(default_value = ".")]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  augment doctor
  augment doctor --config configs/fog.yaml --weights vgg19.safetensors --size 1920x1080")]
pub struct DoctorArgs {
    /// The YAML config; without one, what a bare config would do
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Size of the frames
    #[arg(long, default_value = "1280x720", value_name = "WIDTHxHEIGHT", value_parser = frame_size)]
    pub size: Size,
}

fn frame_size(text: &str) -> Result<Size, String> {
    let side = |side: &str| side.parse().ok().filter(|side| (1..=16_384).contains(side));
    let (width, height) = text.split_once('x').ok_or("expected WIDTHxHEIGHT, such as 1280x720")?;
    let size = side(width).zip(side(height)).map(|(width, height)| Size { height, width });
    size.ok_or_else(|| "sides lie between 1 and 16384 pixels".into())
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that shall complete
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// A verb, such as preview
    pub verb: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example, after --shard 1/2 and --shard 2/2 on two machines:
  augment merge drive-fog part-1 part-2")]
pub struct MergeArgs {
    /// The output that gets everything; made if need be
    pub into: PathBuf,
    /// Outputs whose pictures, labels and rows are copied
    #[arg(required = true)]
    pub parts: Vec<PathBuf>,
    /// Print the figures as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct WeightsArgs {
    #[command(subcommand)]
    pub verb: WeightsVerb,
}

#[derive(Debug, Subcommand)]
pub enum WeightsVerb {
    /// Fetch the convolutions of ImageNet's VGG19 into the cache: 80 MB, and on from where an earlier try broke off.
    Pull(PullArgs),
    /// Check the file that a run takes, tensor by tensor, and say what it is.
    Verify(VerifyArgs),
    /// Print the path of the file that a run takes, or `builtin`.
    Path(WeightsPathArgs),
    /// Install weights of PyTorch (.pth, .pt), Keras (.h5) or a .safetensors file into the cache.
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// Whose model.safetensors to take, with torchvision's names
    #[arg(long, value_name = "OWNER/NAME[@REVISION]", default_value = DEFAULT_REPO)]
    pub repo: Repo,
    /// The deepest layer to fetch; relu5_1, which the default config needs, is 52 MB
    #[arg(long, value_name = "LAYER", default_value = "relu5_4")]
    pub through: Tap,
    #[command(flatten)]
    pub install: InstallArgs,
    /// No progress, only errors and the last lines
    #[arg(short, long)]
    pub quiet: bool,
}

/// What every verb that installs weights knows.
#[derive(Debug, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    pub check: WeightsCheckArgs,
    /// Replace other weights that are in the cache
    #[arg(long)]
    pub force: bool,
}

/// How weights are checked and told of.
#[derive(Debug, Args)]
pub struct WeightsCheckArgs {
    /// Accept only tensors with the SHA-256 in this file, lines as `augment weights verify` prints them
    #[arg(long, value_name = "FILE")]
    pub digests: Option<PathBuf>,
    /// Print what was found as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A .safetensors file with torchvision's names; by default the one that a run takes
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub check: WeightsCheckArgs,
}

#[derive(Debug, Args)]
pub struct WeightsPathArgs {
    /// Print it as JSON, with the reason
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// torchvision's or another .pth or .pt of PyTorch, Keras' .h5, or .safetensors with the names of either
    pub file: PathBuf,
    #[command(flatten)]
    pub install: InstallArgs,
}
