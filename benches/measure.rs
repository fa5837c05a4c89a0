//! Medians, ratios, and two sides measured in turn.

/// Ours and the baseline, each the median of its rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) ours: f64,
    pub(crate) baseline: f64,
    /// The median of the rounds' ratios: runs close in time share the machine's state.
    pub(crate) ratio: f64,
}

/// The middle value; NaN without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The value that `percent` per cent of the values do not exceed; NaN without values.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(f64::NAN)
}

/// Measures both sides `rounds` times in turn (A B, B A, A B …) after one warm-up round.
///
/// # Errors
/// The first error of a side.
pub(crate) fn in_turn(
    rounds: usize,
    mut ours: impl FnMut() -> anyhow::Result<f64>,
    mut baseline: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Pair> {
    let (mut a, mut b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (x, y) = if round % 2 == 0 {
            let x = ours()?;
            (x, baseline()?)
        } else {
            let y = baseline()?;
            (ours()?, y)
        };
        if round > 0 {
            a.push(x);
            b.push(y);
            ratios.push(x / y);
        }
    }
    Ok(Pair { ours: median(&a), baseline: median(&b), ratio: median(&ratios) })
}
