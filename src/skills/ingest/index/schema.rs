//! The fields of the full-text index.
//!
//! `path`, `title` and `body` are searched by the words of [`super::words`] and stored (the body compressed, for
//! snippets: the index answers alone, without the run's other files); `doc_id` is stored. Invariant:
//! builder and searcher share this one schema, so a query is stemmed as the text was.

use super::words::ANALYZER;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};

pub(super) const DOC_ID: &str = "doc_id";
pub(super) const PATH: &str = "path";
pub(super) const TITLE: &str = "title";
pub(super) const BODY: &str = "body";

/// The schema with handles of the fields.
#[derive(Debug, Clone)]
pub(super) struct IndexFields {
    pub(super) schema: Schema,
    pub(super) doc_id: Field,
    pub(super) path: Field,
    pub(super) title: Field,
    pub(super) body: Field,
}

impl IndexFields {
    pub(super) fn new() -> Self {
        let mut builder = SchemaBuilder::new();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(ANALYZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let text = TextOptions::default().set_indexing_options(indexing).set_stored();
        let doc_id = builder.add_u64_field(DOC_ID, NumericOptions::default().set_stored());
        let path = builder.add_text_field(PATH, text.clone());
        let title = builder.add_text_field(TITLE, text.clone());
        let body = builder.add_text_field(BODY, text);
        Self { schema: builder.build(), doc_id, path, title, body }
    }
}
