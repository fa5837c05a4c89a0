//! Ranges and lengths that a type cannot express, checked at the edge with one answer for all violations.
//!
//! Invariant: the answer has the form of an extraction failure, so a client sees one kind of 422. The
//! kinds are named as in Pydantic 2, which earlier PAS clients know.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::error::{ApiError, ContractViolation, LocationStep};
use crate::domain::similar_name::nearest_name;

/// Collects the violations in one part of a request.
#[derive(Debug)]
pub struct RequestChecks {
    part: &'static str,
    found: Vec<ContractViolation>,
}

impl RequestChecks {
    /// Checks of the body's fields.
    #[must_use]
    pub const fn body() -> Self {
        Self { part: "body", found: Vec::new() }
    }

    /// Checks of query parameters.
    #[must_use]
    pub const fn query() -> Self {
        Self { part: "query", found: Vec::new() }
    }

    /// Requires a text of `allowed` characters.
    pub fn len(&mut self, field: &'static str, text: &str, allowed: RangeInclusive<usize>) -> &mut Self {
        let count = text.chars().count();
        if count < *allowed.start() {
            self.add(field, "string_too_short", format!("needs at least {} character(s)", allowed.start()));
        } else if count > *allowed.end() {
            self.add(field, "string_too_long", format!("takes at most {} characters", allowed.end()));
        }
        self
    }

    /// Requires a list of `allowed` items.
    pub fn count<T>(
        &mut self,
        field: &'static str,
        items: &[T],
        allowed: RangeInclusive<usize>,
    ) -> &mut Self {
        if items.len() < *allowed.start() {
            self.add(field, "too_short", format!("needs at least {} item(s)", allowed.start()));
        } else if items.len() > *allowed.end() {
            self.add(field, "too_long", format!("takes at most {} items", allowed.end()));
        }
        self
    }

    /// Requires a number in a range (NaN is outside every range).
    pub fn range<N: PartialOrd + Display>(
        &mut self,
        field: &'static str,
        number: &N,
        allowed: RangeInclusive<N>,
    ) -> &mut Self {
        if number > allowed.end() {
            self.add(field, "less_than_equal", format!("must be at most {}", allowed.end()));
        } else if !allowed.contains(number) {
            self.add(field, "greater_than_equal", format!("must be at least {}", allowed.start()));
        }
        self
    }

    /// Requires a condition of the service.
    pub fn that(&mut self, field: &'static str, holds: bool, msg: impl Into<String>) -> &mut Self {
        if !holds {
            self.add(field, "value_error", msg.into());
        }
        self
    }

    /// Refuses unknown fields: a misspelt one would silently change the request.
    pub fn no_others<'f>(&mut self, others: impl Iterator<Item = &'f String>, known: &[&str]) -> &mut Self {
        for other in others {
            let hint = match nearest_name(other, known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the fields are {}", known.join(", ")),
            };
            let (loc, msg) = (vec![self.part.into(), other.clone().into()], format!("no such field; {hint}"));
            self.found.push(ContractViolation { loc, msg, kind: "extra_forbidden" });
        }
        self
    }

    fn add(&mut self, field: &'static str, kind: &'static str, msg: String) {
        let mut loc: Vec<LocationStep> = vec![self.part.into()];
        loc.extend(field.split('.').map(LocationStep::from));
        self.found.push(ContractViolation { loc, msg, kind });
    }

    /// The verdict over all checks.
    ///
    /// # Errors
    /// 422 with every violation found.
    pub fn done(&mut self) -> Result<(), ApiError> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(ApiError::violations(std::mem::take(&mut self.found)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_violations_are_told_at_once() {
        let mut checks = RequestChecks::body();
        checks
            .len("name", "", 1..=100)
            .len("note", &"é".repeat(3), 0..=2)
            .count("caps", &[0; 0], 1..=9)
            .range("inputs.priority", &12, 0..=9)
            .range("ratio", &f64::NAN, 0.0..=1.0)
            .that("source", false, "must be absolute");
        let kinds: Vec<_> = checks.found.iter().map(|v| v.kind).collect();
        assert_eq!(
            kinds,
            [
                "string_too_short",
                "string_too_long",
                "too_short",
                "less_than_equal",
                "greater_than_equal",
                "value_error"
            ]
        );
        assert_eq!(checks.found[3].loc, ["body".into(), "inputs".into(), "priority".into()]);
        assert_eq!(checks.done().unwrap_err().status(), 422);
    }

    #[test]
    fn a_field_that_nobody_reads_is_named_with_the_nearest_one() {
        let others = ["cpuu", "zzz"].map(str::to_owned);
        let mut checks = RequestChecks::body();
        checks.no_others(others.iter(), &["cpu", "mem_mb"]);
        assert_eq!(checks.found[0].loc, ["body".into(), "cpuu".into()]);
        assert_eq!(checks.found[0].msg, "no such field; did you mean `cpu`?");
        assert_eq!(checks.found[1].msg, "no such field; the fields are cpu, mem_mb");
        assert!(RequestChecks::body().no_others([].iter(), &["cpu"]).done().is_ok());
    }

    #[test]
    fn borders_belong_to_the_range() {
        let mut checks = RequestChecks::query();
        checks.len("a", "x", 1..=1).range("b", &9, 0..=9).range("c", &0, 0..=9).count("d", &[1], 1..=1);
        assert!(checks.done().is_ok());
    }
}
