//! Which styles a picture gets.

use crate::config::values::{Config, Pairing};
use crate::plan::draws::Draws;
use crate::plan::styles::Style;

/// A style's part in one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StyleShare {
    /// Index into the plan's styles.
    pub style: usize,
    /// Above 0; those of one picture sum to 1.
    pub share: f64,
}

/// The styles of one picture, the main one first, with shares that fall and sum to 1.
pub fn pick_styles(config: &Config, styles: &[Style], draws: Draws, variant: u32) -> Vec<StyleShare> {
    if config.pairing == Pairing::Blend {
        let total: f64 = styles.iter().map(|style| style.weight).sum();
        let part = |(style, own): (usize, &Style)| StyleShare { style, share: own.weight / total };
        let mut parts: Vec<StyleShare> = styles.iter().enumerate().map(part).collect();
        // A stable sort: of equal shares the first style is the main one.
        parts.sort_by(|a, b| b.share.total_cmp(&a.share));
        return parts;
    }
    let mut picked: Vec<usize> = Vec::new();
    for n in 0..config.mix {
        let left: Vec<usize> = (0..styles.len())
            .filter(|&style| picked.iter().all(|&other| styles[other].digest != styles[style].digest))
            .collect();
        picked.push(match (config.pairing, picked.last()) {
            // The next in turn, as it would come for the next variant.
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

/// The purpose of the draw number `n` of its kind; the first has the kind's own name.
fn numbered(purpose: &str, n: u32) -> String {
    if n == 0 { purpose.to_string() } else { format!("{purpose} {n}") }
}

fn cycle_style(styles: &[Style], draws: Draws, variant: u32) -> usize {
    let count = styles.len() as u64;
    ((draws.number("cycle", 0) % count + u64::from(variant) - 1) % count) as usize
}

/// The style of `among` that `share` of 0..1 of their weights falls on.
fn draw_style(styles: &[Style], among: &[usize], share: f64) -> usize {
    let total: f64 = among.iter().map(|&style| styles[style].weight).sum();
    let mut left = share * total;
    let reached = among.iter().copied().find(|&style| {
        left -= styles[style].weight;
        left < 0.0
    });
    // Rounding may leave a crumb behind the last style.
    reached.or(among.last().copied()).unwrap_or_default()
}

/// `count` shares that sum to 1, the largest first, each such set as likely as any other: the pieces of a line that is
/// cut at `count - 1` places, of which `draw(n)` is one.
fn draw_shares(count: usize, draw: impl Fn(u32) -> f64) -> Vec<f64> {
    let mut cuts: Vec<f64> = (0..count as u32 - 1).map(draw).chain([0.0, 1.0]).collect();
    cuts.sort_by(f64::total_cmp);
    // Nothing weighs nothing: a share of 0 would be no part of the picture.
    let mut shares: Vec<f64> = cuts.windows(2).map(|pair| (pair[1] - pair[0]).max(1e-6)).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let total: f64 = shares.iter().sum();
    shares.iter().map(|share| share / total).collect()
}
