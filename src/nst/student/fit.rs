//! The training of a student: regression of maps, by Adam over shuffled cells.

use crate::nst::random::Random;
use crate::nst::student::grid::NUMBERS;
use crate::nst::student::lesson::{CellSums, Lesson};
use crate::nst::student::view::FEATURES;
use crate::nst::student::{Mlp, NETWORKS, Scaling, Student, WIDTHS};
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use std::f64::consts::PI;
use std::ops::ControlFlow;

/// Cells of one step.
const BATCH: usize = 2048;

/// Passes of each network over all cells. With more it overfits.
const PASSES: usize = 10;

/// Few lessons get as many passes as make these steps, up to the most passes.
const LEAST_STEPS: usize = 300;
const MOST_PASSES: usize = 30;

/// The first rate of Adam. It falls to 0 along half a cosine.
const RATE: f64 = 4e-3;

/// Weight decay (Loshchilov and Hutter 2019).
const DECAY: f64 = 0.3;

/// Trains a student on `lessons`. It depends on these and on the `seed` alone. `on_pass(done, of)` is called after each
/// pass over all cells and may end the training; then there is no student. The gate is left open.
///
/// # Errors
/// When there is nothing to learn from, or memory is short.
pub fn fit(
    lessons: &[&Lesson],
    seed: u64,
    mut on_pass: impl FnMut(usize, usize) -> ControlFlow<()>,
) -> std::result::Result<Option<Student>, String> {
    let cells = Cells::of(lessons).map_err(|error| error.to_string())?;
    if cells.count == 0 {
        return Err("no lesson has a cell with anything to learn".into());
    }
    let passes = (LEAST_STEPS * BATCH).div_ceil(cells.count).clamp(PASSES, MOST_PASSES);
    let mut networks = Vec::new();
    for network in 0..NETWORKS {
        let on_pass = |pass| on_pass(network * passes + pass, NETWORKS * passes);
        let seed = seed ^ (network as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match train(&cells, passes, seed, on_pass).map_err(|error| error.to_string())? {
            Some(layers) => networks.push(layers),
            None => return Ok(None),
        }
    }
    if !networks.iter().all(is_finite) {
        return Err("the training diverged".into());
    }
    let Ok(networks) = <[Mlp; NETWORKS]>::try_from(networks) else { unreachable!("all networks were trained") };
    Student::new(cells.scaling, networks, f32::INFINITY).map(Some)
}

/// Whether all weights and biases are finite.
fn is_finite(layers: &Mlp) -> bool {
    let tensors = layers.0.iter().flat_map(|(weight, bias)| [weight, bias]);
    let values = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
    tensors.into_iter().all(|tensor| values(tensor).is_ok_and(|values| values.iter().all(|value| value.is_finite())))
}

/// The cells of all lessons that teach anything.
struct Cells {
    count: usize,
    scaling: Scaling,
    /// `[count, FEATURES]`
    features: Tensor,
    /// `[count, 4, 4]`
    u: Tensor,
    /// `[count, NUMBERS]`
    v: Tensor,
}

impl Cells {
    fn of(lessons: &[&Lesson]) -> Result<Self> {
        let scaling = Scaling::of(lessons.iter().map(|lesson| lesson.view.features()));
        let (mut features, mut u, mut v) = (Vec::new(), Vec::new(), Vec::new());
        for lesson in lessons {
            let scaled = scaling.apply(lesson.view.features());
            // All lessons count alike, whatever the size of their pictures.
            let scale = 1.0 / lesson.view.weights().iter().sum::<f32>();
            for (cell, CellSums { u: squares, v: products }) in &lesson.sums {
                features.extend_from_slice(&scaled[cell * FEATURES..][..FEATURES]);
                u.extend(squares.map(|value| value * scale));
                v.extend(products.map(|value| value * scale));
            }
        }
        let count = v.len() / NUMBERS;
        // The mean cell has the weight 1.
        let scale = count as f32 / lessons.len().max(1) as f32;
        u.iter_mut().chain(&mut v).for_each(|value| *value *= scale);
        Ok(Self {
            count,
            scaling,
            features: Tensor::from_vec(features, (count, FEATURES), &Device::Cpu)?,
            u: Tensor::from_vec(u, (count, 4, 4), &Device::Cpu)?,
            v: Tensor::from_vec(v, (count, NUMBERS), &Device::Cpu)?,
        })
    }

    /// The mean over these cells of their part of the squared error; see [`lesson`](crate::nst::student::lesson).
    fn error(&self, network: &Mlp, indices: &Tensor) -> Result<Tensor> {
        let count = indices.elem_count();
        let change = network.forward(&self.features.index_select(indices, 0)?)?;
        let change = change.reshape((count, 3, 4))?;
        let quadratic = (change.matmul(&self.u.index_select(indices, 0)?)? * &change)?;
        let linear = (change.reshape((count, NUMBERS))? * self.v.index_select(indices, 0)?)?;
        (quadratic.sum_all()? - (linear.sum_all()? * 2.0)?)? / count as f64
    }
}

/// Trains one network. `on_pass` hears of every pass, counted from 1.
fn train(
    cells: &Cells,
    passes: usize,
    seed: u64,
    mut on_pass: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Mlp>> {
    let mut random = Random::new(seed);
    let (layers, variables) = initial(&mut random)?;
    let parameters = ParamsAdamW { lr: RATE, weight_decay: DECAY, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(variables, parameters)?;
    let mut order: Vec<u32> = (0..cells.count as u32).collect();
    let steps = passes * cells.count.div_ceil(BATCH);
    let mut step = 0;
    for pass in 1..=passes {
        shuffle(&mut order, &mut random);
        for batch in order.chunks(BATCH) {
            optimizer.set_learning_rate(RATE * 0.5 * (1.0 + (PI * step as f64 / steps as f64).cos()));
            let indices = Tensor::from_slice(batch, batch.len(), &Device::Cpu)?;
            optimizer.backward_step(&cells.error(&layers, &indices)?)?;
            step += 1;
        }
        if on_pass(pass).is_break() {
            return Ok(None);
        }
    }
    let detached = |(weight, bias): (Tensor, Tensor)| (weight.detach(), bias.detach());
    Ok(Some(Mlp(layers.0.into_iter().map(detached).collect())))
}

/// Mlp with random weights (He et al. 2015). The last ones are 0, so that training begins at the start.
fn initial(random: &mut Random) -> Result<(Mlp, Vec<Var>)> {
    let (mut layers, mut variables) = (Vec::new(), Vec::new());
    for (n, widths) in WIDTHS.windows(2).enumerate() {
        let (inputs, outputs) = (widths[0], widths[1]);
        let deviation = if n + 2 == WIDTHS.len() { 0.0 } else { (2.0 / inputs as f64).sqrt() };
        let weight: Vec<f32> = (0..inputs * outputs).map(|_| (deviation * random.normal()) as f32).collect();
        let weight = Var::from_tensor(&Tensor::from_vec(weight, (outputs, inputs), &Device::Cpu)?)?;
        let bias = Var::from_tensor(&Tensor::from_vec(vec![0.0_f32; outputs], outputs, &Device::Cpu)?)?;
        layers.push((weight.as_tensor().clone(), bias.as_tensor().clone()));
        variables.extend([weight, bias]);
    }
    Ok((Mlp(layers), variables))
}

/// Fisher and Yates.
fn shuffle(order: &mut [u32], random: &mut Random) {
    for n in (1..order.len()).rev() {
        order.swap(n, (random.uniform() * (n + 1) as f64) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;
    use crate::nst::picture::pixels::Pixels;
    use crate::nst::student::lesson::LessonPictures;
    use crate::nst::student::view::StyleCode;
    use crate::nst::testing;

    fn smooth(size: Size, seed: u64) -> Pixels {
        let mut random = testing::Random(seed);
        let waves: Vec<[f32; 3]> = (0..3).map(|_| std::array::from_fn(|_| 1.0 + 4.0 * random.uniform())).collect();
        let value = |n: usize| {
            let (y, x) = ((n / 3 / size.width) as f32 / 30.0, (n / 3 % size.width) as f32 / 40.0);
            let [a, b, c] = waves[n % 3];
            0.5 + 0.4 * (a * y + c).sin() * (b * x).cos()
        };
        Pixels::new(size, (0..size.pixels() * 3).map(value).collect())
    }

    /// Pictures whose optimized colours are a function of the start's colour and of the picture's mean.
    fn lesson(seed: u64) -> Lesson {
        let size = Size { height: 40, width: 64 };
        let start = smooth(size, seed);
        let mean = start.data().iter().sum::<f32>() / start.data().len() as f32;
        let target = start.data().chunks(3).flat_map(|rgb| [0.3 + mean * rgb[0], 0.7 * rgb[1] + 0.2, rgb[2] * rgb[0]]);
        let optimized = Pixels::new(size, target.collect());
        let code = StyleCode::of(&start);
        Lesson::new(LessonPictures { frame: start.clone(), start, optimized }, &code, false)
    }

    fn error(student: &Student, lesson: &Lesson) -> [f64; 2] {
        let pictures = lesson.pictures.as_ref().unwrap();
        let mut drawn = pictures.start.clone();
        student.predict(&lesson.view).unwrap().grid.apply(&mut drawn, &pictures.frame);
        let off = |a: &Pixels| {
            let squares = a.data().iter().zip(pictures.optimized.data()).map(|(a, b)| ((a - b) as f64).powi(2));
            squares.sum::<f64>() / a.data().len() as f64
        };
        [off(&drawn), off(&pictures.start)]
    }

    #[test]
    fn a_student_learns_a_map_of_colours_and_applies_it_to_pictures_that_it_has_not_seen() {
        let lessons: Vec<Lesson> = (0..16).map(lesson).collect();
        let (held_out, lessons) = lessons.split_at(4);
        let student = fit(&lessons.iter().collect::<Vec<_>>(), 1, |_, _| ControlFlow::Continue(())).unwrap().unwrap();
        for lesson in held_out {
            let [student, start] = error(&student, lesson);
            assert!(student < start / 3.0, "{student} {start}");
        }
    }

    #[test]
    fn the_same_lessons_and_seed_give_the_same_student_and_a_stop_gives_none() {
        let lessons: Vec<Lesson> = (0..3).map(lesson).collect();
        let lessons: Vec<&Lesson> = lessons.iter().collect();
        let maps = |seed| {
            let student = fit(&lessons, seed, |_, _| ControlFlow::Continue(())).unwrap().unwrap();
            student.networks()[0].0[0].0.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let one = maps(1);
        assert!(one == maps(1));
        assert!(one != maps(2));
        assert!(
            fit(&lessons, 1, |pass, _| if pass == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                .unwrap()
                .is_none()
        );
        assert!(fit(&[], 1, |_, _| ControlFlow::Continue(())).is_err());
    }
}
