//! `sql`: separates read-only statements from all others.
//!
//! Errs to the safe side: a statement counts as reading only if it is so in every dialect. Where dialects
//! differ in comments and strings (backslashes, `#`, `--x`, `/*!`), the statement counts as writing, and a
//! person is asked. The executor runs reading statements in a read-only transaction all the same.

use serde::Deserialize;

use super::failure::{FailureClass, ToolFailure};

/// The longest statement.
const MAX_STATEMENT: usize = 64 * 1024;

/// Words that make a statement more than reading, at any place.
const WRITING_WORDS: [&str; 30] = [
    "alter", "analyze", "analyse", "attach", "begin", "call", "commit", "copy", "create", "delete", "detach",
    "do", "drop", "exec", "execute", "grant", "insert", "into", "load", "lock", "merge", "outfile", "pragma",
    "reindex", "replace", "revoke", "set", "truncate", "update", "vacuum",
];

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlArguments {
    connection: String,
    statement: String,
}

/// A statement for a named connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlStatement {
    pub connection: String,
    pub statement: String,
}

impl SqlArguments {
    pub(super) fn checked(self) -> Result<SqlStatement, ToolFailure> {
        let bad =
            |why: &str, advice: &str| Err(ToolFailure::new(FailureClass::BadArguments, "sql", why, advice));
        if self.connection.trim().is_empty() {
            return bad("`connection` is empty.", "name a connection of the configuration.");
        }
        if self.statement.trim().is_empty() {
            return bad("`statement` is empty.", "give one statement.");
        }
        if self.statement.len() > MAX_STATEMENT {
            return bad("`statement` has more than 64 KiB.", "split it.");
        }
        Ok(SqlStatement { connection: self.connection, statement: self.statement })
    }
}

impl SqlStatement {
    /// Whether this is one statement that changes nothing.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        words_of(&self.statement).is_some_and(|words| {
            matches!(words.first().map(String::as_str), Some("select" | "explain" | "with"))
                && !words.iter().any(|word| WRITING_WORDS.contains(&word.as_str()))
        })
    }
}

/// The words outside of strings and comments; `None` for several statements, and for characters that dialects
/// read differently.
fn words_of(statement: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut signs = statement.chars().peekable();
    let mut is_ended = false;
    while let Some(sign) = signs.next() {
        if sign.is_alphanumeric() || sign == '_' {
            if is_ended {
                return None;
            }
            word.extend(sign.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        match sign {
            '\'' | '"' | '`' => skip_quoted(&mut signs, sign)?,
            '-' if signs.peek() == Some(&'-') => {
                signs.next();
                if signs.peek().is_some_and(|next| !next.is_whitespace()) {
                    return None;
                }
                signs.by_ref().find(|sign| *sign == '\n');
            }
            '/' if signs.peek() == Some(&'*') => {
                signs.next();
                skip_comment(&mut signs)?;
            }
            // A comment, a quoted word or the end of a string, depending on the dialect.
            '#' | '$' | '\\' | '\0' => return None,
            '[' => skip_bracket(&mut signs)?,
            ';' => is_ended = true,
            sign if sign.is_whitespace() => {}
            _ if is_ended => return None,
            _ => {}
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Some(words)
}

type StatementSigns<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_quoted(signs: &mut StatementSigns<'_>, quote: char) -> Option<()> {
    loop {
        match signs.next()? {
            '\\' => return None,
            sign if sign == quote => {
                // A doubled quote is one quote of the text.
                if signs.peek() != Some(&quote) {
                    return Some(());
                }
                signs.next();
            }
            _ => {}
        }
    }
}

fn skip_comment(signs: &mut StatementSigns<'_>) -> Option<()> {
    // Comments that some dialects execute.
    if matches!(signs.peek(), Some('!' | '+' | 'M')) {
        return None;
    }
    loop {
        match signs.next()? {
            '*' if signs.peek() == Some(&'/') => {
                signs.next();
                return Some(());
            }
            // Dialects differ on where nested comments end.
            '/' if signs.peek() == Some(&'*') => return None,
            _ => {}
        }
    }
}

fn skip_bracket(signs: &mut StatementSigns<'_>) -> Option<()> {
    loop {
        match signs.next()? {
            ']' => return Some(()),
            '\'' | '"' | '`' | ';' | '-' | '/' => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_reading(statement: &str) -> bool {
        SqlStatement { connection: "c".to_owned(), statement: statement.to_owned() }.is_reading()
    }

    #[test]
    fn plain_questions_are_reading() {
        for statement in [
            "SELECT * FROM t;",
            "  -- why\nselect 'it''s; drop table t' as \"update\" from t where a[1] = 2",
            "with x as (select 1) select * from x /* delete */ ; -- end",
            "EXPLAIN SELECT 1",
            "select updated_at from t",
        ] {
            assert!(is_reading(statement), "{statement}");
        }
    }

    #[test]
    fn all_others_are_not() {
        for statement in [
            "DELETE FROM t",
            "select 1; drop table t",
            "with x as (delete from t returning *) select * from x",
            "explain analyze delete from t",
            "select * into u from t",
            "select * from t for update",
            "select '\\'' ; drop table t; -- '",
            "select 1 --1; drop table t",
            "select 1 # ' \n ; drop table t; -- '",
            "select /*! 1; drop table t */",
            "select /* /* */ drop */ 1",
            "select [a'] ; drop table t; --'",
            "select $$x$$",
            "pragma writable_schema = 1",
            "select 'open",
            "",
        ] {
            assert!(!is_reading(statement), "{statement}");
        }
    }
}
