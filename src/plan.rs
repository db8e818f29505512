//! Which frame becomes which picture: config, frames and styles to a list of jobs. Nothing here touches the disk but
//! [`find_styles`].
//!
//! Every choice is a draw from a hash, `SHA-256("augment 1" 0 purpose 0 seed variant path)` with the seed as 8 and the
//! variant as 4 little-endian bytes, of which the first 8 bytes are taken as a little-endian number. So it depends on the
//! seed, the frame's path below the dataset and the variant (0 for what all variants share), and on nothing else: not on
//! the order of folders, on threads, on shards or on what is already done.

pub mod draws;
pub mod names;
pub mod pairing;
pub mod shard;
pub mod styles;

use crate::config::values::{Config, OutputFormat};
use crate::dataset::Frame;
use crate::dataset::split::Split;
use crate::error::{Error, Result};
use crate::files::digest::short_digest;
use crate::files::paths::label_path;
use crate::plan::draws::Draws;
use crate::plan::names::{distinct_names, parts, with_slashes};
use crate::plan::pairing::{StyleShare, pick_styles};
use crate::plan::shard::Shard;
use crate::plan::styles::Style;
use crate::units::Rough;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Jobs that [`Plan::summary`] shows one by one.
const ROWS_SHOWN: usize = 10;

/// Bytes that a file's name can have on the usual file systems.
const LONGEST_NAME: usize = 255;

/// One picture to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Index into the plan's frames.
    pub frame: usize,
    /// Which copy of the frame this is, from 1.
    pub variant: u32,
    /// The styles of this picture, at least one; the main one, which has the largest share, first.
    pub styles: Vec<StyleShare>,
    /// For whatever is random in the making of this picture; below 2^53.
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
    pub styles: &'a [Style],
    pub jobs: Vec<Job>,
}

impl<'a> Plan<'a> {
    /// All jobs that the config asks for.
    ///
    /// Frames whose outputs would collide (`a.jpg` and `a.png` share the label `a.txt`, and file systems may not tell
    /// `A.jpg` from `a.jpg`) are told apart by their extension, `a_jpg__fog-1` and `a_png__fog-1`, and if that is not
    /// enough by a digest of their path. Names too long for what is added to them are cut, and a digest stands for the rest.
    ///
    /// # Errors
    /// [`Error::Run`] if there are no styles, fewer than `mix` asks for, or if two frames cannot be told apart.
    pub fn new(config: &'a Config, frames: &'a [Frame], styles: &'a [Style]) -> Result<Self> {
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
        let longest = format!("__{}-{}.jpeg", config.condition, config.variants).len();
        let names = distinct_names(frames, LONGEST_NAME.saturating_sub(longest))?;
        let mut jobs = Vec::new();
        for (index, (frame, name)) in frames.iter().zip(&names).enumerate() {
            let draws = Draws { seed: config.seed, path: &frame.relative };
            if draws.share("fraction", 0) >= config.fraction {
                continue;
            }
            for variant in 1..=config.variants {
                let stem = format!("{name}__{}-{variant}", config.condition);
                let output = match config.format {
                    OutputFormat::Same => format!("{stem}.{}", parts(&frame.relative).extension),
                    OutputFormat::Jpg => format!("{stem}.jpg"),
                    OutputFormat::Png => format!("{stem}.png"),
                };
                let label_output = frame.label.as_ref().map(|_| with_slashes(&label_path(Path::new(&output))));
                let styles = pick_styles(config, styles, draws, variant);
                // Every reader of JSON holds 53 bits exactly.
                let seed = draws.number("job", variant) >> 11;
                jobs.push(Job { frame: index, variant, styles, seed, output, label_output });
            }
        }
        Ok(Self { condition: &config.condition, frames, styles, jobs })
    }

    /// Only the jobs of this shard's frames.
    pub fn shard(mut self, shard: Shard) -> Self {
        self.jobs.retain(|job| shard.holds(&self.frames[job.frame].relative));
        self
    }

    /// Only the first `count` jobs.
    pub fn limit(mut self, count: usize) -> Self {
        self.jobs.truncate(count);
        self
    }

    /// The frame of a job of this plan.
    pub fn frame(&self, job: &Job) -> &'a Frame {
        &self.frames[job.frame]
    }

    /// The main style of a job of this plan.
    pub fn style(&self, job: &Job) -> &'a Style {
        self.parts(job).next().map(|(style, _)| style).unwrap_or_else(|| unreachable!("a job has a style"))
    }

    /// All styles of a job of this plan with their shares, the main one first.
    pub fn parts(&self, job: &Job) -> impl Iterator<Item = (&'a Style, f64)> {
        job.styles.iter().map(|part| (&self.styles[part.style], part.share))
    }

    /// What tells the styles of a job from others: the digest of its style, or one of all digests and shares.
    pub fn style_digest(&self, job: &Job) -> String {
        match self.parts(job).collect::<Vec<_>>()[..] {
            [(style, _)] => style.digest.clone(),
            ref parts => {
                let lines: Vec<String> =
                    parts.iter().map(|(style, share)| format!("{} {share}", style.digest)).collect();
                short_digest(lines.join("\n").as_bytes())
            }
        }
    }

    /// The plan for programs.
    pub fn outline(&self, estimate: Option<Duration>) -> Outline {
        let frames: HashSet<usize> = self.jobs.iter().map(|job| job.frame).collect();
        Outline {
            condition: self.condition.into(),
            jobs: self.jobs.len(),
            frames: frames.len(),
            styles: self.styles.len(),
            seconds: estimate.map(|estimate| estimate.as_secs_f64()),
            outputs: self.jobs.iter().map(|job| job.output.clone()).collect(),
        }
    }

    /// The plan for people: counts, styles and the first jobs.
    pub fn summary(&self, estimate: Option<Duration>) -> String {
        let mut splits: BTreeMap<Split, Vec<usize>> = BTreeMap::new();
        let mut uses = vec![0; self.styles.len()];
        for job in &self.jobs {
            splits.entry(self.frame(job).split).or_default().push(job.frame);
            job.styles.iter().for_each(|part| uses[part.style] += 1);
        }
        let frames: Vec<String> = splits
            .iter_mut()
            .map(|(split, frames)| {
                // The jobs of a frame follow each other.
                frames.dedup();
                format!("{} of {split}", frames.len())
            })
            .collect();
        let frames = if frames.is_empty() { "no frames".to_string() } else { frames.join(", ") };
        let mut text = format!("{}: {} jobs on {frames}", self.condition, self.jobs.len());
        if let Some(estimate) = estimate {
            // Writing to a String cannot fail.
            let _ = write!(text, ", about {}", Rough(estimate));
        }
        for (style, uses) in self.styles.iter().zip(&uses) {
            let _ = write!(text, "\n{uses:>8} x {}", style.path.display());
        }
        for job in self.jobs.iter().take(ROWS_SHOWN) {
            let _ = write!(text, "\n  {} + {} -> {}", self.frame(job).relative, self.names(job), job.output);
        }
        if self.jobs.len() > ROWS_SHOWN {
            let _ = write!(text, "\n  and {} more", self.jobs.len() - ROWS_SHOWN);
        }
        text
    }

    /// The styles of a job by their files' names, several of them with their shares.
    fn names(&self, job: &Job) -> String {
        let named = |(style, share): (&Style, f64)| {
            let name = style.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if job.styles.len() == 1 { name } else { format!("{name} {:.0} %", share * 100.0) }
        };
        self.parts(job).map(named).collect::<Vec<_>>().join(", ")
    }
}

/// Indices of up to `count` of `frames`, one drawn by `seed` from each of that many equal parts.
pub fn sample_frames(frames: &[Frame], count: usize, seed: u64) -> Vec<usize> {
    let count = count.min(frames.len());
    let part = |n: usize| n * frames.len() / count..(n + 1) * frames.len() / count;
    let drawn = |n| part(n).min_by_key(|&index| Draws { seed, path: &frames[index].relative }.number("preview", 0));
    (0..count).filter_map(drawn).collect()
}

/// What a run would do; `--dry-run --json` prints it.
#[derive(Debug, Serialize)]
pub struct Outline {
    pub condition: String,
    pub jobs: usize,
    pub frames: usize,
    pub styles: usize,
    /// For all jobs, done before or not; `None` where no frame can be read.
    pub seconds: Option<f64>,
    /// Below the output folder.
    pub outputs: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::{BackboneChoice, Pairing, StyleSource};
    use crate::nst::Settings;
    use crate::plan::styles::find_styles;
    use std::collections::HashMap;
    use std::path::PathBuf;

    fn config() -> Config {
        Config {
            condition: "fog".into(),
            styles: Vec::new(),
            pairing: Pairing::Random,
            mix: 1,
            variants: 1,
            fraction: 1.0,
            splits: vec![Split::Train],
            seed: 0,
            format: OutputFormat::Same,
            quality: 95,
            backbone: BackboneChoice::Auto,
            stylize: Settings::default(),
        }
    }

    /// Frames with these relative paths, all labelled.
    fn frames<S: AsRef<str>>(paths: &[S]) -> Vec<Frame> {
        let frame = |path: &S| Frame {
            path: Path::new("/ds").join(path.as_ref()),
            relative: path.as_ref().to_string(),
            split: Split::Train,
            label: Some(PathBuf::from("/ds/label.txt")),
        };
        paths.iter().map(frame).collect()
    }

    fn many(count: usize) -> Vec<Frame> {
        frames(&(0..count).map(|i| format!("images/train/{i:05}.jpg")).collect::<Vec<_>>())
    }

    fn styles(weights: &[f64]) -> Vec<Style> {
        let style = |(i, &weight): (usize, &f64)| Style {
            path: format!("/styles/{i}.png").into(),
            digest: i.to_string(),
            weight,
        };
        weights.iter().enumerate().map(style).collect()
    }

    fn main(job: &Job) -> usize {
        job.styles[0].style
    }

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
    fn the_scheme_of_the_draws_is_fixed_forever() {
        // From an independent implementation; another value here means that every dataset made so far changes.
        let draws = Draws { seed: 7, path: "images/train/a.jpg" };
        assert_eq!(draws.number("job", 1), 1690840263287327090);
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
    fn random_pairing_follows_the_weights() {
        let (frames, config, styles) = (many(4000), config(), styles(&[1.0, 3.0]));
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let first = plan.jobs.iter().filter(|job| main(job) == 0).count();
        assert!((900..1100).contains(&first), "{first} of 4000 at a weight of a quarter");
    }

    #[test]
    fn cycling_takes_the_variants_of_a_frame_through_all_styles() {
        let (frames, styles) = (many(30), styles(&[1.0, 1.0, 1.0]));
        let config = Config { pairing: Pairing::Cycle, variants: 3, ..config() };
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        for jobs in plan.jobs.chunks(3) {
            assert_eq!(jobs.iter().map(main).collect::<HashSet<_>>().len(), 3);
        }
        assert_eq!(plan.jobs.iter().step_by(3).map(main).collect::<HashSet<_>>().len(), 3, "starts differ");
    }

    #[test]
    fn a_mix_adds_other_styles_with_smaller_shares_and_keeps_the_main_one() {
        let (frames, styles) = (many(400), styles(&[1.0, 2.0, 3.0, 4.0]));
        for pairing in [Pairing::Random, Pairing::Cycle] {
            let one = Config { pairing, variants: 2, ..config() };
            let three = Config { mix: 3, ..one.clone() };
            let alone = Plan::new(&one, &frames, &styles).unwrap();
            let mixed = Plan::new(&three, &frames, &styles).unwrap();
            assert_eq!(mixed.jobs, Plan::new(&three, &frames, &styles).unwrap().jobs);
            for (alone, mixed) in alone.jobs.iter().zip(&mixed.jobs) {
                assert_eq!((main(alone), alone.seed, alone.styles[0].share), (main(mixed), mixed.seed, 1.0));
                let shares: Vec<f64> = mixed.styles.iter().map(|part| part.share).collect();
                assert!(shares.is_sorted_by(|a, b| a >= b) && shares[2] > 0.0, "{shares:?}");
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert_eq!(mixed.styles.iter().map(|part| part.style).collect::<HashSet<_>>().len(), 3);
            }
            // The pieces of a line with two cuts: 11/18, 5/18 and 2/18 on average.
            let mean = mixed.jobs.iter().map(|job| job.styles[0].share).sum::<f64>() / mixed.jobs.len() as f64;
            assert!((mean - 11.0 / 18.0).abs() < 0.03, "{mean}");
        }
    }

    #[test]
    fn a_mix_never_takes_one_picture_twice_and_asks_for_no_more_than_there_are() {
        let (frames, mut styles) = (many(20), styles(&[1.0, 1.0, 1.0]));
        styles[2].digest = styles[0].digest.clone();
        for pairing in [Pairing::Random, Pairing::Cycle] {
            let two = Config { pairing, mix: 2, ..config() };
            for job in Plan::new(&two, &frames, &styles).unwrap().jobs {
                assert_ne!(styles[job.styles[0].style].digest, styles[job.styles[1].style].digest);
            }
            let error = Plan::new(&Config { mix: 3, ..two.clone() }, &frames, &styles).unwrap_err().to_string();
            assert!(error.contains("`mix: 3`") && error.contains("there are 2"), "{error}");
        }
    }

    #[test]
    fn a_blend_takes_all_styles_by_their_weights_and_its_digest_covers_them() {
        let (frames, styles) = (many(2), styles(&[1.0, 3.0, 1.0]));
        let config = Config { pairing: Pairing::Blend, ..config() };
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let part = |style, share| StyleShare { style, share };
        assert_eq!(plan.jobs[1].styles, [part(1, 0.6), part(0, 0.2), part(2, 0.2)]);
        assert!(plan.summary(None).contains("+ 1.png 60 %, 0.png 20 %, 2.png 20 % ->"), "{}", plan.summary(None));
        let digest = plan.style_digest(&plan.jobs[0]);
        assert_eq!((digest.len(), &digest), (16, &plan.style_digest(&plan.jobs[1])));
        let mut heavier = styles.clone();
        heavier[2].weight = 1.5;
        let mut repainted = styles.clone();
        repainted[2].digest = "other".into();
        for other in [heavier, repainted] {
            let plan = Plan::new(&config, &frames, &other).unwrap();
            assert_ne!(plan.style_digest(&plan.jobs[0]), digest);
        }
        let alone = Plan::new(&config, &frames, &styles[..1]).unwrap();
        assert_eq!(alone.style_digest(&alone.jobs[0]), styles[0].digest, "of one style its own, as ever");
    }

    #[test]
    fn a_fraction_takes_its_share_and_a_larger_one_keeps_the_smaller() {
        let (frames, styles) = (many(2000), styles(&[1.0]));
        let taken = |fraction| -> HashSet<String> {
            let config = Config { fraction, ..config() };
            Plan::new(&config, &frames, &styles).unwrap().jobs.into_iter().map(|job| job.output).collect()
        };
        let (tenth, half) = (taken(0.1), taken(0.5));
        assert!((150..250).contains(&tenth.len()) && (900..1100).contains(&half.len()));
        assert!(tenth.is_subset(&half));
        assert_eq!(taken(1.0).len(), 2000);
    }

    #[test]
    fn shards_are_disjoint_complete_and_stay_when_frames_are_added() {
        let (config, styles) = (Config { variants: 2, ..config() }, styles(&[1.0]));
        let (few, more) = (many(100), many(150));
        let shard = |frames: &[Frame], text: &str| -> HashSet<String> {
            let plan = Plan::new(&config, frames, &styles).unwrap().shard(text.parse().unwrap());
            plan.jobs.into_iter().map(|job| job.output).collect()
        };
        let shards = ["1/3", "2/3", "3/3"].map(|text| shard(&few, text));
        assert!(shards.iter().all(|shard| shard.len() > 30));
        assert_eq!(shards.iter().map(HashSet::len).sum::<usize>(), 200);
        assert_eq!(shards.iter().flatten().collect::<HashSet<_>>().len(), 200);
        assert!(shards[1].is_subset(&shard(&more, "2/3")));
        for bad in ["0/3", "4/3", "1", "1/0", "a/b", "-1/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn frames_that_would_write_the_same_output_are_told_apart() {
        let frames = frames(&["x/a.jpg", "x/a.png", "x/b.jpg", "x/C.jpg", "x/c.jpg"]);
        let (config, styles) = (config(), styles(&[1.0]));
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let names: Vec<_> = plan.jobs.iter().map(|job| job.output.as_str()).collect();
        assert_eq!(&names[..3], ["x/a_jpg__fog-1.jpg", "x/a_png__fog-1.png", "x/b__fog-1.jpg"]);
        assert!(names[3].starts_with("x/C_jpg_") && names[4].starts_with("x/c_jpg_"), "{names:?}");
        for pick in
            [|job: &Job| job.output.to_lowercase(), |job: &Job| job.label_output.clone().unwrap().to_lowercase()]
        {
            assert_eq!(plan.jobs.iter().map(pick).collect::<HashSet<_>>().len(), 5);
        }
        let limited = Plan::new(&config, &frames, &styles).unwrap().limit(1);
        assert_eq!(limited.jobs, plan.jobs[..1], "a limit changes no name");
    }

    #[test]
    fn frames_that_cannot_be_told_apart_are_refused_with_both_names() {
        let mut twice = frames(&["a.jpg", "a.jpg"]);
        twice[1].path = "/elsewhere/a.jpg".into();
        let (config, styles) = (config(), styles(&[1.0]));
        let error = Plan::new(&config, &twice, &styles).unwrap_err().to_string();
        assert!(error.contains("/ds/a.jpg") && error.contains("/elsewhere/a.jpg"), "{error}");
    }

    #[test]
    fn a_folder_of_styles_shares_its_weight_and_weightless_sources_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        for (name, side) in [("b.png", 2), ("a.jpg", 3)] {
            image::RgbImage::new(side, side).save(folder.path().join(name)).unwrap();
        }
        let source = |path: PathBuf, weight| StyleSource { path, weight };
        let sources = [
            source(folder.path().to_path_buf(), 3.0),
            source(folder.path().join("b.png"), 1.0),
            source("/none".into(), 0.0),
        ];
        let styles = find_styles(&sources, &Settings::default()).unwrap();
        let found: Vec<_> = styles.iter().map(|s| (s.path.file_name().unwrap().to_str().unwrap(), s.weight)).collect();
        assert_eq!(found, [("a.jpg", 1.5), ("b.png", 1.5), ("b.png", 1.0)]);
        assert!(styles[1].digest == styles[2].digest && styles[0].digest != styles[1].digest);
    }

    #[test]
    fn names_too_long_for_a_file_system_are_cut_and_stay_distinct() {
        let long = "ü".repeat(125);
        let frames = frames(&[format!("x/{long}.jpg"), format!("x/{long}.png"), format!("x/{}.jpg", "a".repeat(200))]);
        let (config, styles) = (Config { variants: 10, ..config() }, styles(&[1.0]));
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let names: HashSet<&str> = plan.jobs.iter().map(|job| &*job.output).collect();
        assert_eq!(names.len(), 30);
        for job in &plan.jobs {
            let files = [&job.output, job.label_output.as_ref().unwrap()];
            assert!(files.iter().all(|file| file.strip_prefix("x/").unwrap().len() <= 255), "{files:?}");
            assert!(job.output.contains("__fog-"), "{files:?}");
        }
        assert_eq!(plan.jobs[20].output, format!("x/{}__fog-1.jpg", "a".repeat(200)), "what fits stays");
    }

    #[test]
    fn a_spread_takes_one_frame_of_each_part_by_the_seed() {
        let frames = many(100);
        let parts = |seed| sample_frames(&frames, 10, seed).iter().map(|index| index / 10).collect::<Vec<_>>();
        assert_eq!(parts(1), (0..10).collect::<Vec<_>>());
        assert_ne!(sample_frames(&frames, 10, 1), sample_frames(&frames, 10, 2));
        assert_eq!(sample_frames(&frames[..3], 10, 1), [0, 1, 2]);
        assert_eq!(sample_frames(&[], 10, 1), [0; 0]);
    }

    #[test]
    fn the_summary_counts_jobs_frames_and_styles() {
        let (frames, styles) = (many(8), styles(&[1.0]));
        let config = Config { variants: 2, ..config() };
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let summary = plan.summary(Some(Duration::from_secs(600)));
        assert!(
            summary.starts_with("fog: 16 jobs on 8 of train, about 10 min\n      16 x /styles/0.png\n"),
            "{summary}"
        );
        assert!(summary.contains("images/train/00000.jpg + 0.png -> images/train/00000__fog-1.jpg"), "{summary}");
        assert!(summary.ends_with("and 6 more"), "{summary}");
    }
}
