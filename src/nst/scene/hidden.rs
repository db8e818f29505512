//! The border of the ground behind objects.

use crate::nst::picture::geometry::Size;
use crate::nst::scene::object::SceneObject;
use std::ops::Range;

/// The border of the ground as it would be without objects in front of it: between the columns that show it, a straight
/// line, at most as low as the objects stand. Else what is behind an object would be ground as far as the horizon, in a
/// rectangle as wide as the object: bare or white in snow, and in fog a cloud around a head.
pub fn unhidden(border: &[usize], objects: &[&SceneObject], size: Size) -> Vec<usize> {
    // The lower side of the highest object that hides the border.
    let mut feet = vec![None; border.len()];
    let groups = groups(objects, size);
    for object in objects {
        let (rows, columns) = object.area.pixels(size);
        let mut around = groups.iter().filter(|group| group.contains(&columns.start));
        let is_drawn_up = is_drawn_up(border, &columns) || around.any(|group| is_drawn_up(border, group));
        // Little of what is above an object says nothing either.
        let above = rows.start.saturating_sub(rows.len() / 4 + 1);
        columns
            .filter(|&x| is_drawn_up || (above <= border[x] && border[x] <= rows.end + 1))
            .for_each(|x| feet[x] = Some(feet[x].unwrap_or(rows.end).min(rows.end)));
    }
    let seen: Vec<usize> = (0..border.len()).filter(|&x| feet[x].is_none()).collect();
    let (Some(&first), Some(&last)) = (seen.first(), seen.last()) else { return border.to_vec() };
    let between = |x: usize| {
        let next = seen.partition_point(|&at| at < x);
        let (left, right) = (seen[next - 1], seen[next]);
        let share = (x - left) as f32 / (right - left) as f32;
        (border[left] as f32 + share * (border[right] as f32 - border[left] as f32)).round() as usize
    };
    let filled = |x: usize| {
        let Some(foot) = feet[x] else { return border[x] };
        let row = match x {
            x if x < first => border[first],
            x if x > last => border[last],
            x => between(x),
        };
        row.min(foot)
    };
    (0..border.len()).map(filled).collect()
}

/// The columns of objects that stand side by side, without a gap between them.
fn groups(objects: &[&SceneObject], size: Size) -> Vec<Range<usize>> {
    let mut columns: Vec<Range<usize>> = objects.iter().map(|object| object.area.pixels(size).1).collect();
    columns.sort_unstable_by_key(|columns| columns.start);
    let mut groups: Vec<Range<usize>> = Vec::new();
    for columns in columns {
        match groups.last_mut() {
            Some(group) if columns.start <= group.end => group.end = group.end.max(columns.end),
            _ => groups.push(columns),
        }
    }
    groups
}

/// Whether the ground reaches higher in the `columns` of an object, or of a group, than on both sides of it. A road that
/// leads up to an object is seen beside it, too; so it was the object that drew the border up, which ends above its lower
/// side.
fn is_drawn_up(border: &[usize], columns: &Range<usize>) -> bool {
    /// Such an object is narrower than the picture by this factor.
    const NARROWER: usize = 3;
    /// The step of the border is higher than the object is wide, divided by this.
    const STEP: usize = 4;
    let (Some(left), Some(&right)) = (columns.start.checked_sub(1), border.get(columns.end)) else { return false };
    let beside = border[left].min(right);
    let above = columns.clone().map(|x| border[x]).max().unwrap_or(beside);
    columns.len() * NARROWER < border.len() && above + columns.len() / STEP < beside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Area;
    use crate::nst::scene::object::ObjectKind;

    #[test]
    fn the_border_behind_an_object_is_that_beside_it() {
        let size = Size { height: 100, width: 50 };
        let mut border = vec![60; 50];
        border[10..20].fill(45);
        border[40..].fill(70);
        let area = Area { left: 0.2, top: 0.3, right: 0.4, bottom: 0.9 };
        let truck = SceneObject::new(area, ObjectKind::LargeVehicle);
        let seen = unhidden(&border, &[&truck], size);
        assert!(seen[..40].iter().all(|&row| row == 60) && seen[40..].iter().all(|&row| row == 70), "{seen:?}");
        // The border rises a little above the truck, where nothing says that it does.
        border[10..20].fill(25);
        let seen = unhidden(&border, &[&truck], size);
        assert!(seen[..40].iter().all(|&row| row == 60), "{seen:?}");
        border[10..20].fill(10);
        let seen = unhidden(&border, &[&truck], size);
        assert!(seen[..40].iter().all(|&row| row == 60), "nor well above it: {seen:?}");
        border[..30].fill(10);
        assert_eq!(unhidden(&border, &[&truck], size), border, "ground is seen above it and beside it");
        border[..40].fill(60);
        let whole = SceneObject::new(Area { left: 0.0, top: 0.0, right: 1.0, bottom: 1.0 }, ObjectKind::Car);
        assert_eq!(unhidden(&border, &[&whole], size), border);
    }

    #[test]
    fn persons_side_by_side_draw_no_ground_up_behind_them() {
        let size = Size { height: 100, width: 50 };
        let mut border = vec![60; 50];
        border[10..20].fill(10);
        let person =
            |left: f64, right: f64| SceneObject::new(Area { left, top: 0.5, right, bottom: 0.9 }, ObjectKind::Person);
        let (one, other) = (person(0.2, 0.3), person(0.28, 0.4));
        assert_eq!(unhidden(&border, &[&one, &other], size), vec![60; 50]);
        assert_eq!(unhidden(&border, &[&one], size), border, "half of it is seen");
    }
}
