use crate::merge::merge;
use crate::span::Span;

/// The free times within opening hours.
pub fn gaps(open: Span, bookings: &[Span]) -> Vec<Span> {
    let mut free = Vec::new();
    let mut from = open.start();
    for used in merge(bookings) {
        free.extend(Span::new(from, used.start().min(open.end())));
        from = from.max(used.end());
    }
    free.extend(Span::new(from, open.end()));
    free
}

/// The first free time that is long enough, cut to the length asked for.
pub fn fit(open: Span, bookings: &[Span], minutes: u16) -> Option<Span> {
    let gap = gaps(open, bookings)
        .into_iter()
        .find(|gap| gap.minutes() >= minutes)?;
    Span::new(gap.start(), gap.start() + minutes)
}
