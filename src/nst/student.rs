//! A student: a small network that has learned from optimized pictures what the optimizer makes of a start, and draws
//! it without evaluating any loss.
//!
//! The photoreal render leaves of an optimized picture a smooth field of affine maps of colour. Such a field is what a
//! small network predicts well: a grid of maps over place and luma (the bilateral grid of Gharbi et al. 2017, 'Deep
//! bilateral learning for real-time image enhancement', section 3). Here the maps change the *start*, in closed form
//! already close to the result, so that a student that has learned nothing draws the start.
//!
//! - [`grid`]: the maps, and their application to a picture of any size
//! - [`view`]: what the student sees of each cell of the grid
//! - [`lesson`]: what it learns from one optimized picture
//! - [`fit`]: the training

pub mod fit;
pub mod grid;
pub mod lesson;
pub mod view;

use crate::nst::student::grid::{Grid, NUMBERS};
use crate::nst::student::view::{FEATURES, StudentView};
use candle_core::{Device, Result, Tensor};

/// Networks of one student. Their mean is its picture, and their disagreement tells what they have not learned.
pub const NETWORKS: usize = 2;

/// Widths of a network: what it sees of a cell, two hidden layers, and the numbers of a map.
pub const WIDTHS: [usize; 4] = [FEATURES, 32, 32, NUMBERS];

/// Standardized features are cut to this many deviations: beyond, nothing was learned.
const MOST_DEVIATIONS: f32 = 5.0;

/// A trained student.
#[derive(Clone, Debug)]
pub struct Student {
    scaling: Scaling,
    networks: [Mlp; NETWORKS],
    /// The largest disagreement of a picture that is trusted; see [`Prediction::disagreement`].
    gate: f32,
}

/// Mean and deviation of each feature over the lessons.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    pub means: Vec<f32>,
    pub deviations: Vec<f32>,
}

/// Weights `[outputs, inputs]` and biases `[outputs]` of the linear layers of one network, with SiLU between them.
#[derive(Clone, Debug)]
pub struct Mlp(pub Vec<(Tensor, Tensor)>);

/// What a student says of one picture.
pub struct Prediction {
    pub grid: Grid,
    /// Root mean square over the picture of how far the networks differ in the colour that they give to the middle of a
    /// cell, in units of 0..1.
    pub disagreement: f32,
}

impl Student {
    /// # Errors
    /// When tensors do not have the shapes of [`WIDTHS`].
    pub fn new(scaling: Scaling, networks: [Mlp; NETWORKS], gate: f32) -> std::result::Result<Self, String> {
        if [&scaling.means, &scaling.deviations].iter().any(|values| values.len() != FEATURES) {
            return Err(format!("expected the mean and deviation of {FEATURES} features"));
        }
        let is_whole = |layers: &Mlp| {
            layers.0.len() + 1 == WIDTHS.len()
                && layers.0.iter().zip(WIDTHS.windows(2)).all(|((weight, bias), widths)| {
                    weight.dims() == [widths[1], widths[0]] && bias.dims() == [widths[1]]
                })
        };
        if !networks.iter().all(is_whole) {
            return Err(format!("expected networks with layers of {WIDTHS:?}"));
        }
        Ok(Self { scaling, networks, gate })
    }

    /// The same networks with another gate.
    pub fn with_gate(&self, gate: f32) -> Self {
        Self { gate, ..self.clone() }
    }

    /// The largest disagreement of a picture that is trusted.
    pub fn gate(&self) -> f32 {
        self.gate
    }

    pub fn scaling(&self) -> &Scaling {
        &self.scaling
    }

    pub fn networks(&self) -> &[Mlp; NETWORKS] {
        &self.networks
    }

    /// The maps for the picture of this view.
    ///
    /// # Errors
    /// When memory is short.
    pub fn predict(&self, view: &StudentView) -> Result<Prediction> {
        let features = self.scaling.apply(view.features());
        let features = Tensor::from_vec(features, (view.cells(), FEATURES), &Device::Cpu)?;
        let changes = self.networks.iter().map(|network| network.forward(&features)?.flatten_all()?.to_vec1());
        let changes = changes.collect::<Result<Vec<Vec<f32>>>>()?;
        let mean: Vec<f32> = (0..changes[0].len())
            .map(|n| changes.iter().map(|changes| changes[n]).sum::<f32>() / NETWORKS as f32)
            .collect();
        Ok(Prediction { grid: view.grid(&mean), disagreement: disagreement(&changes[0], &changes[1], view) })
    }
}

/// See [`Prediction::disagreement`].
fn disagreement(a: &[f32], b: &[f32], view: &StudentView) -> f32 {
    let cells = a.as_chunks::<NUMBERS>().0.iter().zip(b.as_chunks::<NUMBERS>().0).zip(view.weights());
    let squares = cells.map(|((a, b), weight)| {
        let offsets = (0..3).map(|colour| (a[colour * 4 + 3] - b[colour * 4 + 3]) as f64);
        *weight as f64 * offsets.map(|offset| offset * offset).sum::<f64>()
    });
    let pixels: f64 = view.weights().iter().map(|&weight| weight as f64).sum();
    (squares.sum::<f64>() / (3.0 * pixels)).sqrt() as f32
}

impl Scaling {
    /// Of `features`, `[cells][FEATURES]`.
    pub fn of<'f>(features: impl Iterator<Item = &'f [f32]>) -> Self {
        let (mut count, mut sums, mut squares) = (0.0, vec![0.0_f64; FEATURES], vec![0.0_f64; FEATURES]);
        for cell in features.flat_map(|features| features.as_chunks::<FEATURES>().0) {
            count += 1.0;
            for (n, &v) in cell.iter().enumerate() {
                sums[n] += v as f64;
                squares[n] += v as f64 * v as f64;
            }
        }
        let mean = |sum: f64| sum / count;
        let deviation = |(sum, square): (f64, f64)| (mean(square) - mean(sum) * mean(sum)).max(0.0).sqrt();
        Self {
            means: sums.iter().map(|&sum| mean(sum) as f32).collect(),
            // Features that hardly change in the lessons must not be divided by almost 0.
            deviations: sums.into_iter().zip(squares).map(|sums| (deviation(sums) as f32).max(1e-3)).collect(),
        }
    }

    /// `features` with mean 0 and deviation 1.
    pub fn apply(&self, features: &[f32]) -> Vec<f32> {
        let cells = features.as_chunks::<FEATURES>().0.iter();
        let scaled = |(n, &v): (usize, &f32)| {
            ((v - self.means[n]) / self.deviations[n]).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)
        };
        cells.flat_map(|cell| cell.iter().enumerate().map(scaled)).collect()
    }
}

impl Mlp {
    /// `[cells, FEATURES]` to `[cells, NUMBERS]`.
    ///
    /// # Errors
    /// When memory is short.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let mut x = features.clone();
        for (n, (weight, bias)) in self.0.iter().enumerate() {
            x = x.matmul(&weight.t()?)?.broadcast_add(bias)?;
            if n + 1 < self.0.len() {
                x = x.silu()?;
            }
        }
        Ok(x)
    }
}
