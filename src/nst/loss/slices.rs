//! The loss and its gradient on the CPU.

use crate::nst::kernels::gram;
use crate::nst::kernels::sums::{add_scaled_difference, sum2};
use crate::nst::layers::{Padding, Tap};
use crate::nst::loss::{Guides, LEAST_NORM, Loss, StyleTarget, Target, share, taps};
use crate::nst::network::trunk::{Trunk, Workspace};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::plane::Plane;
use crate::nst::settings::Settings;

/// Evaluates losses of pictures of one size. It holds the memory that an evaluation needs, allocated once.
pub struct CpuEvaluator<'a> {
    trunk: &'a Trunk,
    settings: &'a Settings,
    space: Workspace,
    scratch: gram::Scratch,
    /// The Gram matrix of one tap, and then the derivative of the loss with respect to it.
    gram: Vec<f32>,
}

/// What one picture shall come close to: the content and style targets, with the evaluator that they are for.
pub struct CpuObjective<'o, 'a> {
    evaluator: &'o mut CpuEvaluator<'a>,
    /// The features of the content for each tap, blocked.
    content: Vec<(Tap, Target)>,
    style: &'o StyleTarget,
    guides: Guides,
}

impl<'a> CpuEvaluator<'a> {
    /// For pictures of `size`, both sides at least [`MIN_SIDE`](crate::nst::layers::MIN_SIDE).
    pub fn new(trunk: &'a Trunk, settings: &'a Settings, size: Size) -> Self {
        let taps = taps(settings);
        let space = trunk.workspace(size, settings.padding, &taps);
        let channels = taps.iter().filter_map(|&tap| Some(space.features(tap)?.1)).max().unwrap_or(0);
        Self { trunk, settings, space, scratch: gram::Scratch::new(channels), gram: vec![0.0; channels * channels] }
    }

    /// With another padding than that of the settings.
    pub fn padded(mut self, padding: Padding) -> Self {
        self.space.set_padding(padding);
        self
    }

    pub fn size(&self) -> Size {
        self.space.size()
    }

    /// The style target of `pixels`, `[height][width][3]` in 0..1, with the regions of `guides`.
    pub fn style_target(&mut self, pixels: &[f32], guides: &Guides) -> StyleTarget {
        let Self { trunk, settings, space, scratch, .. } = self;
        trunk.forward(space, pixels);
        let mut of = |tap: Tap, region: &Plane| {
            let (features, channels, _) = space.features(tap)?;
            let mut gram = vec![0.0; channels * channels];
            scratch.gram(trunk.isa(), features, channels, region.data(), &mut gram);
            Some(Target::new(gram))
        };
        let mut regions =
            |tap: Tap| guides.at(tap).iter().map(|region| region.as_ref().and_then(|r| of(tap, r))).collect();
        StyleTarget { grams: settings.style.layers.iter().map(|&(tap, _)| (tap, regions(tap))).collect() }
    }

    /// The objective of a picture that shows `content`, `[height][width][3]` in 0..1, with the regions of `guides`.
    pub fn objective<'o>(
        &'o mut self,
        content: &[f32],
        style: &'o StyleTarget,
        guides: Guides,
    ) -> CpuObjective<'o, 'a> {
        self.trunk.forward(&mut self.space, content);
        let features = |&(tap, _): &(Tap, f64)| Some((tap, Target::new(self.space.features(tap)?.0.to_vec())));
        let content = self.settings.content.layers.iter().filter_map(features).collect();
        CpuObjective { evaluator: self, content, style, guides }
    }
}

impl CpuObjective<'_, '_> {
    /// The loss of `pixels`, `[height][width][3]`. Writes its gradient with respect to them to `gradient`. A region
    /// counts if both the picture and the style have it.
    pub fn evaluate(&mut self, pixels: &[f32], gradient: &mut [f32]) -> Loss {
        let Self { evaluator: CpuEvaluator { trunk, settings, space, scratch, gram }, content, style, guides } = self;
        let (mut content_loss, mut style_loss, mut tv) = (0.0, 0.0, 0.0);
        trunk.forward(space, pixels);
        let tap_gradient = |tap: Tap, features: &[f32], gradient: &mut [f32]| {
            if let Some((_, target)) = content.iter().find(|(other, _)| *other == tap) {
                let share = share(&settings.content, tap);
                let off = add_content(features, target, settings.content.weight * share, gradient);
                content_loss += share * off;
            }
            if let Some((_, targets)) = style.grams.iter().find(|(other, _)| *other == tap) {
                let share = share(&settings.style, tap);
                let regions = guides.at(tap).iter().zip(targets).filter_map(|(r, t)| Some((r.as_ref()?, t.as_ref()?)));
                let weight = settings.style.weight * share;
                style_loss +=
                    share * add_style(trunk, (&mut *scratch, &mut gram[..]), features, regions, weight, gradient);
            }
        };
        trunk.backward(space, tap_gradient, gradient);
        if settings.tv > 0.0 {
            tv = add_total_variation(space.size(), space.padding(), pixels, settings.tv, gradient);
        }
        Loss::of(settings, content_loss, style_loss, tv)
    }
}

/// Returns `|F - C|^2 / |C|^2` and adds `weight` times its gradient.
fn add_content(features: &[f32], target: &Target, weight: f64, gradient: &mut [f32]) -> f64 {
    let factor = (2.0 * weight / target.norm) as f32;
    add_scaled_difference(factor, features, &target.values, gradient) / target.norm
}

/// Returns the distance of the Gram matrices of all regions from their targets, and adds `weight` times its gradient
/// with respect to the features.
fn add_style<'a>(
    trunk: &Trunk,
    (scratch, gram): (&mut gram::Scratch, &mut [f32]),
    features: &[f32],
    regions: impl Iterator<Item = (&'a Plane, &'a Target)> + Clone,
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    let shares = || regions.clone().map(|(region, _)| gram::total(region.data()) as f64);
    let norm =
        regions.clone().zip(shares()).map(|((_, target), share)| share * target.norm).sum::<f64>().max(LEAST_NORM);
    let mut distance = 0.0;
    for ((region, target), share) in regions.clone().zip(shares()) {
        let channels = target.values.len().isqrt();
        let gram = &mut gram[..target.values.len()];
        scratch.gram(trunk.isa(), features, channels, region.data(), gram);
        distance += share * sum2(gram, &target.values, |g, t| ((g - t) as f64).powi(2)) / norm;
        // G is symmetric, so dL/dG + dL/dG^T = 2 dL/dG. The share of the region and the divisor of G are one number and
        // cancel.
        let factor = (4.0 * weight / norm) as f32;
        for (g, t) in gram.iter_mut().zip(&target.values) {
            *g = factor * (*g - t);
        }
        scratch.add_gradient(trunk.isa(), features, channels, region.data(), gram, gradient);
    }
    distance
}

/// Returns the total variation of `pixels`, `[height][width][3]`, and adds `weight` times its gradient.
fn add_total_variation(size: Size, padding: Padding, pixels: &[f32], weight: f64, gradient: &mut [f32]) -> f64 {
    let wraps = padding == Padding::Wrap;
    let row = size.width * 3;
    let count = pixels.len() as f64;
    let factor = (2.0 * weight / count) as f32;
    let mut sum = 0.0;
    for at in 0..pixels.len() {
        let right = if at % row + 3 < row { Some(at + 3) } else { wraps.then_some(at + 3 - row) };
        let below = if at + row < pixels.len() { Some(at + row) } else { wraps.then_some(at % row) };
        for next in [right, below].into_iter().flatten() {
            let step = pixels[next] - pixels[at];
            sum += (step as f64).powi(2);
            gradient[next] += factor * step;
            gradient[at] -= factor * step;
        }
    }
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::kernels::simd::Isa;
    use crate::nst::layers::Pool;
    use crate::nst::loss::definition::Definition;
    use crate::nst::network::backbone::Backbone;
    use crate::nst::scene::Scene;
    use crate::nst::scene::regions::Regions;
    use crate::nst::settings::{RegionKind, Term};
    use crate::nst::testing::{Random, sky_above};

    const WIDTHS: [usize; 5] = [16, 32, 32, 48, 32];

    fn tap(name: &str) -> Tap {
        name.parse().unwrap()
    }

    fn term(weight: f64, layers: &[(&str, f64)]) -> Term {
        Term { weight, layers: layers.iter().map(|&(name, weight)| (tap(name), weight)).collect() }
    }

    fn pictures(size: Size) -> [Vec<f32>; 3] {
        let mut random = Random(5);
        std::array::from_fn(|n| {
            // Waves as well as noise: the Gram matrices of noise alone are all alike.
            let wave = |i: usize| 0.5 + 0.3 * ((i / 3) as f32 * 0.05 * (n + 1) as f32).sin();
            (0..size.pixels() * 3).map(|i| wave(i) + 0.2 * (random.uniform() - 0.5)).collect()
        })
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&v| v as f64).collect()
    }

    /// Checks the loss against its definition, and a sample of its gradient against central differences of the
    /// definition.
    fn check(settings: &Settings, regions: [&Regions; 2], size: Size, isa: Isa) {
        let deepest = taps(settings).pop().unwrap();
        let backbone = Backbone::random(WIDTHS, deepest);
        let trunk = Trunk::new(&backbone, deepest, settings.pool, isa).unwrap();
        let [content, style, x] = pictures(size);
        let mut evaluator = CpuEvaluator::new(&trunk, settings, size);
        let [guides, style_guides] = regions.map(Guides::new);
        let target = evaluator.style_target(&style, &style_guides);
        let mut gradient = vec![0.0; x.len()];
        let loss = evaluator.objective(&content, &target, Guides::new(regions[0])).evaluate(&x, &mut gradient);
        let definition = Definition { backbone: &backbone, settings, size, guides: [&guides, &style_guides] };
        let (content, style, x) = (wide(&content), wide(&style), wide(&x));
        let expected = definition.loss(&content, &style, &x).unwrap();
        assert!((loss.total / expected - 1.0).abs() < 1e-4, "{size:?} {isa}: loss {} for {expected}", loss.total);
        let scale = gradient.iter().fold(0.0_f32, |top, g| top.max(g.abs())) as f64;
        const STEP: f64 = 1e-6;
        let corners = [0, 2, size.width * 3 - 1, x.len() - size.width * 3, x.len() - 1];
        let between = (0..12).map(|n| (n * 2 + 1) * x.len() / 24);
        for at in corners.into_iter().chain(between) {
            let shifted = |step: f64| {
                let mut x = x.clone();
                x[at] += step;
                definition.loss(&content, &style, &x).unwrap()
            };
            let difference = (shifted(STEP) - shifted(-STEP)) / (2.0 * STEP);
            let off = (gradient[at] as f64 - difference).abs();
            assert!(off < 2e-3 * scale, "{size:?} {isa} at {at}: {} for {difference}, scale {scale}", gradient[at]);
        }
    }

    #[test]
    fn the_default_loss_and_its_gradient_match_central_differences_at_even_and_odd_sizes() {
        for (height, width) in [(32, 48), (33, 47), (16, 16), (19, 70)] {
            for pool in [Pool::Max, Pool::Avg] {
                let settings = Settings { pool, ..Settings::default() };
                let size = Size { height, width };
                check(&settings, [&Regions::whole(size), &Regions::whole(size)], size, Isa::available()[0]);
            }
        }
    }

    #[test]
    fn taps_before_pools_and_total_variation_match_central_differences_on_every_instruction_set() {
        for (isa, pool) in Isa::available().into_iter().flat_map(|isa| [(isa, Pool::Max), (isa, Pool::Avg)]) {
            let settings = Settings {
                pool,
                tv: 0.7,
                content: term(2.0, &[("relu2_2", 1.0), ("relu3_4", 0.5)]),
                style: term(5.0, &[("relu1_2", 2.0), ("relu2_2", 1.0), ("relu3_2", 1.0)]),
                ..Settings::default()
            };
            let size = Size { height: 27, width: 38 };
            check(&settings, [&Regions::whole(size), &Regions::whole(size)], size, isa);
        }
    }

    #[test]
    fn regions_match_central_differences_and_a_region_that_one_picture_lacks_does_not_count() {
        let size = Size { height: 33, width: 47 };
        for isa in Isa::available() {
            check(&Settings::default(), [&sky_above(size, 11.5), &sky_above(size, 20.0)], size, isa);
        }
        let bands = RegionKind::Bands;
        let bands = Regions::of(&bands, size, &Scene::unknown(size), &[]);
        check(&Settings::default(), [&bands, &bands], size, Isa::available()[0]);
        let skyless = Scene::unknown(size);
        let skyless = Regions::of(&RegionKind::Scene, size, &skyless, &[]);
        check(&Settings::default(), [&skyless, &sky_above(size, 20.0)], size, Isa::available()[0]);
    }

    #[test]
    fn replicated_and_wrapped_borders_match_central_differences_on_every_instruction_set() {
        for (isa, padding) in
            Isa::available().into_iter().flat_map(|isa| [(isa, Padding::Replicate), (isa, Padding::Wrap)])
        {
            for (height, width) in [(32, 48), (16, 16), (33, 47)] {
                let (settings, size) = (Settings { padding, tv: 0.7, ..Settings::default() }, Size { height, width });
                check(&settings, [&Regions::whole(size), &Regions::whole(size)], size, isa);
            }
            let settings = Settings {
                pool: Pool::Avg,
                padding,
                content: term(2.0, &[("relu2_2", 1.0), ("relu3_4", 0.5)]),
                style: term(5.0, &[("relu1_2", 2.0), ("relu2_2", 1.0), ("relu3_2", 1.0)]),
                ..Settings::default()
            };
            let size = Size { height: 27, width: 38 };
            check(&settings, [&Regions::whole(size), &Regions::whole(size)], size, isa);
            let size = Size { height: 32, width: 48 };
            check(
                &Settings { padding, ..Settings::default() },
                [&sky_above(size, 11.5), &sky_above(size, 20.0)],
                size,
                isa,
            );
        }
    }

    #[test]
    fn under_wrap_the_gradient_shifts_with_the_picture_by_multiples_of_all_pools() {
        let size = Size { height: 32, width: 64 };
        let (down, across) = (16, 48);
        let shifted = |pixels: &[f32]| {
            let mut out = pixels.to_vec();
            out.chunks_exact_mut(size.width * 3).for_each(|row| row.rotate_right(across * 3));
            out.rotate_right(down * size.width * 3);
            out
        };
        let [content, style, x] = pictures(size);
        let evaluate = |padding, content: &[f32], x: &[f32]| {
            let settings = Settings { padding, tv: 0.5, ..Settings::default() };
            let backbone = Backbone::random(WIDTHS, tap("relu5_1"));
            let trunk = Trunk::new(&backbone, tap("relu5_1"), Pool::Max, Isa::available()[0]).unwrap();
            let mut evaluator = CpuEvaluator::new(&trunk, &settings, size);
            let guides = Guides::new(&Regions::whole(size));
            let style = evaluator.style_target(&style, &guides);
            let mut gradient = vec![0.0; x.len()];
            let loss = evaluator.objective(content, &style, guides).evaluate(x, &mut gradient);
            (loss.total, gradient)
        };
        let off = |padding| {
            let (loss, gradient) = evaluate(padding, &content, &x);
            let (turned_loss, turned_gradient) = evaluate(padding, &shifted(&content), &shifted(&x));
            let scale = gradient.iter().fold(0.0_f32, |top, g| top.max(g.abs()));
            let worst = shifted(&gradient).iter().zip(&turned_gradient).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            ((turned_loss / loss - 1.0).abs(), worst / scale)
        };
        let (loss, gradient) = off(Padding::Wrap);
        assert!(loss < 1e-5 && gradient < 1e-4, "{loss} {gradient}");
        for padding in [Padding::Zero, Padding::Replicate] {
            let (loss, gradient) = off(padding);
            assert!(loss > 1e-4 && gradient > 1e-2, "{padding:?}: {loss} {gradient}");
        }
    }

    #[test]
    fn the_loss_of_a_picture_against_itself_is_zero() {
        let size = Size { height: 24, width: 40 };
        let settings = Settings { tv: 0.0, ..Settings::default() };
        let backbone = Backbone::random(WIDTHS, tap("relu5_1"));
        let trunk = Trunk::new(&backbone, tap("relu5_1"), Pool::Max, Isa::available()[0]).unwrap();
        let mut evaluator = CpuEvaluator::new(&trunk, &settings, size);
        let [x, _, _] = pictures(size);
        let guides = Guides::new(&Regions::whole(size));
        let style = evaluator.style_target(&x, &guides);
        let mut gradient = vec![1.0; x.len()];
        let loss = evaluator.objective(&x, &style, guides).evaluate(&x, &mut gradient);
        assert_eq!(loss, Loss { total: 0.0, content: 0.0, style: 0.0, tv: 0.0 });
        assert!(gradient.iter().all(|&g| g == 0.0));
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let size = Size { height: 50, width: 70 };
        let settings = Settings::default();
        let backbone = Backbone::random(WIDTHS, tap("relu5_1"));
        let [content, style, x] = pictures(size);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let trunk = Trunk::new(&backbone, tap("relu5_1"), Pool::Max, Isa::available()[0]).unwrap();
                let mut evaluator = CpuEvaluator::new(&trunk, &settings, size);
                let guides = Guides::new(&sky_above(size, 18.0));
                let style = evaluator.style_target(&style, &guides);
                let mut gradient = vec![0.0; x.len()];
                let loss = evaluator.objective(&content, &style, guides).evaluate(&x, &mut gradient);
                (loss, gradient)
            })
        };
        let one = run(1);
        assert!(run(2) == one && run(3) == one);
    }
}
