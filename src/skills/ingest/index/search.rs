//! Queries against a finished index.
//!
//! Opens the folder, answers, and closes the folder: nothing is kept between calls. A query is words (any may
//! occur, rare ones weigh more; words such as "the" are left out beside others), `"a phrase"`, `+must`,
//! `-without`, `title:word`, `path:word`, `a AND b`. To ask for all words removes the right document more often
//! than wrong ones: its author chose other words for one of them.
//! Invalid syntax is never an error: the readable part of the query is searched, and [`SearchResults::note`]
//! explains that.

use std::ops::Range;
use std::path::Path;

use serde::Serialize;
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{EmptyQuery, Query, QueryParser};
use tantivy::schema::Value as _;
use tantivy::snippet::SnippetGenerator;
use tantivy::{DocAddress, Index, IndexReader, ReloadPolicy, Score, Searcher, TantivyDocument};
use unicode_normalization::UnicodeNormalization as _;

use super::schema::{self, IndexFields};
use super::words::{is_in_word, is_stop_word};

/// Most hits of one answer; each carries a snippet cut from the document's whole text.
pub const MAX_HITS: usize = 100;
/// Longest query in bytes; a longer one is cut there (and the answer says so).
pub const MAX_QUERY_BYTES: usize = 1_000;
/// About three lines of a terminal.
const SNIPPET_CHARS: usize = 200;
/// Weight of a match in the title, and in the path, against one in the text. Both are short, so BM25 makes much
/// of them already: above one half the name alone decides.
const TITLE_BOOST: Score = 0.3;
const PATH_BOOST: Score = 0.3;

#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// No finished index at that path.
    #[error("no full-text index in {0}: run an ingest first, or name another run")]
    Missing(String),
    /// The index is there, but cannot be read.
    #[error("cannot read the full-text index in {folder}: {reason}; repeat the ingest to rebuild it")]
    Damaged { folder: String, reason: String },
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResults {
    pub query: String,
    /// All documents that match.
    pub total: usize,
    /// The best hits, best first.
    pub hits: Vec<SearchHit>,
    /// Remarks on parts of the query that were not taken literally; empty without any.
    pub note: String,
}

/// One document that matches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchHit {
    /// As in the tables of the run.
    pub doc_id: u32,
    /// Path relative to the source folder.
    pub path: String,
    pub title: String,
    /// BM25, higher is better; comparable within one answer only.
    pub score: f32,
    /// The passage that matches best, or the opening when only title or path match.
    pub snippet: HitSnippet,
}

/// A passage with its matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct HitSnippet {
    pub text: String,
    /// Byte ranges of `text` that match, ascending and apart.
    pub highlights: Vec<Range<usize>>,
    /// The same with HTML escaped and matches between `<b>` and `</b>`.
    pub html: String,
}

/// Searches the index in `index_dir` (a run's `index` folder) for the best `limit` documents (at least
/// 1, at most [`MAX_HITS`]).
///
/// # Errors
/// [`SearchError`] when the index is missing or unreadable; never for the query.
pub fn search(index_dir: &Path, query: &str, limit: usize) -> Result<SearchResults, SearchError> {
    let folder = index_dir.display().to_string();
    if !index_dir.join("meta.json").is_file() {
        return Err(SearchError::Missing(folder));
    }
    answer(index_dir, query, limit.clamp(1, MAX_HITS))
        .map_err(|error| SearchError::Damaged { folder, reason: error.to_string() })
}

fn answer(index_dir: &Path, query: &str, limit: usize) -> tantivy::Result<SearchResults> {
    let index = Index::open_in_dir(index_dir)?;
    super::words::register(&index);
    let fields = IndexFields::new();
    if index.schema() != fields.schema {
        return Err(tantivy::TantivyError::SchemaError("another version of PAS made it".to_owned()));
    }
    // No watcher thread: the folder is read once and never changes.
    let reader: IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let searcher = reader.searcher();
    // Cleaned texts are in this form: letters with their marks as one character where there is one.
    let query: String = query.trim().nfc().collect();
    let (parsed, found, note) = parse_and_find(&searcher, &fields, &query, limit)?;
    let mut snippets = SnippetGenerator::create(&searcher, &*parsed, fields.body)?;
    snippets.set_max_num_chars(SNIPPET_CHARS);
    let mut hits = Vec::with_capacity(found.1.len());
    for (score, address) in found.1 {
        hits.push(hit(&searcher.doc(address)?, score, &fields, &snippets));
    }
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.doc_id.cmp(&b.doc_id)));
    Ok(SearchResults { query: shortened(&query).to_owned(), total: found.0, hits, note })
}

type RankedDocs = (usize, Vec<(Score, DocAddress)>);

fn parse_and_find(
    searcher: &Searcher,
    fields: &IndexFields,
    query: &str,
    limit: usize,
) -> tantivy::Result<(Box<dyn Query>, RankedDocs, String)> {
    let mut notes = Vec::new();
    let short = shortened(query);
    if short.len() < query.len() {
        notes.push(format!("only the first {} bytes of the query were searched", short.len()));
    }
    let (parsed, mistakes) = parse(searcher.index(), fields, short);
    if let Some(mistake) = mistakes {
        notes.push(format!("the query was searched as far as it could be parsed: {mistake}"));
    }
    let found = searcher.search(&*parsed, &(Count, TopDocs::with_limit(limit).order_by_score()))?;
    Ok((parsed, found, notes.join("; ")))
}

fn parse(index: &Index, fields: &IndexFields, query: &str) -> (Box<dyn Query>, Option<String>) {
    if query.is_empty() {
        return (Box::new(EmptyQuery), Some("it is empty".to_owned()));
    }
    let mut parser = QueryParser::for_index(index, vec![fields.title, fields.body, fields.path]);
    parser.set_field_boost(fields.title, TITLE_BOOST);
    parser.set_field_boost(fields.path, PATH_BOOST);
    let Err(mistake) = parser.parse_query(query) else {
        return (parser.parse_query_lenient(&without_stop_words(query)).0, None);
    };
    // `std::env` or `C:\x` name no field: without the signs of the syntax they are words.
    let words: String = query.chars().map(|c| if is_in_word(c) { c } else { ' ' }).collect();
    (parser.parse_query_lenient(&without_stop_words(&words)).0, Some(mistake.to_string()))
}

/// The query without frequent words, unless it has no others; phrases stay whole. An operator goes with the word
/// that it stood at: one at either end of the query, or beside another, would be an error.
fn without_stop_words(query: &str) -> String {
    let joins = |word: &str| matches!(word, "OR" | "AND");
    let operator = |word: &str| joins(word) || word == "NOT";
    let mut quoted = false;
    let mut kept: Vec<&str> = Vec::new();
    for word in query.split_whitespace() {
        let in_phrase = quoted || word.contains('"');
        quoted ^= word.matches('"').count() % 2 == 1;
        if !in_phrase && operator(word) {
            if joins(word) {
                // Of two that meet the later one stands at the word that follows.
                while kept.last().is_some_and(|last| operator(last)) {
                    kept.pop();
                }
                if kept.is_empty() {
                    continue;
                }
            }
            kept.push(word);
        } else if in_phrase || !is_stop_word(word) {
            kept.push(word);
        }
    }
    while kept.last().is_some_and(|last| operator(last)) {
        kept.pop();
    }
    if kept.is_empty() { query.to_owned() } else { kept.join(" ") }
}

fn shortened(query: &str) -> &str {
    &query[..query.floor_char_boundary(MAX_QUERY_BYTES)]
}

fn hit(
    document: &TantivyDocument,
    score: Score,
    fields: &IndexFields,
    snippets: &SnippetGenerator,
) -> SearchHit {
    let text = |field| document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default();
    let id = document.get_first(fields.doc_id).and_then(|value| value.as_u64()).unwrap_or_default();
    let body = text(fields.body);
    SearchHit {
        doc_id: u32::try_from(id).unwrap_or_default(),
        path: text(fields.path).to_owned(),
        title: text(fields.title).to_owned(),
        score,
        snippet: snippet(body, snippets),
    }
}

fn snippet(body: &str, snippets: &SnippetGenerator) -> HitSnippet {
    let found = snippets.snippet(body);
    let (text, highlights) = match found.is_empty() {
        false => (found.fragment(), tantivy::snippet::collapse_overlapped_ranges(found.highlighted())),
        true => (&body[..body.floor_char_boundary(SNIPPET_CHARS)], Vec::new()),
    };
    HitSnippet { html: html(text, &highlights), text: text.to_owned(), highlights }
}

fn html(text: &str, highlights: &[Range<usize>]) -> String {
    let mut html = String::with_capacity(text.len() + highlights.len() * 7);
    let mut at = 0;
    for range in highlights {
        escape(&text[at..range.start], &mut html);
        html.push_str("<b>");
        escape(&text[range.clone()], &mut html);
        html.push_str("</b>");
        at = range.end;
    }
    escape(&text[at..], &mut html);
    html
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

/// The names that a query may put before `:`.
pub const SEARCHABLE_FIELDS: [&str; 3] = [schema::TITLE, schema::BODY, schema::PATH];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_go_with_their_operators() {
        for (query, left) in [
            ("the config AND the parser", "config AND parser"),
            ("the AND config", "config"),
            ("config OR the", "config"),
            ("config AND the OR parser", "config OR parser"),
            ("config NOT the", "config"),
            ("config AND NOT parser", "config AND NOT parser"),
            ("NOT the parser", "NOT parser"),
            ("\"the AND of\" OR it", "\"the AND of\""),
            ("the AND of", "the AND of"),
            ("config OR parser", "config OR parser"),
        ] {
            assert_eq!(without_stop_words(query), left, "{query}");
        }
    }
}
