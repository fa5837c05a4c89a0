//! Layout of the graph's picture.
//!
//! A force layout after Fruchterman and Reingold (1991): connected dots attract, all repel, and a pull
//! to the middle keeps loose parts in sight. Invariants: only additions, multiplications, divisions and
//! square roots are used, which IEEE 754 rounds in one way everywhere, so the same graph gives the same
//! picture on every machine; the work is bounded by `ROUNDS × count²`.

/// Rounds of moving: beyond this the pictures of 150 dots no longer change to the eye.
const ROUNDS: u32 = 260;
/// How far a dot may move in the first round, in widths of the picture; falls to nothing in the last.
const FIRST_MOVE: f64 = 0.12;
/// Pull to the middle for each unit of distance. All dots together push one at distance `d` away by about `1
/// / d`, so this keeps loose parts about one width from the middle, whatever the number of dots.
const PULL: f64 = 1.0;
/// Closer dots are treated as this far apart, so that no force is endless.
const CLOSEST: f64 = 1e-4;

type UnitPoint = (f64, f64);

/// Places for `count` dots in the unit square, the outermost on the sides.
pub(super) fn layout(count: usize, edges: &[(usize, usize)]) -> Vec<UnitPoint> {
    let mut points: Vec<UnitPoint> = (0..count).map(start).collect();
    if count < 2 {
        return vec![(0.5, 0.5); count];
    }
    let spacing = (1.0 / count as f64).sqrt();
    for round in 0..ROUNDS {
        let reach = FIRST_MOVE * (1.0 - f64::from(round) / f64::from(ROUNDS));
        let forces = forces(&points, edges, spacing);
        for (point, force) in points.iter_mut().zip(forces) {
            let length = (force.0 * force.0 + force.1 * force.1).sqrt();
            let step = reach.min(length) / length.max(CLOSEST);
            *point = (point.0 + force.0 * step, point.1 + force.1 * step);
        }
    }
    fit(&points)
}

/// Start places spread evenly and without a pattern: multiples of the inverse plastic number and of that
/// number's square, modulo 1 (Roberts' R2 sequence).
fn start(index: usize) -> UnitPoint {
    const STEP: UnitPoint = (0.754_877_666_246_692_7, 0.569_840_290_998_053_2);
    let at = (index + 1) as f64;
    ((at * STEP.0).fract(), (at * STEP.1).fract())
}

fn forces(points: &[UnitPoint], edges: &[(usize, usize)], spacing: f64) -> Vec<UnitPoint> {
    let mut forces: Vec<UnitPoint> =
        points.iter().map(|(x, y)| ((0.5 - x) * PULL, (0.5 - y) * PULL)).collect();
    for a in 0..points.len() {
        for b in 0..a {
            let (dx, dy, distance) = between(points[b], points[a]);
            let push = spacing * spacing / (distance * distance);
            nudge(&mut forces, a, b, (dx * push, dy * push));
        }
    }
    for &(a, b) in edges {
        let (dx, dy, distance) = between(points[b], points[a]);
        let pull = -distance / spacing;
        nudge(&mut forces, a, b, (dx * pull, dy * pull));
    }
    forces
}

/// Adds a force to one dot and the opposite force to the other.
fn nudge(forces: &mut [UnitPoint], a: usize, b: usize, force: UnitPoint) {
    forces[a] = (forces[a].0 + force.0, forces[a].1 + force.1);
    forces[b] = (forces[b].0 - force.0, forces[b].1 - force.1);
}

fn between(from: UnitPoint, to: UnitPoint) -> (f64, f64, f64) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    (dx, dy, (dx * dx + dy * dy).sqrt().max(CLOSEST))
}

/// Stretches both directions to the unit square.
fn fit(points: &[UnitPoint]) -> Vec<UnitPoint> {
    let span = |values: &dyn Fn(&UnitPoint) -> f64| {
        let low = points.iter().map(values).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(values).fold(f64::NEG_INFINITY, f64::max);
        (low, (high - low).max(CLOSEST))
    };
    let (left, width) = span(&|point| point.0);
    let (top, height) = span(&|point| point.1);
    points.iter().map(|(x, y)| ((x - left) / width, (y - top) / height)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distance(points: &[UnitPoint], a: usize, b: usize) -> f64 {
        between(points[a], points[b]).2
    }

    #[test]
    fn two_rings_end_up_apart() {
        let ring = |from: usize| (0..8).map(move |at| (from + at, from + (at + 1) % 8));
        let edges: Vec<_> = ring(0).chain(ring(8)).collect();
        let points = layout(16, &edges);
        let inside: f64 = (1..8).map(|at| distance(&points, 0, at)).sum::<f64>() / 7.0;
        let across: f64 = (8..16).map(|at| distance(&points, 0, at)).sum::<f64>() / 8.0;
        assert!(across > inside * 1.3, "inside {inside}, across {across}");
    }

    proptest! {
        // A case takes some 10 ms unoptimised.
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_dot_is_in_the_picture_and_stays_there(
            count in 0_usize..40,
            ends in prop::collection::vec((0_usize..40, 0_usize..40), 0..80),
        ) {
            let edges: Vec<_> = ends.into_iter().filter(|(a, b)| *a < count && *b < count && a != b).collect();
            let points = layout(count, &edges);
            prop_assert_eq!(points.len(), count);
            prop_assert!(points.iter().all(|(x, y)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y)));
            prop_assert_eq!(points, layout(count, &edges));
        }
    }
}
