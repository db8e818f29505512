//! Which styles a picture gets, with which shares.

use crate::config::values::{Config, Pairing};
use crate::plan::draws::Draws;
use crate::plan::styles::StylePicture;
use serde::{Deserialize, Serialize};

/// One style of a picture and its share in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StyleShare {
    /// Index into the plan's styles.
    pub style: usize,
    /// Above 0; those of one picture sum to 1.
    pub share: f64,
}

/// The styles of one picture, the main one first, with descending shares that sum to 1.
pub fn pick_styles(config: &Config, styles: &[StylePicture], draws: Draws, variant: u32) -> Vec<StyleShare> {
    if config.pairing == Pairing::Blend {
        let total: f64 = styles.iter().map(|style| style.weight).sum();
        let share = |(index, style): (usize, &StylePicture)| StyleShare { style: index, share: style.weight / total };
        let mut shares: Vec<StyleShare> = styles.iter().enumerate().map(share).collect();
        // The sort is stable: of equal shares, the first style is the main one.
        shares.sort_by(|a, b| b.share.total_cmp(&a.share));
        return shares;
    }
    let mut picked: Vec<usize> = Vec::new();
    for n in 0..config.mix {
        let left: Vec<usize> = (0..styles.len())
            .filter(|&style| picked.iter().all(|&other| styles[other].digest != styles[style].digest))
            .collect();
        picked.push(match (config.pairing, picked.last()) {
            // The next style in turn, as the next variant would get it.
            (Pairing::Cycle, Some(&last)) => {
                left.iter().copied().find(|&style| style > last).or(left.first().copied()).unwrap_or(last)
            }
            (Pairing::Cycle, None) => cycle_style(styles, draws, variant),
            _ => draw_style(styles, &left, draws.share(&numbered("style", n), variant)),
        });
    }
    let shares = draw_shares(picked.len(), |n| draws.share(&numbered("mix", n), variant));
    picked.into_iter().zip(shares).map(|(style, share)| StyleShare { style, share }).collect()
}

/// The purpose of the draw number `n` for `purpose`. The first has no number, so that a mix keeps the main style.
fn numbered(purpose: &str, n: u32) -> String {
    if n == 0 { purpose.to_string() } else { format!("{purpose} {n}") }
}

/// The first style is drawn per frame; each variant takes the next one in turn.
fn cycle_style(styles: &[StylePicture], draws: Draws, variant: u32) -> usize {
    let count = styles.len() as u64;
    ((draws.number("cycle", 0) % count + u64::from(variant) - 1) % count) as usize
}

/// The style of `among` that a draw of 0..1 picks in proportion to the weights.
fn draw_style(styles: &[StylePicture], among: &[usize], share: f64) -> usize {
    let total: f64 = among.iter().map(|&style| styles[style].weight).sum();
    let mut left = share * total;
    let reached = among.iter().copied().find(|&style| {
        left -= styles[style].weight;
        left < 0.0
    });
    // By rounding, the sum of the weights may stay below the draw.
    reached.or(among.last().copied()).unwrap_or_default()
}

/// `count` shares that sum to 1, the largest first. They are the pieces of a line that is cut at the `count - 1` places
/// `draw(n)`, so that all such sets are equally likely.
fn draw_shares(count: usize, draw: impl Fn(u32) -> f64) -> Vec<f64> {
    let mut cuts: Vec<f64> = (0..count as u32 - 1).map(draw).chain([0.0, 1.0]).collect();
    cuts.sort_by(f64::total_cmp);
    // Every share must be above 0.
    let mut shares: Vec<f64> = cuts.windows(2).map(|pair| (pair[1] - pair[0]).max(1e-6)).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = shares.iter().sum();
    shares.iter().map(|share| share / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::plan::testing::{config, main, many, styles};
    use std::collections::HashSet;

    #[test]
    fn random_pairing_follows_the_weights() {
        let (frames, config, styles) = (many(4000), config(), styles(&[1.0, 3.0]));
        let plan = Plan::new(&config, &frames, &styles).unwrap();
        let first = plan.jobs.iter().filter(|job| main(job) == 0).count();
        assert!((900..1100).contains(&first), "{first} of 4000 at a weight of a quarter");
    }

    #[test]
    fn cycling_gives_the_variants_of_a_frame_all_styles_in_turn() {
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
                let shares: Vec<f64> = mixed.styles.iter().map(|share| share.share).collect();
                assert!(shares.is_sorted_by(|a, b| a >= b) && shares[2] > 0.0, "{shares:?}");
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert_eq!(mixed.styles.iter().map(|share| share.style).collect::<HashSet<_>>().len(), 3);
            }
            // The three pieces of a line with two random cuts have 11/18, 5/18 and 2/18 on average.
            let mean = mixed.jobs.iter().map(|job| job.styles[0].share).sum::<f64>() / mixed.jobs.len() as f64;
            assert!((mean - 11.0 / 18.0).abs() < 0.03, "{mean}");
        }
    }

    #[test]
    fn a_mix_never_takes_one_picture_twice_and_needs_enough_different_ones() {
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
        let share = |style, share| StyleShare { style, share };
        assert_eq!(plan.jobs[1].styles, [share(1, 0.6), share(0, 0.2), share(2, 0.2)]);
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
        assert_eq!(alone.style_digest(&alone.jobs[0]), styles[0].digest, "the digest of a single style is its own");
    }
}
