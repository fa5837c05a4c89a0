//! The class of a unit, by cue words of several languages, and the facts of a unit, by form.
//!
//! Facts are the parts that a paraphrase would damage: addresses, paths, hashes, numbers, identifiers,
//! quotations and names. The cues are deliberately few and common: a wrong one costs a little space, a
//! missing one leaves the unit to facts and position.

use std::sync::LazyLock;

use regex::Regex;

/// The class of a unit, in the order of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum UnitClass {
    Goal,
    Decision,
    Open,
    Failure,
    Fact,
    Course,
}

impl UnitClass {
    pub(super) const ALL: [Self; 6] =
        [Self::Goal, Self::Decision, Self::Open, Self::Failure, Self::Fact, Self::Course];

    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Goal => "Goals",
            Self::Decision => "Decisions",
            Self::Open => "Open items",
            Self::Failure => "Errors",
            Self::Fact => "Facts",
            Self::Course => "Course",
        }
    }

    /// Worth of a unit by class alone.
    pub(super) const fn worth(self) -> f64 {
        match self {
            Self::Goal | Self::Decision | Self::Open => 6.0,
            Self::Failure => 5.0,
            Self::Fact => 2.0,
            Self::Course => 0.0,
        }
    }
}

/// A pattern that is part of the program; the tests compile them all.
fn pattern(text: &str) -> Option<Regex> {
    Regex::new(text).ok()
}

static OPEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)^[-*] \[ \]|\b(to-?do|open (item|question|point|step|issue)s?|open:|pending|next steps?|next:|remain(s|ing)|still (has|have|needs?|to)|blocked|waiting for|unresolved|follow[- ]up|not yet|offen|ausstehend|nächste[rns]? schritte?|noch (zu|nicht)|reste à|à faire|prochaine étape|pendientes?|siguiente paso|por hacer|da fare|prossimo passo|осталось|следующий шаг)\b|待办|未完成|下一步|未解決|次のステップ",
    )
});
static DECISION: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(decided|decisions?|decide to|agreed|chose|chosen|we('ll| will) (use|keep|take|go)|settled on|rejected|ruled out|conclusion|entschieden|entscheidung|beschlossen|vereinbart|verworfen|décidé|décision|choisi|convenu|decidido|decidimos|decisión|acordado|deciso|decisione|решили|решение|договорились)\b|決定|决定|選択|选择",
    )
});
static FAILURE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(errors?|failed|fails|failure|panicked|exception|traceback|fatal|segfault|refused|timed? ?out|denied|not found|could not|cannot|in vain|exit (code|status) [1-9]\d*|e\d{4}|fehler|fehlgeschlagen|gescheitert|abgestürzt|erreur|échec|échoué|falló|fallo|error|errore|fallito|ошибк[аи]|сбой)\b|\w+(Error|Exception)\b|错误|失败|エラー|失敗",
    )
});
static GOAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(goals?|objectives?|task:|aim|aims|must( not)?|acceptance|requirements?|required to|needs? to|please|i want|we want|you are to|ziele?|aufgabe|soll(en)?|muss|müssen|bitte|objectif|tâche|doit|doivent|il faut|s'il (vous|te) plaît|objetivo|tarea|debe[ns]?|por favor|obiettivo|compito|deve|цель|задача|нужно|пожалуйста)\b|目标|任务|必须|请|目的|課題|ください",
    )
});
static FACT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r"[a-z][a-z0-9+.-]*://[^\s<>()\x22'`]+",          // addresses
        r"|[\w.+-]+@[\w-]+\.[\w.-]*\w",                   // mail
        r"|`[^`\n]{1,120}`",                              // code
        r"|(?:[A-Za-z]:)?(?:[\w.@~-]*[/\\])+[\w.@~-]*\w", // paths
        r"|\b[0-9a-fA-F]{7,64}\b",                        // hashes
        r"|\b\w+(?:::\w+)+\b|\b[A-Za-z]+[a-z0-9]*_\w+\b|\b[a-z]+[A-Z]\w+\b", // identifiers
        r"|\b[\w-]+\.(?:rs|py|js|ts|go|java|c|h|cpp|md|txt|json|toml|yaml|yml|csv|sh|html|sql|log)\b", // files
        r"|[$€£¥]?[+-]?\b\d[\d.,:]*\d%?|[$€£¥]?\b\d+%?", // numbers
        r"|\b[A-Z]{2,}[A-Z0-9-]*\b",                     // acronyms
        r"|\b\p{Lu}\p{Ll}+(?:[ -]\p{Lu}\p{Ll}+)*\b",     // names
    ))
});

fn is_in(pattern: &Option<Regex>, unit: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(unit))
}

/// Facts of this weight together make a unit worth keeping for them; a lone index does not.
const TELLING: f64 = 0.3;

/// The class of a unit, given the weight of its facts.
pub(super) fn class(unit: &str, facts: f64) -> UnitClass {
    let asks = unit.trim_end().ends_with(['?', '？', '؟']);
    if is_in(&OPEN, unit) {
        UnitClass::Open
    } else if is_in(&DECISION, unit) {
        UnitClass::Decision
    } else if is_in(&FAILURE, unit) {
        UnitClass::Failure
    } else if is_in(&GOAL, unit) || asks {
        UnitClass::Goal
    } else if facts >= TELLING {
        UnitClass::Fact
    } else {
        UnitClass::Course
    }
}

/// Weight of a number of up to three digits: a count, an index, a line.
pub(super) const SLIGHT: f64 = 0.1;

/// The loss with a fact: greatest for facts that nobody could guess.
pub(super) fn weight(fact: &str) -> f64 {
    let has = |test: fn(char) -> bool| fact.contains(test);
    let (digit, letter) = (has(|c| c.is_ascii_digit()), has(char::is_alphabetic));
    let joined = has(|c| "/\\_:@".contains(c)) || (fact.contains('.') && letter);
    match (letter, digit) {
        (true, _) if joined => 1.0,
        (true, true) if fact.len() >= 7 => 1.5,
        (false, _) if fact.len() <= 3 => SLIGHT,
        _ => 0.5,
    }
}

/// The facts of a unit, in order. A capital at the beginning makes no name.
pub(super) fn facts(unit: &str) -> Vec<&str> {
    let Some(pattern) = FACT.as_ref() else { return Vec::new() };
    let is_fact = |hit: &regex::Match<'_>| {
        let text = hit.as_str();
        let is_word = text.chars().all(char::is_alphabetic) && text.chars().skip(1).all(char::is_lowercase);
        let begins = !unit[..hit.start()].contains(char::is_alphanumeric);
        text.len() > 1 && !(is_word && begins)
    };
    let found = pattern.find_iter(unit).filter(is_fact).map(|hit| hit.as_str().trim_matches('`'));
    found.filter(|fact| !fact.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_sound() {
        for pattern in [&OPEN, &DECISION, &FAILURE, &GOAL, &FACT] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn facts_are_found_by_their_form() {
        let unit = "We saw `cargo test` fail in src/store/writer.rs:120 at 9f3c2ab with 3,140 rows, 99.5% of $12.40, \
                    see https://example.org/a?b=1 or ada@example.org; Grace Hopper set max_rows in store::open.";
        let found = facts(unit);
        for fact in [
            "cargo test",
            "src/store/writer.rs",
            "120",
            "9f3c2ab",
            "3,140",
            "99.5%",
            "$12.40",
            "https://example.org/a?b=1",
            "ada@example.org",
            "Grace Hopper",
            "max_rows",
            "store::open",
        ] {
            assert!(found.contains(&fact), "{fact} is not in {found:?}");
        }
        assert!(!found.contains(&"We"));
        assert!(facts("Nothing to see here.").is_empty());
    }

    #[test]
    fn classes_are_told_in_several_languages() {
        for (unit, class_of) in [
            ("The goal is a clean build.", UnitClass::Goal),
            ("Das Ziel ist ein sauberer Bau.", UnitClass::Goal),
            ("Il faut réduire la mémoire.", UnitClass::Goal),
            ("What is the port?", UnitClass::Goal),
            ("We decided to keep redb.", UnitClass::Decision),
            ("Wir haben uns für redb entschieden.", UnitClass::Decision),
            ("决定使用 redb。", UnitClass::Decision),
            ("TODO: write the migration.", UnitClass::Open),
            ("- [ ] write the migration", UnitClass::Open),
            ("Queda pendiente la migración.", UnitClass::Open),
            ("thread 'main' panicked at 'no rows'", UnitClass::Failure),
            ("ValueError: bad literal", UnitClass::Failure),
            ("Der Test ist fehlgeschlagen.", UnitClass::Failure),
            ("It takes 1234 ms.", UnitClass::Fact),
            ("It is part 12 of it.", UnitClass::Course),
            ("All is quiet.", UnitClass::Course),
        ] {
            let weight = facts(unit).into_iter().map(weight).sum();
            assert_eq!(class(unit, weight), class_of, "{unit}");
        }
    }
}
