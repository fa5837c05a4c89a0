use crate::span::Span;

/// The times in use: sorted, none touching another.
pub fn merge(bookings: &[Span]) -> Vec<Span> {
    let mut sorted = bookings.to_vec();
    sorted.sort_unstable();
    let mut used: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match used.last_mut() {
            Some(last) if last.touches(span) => *last = last.until(span.end()),
            _ => used.push(span),
        }
    }
    used
}
