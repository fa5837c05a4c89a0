//! Bills that others got wrong, the exact oracle, and a table's mistakes with their lines.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::kept::KeptPrices;
use super::*;

/// Random usages compared with the oracle; more or fewer with this environment variable.
const CASES_VARIABLE: &str = "PAS_TEST_PRICE_CASES";
const CASES: u64 = 1_000_000;

fn prices() -> PriceTable {
    PriceTable::new(None).unwrap()
}

fn at() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn cost(provider: &str, model: &str, usage: TokenUsage) -> String {
    prices().find(provider, model, at()).unwrap().cost(&usage).usd().normalize().to_string()
}

#[test]
fn a_claude_call_with_cache_reads_and_writes_comes_to_its_bill() {
    let usage = TokenUsage {
        input: 133,
        cache_read: 20_000,
        cache_write_5m: 10_000,
        output: 700,
        ..TokenUsage::default()
    };
    assert_eq!(cost("anthropic", "claude-sonnet-4-5", usage), "0.054399");
    let hour = TokenUsage { cache_write_5m: 0, cache_write_1h: 10_000, ..usage };
    assert_eq!(cost("anthropic", "claude-sonnet-4-5", hour), "0.076899");
}

#[test]
fn cached_tokens_are_charged_once_however_the_vendor_counts_them() {
    // OpenAI says prompt 10,000 of which 8,000 were cached; Anthropic says input 2,000 and cached 8,000.
    let usage = TokenUsage { input: 2_000, cache_read: 8_000, output: 100, ..TokenUsage::default() };
    assert_eq!(cost("openai", "gpt-5-codex", usage), "0.0045");
    assert_eq!(cost("anthropic", "claude-haiku-4-5", usage), "0.0033");
}

#[test]
fn reasoning_is_a_part_of_the_output() {
    let plain = TokenUsage { input: 10, output: 1_000, ..TokenUsage::default() };
    let thought = TokenUsage { reasoning: 900, ..plain };
    assert_eq!(cost("openai", "gpt-5-codex", plain), cost("openai", "gpt-5-codex", thought));
}

#[test]
fn a_long_prompt_moves_the_whole_call_to_the_next_tier() {
    let usage = |input| TokenUsage { input, cache_read: 100_000, output: 1_000, ..TokenUsage::default() };
    assert_eq!(cost("gemini", "gemini-2.5-pro", usage(100_000)), "0.1475");
    assert_eq!(cost("gemini", "gemini-2.5-pro", usage(100_001)), "0.2900025");
    let audio = TokenUsage { input: 1_000, audio_input: 1_000, ..TokenUsage::default() };
    assert_eq!(cost("gemini", "gemini-2.5-flash", audio), "0.0013");
}

#[test]
fn a_class_without_a_rate_is_charged_as_input() {
    let cached = TokenUsage { cache_read: 1_000_000, ..TokenUsage::default() };
    assert_eq!(cost("openai", "gpt-4-turbo", cached), "10");
}

#[test]
fn an_unknown_model_has_no_price_and_a_local_one_is_free_because_it_says_so() {
    let prices = prices();
    assert!(prices.find("openai", "gpt-9", at()).is_none());
    assert!(prices.find("nobody", "gpt-5-codex", at()).is_none());
    assert!(prices.find("ollama", "whatever:7b", at()).unwrap().is_free());
}

#[test]
fn rows_of_ones_own_go_first_and_hold_from_day_to_day() {
    let own = r#"
        [[price]]
        provider = "openai"
        model = "gpt-5-codex"
        valid_from = 2026-12-01
        valid_to = 2026-12-31
        input = "2.5"
        output = 20
    "#;
    let prices = PriceTable::new(Some(("mine.toml", own))).unwrap();
    let input = |at: &str| {
        prices.find("openai", "gpt-5-codex", at.parse().unwrap()).unwrap().input_per_million().normalize()
    };
    assert_eq!(input("2026-11-30T23:59:59.999Z").to_string(), "1.25");
    assert_eq!(input("2026-12-01T00:00:00Z").to_string(), "2.5");
    assert_eq!(input("2026-12-31T23:59:59.999Z").to_string(), "2.5");
    assert_eq!(input("2027-01-01T00:00:00Z").to_string(), "1.25");
}

#[test]
fn the_tier_that_answers_decides_and_a_hold_covers_the_dearer_one() {
    let prices = prices();
    let price = prices.find("openai", "gpt-5-codex", at()).unwrap().clone();
    let usage = TokenUsage { input: 100, output: 20, ..TokenUsage::default() };
    let cost = |tier| price.cost(&usage.in_tier(tier)).0;
    assert_eq!(cost(ServiceTier::Standard), 325_000);
    assert_eq!((cost(ServiceTier::Flex), cost(ServiceTier::Priority)), (162_500, 650_000));
    let worst = |tier| price.clone().asked_in(tier).worst(100, 20, 0).0;
    assert_eq!(worst(ServiceTier::Standard), 325_000);
    assert_eq!(worst(ServiceTier::Flex), 325_000, "the vendor may answer in its usual tier");
    assert_eq!(worst(ServiceTier::Priority), 650_000);
    // Ten dollars a thousand searches.
    assert_eq!(price.worst(100, 20, 3).0, 325_000 + 3 * 10_000_000);
    let nano = prices.find("openai", "gpt-5.4-nano", at()).unwrap();
    let usage = usage.in_tier(ServiceTier::Priority);
    assert_eq!(nano.cost(&usage), nano.cost(&usage.in_tier(ServiceTier::Standard)), "it is not sold there");
}

#[test]
fn a_row_of_ones_own_without_tiers_keeps_the_vendor_s() {
    let row = |more: &str| {
        let own =
            format!("[[price]]\nprovider = \"openai\"\nmodel = \"gpt-5\"\ninput = 1\noutput = 8\n{more}");
        let prices = PriceTable::new(Some(("mine.toml", &own))).unwrap();
        let price = prices.find("openai", "gpt-5", at()).unwrap().clone();
        assert_eq!(price.origin(), PriceOrigin::Own);
        let usage = TokenUsage { input: 1_000_000, ..TokenUsage::default() };
        [ServiceTier::Standard, ServiceTier::Priority]
            .map(|tier| price.cost(&usage.in_tier(tier)).usd().normalize().to_string())
    };
    assert_eq!(row(""), ["1", "2.5"]);
    assert_eq!(row("[[price.tier]]\nname = \"priority\"\ninput = 1.5\noutput = 9"), ["1", "1.5"]);
    assert_eq!(row("[[price.tier]]\nname = \"flex\"\ninput = 1.5\noutput = 9"), ["1", "1"]);
}

#[test]
fn a_search_of_the_vendor_s_is_billed_beside_its_tokens() {
    let usage = TokenUsage { input: 1_000, searches: 3, ..TokenUsage::default() };
    assert_eq!(cost("anthropic", "claude-opus-4-8", usage), "0.035");
    assert_eq!(cost("openai", "gpt-5.5", TokenUsage { searches: 3, ..TokenUsage::default() }), "0.03");
}

#[test]
fn a_search_without_a_known_fee_costs_the_dearest_and_says_so() {
    let usage = TokenUsage { searches: 2, ..TokenUsage::default() };
    let price = |own: &str| {
        let text =
            format!("[[price]]\nprovider = \"grok\"\nmodel = \"grok-9\"\ninput = 1\noutput = 2\n{own}");
        let prices = PriceTable::new(Some(("mine.toml", &text))).unwrap();
        let price = prices.find("grok", "grok-9", at()).unwrap();
        (price.cost(&usage).usd().normalize().to_string(), price.assumes_search_fee())
    };
    assert_eq!(price(""), ("0.07".to_owned(), true));
    assert_eq!(price("search = 5"), ("0.01".to_owned(), false));
    assert_eq!(price("search = 0"), ("0".to_owned(), false));
    let of_vendor = "[[search]]\nprovider = \"grok\"\nper_thousand = 5";
    assert_eq!(price(of_vendor), ("0.01".to_owned(), false));
    let known = KeptPrices::get().unwrap().rows().iter().filter_map(|row| row.price.search);
    assert_eq!(known.max(), Some(ASSUMED_SEARCH));
}

#[test]
fn the_refusal_s_row_can_be_added_as_it_stands() {
    let prices = prices();
    let text = prices.missing_row("openai", "gpt-\"9\"");
    let row = text.split_once("[[price]]").unwrap().1.split("\n(").next().unwrap();
    let added = PriceTable::new(Some(("mine.toml", &format!("[[price]]{row}")))).unwrap();
    assert!(added.find("openai", "gpt-\"9\"", at()).is_some());
    assert!(text.contains("[prices] file") && added.missing_row("a", "b").contains("mine.toml"));
}

#[test]
fn mistakes_are_named_with_their_line() {
    let refused = |row: &str| {
        let text = format!("[[price]]\nprovider = \"x\"\nmodel = \"y\"\n{row}");
        PriceTable::new(Some(("mine.toml", &text))).unwrap_err().to_string()
    };
    let says = |row: &str, words: &str| {
        let error = refused(row);
        assert!(error.contains(words), "{error}");
    };
    says("inptu = 1\noutput = 1", "mine.toml:4: unknown field `inptu`");
    says("input = 1", "mine.toml:1: `input` and `output` are needed, or `free = true`");
    says("input = 0\noutput = 0", "mine.toml:1: a model that costs nothing says `free = true`");
    says("input = 1\noutput = -1", "`output` is -1");
    says("input = 0.0000000001\noutput = 1", "at most 9 decimal places");
    says("input = 1\noutput = \"one\"", "mine.toml:5: `one` is no decimal number");
    says("free = true\ninput = 1", "either `free = true` or has rates");
    says("input = 1\noutput = 1\nvalid_from = 2026-12-02\nvalid_to = 2026-12-01", "before `valid_from`");
    says("input = 1\noutput = 1\nvalid_from = 2026-12-02T00:00:00Z", "is no day");
    says(
        "free = true\n[[price]]\nprovider = \"x\"\nmodel = \"y\"\nfree = true",
        "mine.toml:5: `y` of x has two",
    );
    says("input = 1\noutput = 1\n[[price.tier]]\nname = \"ultra\"\ninput = 1\noutput = 1", "mine.toml:7");
    let twice = "[[price.tier]]\nname = \"flex\"\ninput = 1\noutput = 1\n".repeat(2);
    says(&format!("input = 1\noutput = 1\n{twice}"), "a `tier` stands there twice");
    says("free = true\nsearch = 10", "either `free = true` or has rates");
    says("input = 1\noutput = 1\n[[price.above]]\nprompt_tokens = 5\ninput = 1\noutputs = 1", "mine.toml:9");
}

#[test]
fn a_price_per_token_is_the_same_price() {
    let per_token = ModelPrice::per_token("0.00000125".parse().unwrap(), "0.00001".parse().unwrap()).unwrap();
    let usage = TokenUsage { input: 1_000, cache_read: 1_000, output: 7, ..TokenUsage::default() };
    assert_eq!(per_token.cost(&usage), NanoUsd(2_570_000));
    assert!(ModelPrice::per_token(Decimal::NEGATIVE_ONE, Decimal::ONE).is_none());
    assert!(ModelPrice::per_token(Decimal::ZERO, Decimal::ZERO).unwrap().is_free());
}

#[test]
fn digits_stay_as_they_were_typed() {
    let text = "[[price]]\nprovider = \"x\"\nmodel = \"y\"\ninput = 0.1\noutput = 123.456789012";
    let prices = PriceTable::new(Some(("mine.toml", text))).unwrap();
    let price = prices.find("x", "y", at()).unwrap();
    assert_eq!(price.input_per_million().normalize().to_string(), "0.1");
    assert_eq!(price.output_per_million().to_string(), "123.456789012");
}

fn random_rates(random: &mut fastrand::Rng) -> TokenRates {
    // Up to a thousand dollars per million tokens, to the last nano-dollar.
    let mut rate = || random.u64(0..1_000_000_000_000) / 10_u64.pow(random.u32(0..12));
    TokenRates {
        input: rate(),
        cache_read: rate(),
        cache_write_5m: rate(),
        cache_write_1h: rate(),
        audio_input: rate(),
        output: rate(),
    }
}

fn random_usage(random: &mut fastrand::Rng) -> TokenUsage {
    let mut tokens = || random.u64(..) >> random.u32(24..64);
    TokenUsage {
        input: tokens(),
        cache_read: tokens(),
        cache_write_5m: tokens(),
        cache_write_1h: tokens(),
        audio_input: tokens(),
        output: tokens(),
        ..TokenUsage::default()
    }
}

/// The same sum as a rational, then rounded half up: ⌊sum / 10⁶ + 1/2⌋. Not brought to lowest
/// terms on the way, which would cost most of the time and change no value.
fn oracle(price: &ModelPrice, usage: &TokenUsage) -> BigInt {
    let own = price.tiers.iter().find(|(tier, _)| *tier == usage.tier).map(|(_, rates)| rates);
    let schedule = own.unwrap_or(&price.standard);
    let rates =
        schedule.above.iter().filter(|(above, _)| usage.prompt() > *above).map(|(_, r)| r).next_back();
    let rates = rates.unwrap_or(&schedule.base);
    let pairs = [
        (usage.input, rates.input),
        (usage.cache_read, rates.cache_read),
        (usage.cache_write_5m, rates.cache_write_5m),
        (usage.cache_write_1h, rates.cache_write_1h),
        (usage.audio_input, rates.audio_input),
        (usage.output, rates.output),
    ];
    let sum: BigInt = pairs.iter().map(|(tokens, rate)| BigInt::from(*tokens) * *rate).sum();
    let divisor = BigInt::from(1_000_000_u32);
    BigRational::new_raw(sum * 2_u32 + &divisor, divisor * 2_u32).floor().to_integer()
}

#[test]
fn a_million_random_usages_differ_by_nothing_from_exact_rationals() {
    let cases = std::env::var(CASES_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let mut random = fastrand::Rng::with_seed(20_261_122);
    let mut price = ModelPrice::of(false, RateSchedule::default()).asked_in(ServiceTier::Flex);
    for case in 0..cases {
        if case % 64 == 0 {
            let mut schedule = || RateSchedule {
                base: random_rates(&mut random),
                above: vec![(200_000, random_rates(&mut random))],
            };
            price.standard = schedule();
            price.tiers = [(ServiceTier::Flex, schedule())].into();
        }
        let tier = if case % 2 == 0 { ServiceTier::Flex } else { ServiceTier::Priority };
        let usage = random_usage(&mut random).in_tier(tier);
        let cost = price.cost(&usage);
        let exact = oracle(&price, &usage);
        assert!(exact == BigInt::from(cost.0), "{cost} for {usage:?} at {price:?}, exactly {exact}");
        assert!(price.worst(usage.prompt(), usage.output, usage.searches) >= cost, "{price:?} {usage:?}");
    }
}

#[test]
fn sums_beyond_all_money_are_the_greatest_amount() {
    let prices = prices();
    let price = prices.find("grok", "grok-4", at()).unwrap();
    let usage = TokenUsage { input: u64::MAX, output: u64::MAX, ..TokenUsage::default() };
    assert_eq!(price.cost(&usage), NanoUsd::MAX);
    assert_eq!(price.worst(u64::MAX, u64::MAX, u32::MAX), NanoUsd::MAX);
}
