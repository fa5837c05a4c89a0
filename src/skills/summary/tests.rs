//! Properties of useful summaries, on chats, prose, logs and noise.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::{EXTRACTIVE, ExtractiveSummariser, MAX_TOKENS, SummaryDigest, TextSummariser as _};
use crate::tokens::TokenCounter;

static EXTRACTIVE_ONE: LazyLock<ExtractiveSummariser> =
    LazyLock::new(|| ExtractiveSummariser::new(Arc::new(TokenCounter::default())));

fn digest(text: &str) -> SummaryDigest {
    EXTRACTIVE_ONE.digest(text)
}

/// A long session of work, with the facts that must survive strewn into small talk.
fn chat(needles: &[&str]) -> String {
    let mut random = fastrand::Rng::with_seed(11);
    let talk = ["ok", "that reads well", "looking at it now", "nothing new there", "going on", "as before"];
    let mut text = String::from("User: Please move the job table to the new schema without losing a row.\n");
    for turn in 0..900 {
        let who = if turn % 2 == 0 { "Assistant" } else { "Tool" };
        let words: Vec<_> = (0..4).map(|_| talk[random.usize(..talk.len())]).collect();
        let _ = writeln!(text, "{who}: {} and so it goes, part {turn} of it.", words.join(", "));
        if turn % 90 == 45
            && let Some(needle) = needles.get(turn / 90)
        {
            let _ = writeln!(text, "Assistant: {needle}");
        }
    }
    text
}

const NEEDLES: &[&str] = &[
    "Decided to keep the old table read-only until release 2.4.1, because rollback must stay possible.",
    "error[E0308]: mismatched types in src/store/migrate.rs:214",
    "TODO: backfill 1,048,576 rows before Friday.",
    "The checksum of the dump is 3f9a1c77d0e4b2a8.",
    "Open question: who signs off, Ada Lovelace or the release board?",
    "The migration must not hold a lock for longer than 250 ms.",
    "We rejected a trigger on `jobs_v1`, since it doubles the write cost.",
    "The backup lies in /var/backups/pas/2026-11-20.redb.",
];

#[test]
fn a_long_chat_keeps_goal_decisions_open_items_errors_numbers_paths_and_hashes() {
    let text = chat(NEEDLES);
    let summary = digest(&text);
    assert!(summary.tokens_before > 10_000);
    assert!((1_000..=MAX_TOKENS).contains(&summary.tokens_after), "{}", summary.tokens_after);
    for needle in NEEDLES {
        assert!(summary.text.contains(needle), "lost: {needle}\n{}", summary.text);
    }
    assert!(summary.text.contains("Please move the job table to the new schema without losing a row."));
    assert!(summary.text.contains("part 899 of it"), "the last turn is where work goes on");
    assert_eq!(summary.method, EXTRACTIVE);
}

#[test]
fn long_prose_keeps_the_facts_of_its_sentences() {
    let mut text = String::from("The committee met in Geneva to settle the budget of the programme.\n\n");
    for n in 0..500 {
        let _ = writeln!(
            text,
            "The weather of the region was described at some length by several of the speakers, who did not agree about\n\
             its causes and returned to the matter again and again. Station {n} measured {} mm of rain.\n",
            n * 7 + 3
        );
    }
    text.push_str("Dr. Okafor concluded that 42.7 million euros must be raised before 31.12.2027.\n");
    let summary = digest(&text);
    assert!((1_000..=MAX_TOKENS).contains(&summary.tokens_after), "{}", summary.tokens_after);
    assert!(summary.text.contains("settle the budget of the programme"));
    assert!(summary.text.contains("42.7 million euros must be raised before 31.12.2027."));
    let weather = summary.text.matches("The weather of the region").count();
    assert_eq!(weather, 1, "what only repeats is said once");
}

#[test]
fn one_loud_class_does_not_crowd_out_the_others() {
    let mut text = String::from("Card: the goal is to index all 12 shards.\n");
    for n in 0..3_000 {
        let _ = writeln!(text, "Tool: error {n}: connection refused by 10.0.{}.{}", n / 250, n % 250);
    }
    text.push_str("Assistant: we decided to use the replica at 10.9.9.9 instead.\n");
    for n in 0..100 {
        let _ = writeln!(text, "Tool: error again {n}: connection refused");
    }
    let summary = digest(&text);
    for kept in ["index all 12 shards", "we decided to use the replica at 10.9.9.9", "error 0:"] {
        assert!(summary.text.contains(kept), "{kept}");
    }
    assert!(summary.tokens_after <= MAX_TOKENS);
}

#[test]
fn other_languages_are_summarised_too() {
    let needles = [
        "Wir haben entschieden, dass Port 6105 bleibt.",
        "Il reste à faire : la sauvegarde de 3 tables.",
        "决定在 2027-01-15 发布版本 3.2。",
    ];
    let mut text = String::from("Ziel: die Tabelle ohne Verlust umziehen.\n");
    for n in 0..1_500 {
        let _ = writeln!(text, "Wie besprochen geht es weiter, Teil {n}, 没有什么新的事情发生。");
        if n % 500 == 250 {
            let _ = writeln!(text, "{}", needles[n / 500]);
        }
    }
    let summary = digest(&text);
    for needle in needles {
        assert!(summary.text.contains(needle), "lost: {needle}");
    }
    assert!(summary.text.contains("Ziel: die Tabelle ohne Verlust umziehen."));
}

#[test]
fn facts_of_sentences_that_are_left_out_are_listed() {
    let mut text = String::new();
    for n in 0..2_000 {
        let _ = writeln!(
            text,
            "We decided that part {n} of the plan is done by the usual people in the usual way."
        );
        let _ = writeln!(
            text,
            "It says so in plans/common.toml as ever, number {n} too, whatever comes of it then."
        );
    }
    let summary = digest(&text);
    assert!(summary.text.contains("plans/common.toml"), "{}", summary.text);
}

#[test]
fn a_text_that_fits_stays_as_it_is() {
    for text in ["", " ", "x", "User: hi\n\n\nAssistant: hello", &"word ".repeat(1_900)] {
        assert_eq!(digest(text).text, text);
    }
}

#[test]
fn noise_is_bounded_and_never_empty() {
    let letters = "x".repeat(200_000);
    let lines = "\u{2028}—\n".repeat(20_000);
    let emoji = "👩‍👩‍👧‍👦".repeat(20_000);
    let base64 = format!("data:{}", "QUJDREVGRw".repeat(30_000));
    for text in [letters, lines, emoji, base64] {
        let summary = digest(&text);
        assert!(summary.tokens_after <= MAX_TOKENS, "{}", summary.tokens_after);
        assert!(!summary.text.trim().is_empty());
    }
}

#[tokio::test]
async fn the_seam_gives_the_same_digest() {
    let text = chat(NEEDLES);
    let seam = EXTRACTIVE_ONE.summarise(Arc::from(text.as_str())).await.unwrap();
    assert_eq!(seam, digest(&text));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_text_is_summarised_within_the_bound_and_the_same_each_time(
        parts in proptest::collection::vec("\\PC{0,60}(\n|\\. | )", 100..400),
    ) {
        let text = parts.concat();
        let summary = digest(&text);
        prop_assert!(summary.tokens_after <= MAX_TOKENS);
        prop_assert_eq!(summary.text.trim().is_empty(), text.trim().is_empty());
        prop_assert_eq!(digest(&text), summary);
    }
}
