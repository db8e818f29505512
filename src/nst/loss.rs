//! The loss of Gatys, Ecker and Bethge (2016), normalised so that one set of weights fits every backbone and size.
//!
//! ```text
//! total   = content.weight * content + style.weight * style + tv.weight * tv
//! content = mean over its taps of |F - C|^2 / |C|^2
//! style   = mean over its taps of sum a |G - S|^2 / sum a |S|^2 over regions,   G = F F^T / pixels
//! tv      = mean over pixels and colours of the squared differences to the right and below (around, where planes wrap)
//! ```
//!
//! The paper divides by sizes only; dividing by the target's own norm makes each term 0 at the target and about 1 far
//! from it. Means over taps are weighted by the taps' weights. Each region of the picture has Gram matrices of its own,
//! `a` is its share of the picture; one norm for all regions of a tap keeps a dark one, whose own is almost 0, from
//! outweighing the rest.

pub mod slices;
pub mod tensors;

use crate::nst::kernels::sums::{axpy, norm2};
use crate::nst::layers::{BLOCKS, Tap};
use crate::nst::picture::plane::Plane;
use crate::nst::scene::regions::Regions;
use crate::nst::settings::{Settings, Term};

/// One evaluation's values, before their weights except for `total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    pub total: f64,
    pub content: f64,
    pub style: f64,
    pub tv: f64,
}

impl Loss {
    /// Of these terms under the weights of `settings`.
    pub fn of(settings: &Settings, content: f64, style: f64, tv: f64) -> Self {
        let total = settings.content.weight * content + settings.style.weight * style + settings.tv * tv;
        Self { total, content, style, tv }
    }

    pub fn is_finite(&self) -> bool {
        self.total.is_finite()
    }
}

/// What one tap, or a region of it, shall come close to.
#[derive(Clone)]
pub(super) struct Target {
    pub values: Vec<f32>,
    /// Their squared norm, at least [`LEAST_NORM`].
    pub norm: f64,
}

impl Target {
    pub fn new(values: Vec<f32>) -> Self {
        let norm = norm2(&values).max(LEAST_NORM);
        Self { values, norm }
    }

    /// The mean by weights, which sum up to more than 0; `None` of nothing.
    fn blend<'a>(parts: impl Iterator<Item = (&'a Self, f64)> + Clone) -> Option<Self> {
        let total: f64 = parts.clone().map(|(_, weight)| weight).sum();
        let mut values = vec![0.0; parts.clone().next()?.0.values.len()];
        parts.for_each(|(part, weight)| axpy(weight / total, &part.values, &mut values));
        Some(Self::new(values))
    }
}

/// The Gram matrices of one style picture, per tap and region: `[channels][channels]`.
#[derive(Clone)]
pub struct StyleTarget {
    pub(super) grams: Vec<(Tap, Vec<Option<Target>>)>,
}

/// The weights of a picture's regions at the size of every block, 0 for the first.
pub struct Guides(Vec<Vec<Option<Plane>>>);

impl Guides {
    pub fn new(regions: &Regions) -> Self {
        Self(regions.pyramid(BLOCKS.len()))
    }

    pub(super) fn at(&self, tap: Tap) -> &[Option<Plane>] {
        &self.0[tap.block()]
    }
}

impl StyleTarget {
    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        let targets = self.grams.iter().flat_map(|(_, regions)| regions).flatten();
        targets.map(|target| size_of_val(&target.values[..])).sum()
    }

    /// The sum of targets of the same settings, each times its weight: what a picture that is made of parts in these
    /// styles would have. A region is blended of those targets that have it.
    pub fn blend(parts: &[(&Self, f64)]) -> Self {
        let grams = parts.first().map_or_else(Vec::new, |(first, _)| {
            let regions = |at: usize| (0..first.grams[at].1.len()).map(move |region| (at, region));
            let blended = |(at, region): (usize, usize)| {
                Target::blend(
                    parts.iter().filter_map(|&(part, weight)| Some((part.grams[at].1[region].as_ref()?, weight))),
                )
            };
            first.grams.iter().enumerate().map(|(at, &(tap, _))| (tap, regions(at).map(blended).collect())).collect()
        });
        Self { grams }
    }
}

/// The taps that `settings` reads, from the pixels up.
pub fn taps(settings: &Settings) -> Vec<Tap> {
    let mut taps: Vec<_> =
        [&settings.content, &settings.style].iter().flat_map(|term| term.layers.iter().map(|&(tap, _)| tap)).collect();
    taps.sort_unstable();
    taps.dedup();
    taps
}

/// The deepest tap that `settings` reads: as far as a trunk must go.
///
/// # Errors
/// When they read none.
pub fn deepest_tap(settings: &Settings) -> Result<Tap, String> {
    taps(settings).pop().ok_or_else(|| "neither content nor style names a layer".into())
}

/// Keeps the relative distance to a target of zeros finite.
pub(super) const LEAST_NORM: f64 = 1e-12;

/// The share of `tap` in the weighted mean of `term`.
pub(super) fn share(term: &Term, tap: Tap) -> f64 {
    let all: f64 = term.layers.iter().map(|(_, weight)| weight).sum();
    let own: f64 = term.layers.iter().filter(|(other, _)| *other == tap).map(|(_, weight)| weight).sum();
    if all > 0.0 { own / all } else { 0.0 }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::nst::kernels::simd::Isa;
    use crate::nst::layers::{Padding, Pool};
    use crate::nst::loss::slices::Evaluator;
    use crate::nst::network::backbone::Backbone;
    use crate::nst::network::trunk::Trunk;
    use crate::nst::picture::geometry::Size;
    use crate::nst::scene::Scene;
    use crate::nst::settings::RegionKind;
    use crate::nst::testing::Random;
    use candle_core::{DType, Device, Result, Tensor};

    const WIDTHS: [usize; 5] = [16, 32, 32, 48, 32];

    fn tap(name: &str) -> Tap {
        name.parse().unwrap()
    }

    fn term(weight: f64, layers: &[(&str, f64)]) -> Term {
        Term { weight, layers: layers.iter().map(|&(name, weight)| (tap(name), weight)).collect() }
    }

    /// The same loss in double precision on Candle's own operations, whose forward passes are right.
    struct Reference<'a> {
        backbone: &'a Backbone,
        settings: &'a Settings,
        size: Size,
        /// Of the picture and of the style.
        guides: [&'a Guides; 2],
    }

    impl Reference<'_> {
        fn taps(&self, pixels: &[f64]) -> Result<Vec<Tensor>> {
            let Size { height, width } = self.size;
            let x = Tensor::from_slice(pixels, (height, width, 3), &Device::Cpu)?;
            let mean = Tensor::new(&[0.485_f64, 0.456, 0.406], &Device::Cpu)?;
            let std = Tensor::new(&[0.229_f64, 0.224, 0.225], &Device::Cpu)?;
            let x = x.broadcast_sub(&mean)?.broadcast_div(&std)?;
            let mut x = x.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()?;
            let mut out = Vec::new();
            for ((weight, bias), tap) in self.backbone.tensors().zip(Tap::all()) {
                if tap.opens_block() && tap.block() > 0 {
                    x = match self.settings.pool {
                        Pool::Max => x.max_pool2d(2)?,
                        Pool::Avg => x.avg_pool2d(2)?,
                    };
                }
                let bias = bias.to_dtype(DType::F64)?.reshape((1, (), 1, 1))?;
                x = self.padded(&self.padded(&x, 2)?, 3)?;
                x = x.conv2d(&weight.to_dtype(DType::F64)?, 0, 1, 1, 1)?.broadcast_add(&bias)?.relu()?;
                out.push(x.clone());
            }
            Ok(out)
        }

        /// With one more place at both ends of `dim`.
        fn padded(&self, x: &Tensor, dim: usize) -> Result<Tensor> {
            let last = x.dim(dim)? - 1;
            match self.settings.padding {
                Padding::Zero => x.pad_with_zeros(dim, 1, 1),
                Padding::Replicate => Tensor::cat(&[&x.narrow(dim, 0, 1)?, x, &x.narrow(dim, last, 1)?], dim),
                Padding::Wrap => Tensor::cat(&[&x.narrow(dim, last, 1)?, x, &x.narrow(dim, 0, 1)?], dim),
            }
        }

        fn gram(features: &Tensor, region: &Plane) -> Result<Tensor> {
            let (_, channels, height, width) = features.dims4()?;
            let rows = features.reshape((channels, height * width))?;
            let weights = Tensor::from_slice(region.data(), (1, height * width), &Device::Cpu)?.to_dtype(DType::F64)?;
            let weighted = rows.broadcast_mul(&weights)?;
            weighted.matmul(&rows.t()?)? / weights.sum_all()?.to_scalar::<f64>()?
        }

        /// `sum a |G - S|^2 / sum a |S|^2` over regions.
        fn style(&self, tap: Tap, own: &Tensor, style: &Tensor) -> Result<f64> {
            let (mut above, mut below) = (0.0, 0.0);
            for (region, styles) in self.guides[0].at(tap).iter().zip(self.guides[1].at(tap)) {
                let (Some(region), Some(styles)) = (region, styles) else { continue };
                let (own, target) = (Self::gram(own, region)?, Self::gram(style, styles)?);
                above += region.mean() * (own - &target)?.sqr()?.sum_all()?.to_scalar::<f64>()?;
                below += region.mean() * target.sqr()?.sum_all()?.to_scalar::<f64>()?;
            }
            Ok(above / below)
        }

        fn loss(&self, content: &[f64], style: &[f64], pixels: &[f64]) -> Result<f64> {
            let (c, s, x) = (self.taps(content)?, self.taps(style)?, self.taps(pixels)?);
            let relative = |a: &Tensor, b: &Tensor| -> Result<f64> {
                ((a - b)?.sqr()?.sum_all()? / b.sqr()?.sum_all()?)?.to_scalar()
            };
            let mut total = 0.0;
            let Settings { content, style, .. } = self.settings;
            for &(tap, _) in &content.layers {
                total += content.weight * share(content, tap) * relative(&x[tap.index()], &c[tap.index()])?;
            }
            for &(tap, _) in &style.layers {
                total += style.weight * share(style, tap) * self.style(tap, &x[tap.index()], &s[tap.index()])?;
            }
            let Size { height, width } = self.size;
            let picture = Tensor::from_slice(pixels, (height, width, 3), &Device::Cpu)?;
            let next = |dim: usize, len: usize| match self.settings.padding {
                Padding::Wrap => Tensor::cat(&[picture.narrow(dim, 1, len - 1)?, picture.narrow(dim, 0, 1)?], dim),
                _ => Tensor::cat(&[picture.narrow(dim, 1, len - 1)?, picture.narrow(dim, len - 1, 1)?], dim),
            };
            let (across, down) = ((next(1, width)? - &picture)?, (next(0, height)? - &picture)?);
            let variation = (across.sqr()?.sum_all()? + down.sqr()?.sum_all()?)?;
            Ok(total + self.settings.tv * variation.to_scalar::<f64>()? / pixels.len() as f64)
        }
    }

    fn pictures(size: Size) -> [Vec<f32>; 3] {
        let mut random = Random(5);
        std::array::from_fn(|n| {
            // Some structure beside the noise, else every Gram matrix looks alike.
            let wave = |i: usize| 0.5 + 0.3 * ((i / 3) as f32 * 0.05 * (n + 1) as f32).sin();
            (0..size.pixels() * 3).map(|i| wave(i) + 0.2 * (random.uniform() - 0.5)).collect()
        })
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&v| v as f64).collect()
    }

    /// Checks the loss and a sample of its gradient against the reference and its central differences.
    fn check(settings: &Settings, regions: [&Regions; 2], size: Size, isa: Isa) {
        let deepest = taps(settings).pop().unwrap();
        let backbone = Backbone::random(WIDTHS, deepest);
        let trunk = Trunk::new(&backbone, deepest, settings.pool, isa).unwrap();
        let [content, style, x] = pictures(size);
        let mut evaluator = Evaluator::new(&trunk, settings, size);
        let [guides, style_guides] = regions.map(Guides::new);
        let (content_target, style_target) =
            (evaluator.content_target(&content), evaluator.style_target(&style, &style_guides));
        let mut gradient = vec![0.0; x.len()];
        let loss = evaluator.evaluate(&content_target, &style_target, &guides, &x, &mut gradient);
        let reference = Reference { backbone: &backbone, settings, size, guides: [&guides, &style_guides] };
        let (content, style, x) = (wide(&content), wide(&style), wide(&x));
        let expected = reference.loss(&content, &style, &x).unwrap();
        assert!((loss.total / expected - 1.0).abs() < 1e-4, "{size:?} {isa}: loss {} for {expected}", loss.total);
        let scale = gradient.iter().fold(0.0_f32, |top, g| top.max(g.abs())) as f64;
        const STEP: f64 = 1e-6;
        let corners = [0, 2, size.width * 3 - 1, x.len() - size.width * 3, x.len() - 1];
        let spread = (0..12).map(|n| (n * 2 + 1) * x.len() / 24);
        for at in corners.into_iter().chain(spread) {
            let shifted = |step: f64| {
                let mut x = x.clone();
                x[at] += step;
                reference.loss(&content, &style, &x).unwrap()
            };
            let difference = (shifted(STEP) - shifted(-STEP)) / (2.0 * STEP);
            let off = (gradient[at] as f64 - difference).abs();
            assert!(off < 2e-3 * scale, "{size:?} {isa} at {at}: {} for {difference}, scale {scale}", gradient[at]);
        }
    }

    #[test]
    fn the_default_losses_and_gradient_meet_central_differences_at_even_and_odd_sizes() {
        for (height, width) in [(32, 48), (33, 47), (16, 16), (19, 70)] {
            for pool in [Pool::Max, Pool::Avg] {
                let settings = Settings { pool, ..Settings::default() };
                let size = Size { height, width };
                check(&settings, [&Regions::whole(size), &Regions::whole(size)], size, Isa::available()[0]);
            }
        }
    }

    #[test]
    fn taps_before_pools_and_total_variation_meet_central_differences_on_every_instruction_set() {
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

    /// A sky that ends at `row`, softly, and the rest.
    pub fn scene(size: Size, row: f32) -> Regions {
        let sky = Plane::from_fn(size, |y, x| (row + 0.1 * x as f32 - y as f32).clamp(0.0, 1.0));
        let scene = Scene { sky: Some(sky), depth: Plane::filled(size, 1.0) };
        Regions::of(&RegionKind::Scene, size, &scene, &[])
    }

    #[test]
    fn regions_meet_central_differences_and_one_that_a_side_lacks_does_not_count() {
        let size = Size { height: 33, width: 47 };
        for isa in Isa::available() {
            check(&Settings::default(), [&scene(size, 11.5), &scene(size, 20.0)], size, isa);
        }
        let bands = RegionKind::Bands;
        let bands = Regions::of(&bands, size, &Scene { sky: None, depth: Plane::filled(size, 1.0) }, &[]);
        check(&Settings::default(), [&bands, &bands], size, Isa::available()[0]);
        let skyless = Scene { sky: None, depth: Plane::filled(size, 1.0) };
        let skyless = Regions::of(&RegionKind::Scene, size, &skyless, &[]);
        check(&Settings::default(), [&skyless, &scene(size, 20.0)], size, Isa::available()[0]);
    }

    #[test]
    fn replicated_and_wrapped_borders_meet_central_differences_on_every_instruction_set() {
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
            check(&Settings { padding, ..Settings::default() }, [&scene(size, 11.5), &scene(size, 20.0)], size, isa);
        }
    }

    #[test]
    fn a_wrapping_evaluation_follows_cyclic_shifts_by_whole_pools() {
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
            let mut evaluator = Evaluator::new(&trunk, &settings, size);
            let guides = Guides::new(&Regions::whole(size));
            let (content, style) = (evaluator.content_target(content), evaluator.style_target(&style, &guides));
            let mut gradient = vec![0.0; x.len()];
            let loss = evaluator.evaluate(&content, &style, &guides, x, &mut gradient);
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
    fn a_blend_is_made_per_tap_and_region_of_the_targets_that_have_it() {
        let gram = |values: &[f32]| Some(Target::new(values.to_vec()));
        let of = |regions: Vec<Option<Target>>| StyleTarget { grams: vec![(tap("relu1_1"), regions)] };
        let a = of(vec![gram(&[1.0, 2.0]), gram(&[4.0, 0.0]), None]);
        let b = of(vec![gram(&[3.0, -2.0]), None, None]);
        let blended = StyleTarget::blend(&[(&a, 0.75), (&b, 0.25)]);
        let [(_, regions)] = &blended.grams[..] else { panic!("one tap") };
        let values = |region: &Option<Target>| region.as_ref().map(|target| (target.values.clone(), target.norm));
        assert_eq!(values(&regions[0]), Some((vec![1.5, 1.0], 3.25)), "the norm is the blended matrix' own");
        assert_eq!(values(&regions[1]), Some((vec![4.0, 0.0], 16.0)));
        assert_eq!(values(&regions[2]), None);
    }

    #[test]
    fn a_picture_is_no_distance_from_itself() {
        let size = Size { height: 24, width: 40 };
        let settings = Settings { tv: 0.0, ..Settings::default() };
        let backbone = Backbone::random(WIDTHS, tap("relu5_1"));
        let trunk = Trunk::new(&backbone, tap("relu5_1"), Pool::Max, Isa::available()[0]).unwrap();
        let mut evaluator = Evaluator::new(&trunk, &settings, size);
        let [x, _, _] = pictures(size);
        let guides = Guides::new(&Regions::whole(size));
        let (content, style) = (evaluator.content_target(&x), evaluator.style_target(&x, &guides));
        let mut gradient = vec![1.0; x.len()];
        let loss = evaluator.evaluate(&content, &style, &guides, &x, &mut gradient);
        assert_eq!(loss, Loss { total: 0.0, content: 0.0, style: 0.0, tv: 0.0 });
        assert!(gradient.iter().all(|&g| g == 0.0));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let size = Size { height: 50, width: 70 };
        let settings = Settings::default();
        let backbone = Backbone::random(WIDTHS, tap("relu5_1"));
        let [content, style, x] = pictures(size);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let trunk = Trunk::new(&backbone, tap("relu5_1"), Pool::Max, Isa::available()[0]).unwrap();
                let mut evaluator = Evaluator::new(&trunk, &settings, size);
                let guides = Guides::new(&scene(size, 18.0));
                let (content, style) = (evaluator.content_target(&content), evaluator.style_target(&style, &guides));
                let mut gradient = vec![0.0; x.len()];
                let loss = evaluator.evaluate(&content, &style, &guides, &x, &mut gradient);
                (loss, gradient)
            })
        };
        let one = run(1);
        assert!(run(2) == one && run(3) == one);
    }
}
