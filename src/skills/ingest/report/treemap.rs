//! Rectangles whose areas are in proportion to values, close to squares.
//!
//! The squarified treemap of Bruls, Huizing and van Wijk (2000): rows are filled along the shorter side
//! for as long as that brings their rectangles nearer to squares. Invariant: the rectangles cover the
//! frame without overlap.

/// A rectangle in the units of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TreemapRect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// One rectangle a value, in the order of `values`, which must be positive and fall.
pub(super) fn squarify(values: &[u64], frame: TreemapRect) -> Vec<TreemapRect> {
    let total: f64 = values.iter().map(|value| *value as f64).sum();
    let scale = if total > 0.0 { frame.width * frame.height / total } else { 0.0 };
    let mut areas: &[f64] = &values.iter().map(|value| *value as f64 * scale).collect::<Vec<_>>();
    let mut free = frame;
    let mut rects = Vec::with_capacity(values.len());
    while !areas.is_empty() {
        let side = free.width.min(free.height);
        let mut taken = 1;
        while taken < areas.len() && worst(&areas[..=taken], side) <= worst(&areas[..taken], side) {
            taken += 1;
        }
        let (row, others) = areas.split_at(taken);
        free = place(row, free, &mut rects);
        areas = others;
    }
    rects
}

/// Longer side over shorter side, of the most oblong rectangle of a row.
fn worst(row: &[f64], side: f64) -> f64 {
    let thickness = row.iter().sum::<f64>() / side;
    let oblong = |area: &f64| {
        let length = area / thickness;
        (length / thickness).max(thickness / length)
    };
    row.iter().map(oblong).fold(0.0, f64::max)
}

/// Places a row along the shorter side of `free` and returns the remaining rectangle.
fn place(row: &[f64], free: TreemapRect, rects: &mut Vec<TreemapRect>) -> TreemapRect {
    let sum: f64 = row.iter().sum();
    let upright = free.width >= free.height;
    let side = if upright { free.height } else { free.width };
    let thickness = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for area in row {
        let length = if thickness > 0.0 { area / thickness } else { 0.0 };
        rects.push(if upright {
            TreemapRect { x: free.x, y: free.y + at, width: thickness, height: length }
        } else {
            TreemapRect { x: free.x + at, y: free.y, width: length, height: thickness }
        });
        at += length;
    }
    if upright {
        TreemapRect { x: free.x + thickness, width: (free.width - thickness).max(0.0), ..free }
    } else {
        TreemapRect { y: free.y + thickness, height: (free.height - thickness).max(0.0), ..free }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: TreemapRect = TreemapRect { x: 0.0, y: 0.0, width: 1000.0, height: 400.0 };

    proptest! {
        #[test]
        fn areas_are_in_proportion_and_inside(mut values in prop::collection::vec(1_u64..1_000_000, 1..60)) {
            values.sort_unstable_by(|a, b| b.cmp(a));
            let total: u64 = values.iter().sum();
            let rects = squarify(&values, FRAME);
            prop_assert_eq!(rects.len(), values.len());
            for (rect, value) in rects.iter().zip(&values) {
                let share = rect.width * rect.height / (FRAME.width * FRAME.height);
                prop_assert!((share - *value as f64 / total as f64).abs() < 1e-9);
                prop_assert!(rect.x >= 0.0 && rect.x + rect.width <= FRAME.width + 1e-6);
                prop_assert!(rect.y >= 0.0 && rect.y + rect.height <= FRAME.height + 1e-6);
            }
        }
    }

    #[test]
    fn equal_values_make_a_grid_of_near_squares() {
        let rects = squarify(&[1; 10], FRAME);
        assert!(rects.iter().all(|rect| (rect.width / rect.height).max(rect.height / rect.width) < 2.1));
    }
}
