//! The step, and searches over the index that it builds.

use std::sync::Arc;

use super::*;
use crate::StepControl;
use crate::ingest::formats::DocumentDuplicate;
use crate::ingest::testing::{clean_row, step_with};

fn rows() -> Vec<CleanRow> {
    let mut rows = vec![
        clean_row(0, "a/README.md", "Parsing configuration files <quickly> & safely with one parser."),
        clean_row(1, "b/README.md", "A logging facade. Nothing about parsers of any kind."),
        clean_row(2, "b/copy.md", "A logging facade. Nothing about parsers of any kind."),
        clean_row(3, "c/naïve.md", "Größe und naïveté — logging 日本語 text."),
    ];
    rows[2].duplicate_of = Some(DocumentDuplicate { doc_id: 1, how: "exact".to_owned(), similarity: 1.0 });
    rows
}

fn found(results: &SearchResults) -> Vec<u32> {
    results.hits.iter().map(|hit| hit.doc_id).collect()
}

#[test]
fn a_search_finds_stems_and_shows_escaped_snippets() {
    let (_folder, step) = step_with(&rows(), 1);
    let outcome = run(&step).unwrap();
    assert_eq!(outcome.outputs["documents"], 3);
    let index = step.run_dir().join(formats::INDEX);
    let results = search(&index, "parse quick", 10).unwrap();
    assert_eq!(found(&results)[0], 0);
    let snippet = &results.hits[0].snippet;
    assert_eq!(
        snippet.html,
        "<b>Parsing</b> configuration files &lt;<b>quickly</b>&gt; &amp; safely with one parser"
    );
    assert_eq!(&snippet.text[snippet.highlights[1].clone()], "quickly");
    assert_eq!(found(&search(&index, "\"logging facade\"", 10).unwrap()), [1]);
    assert_eq!(search(&index, "logging", 1).unwrap().total, 2);
    let some = search(&index, "configuration facade", 10).unwrap();
    assert_eq!((some.total, some.note.is_empty()), (2, true));
    let by_path = search(&index, "path:naïve", 10).unwrap();
    assert!(by_path.hits[0].snippet.text.starts_with("Größe"));
}

#[test]
fn a_word_that_the_right_document_lacks_does_not_hide_it_and_frequent_words_rank_nothing() {
    let rows = [
        clean_row(0, "a.md", "Reads settings from files of the user."),
        clean_row(1, "b.md", "What is the point of it, and how does the one of the many do it?"),
        clean_row(2, "c.md", "A schema."),
    ];
    let (_folder, step) = step_with(&rows, 1);
    run(&step).unwrap();
    let index = step.run_dir().join(formats::INDEX);
    assert_eq!(found(&search(&index, "how is the configuration of settings files done", 10).unwrap()), [0]);
    assert_eq!(found(&search(&index, "what is it", 10).unwrap()), [1]);
    assert_eq!(found(&search(&index, "+settings -schema", 10).unwrap()), [0]);
    assert_eq!(found(&search(&index, "\"the point of it\"", 10).unwrap()), [1]);
    assert_eq!(found(&search(&index, "settings AND point", 10).unwrap()), Vec::<u32>::new());
}

#[test]
fn words_of_scripts_without_spaces_and_of_near_copies_are_found() {
    let mut rows = vec![
        clean_row(0, "zh.md", "这个程序读取配置文件。"),
        clean_row(1, "ja.md", "設定ファイルを読むプログラム。"),
        clean_row(2, "ko.md", "이 프로그램은 설정을 읽는다."),
        clean_row(3, "old.md", "One clause for all."),
        clean_row(4, "new.md", "One clause for all, and arbitration."),
        clean_row(5, "th.md", "โปรแกรมนี้อ่านไฟล์การตั้งค่าและแสดงข้อผิดพลาด"),
        clean_row(6, "lo.md", "ໂປຣແກຣມນີ້ອ່ານໄຟລ໌ການຕັ້ງຄ່າ"),
        clean_row(7, "km.md", "កម្មវិធីនេះអានឯកសារកំណត់រចនាសម្ព័ន្ធ។"),
        clean_row(8, "my.md", "ဤပရိုဂရမ်သည်ဖိုင်များကိုဖတ်သည်။"),
        clean_row(9, "hi.md", "यह प्रोग्राम सेटिंग्स पढ़ता है।"),
        clean_row(10, "ml.md", "അവർ തിരുവനന്തപുരത്തേക്കായിരുന്നു പോയത്."),
        clean_row(11, "ta.md", "அவை கண்டுபிடிக்கப்பட்டவர்களுக்கு உரியவை."),
    ];
    rows[4].duplicate_of = Some(DocumentDuplicate { doc_id: 3, how: "near".to_owned(), similarity: 0.8 });
    let (_folder, step) = step_with(&rows, 1);
    run(&step).unwrap();
    let index = step.run_dir().join(formats::INDEX);
    for (query, document) in [
        ("配置", 0),
        ("文件", 0),
        ("ファイル", 1),
        ("プログラム", 1),
        ("프로그램", 2),
        ("arbitration", 4),
        ("ไฟล์", 5),
        ("ตั้งค่า", 5),
        ("ໄຟລ໌", 6),
        ("ឯកសារ", 7),
        ("ဖိုင်", 8),
        ("प्रोग्राम", 9),
        ("തിരുവനന്തപുരത്തേക്കായിരുന്നു", 10),
        ("கண்டுபிடிக்கப்பட்டவர்களுக்கு", 11),
    ] {
        assert_eq!(found(&search(&index, query, 10).unwrap()), [document], "{query}");
    }
    for none in ["件文", "ฟไล์", "ឯកកសារ"] {
        assert!(search(&index, none, 10).unwrap().hits.is_empty(), "{none}");
    }
}

#[test]
fn an_index_of_an_older_build_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let older = IndexFields::new().schema;
    let older = serde_json::to_string(&older).unwrap().replace(words::ANALYZER, "pas_words_2");
    let older: tantivy::schema::Schema = serde_json::from_str(&older).unwrap();
    assert_ne!(older, IndexFields::new().schema);
    let index = Index::create_in_dir(folder.path(), older).unwrap();
    drop(index);
    let error = search(folder.path(), "x", 1).unwrap_err();
    assert!(matches!(error, SearchError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("another version of PAS made it") && text.contains("repeat the ingest"), "{text}");
}

#[test]
fn no_query_is_an_error() {
    let (_folder, step) = step_with(&rows(), 1);
    run(&step).unwrap();
    let index = step.run_dir().join(formats::INDEX);
    let long = "logging ".repeat(1_000);
    for query in [
        "\"",
        "((",
        "nofield:logging",
        "std::logging",
        "+",
        "-logging",
        "[a TO",
        "*",
        "",
        " ",
        "a^b~",
        "日本",
        &long,
    ] {
        let results = search(&index, query, 0).unwrap();
        assert!(results.hits.len() <= 1, "{query:?}");
    }
    let results = search(&index, "nofield:logging ((", 10).unwrap();
    assert_eq!((found(&results).contains(&1), results.note.is_empty()), (true, false), "{results:?}");
}

#[test]
fn a_missing_or_damaged_index_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = search(folder.path(), "x", 1).unwrap_err();
    assert!(matches!(error, SearchError::Missing(_)) && error.to_string().contains("run an ingest"));
    fs::write(folder.path().join("meta.json"), "{").unwrap();
    assert!(matches!(search(folder.path(), "x", 1), Err(SearchError::Damaged { .. })));
}

#[test]
fn repeating_the_step_replaces_the_folder_keeps_the_hash_and_leaves_nothing_behind() {
    let (_folder, step) = step_with(&rows(), 1);
    let first = run(&step).unwrap();
    let left = step.run_dir().join(".index.dead.part");
    fs::create_dir(&left).unwrap();
    let second = run(&step).unwrap();
    assert_eq!(first.artifacts[0].blake3, second.artifacts[0].blake3);
    let mut names: Vec<_> = fs::read_dir(step.run_dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["clean", "index"]);
    let mut changed = rows();
    changed[0].title.push('!');
    assert_ne!(logical_hash(&rows()), logical_hash(&changed));
}

#[test]
fn a_stopped_step_leaves_the_earlier_index_and_no_half_of_a_new_one() {
    let (_folder, step) = step_with(&rows(), 1);
    run(&step).unwrap();
    let control = Arc::new(StepControl::default());
    control.stop();
    let stopped = StepContext::new(step.run_dir().to_owned(), serde_json::Value::Null, 1, control);
    assert_eq!(run(&stopped), Err(SkillError::Cancelled));
    assert_eq!(search(&step.run_dir().join(formats::INDEX), "logging", 5).unwrap().total, 2);
    assert_eq!(fs::read_dir(step.run_dir()).unwrap().count(), 2);
}

#[test]
fn no_documents_make_an_index_that_finds_nothing() {
    let (_folder, step) = step_with(&[], 1);
    run(&step).unwrap();
    assert_eq!(search(&step.run_dir().join(formats::INDEX), "anything", 5).unwrap().total, 0);
}

#[test]
fn a_corpus_beyond_the_writers_budget_becomes_one_segment() {
    // Distinct words fill the writer's 15 MB fast: several segments come before the merge.
    let word = |n: u32| format!("w{:08x}", n.wrapping_mul(2_654_435_761));
    let rows: Vec<_> = (0..12_u32)
        .map(|id| {
            let text: Vec<String> = (0..4_000).map(|n| word(id * 4_000 + n)).collect();
            clean_row(id, &format!("d/{id}.txt"), &text.join(" "))
        })
        .collect();
    let (_folder, step) = step_with(&rows, 1);
    let outcome = run(&step).unwrap();
    assert_eq!(outcome.outputs["terms"], 48_000);
    let index = step.run_dir().join(formats::INDEX);
    assert_eq!(Index::open_in_dir(&index).unwrap().searchable_segment_ids().unwrap().len(), 1);
    assert_eq!(found(&search(&index, &word(10 * 4_000), 3).unwrap()), [10]);
}
