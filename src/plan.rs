//! Which frame becomes which picture: config, frames and styles become a list of jobs.
//!
//! - [`balance`]: divides frames among several conditions
//! - [`classes`]: which frames hold the objects that a config asks for; reads labels
//! - [`draws`]: numbers drawn from a hash
//! - [`names`]: names of outputs that do not collide
//! - [`pairing`]: which styles a picture gets, with which shares
//! - [`sequence`]: which frames share what is drawn
//! - [`shard`]: one of several runs over a dataset
//! - [`styles`]: finds the style pictures of a config; with `classes`, the only file here that reads from the disk
//! - [`summary`]: the plan as it is printed
//! - [`task`]: a job that another process can do
//!
//! Every choice is a draw from a hash; see [`draws`]. It depends on the seed, the frame's path below the dataset, or
//! the name of its sequence, and the variant. It does not depend on the order of folders, on threads, on shards or on
//! what is done already. Only the balance of several conditions also depends on which other frames there are.

pub mod balance;
pub mod classes;
pub mod draws;
pub mod names;
pub mod pairing;
pub mod sequence;
pub mod shard;
pub mod styles;
pub mod summary;
pub mod task;
#[cfg(test)]
mod testing;

use crate::config::values::{Config, OutputFormat};
use crate::dataset::Frame;
use crate::error::{Error, Result};
use crate::files::digest::short_digest;
use crate::files::paths::label_name;
use crate::plan::draws::Draws;
use crate::plan::names::{NameParts, distinct_names};
use crate::plan::pairing::{StyleShare, pick_styles};
use crate::plan::sequence::Positions;
use crate::plan::shard::Shard;
use crate::plan::styles::StylePicture;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The most bytes of a file name on the usual file systems.
const LONGEST_NAME: usize = 255;

/// One picture to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Index into the plan's frames.
    pub frame: usize,
    /// Which copy of the frame this is, from 1.
    pub variant: u32,
    /// The styles of this picture, at least one. The first is the main one; it has the largest share.
    pub styles: Vec<StyleShare>,
    /// For all that is random while this picture is made; below 2^53. The jobs of a sequence share it, by variant.
    pub seed: u64,
    /// Path of the image below the output folder, with `/`.
    pub output: String,
    /// Path of the label below the output folder, with `/`; `None` for a background frame.
    pub label_output: Option<String>,
}

/// The jobs of a run, in the order of their frames and variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'a> {
    pub condition: &'a str,
    pub frames: &'a [Frame],
    pub styles: &'a [StylePicture],
    pub jobs: Vec<Job>,
    /// The sequences of the frames.
    pub positions: Positions<'a>,
    /// How many frames have no job because the config's `where` does not choose them.
    pub not_chosen: usize,
    /// Whether it chooses none at all.
    chooses_none: bool,
}

/// The extension of the pictures of frames with this one. An MPO holds several JPEGs, of which one is made.
fn output_extension(extension: &str) -> &str {
    if extension.eq_ignore_ascii_case("mpo") { "jpg" } else { extension }
}

impl Job {
    /// The job for one variant of a frame, which is given with its index and the name of its outputs.
    fn of(
        config: &Config,
        styles: &[StylePicture],
        (index, frame): (usize, &Frame),
        name: &str,
        draws: Draws,
        variant: u32,
    ) -> Self {
        let extension = match config.format {
            OutputFormat::Same => output_extension(NameParts::of(&frame.relative).extension),
            OutputFormat::Jpg => "jpg",
            OutputFormat::Png => "png",
        };
        let output = format!("{name}__{}-{variant}.{extension}", config.condition);
        let label_output = frame.label.as_ref().map(|_| label_name(&output));
        let styles = pick_styles(config, styles, draws, variant);
        // JSON readers that use f64 hold integers of 53 bits exactly.
        let seed = draws.number("job", variant) >> 11;
        Self { frame: index, variant, styles, seed, output, label_output }
    }
}

impl<'a> Plan<'a> {
    /// All jobs that the config asks for, before its `where`; see [`Plan::choose`].
    ///
    /// Outputs of two frames may collide: `a.jpg` and `a.png` share the label `a.txt`, and some file systems do not
    /// distinguish `A.jpg` from `a.jpg`. Such frames get their extension into the name, `a_jpg__fog-1` and
    /// `a_png__fog-1`, and if that is not enough a digest of their path. Names that would be too long are cut and end
    /// with a digest.
    ///
    /// # Errors
    /// [`Error::Run`] if there are no styles or fewer than `mix` asks for, or if two frames would still collide;
    /// [`Error::Config`] if an expression for sequences matches no frame.
    pub fn new(config: &'a Config, frames: &'a [Frame], styles: &'a [StylePicture]) -> Result<Self> {
        check_styles(config, styles)?;
        let suffix = format!("__{}-{}.jpeg", config.condition, config.variants).len();
        let names = distinct_names(frames, LONGEST_NAME.saturating_sub(suffix))?;
        let positions = Positions::of(&config.sequence, frames, &config.splits)?;
        let mut jobs = Vec::new();
        for (index, (frame, name)) in frames.iter().zip(&names).enumerate() {
            let draws = Draws { seed: config.seed, path: positions.at(index).name };
            if !config.splits.contains(&frame.split) || draws.share("fraction", 0) >= config.fraction.of(frame.split) {
                continue;
            }
            let variants = 1..=config.variants;
            jobs.extend(variants.map(|variant| Job::of(config, styles, (index, frame), name, draws, variant)));
        }
        Ok(Self::of_jobs(config, frames, styles, jobs, positions))
    }

    /// A plan of these jobs, which another plan for the same config and styles has. `frames` are theirs.
    pub fn of_jobs(
        config: &'a Config,
        frames: &'a [Frame],
        styles: &'a [StylePicture],
        jobs: Vec<Job>,
        positions: Positions<'a>,
    ) -> Self {
        Self { condition: &config.condition, frames, styles, jobs, positions, not_chosen: 0, chooses_none: false }
    }

    /// The one job for one variant of `frame`, which is alone in a slice: as in a plan for all frames of its dataset,
    /// whatever the config's fraction and splits. `place` is the frame's place in its sequence.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn of_frame(
        config: &'a Config,
        frame: &'a [Frame; 1],
        styles: &'a [StylePicture],
        variant: u32,
        place: u64,
    ) -> Result<Self> {
        check_styles(config, styles)?;
        let names = distinct_names(frame, LONGEST_NAME)?;
        let positions = Positions::of(&config.sequence, frame, &[frame[0].split])?.placed(place);
        let draws = Draws { seed: config.seed, path: positions.at(0).name };
        let job = Job::of(config, styles, (0, &frame[0]), &names[0], draws, variant);
        Ok(Self::of_jobs(config, frame, styles, vec![job], positions))
    }

    /// Drops the jobs of frames that are not chosen, which `chosen` says by frame, and counts these frames.
    pub fn choose(&mut self, chosen: &[bool]) {
        let dropped: HashSet<usize> = self.jobs.iter().map(|job| job.frame).filter(|&frame| !chosen[frame]).collect();
        self.jobs.retain(|job| chosen[job.frame]);
        self.not_chosen += dropped.len();
        self.chooses_none = self.jobs.is_empty() && !dropped.is_empty();
    }

    /// What a person should know about the plan.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let [first, ..] = self.positions.unmatched() {
            warnings.push(format!(
                "{}: `sequence` does not match {} of {} frames, such as {}; each of them is a sequence of its own",
                self.condition,
                self.positions.unmatched().len(),
                self.frames.len(),
                self.frames[*first].relative
            ));
        }
        if self.jobs.is_empty() && !self.chooses_none && !self.frames.is_empty() {
            warnings.push(format!("{}: `fraction` draws none of {} frames", self.condition, self.frames.len()));
        }
        if self.chooses_none {
            warnings.push(format!(
                "{}: `where` chooses none of {} frames; no label has as many boxes of its classes",
                self.condition, self.not_chosen
            ));
        }
        warnings
    }

    /// Only the jobs of this shard's frames.
    pub fn shard(mut self, shard: Shard) -> Self {
        self.jobs.retain(|job| shard.holds(&self.frames[job.frame].relative));
        self
    }

    /// Only the first `count` jobs of several plans for the same frames: frame by frame, in the order of the plans.
    pub fn limit(plans: &mut [Self], count: usize) {
        let mut frames: Vec<usize> = plans.iter().flat_map(|plan| plan.jobs.iter().map(|job| job.frame)).collect();
        frames.sort_unstable();
        // All jobs of the frames before this one, and the first ones of its own.
        let Some(&last) = frames.get(count) else { return };
        let mut left = count - frames.partition_point(|&frame| frame < last);
        for plan in plans {
            let before = plan.jobs.partition_point(|job| job.frame < last);
            let own = plan.jobs[before..].iter().take_while(|job| job.frame == last).count().min(left);
            left -= own;
            plan.jobs.truncate(before + own);
        }
    }

    /// The frame of a job of this plan.
    pub fn frame(&self, job: &Job) -> &'a Frame {
        &self.frames[job.frame]
    }

    /// The main style of a job of this plan.
    pub fn style(&self, job: &Job) -> &'a StylePicture {
        &self.styles[job.styles[0].style]
    }

    /// All styles of a job of this plan with their shares, the main one first.
    pub fn styles_of(&self, job: &Job) -> impl Iterator<Item = (&'a StylePicture, f64)> {
        job.styles.iter().map(|share| (&self.styles[share.style], share.share))
    }

    /// The digest of a job's style; of several styles, a digest of all their digests and shares.
    pub fn style_digest(&self, job: &Job) -> String {
        match self.styles_of(job).collect::<Vec<_>>()[..] {
            [(style, _)] => style.digest.clone(),
            ref styles => {
                let lines: Vec<String> =
                    styles.iter().map(|(style, share)| format!("{} {share}", style.digest)).collect();
                short_digest(lines.join("\n").as_bytes())
            }
        }
    }
}

fn check_styles(config: &Config, styles: &[StylePicture]) -> Result<()> {
    if styles.is_empty() {
        return Err(Error::Run("there is no style to pair the frames with".into()));
    }
    let different = styles.iter().map(|style| &style.digest).collect::<HashSet<_>>().len();
    if (config.mix as usize) > different {
        let mix = config.mix;
        return Err(Error::Run(format!(
            "`mix: {mix}` asks for {mix} different styles and there are {different}; lower it or add pictures to `styles`"
        )));
    }
    Ok(())
}

/// Indices of up to `count` of `names`: they are cut into that many equal sections, and `seed` draws one from each.
pub fn sample(names: &[&str], count: usize, seed: u64) -> Vec<usize> {
    let count = count.min(names.len());
    let section = |n: usize| n * names.len() / count..(n + 1) * names.len() / count;
    let drawn = |n| section(n).min_by_key(|&index| Draws { seed, path: names[index] }.number("preview", 0));
    (0..count).filter_map(drawn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::Fractions;
    use crate::dataset::split::Split;
    use crate::plan::testing::{config, frames, main, many, styles};
    use std::collections::HashMap;

    fn outputs(plan: &Plan) -> Vec<(String, String)> {
        plan.jobs.iter().map(|job| (job.output.clone(), job.label_output.clone().unwrap())).collect()
    }

    #[test]
    fn outputs_mirror_the_tree_and_labels_lie_where_ultralytics_looks() {
        let frames = frames(&["images/train/a.b.JPG", "sub/c.tif"]);
        let (config, styles) = (Config { variants: 2, ..config() }, styles(&[1.0]));
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let expected = [
            ("images/train/a.b__fog-1.JPG", "labels/train/a.b__fog-1.txt"),
            ("images/train/a.b__fog-2.JPG", "labels/train/a.b__fog-2.txt"),
            ("sub/c__fog-1.tif", "sub/c__fog-1.txt"),
            ("sub/c__fog-2.tif", "sub/c__fog-2.txt"),
        ];
        assert_eq!(outputs(&plan), expected.map(|(a, b)| (a.to_string(), b.to_string())));
        let jpg = Config { format: OutputFormat::Jpg, ..config };
        assert_eq!(Plan::new(&jpg, &frames, &styles).unwrap().jobs[2].output, "sub/c__fog-1.jpg");
    }

    #[test]
    fn style_and_seed_depend_on_seed_path_and_variant_only() {
        let (config, styles) = (Config { variants: 3, ..config() }, styles(&[1.0, 2.0, 3.0]));
        let all = many(40);
        let of = |frames: &[Frame], config: &Config| -> HashMap<String, (usize, u64)> {
            let plan = Plan::new(config, frames, &styles).unwrap();
            plan.jobs.iter().map(|job| (job.output.clone(), (main(job), job.seed))).collect()
        };
        let whole = of(&all, &config);
        let mut reversed = all[10..20].to_vec();
        reversed.reverse();
        for (output, choice) in of(&reversed, &config) {
            assert_eq!(whole[&output], choice, "{output}");
        }
        let other = of(&all, &Config { seed: 1, ..config.clone() });
        assert!(whole.iter().all(|(output, (_, seed))| other[output].1 != *seed));
        assert_eq!(
            whole.values().map(|(_, seed)| seed).collect::<HashSet<_>>().len(),
            120,
            "every job has its own seed"
        );
    }

    #[test]
    fn a_fraction_takes_its_share_and_a_larger_fraction_takes_the_same_frames_and_more() {
        let (frames, styles) = (many(2000), styles(&[1.0]));
        let taken = |fraction| -> HashSet<String> {
            let config = Config { fraction: f64::into(fraction), ..config() };
            Plan::new(&config, &frames, &styles).unwrap().jobs.into_iter().map(|job| job.output).collect()
        };
        let (tenth, half) = (taken(0.1), taken(0.5));
        assert!((150..250).contains(&tenth.len()) && (900..1100).contains(&half.len()));
        assert!(tenth.is_subset(&half));
        assert_eq!(taken(1.0).len(), 2000);
    }

    #[test]
    fn each_split_has_its_own_fraction_and_splits_that_are_not_asked_for_have_no_jobs() {
        let (mut frames, styles) = (many(3000), styles(&[1.0]));
        for (n, split) in Split::ALL.into_iter().enumerate() {
            frames[n * 1000..(n + 1) * 1000].iter_mut().for_each(|frame| frame.split = split);
        }
        let fraction = Fractions { other: 1.0, splits: vec![(Split::Val, 0.2)] };
        let config = Config { fraction, splits: vec![Split::Train, Split::Val], ..config() };
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let of = |split| plan.jobs.iter().filter(|job| plan.frame(job).split == split).count();
        assert_eq!((of(Split::Train), of(Split::Test)), (1000, 0));
        assert!((150..250).contains(&of(Split::Val)), "{}", of(Split::Val));
    }

    #[test]
    fn frames_that_are_not_chosen_have_no_jobs_and_are_counted() {
        let (frames, styles) = (many(10), styles(&[1.0]));
        let config = Config { variants: 2, ..config() };
        let mut plan = Plan::new(&config, &frames, &styles).unwrap();
        plan.choose(&std::array::from_fn::<bool, 10, _>(|n| n < 3));
        assert_eq!((plan.jobs.len(), plan.not_chosen, plan.warnings().len()), (6, 7, 0));
        plan.choose(&[false; 10]);
        assert_eq!((plan.jobs.len(), plan.not_chosen, plan.warnings().len()), (0, 10, 1));
    }

    #[test]
    fn a_limit_takes_the_first_frames_of_all_plans() {
        let (frames, styles) = (many(6), styles(&[1.0]));
        let configs = ["fog", "night"].map(|name| Config { condition: name.into(), variants: 2, ..config() });
        let mut whole = configs.each_ref().map(|config| Plan::new(config, &frames, &styles).unwrap());
        whole[1].jobs.retain(|job| job.frame != 1);
        for (count, expected) in [(0, [0, 0]), (1, [1, 0]), (3, [2, 1]), (5, [3, 2]), (6, [4, 2]), (7, [5, 2])] {
            let mut plans = whole.clone();
            Plan::limit(&mut plans, count);
            assert_eq!(plans.map(|plan| plan.jobs.len()), expected, "{count}");
        }
        let mut plans = whole.clone();
        Plan::limit(&mut plans, 99);
        assert_eq!(plans, whole);
    }

    #[test]
    fn a_sample_has_one_frame_of_each_section_by_the_seed() {
        let frames = many(100);
        let names: Vec<&str> = frames.iter().map(|frame| &*frame.relative).collect();
        let sections = |seed| sample(&names, 10, seed).iter().map(|index| index / 10).collect::<Vec<_>>();
        assert_eq!(sections(1), (0..10).collect::<Vec<_>>());
        assert_ne!(sample(&names, 10, 1), sample(&names, 10, 2));
        assert_eq!(sample(&names[..3], 10, 1), [0, 1, 2]);
        assert_eq!(sample(&[], 10, 1), [0; 0]);
    }
}
