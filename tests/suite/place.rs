//! A dataset, styles and a config of one test, and the program run on them as people run it.

use image::{Rgb, RgbImage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A dataset, styles and a config of one test, in a folder of its own.
pub struct Place {
    dir: TempDir,
}

pub const CONFIG: &str = "\
condition: fog
styles: [{path: styles}]
stylize: {size: 64, steps: 3, style: {layers: {relu1_1: 1, relu2_1: 1}}, content: {layers: {relu2_1: 1}}}
";

pub fn picture(seed: u32, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |n: u32| (((x * (n + seed) / 3 + y * n) % 64) * 4) as u8;
        Rgb([wave(1), wave(2), (x ^ y ^ seed) as u8])
    })
}

impl Place {
    /// Two frames to train on, one of them background, one to validate on, and two styles.
    pub fn new() -> Self {
        let place = Self { dir: TempDir::new().unwrap() };
        place.image("data/images/train/a.png", 1, 80, 60);
        place.image("data/images/train/b.jpg", 2, 61, 47);
        place.image("data/images/val/c.png", 3, 40, 40);
        place.text("data/labels/train/a.txt", "0 0.5 0.5 0.25 0.25\r\n1 0.1 0.1 0.05 0.05 0.2 0.2 0.3 0.1\n\n");
        place.text("data/labels/val/c.txt", "1 0.5 0.5 0.1 0.1\n");
        place.text("data/data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames: {0: car, 1: person}\n");
        place.image("styles/one.jpg", 7, 90, 64);
        place.image("styles/two.png", 8, 64, 90);
        place.text("fog.yaml", CONFIG);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn image(&self, name: &str, seed: u32, width: u32, height: u32) {
        self.text(name, "");
        picture(seed, width, height).save(self.path(name)).unwrap();
    }

    /// Runs the program in this place, with the built-in backbone.
    pub fn augment(&self, args: &str) -> Output {
        self.command(args).args(["--weights", "builtin"]).output().unwrap()
    }

    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_augment"));
        command.current_dir(self.dir.path()).args(args.split_whitespace());
        command.env_remove("AUGMENT_WEIGHTS").env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    /// How many rows a run that may still be at work has finished so far.
    pub fn rows_so_far(&self, output: &str) -> usize {
        let bytes = fs::read(self.path(output).join("manifest.jsonl")).unwrap_or_default();
        bytes.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Waits until `run` has finished that many rows.
    #[track_caller]
    pub fn wait_for_rows(&self, run: &mut Child, output: &str, count: usize) {
        wait_until(&format!("{count} rows in {output}"), || {
            // Asked first: the last rows may come while this looks.
            let ended = run.try_wait().unwrap();
            let come = self.rows_so_far(output) >= count;
            assert!(come || ended.is_none(), "the run ended before {count} rows came: {ended:?}");
            come
        });
    }

    pub fn rows(&self, output: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(output).join("manifest.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every file below a folder with its bytes.
    pub fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        walkdir::WalkDir::new(self.path(folder))
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| (entry.path().to_path_buf(), fs::read(entry.path()).unwrap()))
            .collect()
    }
}

/// The data of a page that `preview` or `report` made.
pub fn page(place: &Place, name: &str) -> Value {
    let text = fs::read_to_string(place.path(name)).unwrap();
    let data = text.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    serde_json::from_str(data).unwrap()
}

#[track_caller]
pub fn expect(output: &Output, code: i32, said: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    for words in said {
        assert!(error.contains(words), "`{words}` is not in: {error}");
    }
}

pub const RUN: &str = "--config fog.yaml data";

/// How long a test waits for what must come. It says nothing about speed: only what hangs takes so long, however much
/// else the machine has to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until `come` says that what is waited for is there.
#[track_caller]
pub fn wait_until(what: &str, mut come: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !come() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(1));
    }
}

/// Says what is not tested here, and why. The test harness shows what a test prints only if that fails, so this goes
/// past it.
pub fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}
