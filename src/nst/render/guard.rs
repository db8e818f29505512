//! Keeps labelled objects visible: where a style hides one, detail is blended back there, and nowhere else.
//!
//! A fog that hides an object while its label stays teaches a detector to see what is not there. So each object is
//! measured against the original. One that lost too much is blended, in its shape, towards the plain closed-form start
//! and, if that is not enough, towards the original. Their detail is taken, on the light that the style gave to the
//! place: whole pictures would stand out of a fog or a night as islands, which no camera sees, and a detector would learn
//! them.
//!
//! Everything is measured on the 256 steps that are written in the end, since contrast below one step does not survive.
//!
//! In fog, the air gets thinner first, for all that is as near as the object.
//!
//! - [`protect`]: the guard
//! - [`report`]: what became of each box ([`GuardReport`])
//! - [`figures`]: contrast and edges of a box ([`Figures`])
//! - `object`: the floors of a box and its next step; `air`: thinner air; `blend`: the blend and its masks; `relight`:
//!   detail on another light; `patch`: the luma of a box

mod air;
mod blend;
pub mod figures;
mod object;
mod patch;
mod relight;
pub mod report;
#[cfg(test)]
mod testing;

use crate::nst::picture::geometry::{Area, Size};
use crate::nst::picture::pixels::Pixels;
use crate::nst::render::guard::air::Hidden;
use crate::nst::render::guard::blend::{Blend, GuardPictures, Mask};
use crate::nst::render::guard::object::{Measurable, Object};
use crate::nst::render::guard::patch::written_lumas;
use crate::nst::render::guard::relight::{Lights, relit};
use rayon::prelude::*;

pub use crate::nst::render::guard::blend::ObjectShapes;
pub use crate::nst::render::guard::figures::Figures;
pub use crate::nst::render::guard::object::{CONTRAST_FLOOR, EDGES_FLOOR};
pub use crate::nst::render::guard::report::{BoxReport, Easing, GuardReport};

/// Eases `result` where one of `boxes` is below a floor: where air hides objects, it gets thinner; then boxes that are
/// still below are eased towards the picture that `plain` makes, if it makes one, and then towards the original,
/// `content`. `plain` is called only if a box fails.
///
/// Boxes are measured against the original, in the `shapes` of their objects, which have their numbers. Each takes the
/// smallest step that meets its floors. Where none does, as for what little is seen of an object behind another, it takes
/// the one that comes nearest. But for thinner air, pixels outside the soft masks of eased boxes keep their bits. Neither the
/// order of the boxes nor the number of threads changes a pixel.
///
/// # Errors
/// Those of `plain`.
///
/// # Panics
/// When the pictures differ in size.
pub fn protect<E>(
    content: &Pixels,
    shapes: ObjectShapes,
    plain: impl FnOnce() -> Result<Option<Pixels>, E>,
    result: &mut Pixels,
    boxes: &[Area],
) -> Result<GuardReport, E> {
    let size = content.size();
    assert_eq!([size; 2], [result.size(), shapes.share.size()], "pictures must be of one size");
    if boxes.is_empty() || size.pixels() == 0 {
        let unchanged = |&area| BoxReport { area, contrast: 1.0, edges: 1.0, easing: Easing::None };
        return Ok(GuardReport { boxes: boxes.iter().map(unchanged).collect(), thinner_air: 0 });
    }
    let (before, mut after) = (written_lumas(content), written_lumas(result));
    let mut objects = objects(size, shapes, [&before, &after], boxes);
    let hidden: Vec<Hidden> = objects.iter().filter_map(|object| object.hidden(shapes.air?)).collect();
    if let Some(distance) = shapes.air.filter(|_| !hidden.is_empty()) {
        air::thin(content, distance, &hidden, result);
        after = written_lumas(result);
        objects = self::objects(size, shapes, [&before, &after], boxes);
    }
    let mut eased = failing(&objects, 0..objects.len());
    if eased.is_empty() {
        return Ok(report(&objects, hidden.len()));
    }
    let detailed = |picture, lumas: Vec<f32>| {
        let lights = Lights::of_scales([&lumas, &after], size);
        move |masks: &[&Mask]| relit(picture, &lumas, &lights, masks)
    };
    let plain = plain()?;
    let plain = plain.as_ref().map(|plain| detailed(plain, written_lumas(plain)));
    let original = detailed(content, before);
    loop {
        let masks: Vec<&Mask> = eased.iter().map(|&at| &objects[at].mask).collect();
        let (detail, plain) = (original(&masks), plain.as_ref().map(|plain| plain(&masks)));
        let pictures = GuardPictures { result, plain: plain.as_ref(), detail: &detail };
        let mut blend = Blend::new(pictures);
        eased.iter().for_each(|&at| objects[at].begin());
        ease(&mut objects, &eased, &mut blend);
        // What one object takes back may change what its neighbours need, so all begin anew.
        let taken_back = eased.iter().filter(|&&at| objects[at].takes_steps_back()).count();
        if taken_back > 0 {
            continue;
        }
        let others = neighbours(&objects, &eased);
        measure(&mut objects, &others, &blend);
        let harmed = failing(&objects, others);
        if harmed.is_empty() {
            let pixels = blend.pixels();
            let result = result.data_mut().as_chunks_mut::<3>().0;
            pixels.into_iter().for_each(|(at, rgb)| result[at] = rgb);
            return Ok(report(&objects, hidden.len()));
        }
        // Easing one box may harm another that it overlaps. Then all begin anew, on the light that suits all of them.
        eased.extend(harmed);
    }
}

/// The objects in `boxes` of pictures of these lumas, before and after the stylization.
fn objects<'a>(size: Size, shapes: ObjectShapes<'a>, lumas: [&[f32]; 2], boxes: &[Area]) -> Vec<Object<'a>> {
    let [before, after] = lumas.map(|lumas| Measurable::new(lumas, size, boxes));
    let object = |(number, &area)| Object::new(number, area, shapes, &before, &after);
    boxes.par_iter().enumerate().map(object).collect()
}

fn report(objects: &[Object], thinner_air: usize) -> GuardReport {
    GuardReport { boxes: objects.iter().map(Object::report).collect(), thinner_air }
}

/// The indices of the other objects whose figures may change when those of `eased` are eased.
fn neighbours(objects: &[Object], eased: &[usize]) -> Vec<usize> {
    let is_near = |at: &usize| eased.iter().any(|&eased| objects[eased].mask.reaches(&objects[*at].mask));
    (0..objects.len()).filter(|at| !eased.contains(at)).filter(is_near).collect()
}

/// Eases the objects `eased`, step by step, until none of them fails.
fn ease(objects: &mut [Object], eased: &[usize], blend: &mut Blend) {
    let mut failing = self::failing(objects, eased.iter().copied());
    while !failing.is_empty() {
        // All steps are chosen before the picture changes, so the order of the boxes does not matter.
        let next: Vec<_> = failing.par_iter().map(|&at| objects[at].next_step(blend)).collect();
        for (&at, step) in failing.iter().zip(next) {
            objects[at].step = step;
            blend.ease(&objects[at].mask, step);
        }
        measure(objects, &failing, blend);
        failing = self::failing(objects, failing);
        if failing.is_empty() {
            measure(objects, eased, blend);
            failing = self::failing(objects, eased.iter().copied());
        }
    }
}

/// The indices, among these, of the objects that must be eased further.
fn failing(objects: &[Object], among: impl IntoIterator<Item = usize>) -> Vec<usize> {
    among.into_iter().filter(|&at| objects[at].must_be_eased()).collect()
}

/// Measures the objects with these indices again.
fn measure(objects: &mut [Object], indices: &[usize], blend: &Blend) {
    let measured: Vec<_> = indices.par_iter().map(|&at| objects[at].measured(blend)).collect();
    for (&at, figures) in indices.iter().zip(measured) {
        objects[at].note(figures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::plane::Plane;
    use crate::nst::render::guard::figures::figures;
    use crate::nst::render::guard::patch::Rect;
    use crate::nst::render::guard::testing::{Everywhere, SIZE, areas, at, map, noise, scene, veil};
    use crate::nst::scene::shape::Owners;
    use crate::nst::testing::Random;
    use std::convert::Infallible;

    /// [`super::protect`] of objects that fill their boxes.
    fn protect(content: &Pixels, plain: &Pixels, result: &mut Pixels, boxes: &[Area]) -> GuardReport {
        let everywhere = Everywhere::of(content.size());
        let plain = || Ok::<_, Infallible>(Some(plain.clone()));
        let Ok(report) = super::protect(content, everywhere.shapes(), plain, result, boxes);
        report
    }

    fn changed(a: &Pixels, b: &Pixels) -> Vec<bool> {
        let bits = |rgb: &[f32]| [rgb[0].to_bits(), rgb[1].to_bits(), rgb[2].to_bits()];
        a.data().chunks_exact(3).zip(b.data().chunks_exact(3)).map(|(a, b)| bits(a) != bits(b)).collect()
    }

    /// What must hold for any pictures: the report is true, and no pixel outside the masks has changed.
    #[track_caller]
    fn assert_protected(content: &Pixels, plain: &Pixels, result: &Pixels, boxes: &[Area], case: &str) -> GuardReport {
        let mut after = result.clone();
        let report = protect(content, plain, &mut after, boxes);
        let measured = figures(content, &after, boxes);
        assert_eq!(report.boxes.len(), boxes.len(), "{case}");
        let mut reached = vec![false; content.size().pixels()];
        for (at, (report, measured)) in report.boxes.iter().zip(&measured).enumerate() {
            assert_eq!((report.contrast, report.edges), (measured.contrast, measured.edges), "{case}: {report:?}");
            if report.easing != Easing::None {
                let everywhere = Everywhere::of(content.size());
                let mask = Mask::new(at, Rect::of(report.area, content.size()), everywhere.shapes());
                for y in mask.rows() {
                    reached[y * content.size().width..][mask.columns()].fill(true);
                }
            }
        }
        let changed = changed(result, &after);
        assert!(changed.iter().zip(&reached).all(|(&changed, &reached)| reached || !changed), "{case}");
        report
    }

    #[test]
    fn the_report_is_true_for_any_pictures_and_the_floors_are_met_behind_any_veil() {
        let mut random = Random(1);
        for round in 0..120 {
            let size =
                Size { height: 1 + (random.uniform() * 90.0) as usize, width: 1 + (random.uniform() * 90.0) as usize };
            let content = scene(&mut random, size);
            let pictures = [
                veil(&content, 0.1),
                veil(&content, 0.4),
                map(&content, |v| 1.0 - v),
                map(&content, |_| 0.3),
                map(&content, |v| v * 3.0 - 0.2),
                noise(&mut random, size),
            ];
            let mut pick = |count: f32| (random.uniform() * count) as usize;
            // Other pictures turn edges round or make new ones, so that a blend of one box harms another.
            let is_veiled = round % 2 == 0;
            let (plain, result) = (pick(6.0), pick(if is_veiled { 2.0 } else { 6.0 }));
            let boxes = areas(&mut random, round % 12);
            let case = format!("round {round}, {size:?}, start {plain}, result {result}");
            let report = assert_protected(&content, &pictures[plain], &pictures[result], &boxes, &case);
            // A few pixels have little detail beside the light that they lie in.
            let is_large = |report: &&BoxReport| {
                let rect = Rect::of(report.area, size);
                rect.width().min(rect.height()) >= 6
            };
            let meets = |report: &BoxReport| report.edges >= EDGES_FLOOR && report.contrast >= CONTRAST_FLOOR;
            assert!(!is_veiled || report.boxes.iter().filter(is_large).all(meets), "{case}: {report:?}");
        }
    }

    #[test]
    fn nothing_changes_where_nothing_fails() {
        let content = scene(&mut Random(3), SIZE);
        let boxes = areas(&mut Random(4), 20);
        let result = veil(&content, 0.6);
        let mut after = result.clone();
        let report = protect(&content, &veil(&content, 0.9), &mut after, &boxes);
        assert!(report.boxes.iter().all(|report| report.easing == Easing::None));
        assert!(!changed(&result, &after).contains(&true));
        assert_eq!(protect(&content, &result, &mut after, &[]), GuardReport::default());
        assert_eq!(report.eased_to_plain() + report.eased_to_content(), 0);
    }

    #[test]
    fn a_box_takes_the_smallest_step_that_meets_the_floors() {
        let content = scene(&mut Random(5), SIZE);
        let (flat, boxes) = (map(&content, |_| 0.7), [at(40, 30, 30, 20)]);
        let easing = |plain: f32, result: &Pixels| {
            let case = format!("plain {plain}");
            assert_protected(&content, &veil(&content, plain), result, &boxes, &case).boxes[0].easing
        };
        // On a light as bright as this, detail has three quarters of its contrast. So three eighths of 0.9 are above 0.2;
        // of 0.5, five eighths are.
        assert_eq!(easing(0.9, &flat), Easing::Plain(0.375));
        assert_eq!(easing(0.5, &flat), Easing::Plain(0.625));
        // 0.1 of the plain start is not enough: a quarter of the original on top is.
        assert_eq!(easing(0.1, &flat), Easing::Content(0.25));
        assert_eq!(easing(0.9, &veil(&content, 0.5)), Easing::None);
    }

    #[test]
    fn what_is_behind_an_object_is_not_eased() {
        let content = scene(&mut Random(5), SIZE);
        let (fog, area) = (veil(&content, 0.1), at(40, 30, 40, 30));
        // A triangle, and as thin a share of it as small objects have.
        for share in [1.0, 0.3] {
            let shapes = Plane::from_fn(SIZE, |y, x| {
                let is_inside = (30..60).contains(&y) && (40..80).contains(&x) && x - 40 < y - 30;
                if is_inside { share } else { 0.0 }
            });
            let mut after = fog.clone();
            let owners = Owners::new(SIZE, &vec![None; SIZE.pixels()], SIZE, vec![true]);
            let shapes = ObjectShapes { share: &shapes, owners: &owners, air: None };
            let no_start = || Ok::<_, Infallible>(None);
            let Ok(report) = super::protect(&content, shapes, no_start, &mut after, &[area]);
            let Easing::Content(eased) = report.boxes[0].easing else { panic!("{report:?}") };
            assert!(eased <= 0.5, "{report:?}");
            let changed = changed(&fog, &after);
            let outside = changed.iter().zip(shapes.share.data()).filter(|(_, shape)| **shape == 0.0);
            assert!(outside.into_iter().all(|(changed, _)| !changed));
            assert!(changed.iter().filter(|changed| **changed).count() > 300);
        }
    }

    #[test]
    fn where_no_step_is_enough_the_best_one_is_taken_and_nothing_around_the_object_is_cleared() {
        // Of a dark object in a light fog, a post hides all but a strip. Its detail has edges there that it had not.
        let content = map(&scene(&mut Random(5), SIZE), |v| 0.2 * v);
        let fog = map(&content, |v| 0.8 + 0.1 * v);
        let is_seen = |x: usize| x.abs_diff(60) < 2;
        let share = Plane::from_fn(SIZE, |y, x| (is_seen(x) && (30..60).contains(&y)) as u8 as f32);
        let owners = Owners::new(SIZE, &vec![None; SIZE.pixels()], SIZE, vec![true]);
        let shapes = ObjectShapes { share: &share, owners: &owners, air: None };
        let mut after = fog.clone();
        let no_start = || Ok::<_, Infallible>(None);
        let Ok(report) = super::protect(&content, shapes, no_start, &mut after, &[at(40, 30, 40, 30)]);
        let Easing::Content(share) = report.boxes[0].easing else { panic!("{report:?}") };
        assert!(share < 1.0 && report.boxes[0].edges < EDGES_FLOOR, "{report:?}");
        let changed = changed(&fog, &after);
        assert!(changed.iter().enumerate().all(|(n, changed)| !changed || is_seen(n % SIZE.width)));
    }

    #[test]
    fn an_object_behind_another_is_measured_and_eased_by_itself() {
        let content = scene(&mut Random(5), SIZE);
        let boxes = [at(20, 20, 60, 50), at(60, 20, 40, 50)];
        // The left one is near and hides a half of the right one, which fog covers.
        let owner = |x: usize| if x < 80 { Some(0) } else { Some(1) };
        let owners: Vec<_> = (0..SIZE.pixels()).map(|n| owner(n % SIZE.width)).collect();
        let owners = Owners::new(SIZE, &owners, SIZE, vec![true; 2]);
        let share = Plane::from_fn(SIZE, |_, x| if x < 80 { 1.0 } else { 0.5 });
        let haze = veil(&content, 0.4);
        let mut after = veil(&content, 0.05);
        for y in 0..SIZE.height {
            let left = y * SIZE.width * 3..(y * SIZE.width + 80) * 3;
            after.data_mut()[left.clone()].copy_from_slice(&haze.data()[left]);
        }
        let foggy = after.clone();
        let no_start = || Ok::<_, Infallible>(None);
        let shapes = ObjectShapes { share: &share, owners: &owners, air: None };
        let Ok(report) = super::protect(&content, shapes, no_start, &mut after, &boxes);
        assert_eq!(report.boxes[0].easing, Easing::None);
        assert!(matches!(report.boxes[1].easing, Easing::Content(_)));
        for (n, changed) in changed(&foggy, &after).into_iter().enumerate() {
            assert!(!changed || n % SIZE.width >= 80);
        }
    }

    #[test]
    fn air_gets_thinner_beside_a_large_object_and_not_behind_it_or_for_a_small_one() {
        let content = scene(&mut Random(5), SIZE);
        let fog = veil(&content, 0.1);
        // The right half is far behind the left one.
        let distance = Plane::from_fn(SIZE, |_, x| if x < 70 { 10.0 } else { 60.0 });
        let protected = |area: Area| {
            let everywhere = Everywhere::of(SIZE);
            let shapes = ObjectShapes { air: Some(&distance), ..everywhere.shapes() };
            let mut after = fog.clone();
            let Ok(report) = super::protect(&content, shapes, || Ok::<_, Infallible>(None), &mut after, &[area]);
            (report, changed(&fog, &after))
        };
        let (report, changed) = protected(at(10, 30, 30, 30));
        assert_eq!((report.thinner_air, report.boxes[0].easing), (1, Easing::None));
        assert!(report.boxes[0].contrast >= CONTRAST_FLOOR, "{report:?}");
        let side = |near: bool| changed.iter().enumerate().filter(move |(n, _)| (n % SIZE.width < 70) == near);
        assert!(side(true).filter(|(_, changed)| **changed).count() > 6000);
        assert!(side(false).all(|(_, changed)| !changed));
        let (report, changed) = protected(at(10, 30, 12, 10));
        assert!(report.thinner_air == 0 && report.boxes[0].easing != Easing::None, "{report:?}");
        assert!(changed.iter().filter(|changed| **changed).count() < 1000);
    }

    #[test]
    fn a_plain_start_that_harms_a_box_is_skipped() {
        let content = scene(&mut Random(6), SIZE);
        let (result, plain) = (veil(&content, 0.15), map(&content, |_| 0.1));
        let boxes = [at(40, 30, 30, 20)];
        let mut after = result.clone();
        let report = protect(&content, &plain, &mut after, &boxes);
        assert_eq!(report.boxes[0].easing, Easing::Content(0.125));
        // An eighth of the original's detail over the veil, and nothing of the dark start.
        let (everywhere, lumas) = (Everywhere::of(SIZE), [&content, &result].map(written_lumas));
        let lights = Lights::of_scales(lumas.each_ref().map(Vec::as_slice), SIZE);
        let mask = Mask::new(0, Rect::of(boxes[0], SIZE), everywhere.shapes());
        let detail = relit(&content, &lumas[0], &lights, &[&mask]);
        let middle = (40 * SIZE.width + 55) * 3;
        let expected = 0.875 * result.data()[middle] + 0.125 * detail.data()[middle];
        assert!((after.data()[middle] - expected).abs() < 1e-6);
        assert_eq!((report.eased_to_plain(), report.eased_to_content()), (0, 1));
    }

    #[test]
    fn the_floor_is_higher_where_the_surroundings_kept_their_contrast() {
        let content = scene(&mut Random(7), SIZE);
        let boxes = [at(50, 30, 30, 24)];
        let rect = Rect::of(boxes[0], SIZE);
        let fog = veil(&content, 0.3);
        let mut only_inside = content.clone();
        for y in rect.top..rect.bottom {
            let inside = (y * SIZE.width + rect.left) * 3..(y * SIZE.width + rect.right) * 3;
            only_inside.data_mut()[inside.clone()].copy_from_slice(&fog.data()[inside]);
        }
        let plain = veil(&content, 0.8);
        assert_eq!(protect(&content, &plain, &mut fog.clone(), &boxes).boxes[0].easing, Easing::None);
        let report = protect(&content, &plain, &mut only_inside, &boxes);
        assert_ne!(report.boxes[0].easing, Easing::None);
        assert!(report.boxes[0].contrast >= 0.5 - 0.05, "{report:?}");
    }

    #[test]
    fn neither_the_order_of_boxes_nor_the_threads_change_a_bit() {
        let mut random = Random(9);
        let content = scene(&mut random, SIZE);
        let (plain, result) = (veil(&content, 0.25), noise(&mut random, SIZE));
        let mut boxes = areas(&mut random, 25);
        let run = |boxes: &[Area], threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut after = result.clone();
            let report = pool.install(|| protect(&content, &plain, &mut after, boxes));
            (after, report)
        };
        let (expected, report) = run(&boxes, 1);
        let (after, mut reordered) = {
            boxes.reverse();
            boxes.rotate_left(7);
            run(&boxes, 3)
        };
        assert!(!changed(&expected, &after).contains(&true));
        reordered.boxes.rotate_right(7);
        reordered.boxes.reverse();
        assert_eq!(report, reordered);
    }

    #[test]
    fn boxes_at_borders_tiny_boxes_and_the_whole_picture_are_eased() {
        let content = scene(&mut Random(10), SIZE);
        let (plain, result) = (veil(&content, 0.5), veil(&content, 0.05));
        let whole = at(0, 0, SIZE.width, SIZE.height);
        let corners = [at(0, 0, 9, 9), at(131, 0, 9, 9), at(0, 81, 9, 9), at(131, 81, 9, 9)];
        let tiny = [
            at(70, 40, 1, 1),
            at(30, 60, 2, 3),
            at(90, 20, 6, 6),
            Area { left: 0.5, top: 0.5, right: 0.5001, bottom: 0.5 },
        ];
        for boxes in [&[whole][..], &corners, &tiny, &[whole, corners[0], tiny[2], whole]] {
            let report = assert_protected(&content, &plain, &result, boxes, &format!("{boxes:?}"));
            assert!(report.eased_to_plain() + report.eased_to_content() > 0, "{report:?}");
        }
    }

    #[test]
    fn pictures_of_a_few_pixels_have_nothing_to_lose() {
        for (height, width) in [(0, 0), (1, 1), (1, 7), (2, 1)] {
            let size = Size { height, width };
            let content = Pixels::new(size, vec![0.4; size.pixels() * 3]);
            let black = map(&content, |_| 0.0);
            let report = assert_protected(&content, &black, &black, &areas(&mut Random(11), 4), &format!("{size:?}"));
            assert_eq!(report.edges_min(), Some(1.0));
            assert!(report.boxes.iter().all(|report| report.contrast == 1.0));
        }
        assert_eq!(GuardReport::default().edges_min(), None);
    }

    #[test]
    fn a_flat_box_is_not_eased() {
        let content = Pixels::new(SIZE, vec![0.4; SIZE.pixels() * 3]);
        let result = noise(&mut Random(12), SIZE);
        let mut after = result.clone();
        let report = protect(&content, &content, &mut after, &areas(&mut Random(13), 5));
        assert!(report.boxes.iter().all(|b| b.easing == Easing::None && b.contrast == 1.0 && b.edges == 1.0));
        assert!(!changed(&result, &after).contains(&true));
    }

    #[test]
    fn values_that_are_no_numbers_are_replaced_and_never_reach_the_report() {
        let content = scene(&mut Random(14), SIZE);
        let broken = map(&content, |v| if v < 0.5 { f32::NAN } else { f32::INFINITY });
        let report = assert_protected(&content, &veil(&content, 0.01), &broken, &areas(&mut Random(15), 8), "broken");
        assert!(report.boxes.iter().all(|report| report.contrast.is_finite() && report.edges.is_finite()));
    }
}
