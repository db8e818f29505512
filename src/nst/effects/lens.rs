//! Drops of water on the lens or the windscreen.

use crate::nst::effects::noise::step;
use crate::nst::effects::stream::{Stream, random};
use crate::nst::picture::geometry::Size;
use crate::nst::picture::pixels::Pixels;

/// The most drops.
const MOST: f64 = 90.0;

/// Each drop shows this many times its own width, upside down.
const WIDE: f32 = 7.0;

/// Puts drops onto `pixels`, in place; `amount` is their share of the most, 0..1. Out of focus, each is a small, soft,
/// upside-down picture of what is around it.
pub fn drops(pixels: &mut Pixels, amount: f32, seed: u64) {
    let mut random = random(seed, Stream::Drops);
    let Size { height, width } = pixels.size();
    let long = pixels.size().long() as f32;
    let seen = pixels.light((pixels.size().long() / 96).max(1));
    let sizes = 0.0025 + 0.006 * random.uniform() as f32;
    for _ in 0..(f64::from(amount) * MOST).round() as usize {
        let (x, y) = (random.uniform() as f32 * width as f32, random.uniform() as f32 * height as f32);
        let radius = (long * sizes * (0.5 + 1.6 * (random.uniform() as f32).powi(3))).max(1.2);
        let (high, share) = (1.0 + 0.5 * random.uniform() as f32, 0.45 + 0.35 * random.uniform() as f32);
        let rows = (y - radius * high).max(0.0) as usize..((y + radius * high) as usize + 1).min(height);
        let columns = (x - radius).max(0.0) as usize..((x + radius) as usize + 1).min(width);
        for row in rows {
            for column in columns.clone() {
                let (u, v) = ((column as f32 + 0.5 - x) / radius, (row as f32 + 0.5 - y) / (radius * high));
                let inside = share * step(1.0, 0.55, u.hypot(v));
                if inside <= 0.0 {
                    continue;
                }
                let place = |at: f32, side: usize| at.clamp(0.0, (side - 1) as f32) as usize;
                let from_y = place(y - v * radius * WIDE, height);
                let from_x = place(x - u * radius * WIDE, width);
                let image = seen.at(from_y, from_x);
                // The lower rim gathers the light of the sky.
                let rim = 1.0 + 0.25 * v;
                for (value, image) in pixels.data_mut()[(row * width + column) * 3..][..3].iter_mut().zip(image) {
                    *value += inside * ((image * rim).clamp(0.0, 1.0) - *value);
                }
            }
        }
    }
}
