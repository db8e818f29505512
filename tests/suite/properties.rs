//! What must hold of any dataset, whatever its layout and its names.

use augment::config::values::Config;
use augment::dataset::Dataset;
use augment::dataset::split::Split;
use augment::files::paths::label_path;
use augment::output::folder;
use augment::plan::styles::{StylePicture, find_styles};
use augment::plan::{Job, Plan};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const CONFIG: &str = "\
condition: fog
styles: [{path: styles}]
variants: 2
stylize: {size: 32, steps: 1, guard: false, style: {layers: {relu1_1: 1}}, content: {layers: {relu2_1: 1}}}
";

/// How a dataset says what belongs to it.
#[derive(Clone, Debug)]
enum Layout {
    Flat,
    ImagesSplit,
    SplitImages,
    /// `train` with images and labels together.
    SplitAlone,
    /// `train` is a folder, or a list of folders.
    DataYaml {
        several: bool,
    },
    /// `train` is a text file in `folder`.
    List {
        folder: &'static str,
        crlf: bool,
        dangling: usize,
    },
}

/// How a line of a list names its image.
#[derive(Clone, Copy, Debug)]
enum Line {
    Dotted,
    Relative,
    Absolute,
}

#[derive(Clone, Debug)]
struct Frame {
    label: Option<Vec<u8>>,
    sound: bool,
    line: Line,
}

/// A dataset: its layout, and the train frames by their paths below the split's folder.
#[derive(Clone, Debug)]
struct Tree {
    layout: Layout,
    frames: BTreeMap<String, Frame>,
    /// Frames to validate on, and what is no image.
    others: Vec<String>,
}

fn name() -> impl Strategy<Value = String> {
    let folder = select(vec!["", "", "deep/", "deep/er/", "images/", "ima ges/"]);
    let stem = "[a-zA-Z0-9_(äß日🚗#%'][a-zA-Z0-9 ._(äß日#%'&,;=+-]{0,12}";
    let extension = select(vec!["jpg", "JPG", "jpeg", "png", "webp", "bmp", "tif", "TIFF"]);
    (folder, stem, extension).prop_map(|(folder, stem, extension)| format!("{folder}{stem}.{extension}"))
}

fn frame() -> impl Strategy<Value = Frame> {
    let label = prop::option::weighted(0.7, vec(any::<u8>(), 0..40));
    let line = select(vec![Line::Dotted, Line::Relative, Line::Absolute]);
    (label, prop::bool::weighted(0.8), line).prop_map(|(label, sound, line)| Frame { label, sound, line })
}

fn tree(frames: std::ops::Range<usize>) -> impl Strategy<Value = Tree> {
    let layout = prop_oneof![
        Just(Layout::Flat),
        Just(Layout::ImagesSplit),
        Just(Layout::SplitImages),
        Just(Layout::SplitAlone),
        any::<bool>().prop_map(|several| Layout::DataYaml { several }),
        (select(vec!["", "lists/"]), any::<bool>(), 0..3_usize).prop_map(|(folder, crlf, dangling)| Layout::List {
            folder,
            crlf,
            dangling
        }),
    ];
    let others = vec("[a-z]{1,6}[.](jpg|png|md)", 0..4);
    (layout, btree_map(name(), frame(), frames), others).prop_map(|(layout, frames, others)| Tree {
        layout,
        frames,
        others,
    })
}

impl Tree {
    /// The folder of a split's images.
    fn images(&self, split: &str) -> String {
        match self.layout {
            Layout::Flat => String::new(),
            Layout::SplitImages => format!("{split}/images/"),
            Layout::SplitAlone => format!("{split}/"),
            _ => format!("images/{split}/"),
        }
    }

    /// Where a frame lies below the dataset's folder.
    fn path(&self, name: &str) -> String {
        // In `train/images`, those images would be the split.
        let name = if matches!(self.layout, Layout::SplitAlone) { &name.replace("images/", "pics/") } else { name };
        self.images("train") + name
    }

    /// The label of a frame that lies at `path`, said anew: the last folder `images` is `labels`.
    fn label(path: &str) -> String {
        let stem = &path[..path.rfind('.').unwrap()];
        let (folder, file) = stem.split_at(stem.rfind('/').map_or(0, |slash| slash + 1));
        let mut folders: Vec<&str> = folder.split_terminator('/').collect();
        if let Some(last) = folders.iter_mut().rfind(|folder| **folder == "images") {
            *last = "labels";
        }
        folders.push(file);
        folders.join("/") + ".txt"
    }

    /// Writes the frames in the given order, so that no disk lists them by name.
    fn write(&self, root: &Path, turned: bool) {
        let put = |path: &str, bytes: &[u8]| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let mut frames: Vec<_> = self.frames.iter().collect();
        if turned {
            frames.reverse();
        }
        for (name, frame) in frames {
            let path = self.path(name);
            let png = include_bytes!("../corpus/size_3x5.png");
            put(&path, &png[..if frame.sound { png.len() } else { png.len() / 2 }]);
            // Two frames may share a label, such as those of a.jpg and a.png.
            if let Some(label) = &frame.label {
                put(&Self::label(&path), label);
            }
        }
        if !matches!(self.layout, Layout::Flat) {
            self.others.iter().for_each(|name| put(&(self.images("val") + name), b"other"));
        }
        match &self.layout {
            Layout::DataYaml { several: false } => put("data.yaml", b"train: images/train\nnames: [a]\n"),
            Layout::DataYaml { several: true } => {
                put("data.yaml", b"path: .\ntrain: [images/train, ./images/train/]\nnames: [a]\n");
            }
            Layout::List { folder, crlf, dangling } => {
                put("data.yaml", format!("train: {folder}train.txt\nnames: [a]\n").as_bytes());
                let (end, up) = (if *crlf { "\r\n" } else { "\n" }, if folder.is_empty() { "" } else { "../" });
                let mut lines = format!("{end}notes.md{end}");
                for (name, frame) in &self.frames {
                    let path = self.path(name);
                    let _ = match frame.line {
                        Line::Dotted => write!(lines, "./{up}{path}{end}"),
                        Line::Relative => write!(lines, "{path}{end}"),
                        Line::Absolute => write!(lines, "{}{end}", root.join(&path).display()),
                    };
                }
                (0..*dangling).for_each(|n| lines += &format!("./{up}images/train/gone/{n}.jpg{end}"));
                put(&format!("{folder}train.txt"), lines.as_bytes());
            }
            Layout::Flat | Layout::ImagesSplit | Layout::SplitImages | Layout::SplitAlone => {}
        }
    }

    /// The paths of all train frames and those that lead nowhere.
    fn paths(&self) -> BTreeSet<String> {
        let dangling = if let Layout::List { dangling, .. } = self.layout { dangling } else { 0 };
        let gone = (0..dangling).map(|n| format!("images/train/gone/{n}.jpg"));
        self.frames.keys().map(|name| self.path(name)).chain(gone).collect()
    }
}

/// A folder with a tree in `data`, a config and styles beside it.
fn place(tree: &Tree, turned: bool) -> TempDir {
    let place = TempDir::new().unwrap();
    tree.write(&place.path().join("data"), turned);
    fs::create_dir(place.path().join("styles")).unwrap();
    let mut styles = ["a.png", "b.png", "c.png"];
    if turned {
        styles.reverse();
    }
    for name in styles {
        let shade = name.as_bytes()[0];
        image::RgbImage::from_pixel(5, 4, image::Rgb([shade; 3])).save(place.path().join("styles").join(name)).unwrap();
    }
    fs::write(place.path().join("fog.yaml"), CONFIG).unwrap();
    place
}

fn open(place: &TempDir) -> (Config, Dataset, Vec<StylePicture>) {
    let config = Config::load(&place.path().join("fog.yaml"), &[]).unwrap();
    let dataset = Dataset::open(&place.path().join("data"), &[Split::Train], &place.path().join("data-fog")).unwrap();
    let styles = find_styles(&config.styles, &config.stylize).unwrap();
    (config, dataset, styles)
}

fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files =
        walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files.map(|entry| (entry.path().strip_prefix(folder).unwrap().into(), fs::read(entry.path()).unwrap())).collect()
}

/// Style and seed of every job, by frame and variant.
fn choices(plan: &Plan) -> BTreeMap<(String, u32), (String, u64)> {
    let style = |job: &Job| plan.style(job).path.file_name().unwrap().to_str().unwrap().to_string();
    let choice = |job: &Job| ((plan.frame(job).relative.clone(), job.variant), (style(job), job.seed));
    plan.jobs.iter().map(choice).collect()
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn every_frame_is_found_once_and_every_label_comes_out_byte_for_byte(tree in tree(1..8)) {
        let place = place(&tree, false);
        let before = snapshot(place.path());
        let (config, dataset, styles) = open(&place);
        let found: Vec<String> = dataset.frames.iter().map(|frame| frame.relative.clone()).collect();
        prop_assert_eq!(&found, &tree.paths().into_iter().collect::<Vec<_>>());

        let plan = Plan::new(&config, &dataset.frames, &styles).unwrap();
        let folder = place.path().join("data-fog");
        prop_assert!(folder::check_folder(&folder, &plan.jobs).is_ok());
        let mut written = BTreeSet::new();
        for job in &plan.jobs {
            let frame = plan.frame(job);
            let original = fs::read(place.path().join("data").join(Tree::label(&frame.relative))).ok();
            prop_assert_eq!(job.label_output.is_some(), original.is_some());
            prop_assert!(written.insert(job.output.to_lowercase()), "{} twice", job.output);
            let (Some(label), Some(to)) = (&frame.label, &job.label_output) else { continue };
            prop_assert!(written.insert(to.to_lowercase()), "{to} twice");
            let content = fs::read(label).unwrap();
            folder::write_files(&folder, &job.output, b"picture", Some((to, &content))).unwrap();
            // Where a detector's loader will look.
            prop_assert_eq!(fs::read(label_path(&folder.join(&job.output))).ok(), original);
        }
        let after = snapshot(place.path());
        prop_assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
        prop_assert!(after.keys().all(|path| before.contains_key(path) || path.starts_with("data-fog")));
    }

    #[test]
    fn shards_are_a_partition_of_the_plan(tree in tree(1..12), count in 1..7_u32) {
        let place = place(&tree, false);
        let (config, dataset, styles) = open(&place);
        let whole = Plan::new(&config, &dataset.frames, &styles).unwrap();
        let shard = |n: u32| whole.clone().shard(format!("{n}/{count}").parse().unwrap()).jobs;
        let mut jobs: Vec<Job> = (1..=count).flat_map(shard).collect();
        jobs.sort_by_key(|job| (job.frame, job.variant));
        prop_assert_eq!(jobs, whole.jobs);
    }

    #[test]
    fn pairing_ignores_the_order_on_disk_and_what_else_there_is(tree in tree(2..10), kept in vec(any::<bool>(), 10)) {
        let mut fewer = tree.clone();
        let mut kept = kept.into_iter();
        fewer.frames.retain(|_, _| kept.next().unwrap_or(true));
        prop_assume!(!fewer.frames.is_empty());
        fewer.others.clear();
        let places = [place(&tree, false), place(&fewer, true)];
        let [all, some] = places.each_ref().map(|place| {
            let (config, dataset, styles) = open(place);
            choices(&Plan::new(&config, &dataset.frames, &styles).unwrap())
        });
        prop_assert!(!some.is_empty() && some.iter().all(|(job, choice)| all.get(job) == Some(choice)));
    }
}

proptest! {
    #![proptest_config(cases(5))]

    #[test]
    fn a_whole_run_copies_every_label_and_touches_nothing_else(tree in tree(1..5)) {
        let place = place(&tree, false);
        let before = snapshot(&place.path().join("data"));
        let output = Command::new(env!("CARGO_BIN_EXE_augment"))
            .current_dir(place.path())
            .args(["--config", "fog.yaml", "data", "--weights", "builtin"])
            .env_remove("AUGMENT_WEIGHTS")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let failed = tree.paths().len() - tree.frames.values().filter(|frame| frame.sound).count();
        prop_assert_eq!(output.status.code(), Some(if failed > 0 { 3 } else { 0 }), "{}", said);
        prop_assert_eq!(snapshot(&place.path().join("data")), before.clone());

        let made = snapshot(&place.path().join("data-fog"));
        let texts = |files: &BTreeMap<PathBuf, Vec<u8>>, name: &dyn Fn(&Path) -> bool| {
            let mut texts: Vec<Vec<u8>> = files.iter().filter(|(path, _)| name(path)).map(|(_, text)| text.clone()).collect();
            texts.sort();
            texts
        };
        let is_label = |path: &Path| path.to_str().unwrap().contains("__fog-");
        let labels = texts(&made, &|path| is_label(path) && path.extension().unwrap() == "txt");
        let sound = tree.frames.iter().filter(|(_, frame)| frame.sound);
        let mut expected: Vec<Vec<u8>> = sound
            .filter_map(|(name, _)| before.get(Path::new(&Tree::label(&tree.path(name)))).cloned())
            .flat_map(|label| [label.clone(), label])
            .collect();
        expected.sort();
        prop_assert_eq!(labels, expected);
        let around = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut beside: Vec<String> = fs::read_dir(place.path()).unwrap().map(|entry| around(entry.unwrap())).collect();
        beside.sort();
        prop_assert_eq!(beside, ["data", "data-fog", "fog.yaml", "styles"]);
    }
}
