//! What the tests of this folder share.

use crate::config::values::Config;
use crate::error::Result;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// Every key at its default, said in full.
pub(super) const FULL: &str = "
condition: fog
styles: [{path: styles/fog, weight: 1.0}]
pairing: random
mix: 1
variants: 1
fraction: 1.0
where: {classes: [], at_least: 1}
sequence: none
splits: [train]
seed: 0
output: {format: same, quality: 95}
stylize:
  backbone: auto
  engine: optimize
  size: 384
  steps: 30
  scales: auto
  optimizer: lbfgs
  init: colour
  content: {weight: 1.0, layers: {relu4_2: 1.0}}
  style: {weight: 10.0, layers: {relu1_1: 1, relu2_1: 1, relu3_1: 1, relu4_1: 1, relu5_1: 1}}
  tv: 0.0
  pool: max
  padding: zero
  render: photoreal
  strength: 1.0
  weather: fog
  regions: none
  chroma: style
  residual: 0
  guard: true
  falling: {kind: none, density: [0.3, 0.7], wind: [-2, 2], exposure: [0.004, 0.016]}
  keep_colours: false
  scene: auto
  effects: {air: 0, snow: 0, tracks: 0, snowy_vehicles: 0, wet: 0, puddles: 0, spray: 0, lamps: 0, headlamps: 0,
            street_lamps: 0, windows: 0, glare: 0, drops: 0, noise: 0, blur: 0, motion: 0,
            overcast: 0, black: 0}
";

/// A folder with `styles/fog/a.png` and the config file `fog.yaml`.
pub(super) fn config_folder(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("styles/fog")).unwrap();
    fs::write(folder.path().join("styles/fog/a.png"), b"x").unwrap();
    let path = folder.path().join("fog.yaml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// The config of a file `fog.yaml` with this text, under each `--set` of `sets`.
pub(super) fn load(text: &str, sets: &[&str]) -> Result<Config> {
    let (_folder, path) = config_folder(text);
    Config::load(&path, &sets.iter().map(|set| set.to_string()).collect::<Vec<_>>())
}

/// The message for a config that starts with valid styles, with its folder cut off.
pub(super) fn complaint(text: &str, sets: &[&str]) -> String {
    let (folder, path) = config_folder(&format!("styles: [{{path: styles/fog}}]\n{text}"));
    let sets: Vec<_> = sets.iter().map(|set| set.to_string()).collect();
    let error = Config::load(&path, &sets).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}
