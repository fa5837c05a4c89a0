use std::fmt;

use crate::span::Span;

/// A part of a list that is no span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    part: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no time of the form 09:00-10:30", self.part)
    }
}

impl std::error::Error for ParseError {}

/// Reads `09:00-10:30, 11:00-12:00`.
pub fn parse_list(text: &str) -> Result<Vec<Span>, ParseError> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| {
            parse(part).ok_or_else(|| ParseError {
                part: part.to_owned(),
            })
        })
        .collect()
}

fn parse(part: &str) -> Option<Span> {
    let (start, end) = part.split_once('-')?;
    Span::new(minute(start)?, minute(end)?)
}

fn minute(clock: &str) -> Option<u16> {
    let (hour, minute) = clock.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let is_time = minute < 60 && (hour < 24 || (hour == 24 && minute == 0));
    is_time.then_some(hour * 60 + minute)
}
