use std::fmt;

/// Minutes `start..end` of a day; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    start: u16,
    end: u16,
}

impl Span {
    /// `None` when nothing lies between the two.
    pub fn new(start: u16, end: u16) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    pub fn start(self) -> u16 {
        self.start
    }

    pub fn end(self) -> u16 {
        self.end
    }

    pub fn minutes(self) -> u16 {
        self.end - self.start
    }

    /// Whether both have a minute in common; neighbours have none.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether one begins at or before the end of the other, so that both are one time in use.
    pub fn touches(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    pub(crate) fn until(self, end: u16) -> Self {
        Self { end, ..self }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "{}-{}", clock(self.start), clock(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u16, end: u16) -> Span {
        Span::new(start, end).unwrap()
    }

    #[test]
    fn an_empty_span_is_none() {
        assert_eq!(Span::new(60, 60), None);
        assert_eq!(Span::new(61, 60), None);
    }

    #[test]
    fn neighbours_touch_but_do_not_overlap() {
        assert!(span(60, 90).touches(span(90, 120)));
        assert!(!span(60, 90).overlaps(span(90, 120)));
        assert!(!span(60, 90).touches(span(91, 120)));
    }

    #[test]
    fn a_span_is_shown_as_clock_times() {
        assert_eq!(span(545, 630).to_string(), "09:05-10:30");
    }
}
