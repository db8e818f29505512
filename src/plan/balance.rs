//! Divides frames among several conditions.
//!
//! Each frame, or each sequence as a whole, prefers conditions in an order that is drawn from the seed and its name. It
//! gets the first ones. Then as few as possible change to a condition with fewer frames, in a drawn order, until the
//! counts are equal. So most of a frame's conditions depend on its name alone, and another frame changes few of them.

use crate::plan::Plan;
use crate::plan::draws::Draws;
use std::collections::BTreeMap;

/// A frame, or a sequence of frames.
struct Unit {
    /// By condition: how many of its frames the condition may get; 0 if none.
    frames: Vec<usize>,
    /// By condition: whether it gets them.
    taken: Vec<bool>,
    /// Its turn among those that change.
    turn: u64,
}

impl Unit {
    /// Whether it can go from one condition to another.
    fn can_move(&self, from: usize, to: usize) -> bool {
        self.taken[from] && !self.taken[to] && self.frames[to] > 0
    }

    /// Moves it, and counts its frames where they are now.
    fn go(&mut self, from: usize, to: usize, counts: &mut [usize]) {
        counts[from] -= self.frames[from];
        counts[to] += self.frames[to];
        (self.taken[from], self.taken[to]) = (false, true);
    }
}

/// Leaves each frame of the plans, which are of one dataset and differ in their conditions, in at most `per_frame` of
/// them. The counts of frames then differ by one at most, as far as all plans have the same frames and no sequences.
///
/// The result depends on the seed, the names of the conditions and those of the frames or sequences, in no order.
pub fn balance(plans: &mut [Plan], per_frame: usize, seed: u64) {
    if per_frame >= plans.len() {
        return;
    }
    let mut units = units(plans, seed);
    units.iter_mut().for_each(|(name, unit)| prefer(unit, name, plans, per_frame, seed));
    let mut all: Vec<&mut Unit> = units.values_mut().collect();
    all.sort_by_key(|unit| unit.turn);
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by_key(|&condition| plans[condition].condition);
    even_out(&mut all, &order);
    let taken: BTreeMap<String, Vec<bool>> =
        units.into_iter().map(|(name, unit)| (name.to_string(), unit.taken)).collect();
    for (condition, plan) in plans.iter_mut().enumerate() {
        let positions = &plan.positions;
        plan.jobs.retain(|job| taken[positions.at(job.frame).name][condition]);
    }
}

/// All frames or sequences with jobs, by name.
fn units<'a>(plans: &[Plan<'a>], seed: u64) -> BTreeMap<&'a str, Unit> {
    let mut units = BTreeMap::new();
    for (condition, plan) in plans.iter().enumerate() {
        // The jobs of a frame follow each other.
        for jobs in plan.jobs.chunk_by(|a, b| a.frame == b.frame) {
            let name = plan.positions.at(jobs[0].frame).name;
            let unit = units.entry(name).or_insert_with(|| Unit {
                frames: vec![0; plans.len()],
                taken: vec![false; plans.len()],
                turn: Draws { seed, path: name }.number("balance", 0),
            });
            unit.frames[condition] += 1;
        }
    }
    units
}

/// Gives the unit the conditions that it prefers, of those that may get frames of it.
fn prefer(unit: &mut Unit, name: &str, plans: &[Plan], per_frame: usize, seed: u64) {
    let mut possible: Vec<usize> = (0..plans.len()).filter(|&condition| unit.frames[condition] > 0).collect();
    let draws = Draws { seed, path: name };
    possible.sort_by_cached_key(|&condition| draws.number(&format!("condition {}", plans[condition].condition), 0));
    possible.into_iter().take(per_frame).for_each(|condition| unit.taken[condition] = true);
}

/// Moves units, the first ones first, from conditions with many frames to such with few, as long as that brings counts
/// nearer to each other. Of equal counts, those that are first in `order` change first.
fn even_out(units: &mut [&mut Unit], order: &[usize]) {
    let mut counts = vec![0; order.len()];
    for unit in units.iter() {
        for &condition in order.iter().filter(|&&condition| unit.taken[condition]) {
            counts[condition] += unit.frames[condition];
        }
    }
    let mut movable = Movable::of(order.len());
    while let Some((index, from, to)) = next_move(units, &counts, order, &mut movable) {
        units[index].go(from, to, &mut counts);
        movable.moved(index, from, to);
    }
}

/// Where the search for units that can move begins, so that not every move looks at all of them.
struct Movable {
    /// By condition to leave, then by condition to enter: no unit before this one can make the move.
    first: Vec<Vec<usize>>,
}

impl Movable {
    fn of(conditions: usize) -> Self {
        Self { first: vec![vec![0; conditions]; conditions] }
    }

    /// The first unit that can leave `from` and enter `to`, or a unit before it.
    fn first(&mut self, units: &[&mut Unit], from: usize, to: usize) -> usize {
        let first = &mut self.first[from][to];
        *first += units[*first..].iter().take_while(|unit| !unit.can_move(from, to)).count();
        *first
    }

    /// The unit of this index has left `from` and entered `to`, so that it can move on from there and come back.
    fn moved(&mut self, index: usize, from: usize, to: usize) {
        self.first[to].iter_mut().for_each(|first| *first = index.min(*first));
        self.first.iter_mut().for_each(|of| of[from] = index.min(of[from]));
    }
}

/// The unit that moves next, and from which condition to which; `None` if no move brings counts nearer to each other.
fn next_move(
    units: &[&mut Unit],
    counts: &[usize],
    order: &[usize],
    movable: &mut Movable,
) -> Option<(usize, usize, usize)> {
    let pairs = order.iter().flat_map(|&from| order.iter().map(move |&to| (from, to)));
    let mut pairs: Vec<(usize, usize)> = pairs.filter(|&(from, to)| counts[from] > counts[to] + 1).collect();
    pairs.sort_by_key(|&(from, to)| std::cmp::Reverse(counts[from] - counts[to]));
    let squares = |a: usize, b: usize| (a as u128).pow(2) + (b as u128).pow(2);
    pairs.into_iter().find_map(|(from, to)| {
        let now = squares(counts[from], counts[to]);
        let helps = |unit: &&mut Unit| {
            let after = || squares(counts[from] - unit.frames[from], counts[to] + unit.frames[to]);
            unit.can_move(from, to) && after() < now
        };
        let first = movable.first(units, from, to);
        units[first..].iter().position(helps).map(|unit| (first + unit, from, to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::{Config, Sequence};
    use crate::dataset::Frame;
    use crate::nst::random::Random;
    use crate::plan::styles::StylePicture;
    use crate::plan::testing::{config, frames, many, styles};
    use std::collections::HashMap;

    fn configs(names: &[&str]) -> Vec<Config> {
        names.iter().map(|name| Config { condition: name.to_string(), ..config() }).collect()
    }

    fn balanced<'a>(
        configs: &'a [Config],
        frames: &'a [Frame],
        styles: &'a [StylePicture],
        count: usize,
    ) -> Vec<Plan<'a>> {
        let mut plans: Vec<Plan> = configs.iter().map(|config| Plan::new(config, frames, styles).unwrap()).collect();
        balance(&mut plans, count, 5);
        plans
    }

    #[test]
    fn a_search_that_begins_where_units_can_move_finds_what_a_search_from_the_first_one_finds() {
        let mut random = Random::new(3);
        for conditions in [2, 3, 4] {
            for _ in 0..60 {
                let number = |random: &mut Random, below: f64| (random.uniform() * below) as usize;
                let mut own: Vec<Unit> = (0..40)
                    .map(|_| Unit {
                        frames: (0..conditions).map(|_| number(&mut random, 4.0)).collect(),
                        taken: (0..conditions).map(|_| number(&mut random, 2.0) == 1).collect(),
                        turn: 0,
                    })
                    .collect();
                let order: Vec<usize> = (0..conditions).collect();
                let clone = |unit: &Unit| Unit { frames: unit.frames.clone(), taken: unit.taken.clone(), turn: 0 };
                let mut slow: Vec<Unit> = own.iter().map(clone).collect();
                even_out(&mut own.iter_mut().collect::<Vec<_>>(), &order);
                let mut units: Vec<&mut Unit> = slow.iter_mut().collect();
                let count = |condition: usize| -> usize {
                    units.iter().filter(|unit| unit.taken[condition]).map(|unit| unit.frames[condition]).sum()
                };
                let mut counts: Vec<usize> = order.iter().map(|&condition| count(condition)).collect();
                while let Some((index, from, to)) = next_move(&units, &counts, &order, &mut Movable::of(conditions)) {
                    units[index].go(from, to, &mut counts);
                }
                assert!(own.iter().zip(&slow).all(|(own, slow)| own.taken == slow.taken), "{conditions}");
            }
        }
    }

    /// The conditions of each frame, sorted.
    fn conditions(plans: &[Plan]) -> HashMap<String, Vec<String>> {
        let mut of: HashMap<String, Vec<String>> = HashMap::new();
        for plan in plans {
            for job in &plan.jobs {
                of.entry(plan.frame(job).relative.clone()).or_default().push(plan.condition.to_string());
            }
        }
        of.values_mut().for_each(|names| names.sort());
        of
    }

    #[test]
    fn each_frame_gets_as_many_conditions_as_asked_and_counts_differ_by_one_at_most() {
        let styles = styles(&[1.0]);
        for (names, count) in [(2, 1001), (3, 1001), (5, 7), (4, 1)] {
            let names: Vec<&str> = ["fog", "night", "rain", "snow", "dusk"][..names].to_vec();
            let (configs, frames) = (configs(&names), many(count));
            for per_frame in 1..=names.len() {
                let plans = balanced(&configs, &frames, &styles, per_frame);
                let counts: Vec<usize> = plans.iter().map(|plan| plan.jobs.len()).collect();
                assert_eq!(counts.iter().sum::<usize>(), count * per_frame);
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
                assert!(conditions(&plans).values().all(|of| of.len() == per_frame && of.is_sorted_by(|a, b| a < b)));
            }
        }
    }

    #[test]
    fn neither_the_order_of_configs_nor_that_of_frames_counts_and_new_frames_change_few() {
        let styles = styles(&[1.0]);
        let all = many(600);
        let (forth, back) = (configs(&["fog", "night", "snow"]), configs(&["snow", "fog", "night"]));
        let of = conditions(&balanced(&forth, &all, &styles, 1));
        assert!(conditions(&balanced(&back, &all, &styles, 1)) == of);
        let reversed: Vec<Frame> = all.iter().rev().cloned().collect();
        assert!(conditions(&balanced(&forth, &reversed, &styles, 1)) == of);
        let fewer = conditions(&balanced(&forth, &all[..590], &styles, 1));
        let changed = fewer.iter().filter(|(frame, names)| of[*frame] != **names).count();
        assert!(changed < 30, "{changed} of 590");
    }

    #[test]
    fn a_sequence_stays_together_and_counts_of_frames_are_close() {
        let paths: Vec<String> =
            (0..30).flat_map(|drive| (0..drive % 7 + 1).map(move |n| format!("d{drive}/{n}.jpg"))).collect();
        let (frames, styles) = (frames(&paths), styles(&[1.0]));
        let mut configs = configs(&["fog", "night"]);
        configs.iter_mut().for_each(|config| config.sequence = Sequence::Folder);
        let plans = balanced(&configs, &frames, &styles, 1);
        let of = conditions(&plans);
        assert_eq!(of.len(), paths.len());
        for (path, names) in &of {
            let folder = path.split('/').next().unwrap();
            assert_eq!(names, &of[&format!("{folder}/0.jpg")]);
        }
        assert!(plans[0].jobs.len().abs_diff(plans[1].jobs.len()) <= 2);
    }

    #[test]
    fn a_condition_gets_no_frame_that_its_config_leaves_out() {
        let (frames, styles) = (many(300), styles(&[1.0]));
        let configs = configs(&["fog", "night", "rare"]);
        let mut plans: Vec<Plan> = configs.iter().map(|config| Plan::new(config, &frames, &styles).unwrap()).collect();
        let chosen: Vec<bool> = (0..300).map(|n| n % 10 == 0).collect();
        plans[2].choose(&chosen);
        let all = plans.clone();
        balance(&mut plans, 1, 5);
        assert!(plans[2].jobs.iter().all(|job| job.frame % 10 == 0));
        assert_eq!(plans.iter().map(|plan| plan.jobs.len()).sum::<usize>(), 300);
        // Thirty at most for `rare`; the others share the rest.
        assert_eq!(plans.iter().map(|plan| plan.jobs.len()).collect::<Vec<_>>(), [135, 135, 30]);
        let mut every = all.clone();
        balance(&mut every, 3, 5);
        assert!(every == all, "with as many as there are, each gets all that it may");
    }
}
