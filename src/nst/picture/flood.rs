//! Pixels that join each other.

/// All pixels that are wanted and joined to `starts`, by way of wanted ones. `next` has the neighbours of a pixel. None is
/// taken that was `seen`, and those that are taken are then.
pub fn joined<I: IntoIterator<Item = usize>>(
    starts: impl IntoIterator<Item = usize>,
    next: impl Fn(usize) -> I,
    is_wanted: impl Fn(usize) -> bool,
    seen: &mut [bool],
) -> Vec<usize> {
    let mut open: Vec<usize> = starts.into_iter().collect();
    let mut patch = Vec::new();
    while let Some(at) = open.pop() {
        if !seen[at] && is_wanted(at) {
            seen[at] = true;
            patch.push(at);
            open.extend(next(at));
        }
    }
    patch
}

/// The patches of the wanted ones among `count` pixels, in the order of their first pixel.
pub fn patches<I: IntoIterator<Item = usize>>(
    count: usize,
    next: impl Fn(usize) -> I,
    is_wanted: impl Fn(usize) -> bool,
) -> Vec<Vec<usize>> {
    let mut seen = vec![false; count];
    let patch = |start| joined([start], &next, &is_wanted, &mut seen);
    (0..count).map(patch).filter(|patch| !patch.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nst::picture::geometry::Size;

    #[test]
    fn patches_join_at_sides_and_where_asked_at_corners() {
        let drawing = ["##..#", "..#..", "#.##."];
        let size = Size { height: 3, width: 5 };
        let is_drawn = |at: usize| drawing[at / 5].as_bytes()[at % 5] == b'#';
        let lengths = |patches: Vec<Vec<usize>>| patches.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(patches(15, |at| size.beside(at), is_drawn)), [2, 1, 3, 1]);
        assert_eq!(lengths(patches(15, |at| size.around(at), is_drawn)), [5, 1, 1]);
    }

    #[test]
    fn what_was_seen_ends_a_patch() {
        let size = Size { height: 1, width: 6 };
        let mut seen = [false, false, false, true, false, false];
        let mut patch = joined([1], |at| size.beside(at), |_| true, &mut seen);
        patch.sort_unstable();
        assert_eq!(patch, [0, 1, 2]);
        assert_eq!(seen, [true, true, true, true, false, false]);
    }
}
