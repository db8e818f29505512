//! The arguments of the command line, which clap parses.
//!
//! The doc comments of verbs and options are the text that `--help` and `augment man` print.

use crate::batch::learn;
use crate::cli::device::PrecisionArg;
use crate::config::preset::Preset;
use crate::imageio::decode::LONGEST_SIDE;
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
    /// Not a field of [`BatchArgs`], because clap allows no group of arguments inside an optional one.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

const EXAMPLES: &str = "\
Examples:
  augment init fog                                                 writes fog.yaml and its style pictures
  augment --config fog.yaml datasets/drive                         writes datasets/drive-fog
  augment --config night.yaml datasets/drive --dry-run             shows the whole plan, and how long it takes
  augment --config fog.yaml --config night.yaml datasets/drive     half of the frames in fog, the others at night
  augment --config snow.yaml datasets/drive --limit 20 --set stylize.strength=0.9
  augment preview --config fog.yaml datasets/drive                 a few frames under every style, as a page
  augment learn --config mist.yaml datasets/drive                  learns what the optimizer does, for large datasets
  augment report datasets/drive-fog                                a page with the results of a run, worst boxes first
  augment merge drive-fog part-1 part-2                            after --shard 1/2 and 2/2 on other machines
  augment bench --config fog.yaml --size 512
  augment doctor                                                   what would make a run faster here
  augment weights pull                                             ImageNet's VGG19, for the best pictures

Exit codes: 0 all done, 1 could not run, 2 usage or config error, 3 some frames failed, annotations could not
be carried over, or `merge` left something out, 130 interrupted.";

fn shard(text: &str) -> Result<Shard, String> {
    Shard::parse(text, |key| std::env::var(key).ok())
}

/// The verbs of `augment`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Stylize a few frames under every style and show them on one page, with boxes, figures and the time that the
    /// whole dataset would take.
    Preview(PreviewArgs),
    /// Show finished or running outputs on one page: figures, failures, frames with the worst boxes first.
    Report(ReportArgs),
    /// Learn from optimized frames of a dataset what the optimizer does, and write a student that draws pictures at a
    /// fraction of the cost.
    Learn(LearnArgs),
    /// Measure seconds per evaluation and per frame on this machine.
    Bench(BenchArgs),
    /// Write a commented config to start from, with its style pictures.
    Init(InitArgs),
    /// Print what this machine computes with, how long a frame takes, and what would make a run faster.
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the config, for editors.
    Schema,
    /// Print a shell script that completes commands: augment completions bash > /etc/bash_completion.d/augment
    Completions(CompletionsArgs),
    /// Print the manual page of augment, or of one verb: augment man | man -l -
    Man(ManArgs),
    /// Merge the outputs of shards that ran on different machines into one output.
    Merge(MergeArgs),
    /// Download, check, locate or import the backbone's weights.
    Weights(WeightsArgs),
}

/// Options of every verb that computes.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// VGG19 weights: a .safetensors file with torchvision's names, `builtin`, or `auto`
    #[arg(long, value_name = "PATH|builtin|auto")]
    pub weights: Option<String>,
    /// The device: auto, cpu, cuda, cuda:N, or candle (Candle's own operations on the CPU: slow, for comparison)
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Number format of activations on a GPU; f32 by default
    #[arg(long, value_name = "FORMAT")]
    pub precision: Option<PrecisionArg>,
    /// Override a config key, e.g. stylize.strength=0.9; the value is YAML; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Threads to compute with; all cores by default. Never changes a pixel
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Arguments of a run over a dataset, which has no verb.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// The YAML config; may be given several times, for conditions that share the frames among them
    #[arg(short, long = "config", value_name = "FILE", required = true)]
    pub configs: Vec<PathBuf>,
    /// The dataset: a folder in YOLO layout, its data.yaml, or a flat folder of images
    pub dataset: PathBuf,
    /// The output folder; by default DATASET-CONDITION beside the dataset, with several configs DATASET and all conditions
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// With several configs: how many of their conditions each frame gets, 1 to all; by default 1
    #[arg(long, value_name = "K")]
    pub per_frame: Option<usize>,
    /// Do only the first N jobs of the plan
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Do only part I of N of the plan, I from 1; --limit applies first; several parts may run at once into one output.
    /// `auto` takes I and N, `auto/N` only I, from the variables of Slurm, Kubernetes, AWS Batch or Google Batch
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<Shard>,
    /// Frames to work on at once; they share the threads; by default one per thread, or fewer if memory is short. Never
    /// changes a pixel
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Print the plan and the time that it would take; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do everything again, done or not
    #[arg(long)]
    pub force: bool,
    /// Try failed frames again; without it they stay failed until the frame, its label, its style or the config changes
    #[arg(long)]
    pub retry_failed: bool,
    /// Stop once N frames of this run have failed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_failures: Option<u32>,
    /// Seed of the pairing and of noise; overrides the config's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// No progress, only warnings, errors and the last line
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `augment preview`.
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
    /// Number of frames, which the seed draws from all parts of the dataset
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub frames: u16,
    /// The output folder; by default DATASET-CONDITION-preview beside the dataset
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Seed of the choice of frames, the pairing and the noise; overrides the config's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Open the page when it is made
    #[arg(long)]
    pub open: bool,
    /// No progress, only warnings, errors and the last lines
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `augment report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  augment report datasets/drive-fog --open
  augment report datasets/drive-fog datasets/drive-night --output all.html")]
pub struct ReportArgs {
    /// One or more output folders, also of different shards and conditions
    #[arg(required = true, value_name = "OUT")]
    pub outputs: Vec<PathBuf>,
    /// The page to write; by default report.html in the first output folder. Thumbnails go into .report beside the page
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Open the page when it is made
    #[arg(long)]
    pub open: bool,
}

/// Arguments of `augment learn`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  augment learn --config mist.yaml datasets/drive
  augment --config mist.yaml datasets/drive --set stylize.engine=mist.student")]
pub struct LearnArgs {
    /// The YAML config
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// The dataset: a folder in YOLO layout, its data.yaml, or a flat folder of images
    pub dataset: PathBuf,
    /// Frames to optimize, which the seed draws from all parts of the dataset; one of five is held out to judge by
    #[arg(long, default_value_t = learn::FRAMES as u16, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(learn::FEWEST as i64..=10_000))]
    pub frames: u16,
    /// The student's file; by default CONDITION.student. A sheet of held-out frames is written beside it: FILE.png
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Frames to work on at once; they share the threads; by default one per thread, or fewer if memory is short. Never
    /// changes the student
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Seed of the choice of frames, the pairing and the training; overrides the config's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// No progress, only warnings, errors and the last lines
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `augment bench`.
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
    /// Width of the picture; by default the config's `stylize.size`
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(16..=8192))]
    pub size: Option<u16>,
    /// Height of the picture; by default the width
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(16..=8192))]
    pub height: Option<u16>,
    /// Evaluations to measure, after one for warm-up
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub evals: u16,
}

/// Arguments of `augment init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  augment init fog && augment preview --config fog.yaml datasets/drive --open")]
pub struct InitArgs {
    /// The preset
    pub preset: Preset,
    /// The folder for PRESET.yaml, styles/PRESET/ and the schema
    #[arg(default_value = ".")]
    pub folder: PathBuf,
}

/// Arguments of `augment doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  augment doctor
  augment doctor --config configs/fog.yaml --weights vgg19.safetensors --size 1920x1080")]
pub struct DoctorArgs {
    /// The YAML config; without one, the defaults apply
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Size of the frames
    #[arg(long, default_value = "1280x720", value_name = "WIDTHxHEIGHT", value_parser = frame_size)]
    pub size: Size,
}

/// Parses `WIDTHxHEIGHT`, both in pixels.
fn frame_size(text: &str) -> Result<Size, String> {
    let side = |side: &str| side.parse().ok().filter(|side| (1..=LONGEST_SIDE as usize).contains(side));
    let (width, height) = text.split_once('x').ok_or("expected WIDTHxHEIGHT, such as 1280x720")?;
    let size = side(width).zip(side(height)).map(|(width, height)| Size { height, width });
    size.ok_or_else(|| format!("each side must be 1 to {LONGEST_SIDE} pixels"))
}

/// Arguments of `augment completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell that runs the script
    pub shell: Shell,
}

/// Arguments of `augment man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// A verb, such as preview
    pub verb: Option<String>,
}

/// Arguments of `augment merge`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example, after --shard 1/2 and --shard 2/2 on two machines:
  augment merge drive-fog part-1 part-2")]
pub struct MergeArgs {
    /// The output folder to merge into; created if it is missing
    pub into: PathBuf,
    /// Output folders whose pictures, labels and rows are copied
    #[arg(required = true)]
    pub parts: Vec<PathBuf>,
    /// Print the figures as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `augment weights`.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    #[command(subcommand)]
    pub verb: WeightsVerb,
}

/// The verbs of `augment weights`.
#[derive(Debug, Subcommand)]
pub enum WeightsVerb {
    /// Download the convolutions of ImageNet's VGG19 (80 MB) into the cache, or continue an interrupted download.
    Pull(PullArgs),
    /// Check the weights file that a run would use, tensor by tensor, and print what it is.
    Verify(VerifyArgs),
    /// Print the path of the weights file that a run would use, or `builtin`.
    Path(WeightsPathArgs),
    /// Install weights from a PyTorch (.pth, .pt), Keras (.h5) or .safetensors file in the cache.
    Import(ImportArgs),
}

/// Arguments of `augment weights pull`.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// The Hugging Face repository whose model.safetensors to download; tensors must have torchvision's names
    #[arg(long, value_name = "OWNER/NAME[@REVISION]", default_value = DEFAULT_REPO)]
    pub repo: Repo,
    /// The deepest layer to download; the default config needs only relu5_1 (52 MB)
    #[arg(long, value_name = "LAYER", default_value = "relu5_4")]
    pub through: Tap,
    #[command(flatten)]
    pub install: InstallArgs,
    /// No progress, only errors and the last lines
    #[arg(short, long)]
    pub quiet: bool,
}

/// Options of every verb that installs weights.
#[derive(Debug, Args)]
pub struct InstallArgs {
    #[command(flatten)]
    pub check: WeightsCheckArgs,
    /// Replace other weights in the cache
    #[arg(long)]
    pub force: bool,
}

/// How weights are checked and reported.
#[derive(Debug, Args)]
pub struct WeightsCheckArgs {
    /// Accept only tensors whose SHA-256 is in this file; its lines are as `augment weights verify` prints them
    #[arg(long, value_name = "FILE")]
    pub digests: Option<PathBuf>,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `augment weights verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A .safetensors file with torchvision's names; by default the one that a run would use
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub check: WeightsCheckArgs,
}

/// Arguments of `augment weights path`.
#[derive(Debug, Args)]
pub struct WeightsPathArgs {
    /// Print the path as JSON, with the reason
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `augment weights import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A PyTorch file (.pth, .pt), a Keras file (.h5), or a .safetensors file with the tensor names of either
    pub file: PathBuf,
    #[command(flatten)]
    pub install: InstallArgs,
}
