//! The signs by which task and method are told, with their weights.
//!
//! Weights are log-odds, set by hand: 4 a plain statement of the wish, 2 typical, 1 leans that way.
//! Patterns are ASCII and without case; `^` is the start of the question. They come from how people ask
//! in general; `tests/data/tmd_queries.jsonl` was written before them.

use super::tmd::{Method, Task};

use Method::{Graph, Hybrid, Sparse};
use Task::{Answer, Compare, Retrieve, Summarize, Verify};

/// What `Answer` starts with: a question without any sign wants an answer.
pub(super) const ANSWER_BIAS: f32 = 1.0;

/// Signs of a task.
pub(super) const TASKS: &[(Task, f32, &str)] = &[
    (Summarize, 4.0, r"\b(summar(y|ies|i[sz](e|es|ed|ing|ation))|recap|tl;?\s?dr|synopsis|digest|gist)\b"),
    (
        Summarize,
        4.0,
        r"\b(overview|sum up|sums? it up|boil(s|ed)? down|in a nutshell|condense[sd]?|shorten)\b",
    ),
    (
        Summarize,
        3.0,
        r"\b(key|main|central) (points?|ideas?|arguments?|findings?|takeaways?|messages?|claims?)\b",
    ),
    (Summarize, 3.0, r"^\W*(outline|abstract|in (short|brief))\b"),
    (
        Summarize,
        1.0,
        r"\b(brief(ly)?|in (one|two|three|four|five|a few|\d+) (sentences?|lines|words|paragraphs?))\b",
    ),
    (Compare, 4.0, r"\b(compar(e|es|ed|ing|isons?|ative)|contrast(s|ed|ing)?|versus|vs\.?|pros and cons)\b"),
    (Compare, 4.0, r"\b(differences?|similarit(y|ies)) (between|of|in)\b|\bdifferences? between\b"),
    (
        Compare,
        3.5,
        r"\b(differs?|differ from|diff (of|between)|distinguish(es)?|unlike|as opposed to|rather than)\b",
    ),
    (
        Compare,
        3.5,
        r"\b(better|worse|faster|cheaper|safer|stronger|easier|more \w+|less \w+) (than\b|for\b.* or\b)",
    ),
    (
        Compare,
        3.5,
        r"^\W*which (is|are|was|of (the|these|those|both|them)|one)\b.*\b(better|best|more|most|or|\w+er)\b",
    ),
    (Compare, 3.0, r"^\W*(is|are|should)\b.*\bor\b.*\b(better|best|preferable)\b|\bbetter\b.*, .* or \b"),
    (Compare, 3.0, r"\b(advantages?|benefits?|drawbacks?|disadvantages?) of\b.*\b(over|against)\b"),
    (
        Verify,
        4.0,
        r"\b(verify|verif(ies|ied)|fact[- ]?check|double[- ]check|confirm(s|ed)?|debunk|validate)\b",
    ),
    (
        Verify,
        4.0,
        r"\b(is|was|are) (it|this|that|the following) (really |actually )?(true|correct|right|false|accurate)\b",
    ),
    (Verify, 4.0, r"\b(true or false|right or wrong|yes or no|fact or (fiction|myth)|myth or)\b"),
    (Verify, 4.0, r"\bcheck (whether|if|that|the (claim|statement|fact))\b"),
    (
        Verify,
        3.0,
        r"\b(any|there|the) evidence (that|for)\b|\bsupported by (the )?evidence\b|\b(claim|statement|rumou?r|myth) that\b",
    ),
    (
        Verify,
        3.0,
        r"^\W*(did|does|do|is|are|was|were|has|have|can|will)\b.*\b(really|actually|indeed|in fact|please check)\b",
    ),
    (Verify, 1.5, r"^\W*(is|are|was|were|did|does|do|has|have)\b"),
    (
        Retrieve,
        4.0,
        r"^\W*(please )?(find|search|look (up|for)|retrieve|fetch|locate|list|pull up|bring up|dig up)\b",
    ),
    (
        Retrieve,
        3.0,
        r"^\W*(please )?(show|get|give|send|hand) (me |us )?(all|every|everything|any|some|the|papers?|articles?|documents?|reports?|files?|a list)\b",
    ),
    (Retrieve, 2.0, r"^\W*(please )?(show|display|open)\b"),
    (
        Retrieve,
        3.0,
        r"\b(i (need|want|am looking for)|looking for) (\w+ ){0,3}(papers?|articles?|documents?|reports?|studies|files?|sources?|material|literature|pages?|books?|texts?|guides?|references)\b",
    ),
    (
        Retrieve,
        3.0,
        r"\b(which|what) (papers?|articles?|documents?|reports?|studies|files?|sources?|pages?|books?|texts?) (are|is|do|does|mention|discuss|contain|cover|deal|cite|describe|say)\b",
    ),
    (
        Retrieve,
        3.0,
        r"^\W*where (is|are|can i find)\b.*\b(defined|declared|stored|kept|documented|described|located|implemented|find)\b",
    ),
    (Retrieve, 1.0, r"\b(list|find|search for) (them|all|every)\b"),
    (
        Answer,
        2.0,
        r"^\W*(what|why|how|when|who|whom|whose|where|which|through which|in which|explain|describe|define|tell me)\b",
    ),
    (
        Answer,
        1.0,
        r"\bexplain|\bhow (do|does|can|did|is|are|much|many|long)\b|\bwhat (is|are|does|do|should)\b",
    ),
];

/// Signs of a method.
pub(super) const METHODS: &[(Method, f32, &str)] = &[
    (
        Graph,
        3.5,
        r"\b(connect(s|ed|ions?)?|relationships?|relations?|ties|linkage|links) (to|with|between|from|among|of)\b|\bhow (is|are|was|were) .* (connected|related|linked)\b",
    ),
    (
        Graph,
        3.5,
        r"\brelated to (each other|one another|\w+)|\b(what|who|which) (links|connects|relates)\b|\bwho (is|are|was|were) .* to whom\b",
    ),
    (
        Graph,
        3.5,
        r"\b(depend(s|ed|ing)?|dependent) (up)?on\b|\bdependenc(y|ies)\b|\b(who|what) (depends|relies) on\b",
    ),
    (
        Graph,
        3.5,
        r"\b(family tree|genealogy|ancestors?|descendants?|lineage|hierarch(y|ies)|org(ani[sz]ation(al)?)? (chart|structure)s?)\b",
    ),
    (
        Graph,
        3.5,
        r"\b(networks?|graph|topology) (of|between|among)\b|\b(citation|social|supplier?|trade) networks?\b|\bsupply chains?\b|\bownership\b",
    ),
    (
        Graph,
        3.0,
        r"\b(subsidiar(y|ies)|parent compan(y|ies)|shareholders?|suppliers? (of|to|that)|common owner|intermediar(y|ies)|middlemen)\b",
    ),
    (
        Graph,
        3.0,
        r"\b(owns?|holds?) (a |the )?(shares?|stakes?)\b|\breport(s|ing)? to\b|\bboss of\b|\b(who|whom) (influenced|taught|married|founded|succeeded|bound)\b|\bto whom\b|\bwho .* whom\b",
    ),
    (
        Graph,
        3.0,
        r"\bco-?author(ed|s)?\b|\bcit(e|es|ed|ing|ations?)\b.*\b(papers?|works?|by|networks?|that|this)\b",
    ),
    (
        Graph,
        3.0,
        r"\b(chain|path|route|steps?) (of|from|leads?|between|through)\b|\bleads? (from|to)\b|\bevery step\b|\bflow(s|ed)? (from|through)\b|\balliances?\b",
    ),
    (
        Graph,
        2.5,
        r"\b(interact(s|ed)?|interactions?) (with|between)\b|\bthrough (which|whom|[A-Z]\b)|\bof those\b$|\b(of|and) the \w+ of those\b",
    ),
    (Sparse, 3.5, r#""[^"]{2,}"|\u{201c}[^\u{201d}]+\u{201d}|`[^`]+`"#),
    (
        Sparse,
        2.0,
        r"\b(exact(ly)?|verbatim|literal(ly)?|phrase|keyword|string|error (code|message)|status code|mentions?|contain(s|ing)?|named|called|defined)\b",
    ),
    (
        Sparse,
        1.5,
        r"\b(number|id|code|version|flag|value|dated?|section|chapter|page|invoice|ticket|patent|clause|paragraph|melting|boiling) (of|point|\d|[A-Z]*-?\d)|\bwhat does the (flag|option|abbreviation)\b|\bvalue of\b|\b(boiling|melting|freezing) point\b",
    ),
    (Hybrid, 1.0, r"\b(since|after|before|from|in|of|until) (1\d\d\d|20\d\d)\b"),
];

/// A thing that is looked up by its letters: `snake_case`, `CamelCase`, flags, files, versions with a
/// point, codes of letters and digits, dates.
pub(super) const IDENTIFIER: &str = r"(?x)
    \b[a-zA-Z]+_[a-zA-Z_0-9]+\b | \b[a-z]+[A-Z][a-zA-Z]+\( | \s--?[a-z][a-z-]+ | \b0x[0-9a-fA-F]+\b
    | \b[\w-]+\.(?:toml|yaml|yml|json|pdf|md|txt|rs|py|js|ts|csv|html|xml|docx?|log|cfg|ini|prod|local)\b
    | \b[A-Z]{2,}[-\s/:]?\d[\w.-]* | \b[A-Z]+/\d(?:\.\d)? | \b\d+\.\d+(?:\.\d+)*\b | \b\d{4}-\d{2}-\d{2}\b
    | \b\d{1,2}\s(?:January|February|March|April|May|June|July|August|September|October|November|December)\s\d{4}\b
    | \b[a-zA-Z]+:\d+\.\d+ | \b(?:section|chapter|paragraph|clause|article|page|invoice|ticket|rule)\s\d+
    | \b\d{1,3}(?:,\d{3})+\b | \b(?:int|bigint|varchar|boolean|float|double|null|enum|struct|void)\b";

/// A matter of meaning, which words alone do not find.
pub(super) const CONCEPT: &str = r"(?xi)
    \b(?: why | how\s(?:did|does|do|can|should|is|are|has|have) | effects? | affect(?:s|ed)? | impacts? | influences?
    | caus(?:e|es|ed|ing) | because | changed? | views? | th(?:ink|ought|inks) | ideas? | attitudes? | learned | learnt
    | advantages? | better | worse | mattered | matters? | criticisms? | debates? | discussions? | arguments?
    | meaning | liability | inequality | reasons? | role | about | delays? | guides? | failed | expensive | slow(?:er)?
    | cheap | care )\b";

/// By meaning: the less is named, the better.
pub(super) fn dense(identifiers: usize, names: usize) -> f32 {
    2.0 - 1.5 * identifiers as f32 - 0.6 * names as f32
}

/// By words: identifiers, or a named thing and no matter of meaning.
pub(super) fn sparse(identifiers: usize, names: usize, concepts: usize) -> f32 {
    let fact = if names > 0 && concepts == 0 { 1.6 } else { 0.0 };
    2.2 * identifiers as f32 + fact
}

/// By both: named things, or identifiers, with a matter of meaning about them.
pub(super) fn hybrid(identifiers: usize, names: usize, concepts: usize) -> f32 {
    let about = if names + identifiers > 0 { 0.8 * concepts as f32 } else { 0.0 };
    0.5 + 0.5 * names as f32 + about
}
