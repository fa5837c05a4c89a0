//! Selects the units of a text for a summary of a given size.
//!
//! The worth of a unit is the sum of its class, facts, position (the beginning states the goal, the end is
//! where work continues) and words; a word counts by the number of units that share it. The best units are
//! taken while there is space; no class may take all the space, and repetitions are skipped. Deterministic:
//! ties go to the earlier unit.

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation as _;

use super::facts::{self, UnitClass};
use super::units;

/// Units at the beginning and the end that are worth more for their place.
const FIRST: usize = 3;
const LAST: usize = 12;
/// Largest share of one class while others have candidates, in per cent.
const SHARE_PERCENT: u64 = 30;
/// Share of known words from which a unit only repeats, in per cent.
const REPEATS_PERCENT: usize = 85;
/// Units shorter than this many words are not judged as repetitions by their words.
const FEW_WORDS: usize = 5;
/// Units that do not fit any more before the choice ends: small ones further down matter little.
const MISSES: usize = 200;
/// Longest fact listed alone, in bytes.
const MAX_FACT: usize = 120;

struct SummaryUnit<'t> {
    text: &'t str,
    class: UnitClass,
    worth: f64,
    facts: Vec<&'t str>,
    words: Vec<String>,
}

/// The choice, in the order of the text.
pub(super) struct ChosenUnits<'t> {
    /// With their places in the text and their worth.
    units: Vec<(usize, f64, UnitClass, &'t str)>,
    /// Facts of units that were not taken, the most frequent first.
    pub(super) facts: Vec<&'t str>,
}

impl<'t> ChosenUnits<'t> {
    pub(super) fn units(&self, class: UnitClass) -> impl Iterator<Item = &'t str> {
        self.units.iter().filter(move |unit| unit.2 == class).map(|unit| unit.3)
    }

    /// Drops the last fact, else the least valuable unit; false when only one unit is left.
    pub(super) fn give_up_one(&mut self) -> bool {
        if self.facts.pop().is_some() {
            return true;
        }
        let least = self.units.iter().enumerate().min_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
        match least.map(|(at, _)| at) {
            Some(at) if self.units.len() > 1 => {
                self.units.remove(at);
                true
            }
            _ => false,
        }
    }
}

/// Chooses units for a number of tokens, and facts of the others.
pub(super) fn choose<'t>(
    text: &'t str,
    unit_tokens: u64,
    fact_tokens: u64,
    count: &impl Fn(&str) -> u64,
) -> ChosenUnits<'t> {
    let units = judged(text);
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by(|a, b| units[*b].worth.total_cmp(&units[*a].worth));
    let mut choice = UnitChoice { left: unit_tokens, ..UnitChoice::default() };
    let share = unit_tokens * SHARE_PERCENT / 100;
    choice.take(&units, &order, share, count);
    choice.take(&units, &order, unit_tokens, count);
    let mut taken: Vec<usize> = choice.taken.into_iter().collect();
    taken.sort_unstable();
    let facts = facts_beside(&units, &taken, fact_tokens, count);
    let chosen = taken.into_iter().map(|at| (at, units[at].worth, units[at].class, units[at].text));
    ChosenUnits { units: chosen.collect(), facts }
}

#[derive(Default)]
struct UnitChoice {
    left: u64,
    taken: HashSet<usize>,
    spent: HashMap<u8, u64>,
    texts: HashSet<String>,
    words: HashSet<String>,
    facts: HashSet<String>,
}

impl UnitChoice {
    /// Takes the best units while there is room, at most `share` tokens of each class.
    fn take(&mut self, units: &[SummaryUnit<'_>], order: &[usize], share: u64, count: &impl Fn(&str) -> u64) {
        let (mut misses, mut full) = (0, HashSet::new());
        for &at in order {
            let unit = &units[at];
            if full.contains(&(unit.class as u8)) || self.taken.contains(&at) || self.repeats(unit) {
                continue;
            }
            // Two tokens more: the mark before the unit, and the line end after.
            let tokens = count(unit.text) + 2;
            let spent = self.spent.entry(unit.class as u8).or_default();
            if tokens > self.left {
                misses += 1;
                if misses >= MISSES {
                    return;
                }
                continue;
            }
            if *spent + tokens > share {
                full.insert(unit.class as u8);
                continue;
            }
            *spent += tokens;
            self.left -= tokens;
            self.taken.insert(at);
            self.texts.insert(unit.words.join(" "));
            self.words.extend(unit.words.iter().cloned());
            self.facts.extend(unit.facts.iter().map(|fact| (*fact).to_owned()));
        }
    }

    /// Whether a unit repeats taken ones.
    fn repeats(&self, unit: &SummaryUnit<'_>) -> bool {
        if !unit.words.is_empty() && self.texts.contains(&unit.words.join(" ")) {
            return unit.facts.iter().all(|fact| self.facts.contains(*fact));
        }
        let known = unit.words.iter().filter(|word| self.words.contains(*word)).count();
        unit.words.len() >= FEW_WORDS
            && known * 100 >= unit.words.len() * REPEATS_PERCENT
            && unit.facts.iter().all(|fact| self.facts.contains(*fact))
    }
}

/// All units with their worth.
fn judged(text: &str) -> Vec<SummaryUnit<'_>> {
    let mut units: Vec<SummaryUnit<'_>> = units::split(text)
        .into_iter()
        .map(|range| {
            let text = &text[range];
            let facts = facts::facts(text);
            let words = text.unicode_words().map(str::to_lowercase).collect();
            let class = facts::class(text, facts.iter().map(|fact| facts::weight(fact)).sum());
            SummaryUnit { text, class, worth: class.worth(), facts, words }
        })
        .collect();
    let mut shared: HashMap<String, u32> = HashMap::new();
    for unit in &units {
        let distinct: HashSet<&String> = unit.words.iter().collect();
        for word in distinct {
            *shared.entry(word.clone()).or_default() += 1;
        }
    }
    let count = units.len();
    let most = f64::from(shared.values().copied().max().unwrap_or(1)).ln_1p();
    for (at, unit) in units.iter_mut().enumerate() {
        unit.worth += by_facts(unit) + by_place(at, count) + by_words(unit, &shared, most) + by_turn(unit);
    }
    units
}

/// Up to 3 for facts: beyond that, a unit is a table or a dump.
fn by_facts(unit: &SummaryUnit<'_>) -> f64 {
    unit.facts.iter().map(|fact| facts::weight(fact)).sum::<f64>().min(3.0)
}

/// 4 for the first units, 3 falling to 0 for the last ones.
fn by_place(at: usize, count: usize) -> f64 {
    let from_end = count - 1 - at;
    let first = if at < FIRST { 4.0 } else { 0.0 };
    let last = 3.0 * (LAST.saturating_sub(from_end) as f64 / LAST as f64);
    first + last
}

/// 0 to 1 for words that many units share. One- and two-letter words are no topic in any script with
/// spaces; single ideographs are.
fn by_words(unit: &SummaryUnit<'_>, shared: &HashMap<String, u32>, most: f64) -> f64 {
    let topics = unit.words.iter().filter(|word| word.len() > 2);
    let (sum, count) = topics.fold((0.0, 0_u32), |(sum, count), word| {
        let units = shared.get(word).copied().unwrap_or(1);
        (sum + f64::from(units).ln_1p(), count + 1)
    });
    if count == 0 || most <= 0.0 { -1.0 } else { sum / f64::from(count) / most }
}

/// A person's words weigh more than the answers.
fn by_turn(unit: &SummaryUnit<'_>) -> f64 {
    match units::speaker(unit.text) {
        Some(name) if ["user", "human", "card"].contains(&name.to_lowercase().as_str()) => 2.0,
        _ => 0.0,
    }
}

/// Facts that no taken unit contains: the weightiest and most frequent first, then the order of the text.
/// Small numbers say nothing without their sentence.
fn facts_beside<'t>(
    units: &[SummaryUnit<'t>],
    taken: &[usize],
    tokens: u64,
    count: &impl Fn(&str) -> u64,
) -> Vec<&'t str> {
    let known: HashSet<&str> = taken.iter().flat_map(|at| units[*at].facts.iter().copied()).collect();
    let mut often: HashMap<&str, (usize, usize)> = HashMap::new();
    for (at, fact) in units.iter().flat_map(|unit| unit.facts.iter().copied()).enumerate() {
        if !known.contains(fact) && fact.len() <= MAX_FACT && facts::weight(fact) > facts::SLIGHT {
            often.entry(fact).or_insert((0, at)).0 += 1;
        }
    }
    let mut facts: Vec<(&str, (usize, usize))> = often.into_iter().collect();
    let weight = |fact: &str, times: usize| facts::weight(fact) * (times as f64).ln_1p();
    facts.sort_by(|(a, (m, i)), (b, (n, j))| weight(b, *n).total_cmp(&weight(a, *m)).then(i.cmp(j)));
    let (mut left, mut listed) = (tokens, Vec::new());
    for (fact, _) in facts {
        let cost = count(fact) + 2;
        if cost > left {
            break;
        }
        left -= cost;
        listed.push(fact);
    }
    listed
}
