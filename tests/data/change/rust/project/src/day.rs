use crate::gaps::{fit, gaps};
use crate::merge::merge;
use crate::span::Span;

/// The bookings of one room on one day.
#[derive(Debug, Clone)]
pub struct Day {
    open: Span,
    bookings: Vec<Span>,
}

impl Day {
    pub fn new(open: Span) -> Self {
        Self {
            open,
            bookings: Vec::new(),
        }
    }

    /// Adds a booking; one outside the opening hours or over another is given back.
    pub fn book(&mut self, span: Span) -> Result<(), Span> {
        let outside = span.start() < self.open.start() || span.end() > self.open.end();
        if outside || self.bookings.iter().any(|booked| booked.overlaps(span)) {
            return Err(span);
        }
        self.bookings.push(span);
        Ok(())
    }

    /// Books the first free time of this length.
    pub fn book_first(&mut self, minutes: u16) -> Option<Span> {
        let span = fit(self.open, &self.bookings, minutes)?;
        self.bookings.push(span);
        Some(span)
    }

    pub fn free(&self) -> Vec<Span> {
        gaps(self.open, &self.bookings)
    }

    /// Minutes in use.
    pub fn used(&self) -> u16 {
        merge(&self.bookings).into_iter().map(Span::minutes).sum()
    }
}
