//! `pas models`: all models with their prices, their sources, and who can be called.
//!
//! A running daemon is asked, since only it knows which servers answer. Without one the settings say which keys
//! there are, and nothing is asked.

use clap::Args;
use console::style;
use serde::Deserialize;
use serde_json::{Value, json};

use super::CommandContext;
use super::client::GATEWAY;
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::render::table::{TableColumn, draw};
use super::render::wrap;
use super::wire;
use crate::actors::accounts::prices;
use crate::actors::gateway::ModelCatalogue;

#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Only models with this in their name, even if shut down
    pub text: Option<String>,
    /// Only models of this vendor or server
    #[arg(long, value_name = "NAME")]
    pub vendor: Option<String>,
    /// Also models that have been shut down
    #[arg(long)]
    pub all: bool,
}

impl ModelsArgs {
    fn wants(&self, model: &Value) -> bool {
        let is = |member: &str, wanted: &str| model[member].as_str().is_some_and(|value| value == wanted);
        let named = |text: &str| {
            let name = format!("{}/{}", model["provider"].as_str()?, model["model"].as_str()?);
            Some(name.contains(&text.to_lowercase()))
        };
        let is_vendor = self.vendor.as_deref().is_none_or(|vendor| is("provider", vendor));
        let is_served = self.all || self.text.is_some() || model["retired"] != true;
        is_vendor && is_served && self.text.as_deref().is_none_or(|text| named(text).unwrap_or(false))
    }
}

/// `pas models`.
pub(super) async fn list(context: &CommandContext, args: &ModelsArgs) -> CommandResult {
    let mut answer = if context.client.is_up().await {
        context.client.get_from(GATEWAY, &["catalogue"], &[]).await?
    } else {
        context.screen.hint("no daemon runs: keys are those of the settings, and no server was asked");
        of_settings(context)?
    };
    if let Some(models) = answer["models"].as_array_mut() {
        models.retain(|model| args.wants(model));
    }
    let is_empty = answer["models"].as_array().is_none_or(Vec::is_empty);
    let width = context.screen.width();
    context.screen.show(&answer, |answer| Ok(drawn(&wire::read(answer)?, width)))?;
    Ok(if is_empty { CommandExit::NotFound } else { CommandExit::Done })
}

fn of_settings(context: &CommandContext) -> Result<Value, CommandFailure> {
    let unusable = |error: &dyn std::fmt::Display| CommandFailure::usage(error.to_string());
    let table = prices::load(context.config.prices.file.as_deref()).map_err(|error| unusable(&error))?;
    let catalogue = ModelCatalogue::of_settings(&context.config.providers, &table);
    Ok(json!(catalogue))
}

#[derive(Deserialize)]
struct WireCatalogue {
    own_prices: Option<String>,
    kept_prices: String,
    providers: Vec<WireReadiness>,
    auto: Option<String>,
    auto_with_tools: Option<String>,
    models: Vec<WireModel>,
}

#[derive(Deserialize)]
struct WireReadiness {
    name: String,
    base_url: String,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct WireModel {
    provider: String,
    model: String,
    kind: String,
    context_window: Option<u64>,
    price: Option<WirePrice>,
    retired: bool,
    ends: Option<String>,
    callable: bool,
    problem: Option<String>,
    auto: bool,
}

#[derive(Deserialize)]
struct WirePrice {
    input_usd: f64,
    cache_read_usd: f64,
    output_usd: f64,
    free: bool,
    origin: String,
}

const COLUMNS: [TableColumn; 7] = [
    TableColumn::left("MODEL"),
    TableColumn::right("IN"),
    TableColumn::right("CACHED"),
    TableColumn::right("OUT"),
    TableColumn::right("WINDOW"),
    TableColumn::left("PRICE"),
    TableColumn::left("STATE"),
];

fn drawn(catalogue: &WireCatalogue, width: usize) -> String {
    let mut parts = Vec::new();
    for provider in &catalogue.providers {
        let of_it: Vec<&WireModel> =
            catalogue.models.iter().filter(|model| model.provider == provider.name).collect();
        if of_it.is_empty() {
            continue;
        }
        let state = provider.problem.as_deref().unwrap_or("can be called");
        let head = format!("{} at {}: {state}", provider.name, provider.base_url);
        parts.extend(wrap(&head, width).into_iter().map(|line| style(line).bold().to_string()));
        let rows: Vec<[String; 7]> = of_it.into_iter().map(row).collect();
        parts.push(draw(COLUMNS, 0, &rows, width));
        parts.push(String::new());
    }
    if parts.is_empty() {
        parts.push("no such model; `pas models --all` lists all".to_owned());
    }
    let own = catalogue.own_prices.as_deref().unwrap_or("none (`[prices] file` names one)");
    let notes = [
        "Prices are US dollars per million tokens of a short prompt; --json has long prompts and service tiers."
            .to_owned(),
        format!("own: {own}; ours: built in; kept: {}.", catalogue.kept_prices),
        match (&catalogue.auto, &catalogue.auto_with_tools) {
            (None, _) => "auto: chooses nothing now.".to_owned(),
            (Some(auto), Some(tools)) if auto != tools => {
                format!("auto: chooses {auto}; for a request with tools {tools}.")
            }
            (Some(auto), _) => format!("auto: chooses {auto}."),
        },
    ];
    parts.extend(notes.iter().flat_map(|note| wrap(note, width)));
    parts.join("\n")
}

fn row(model: &WireModel) -> [String; 7] {
    let rates = match &model.price {
        None => ["-".to_owned(), "-".to_owned(), "-".to_owned()],
        Some(price) if price.free => ["free".to_owned(), String::new(), String::new()],
        Some(price) => [price.input_usd, price.cache_read_usd, price.output_usd].map(|usd| usd.to_string()),
    };
    let [input, cached, output] = rates;
    let window = model.context_window.map_or_else(|| "?".to_owned(), tokens);
    let origin = model.price.as_ref().map_or("", |price| match &*price.origin {
        "built_in" => "ours",
        other => other,
    });
    [model.model.clone(), input, cached, output, window, origin.to_owned(), state(model)]
}

fn tokens(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{}k", count / 1_000),
        _ => {
            let tenths = count / 100_000;
            if tenths.is_multiple_of(10) {
                format!("{}M", tenths / 10)
            } else {
                format!("{}.{}M", tenths / 10, tenths % 10)
            }
        }
    }
}

fn state(model: &WireModel) -> String {
    match (&model.ends, model.retired) {
        (Some(day), true) => return format!("shut {day}"),
        (None, true) => return "shut down".to_owned(),
        _ => {}
    }
    if !model.callable {
        let problem = model.problem.as_deref().unwrap_or_default();
        let short = problem.split([':', ';']).next().unwrap_or_default();
        return short.to_owned();
    }
    match &model.ends {
        Some(day) => format!("ends {day}"),
        None if model.auto => "auto".to_owned(),
        None if model.kind == "embedding" => "embeds".to_owned(),
        None => "by name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSources, SecretText, SwarmConfig};
    use crate::domain::accounts::price::PriceTable;

    fn catalogue() -> Value {
        let mut providers = SwarmConfig::load(&ConfigSources::default()).unwrap().providers;
        providers.openai.api_key = Some(SecretText::from("sk-test".to_owned()));
        let own = "[[price]]\nprovider = \"openai\"\nmodel = \"gpt-7-with-a-name-that-is-much-too-long-to-fit\"\n\
                   input = 123.456789\noutput = 9";
        let prices = PriceTable::new(Some(("mine.toml", own))).unwrap();
        json!(ModelCatalogue::of_settings(&providers, &prices))
    }

    fn shown(args: &ModelsArgs, width: usize) -> String {
        let mut answer = catalogue();
        answer["models"].as_array_mut().unwrap().retain(|model| args.wants(model));
        let text = drawn(&wire::read(&answer).unwrap(), width);
        console::strip_ansi_codes(&text).into_owned()
    }

    #[test]
    fn no_line_is_wider_than_eighty_columns_and_each_filter_filters() {
        let all = ModelsArgs { text: None, vendor: None, all: true };
        let text = shown(&all, 80);
        assert!(text.lines().all(|line| console::measure_text_width(line) <= 80), "{text}");
        assert!(text.contains("shut 2026-10-23") && text.contains("no key"), "{text}");
        let served = shown(&ModelsArgs { all: false, ..all }, 80);
        assert!(!served.contains("gpt-4-turbo") && served.contains("gpt-5.5"), "{served}");
        let named = ModelsArgs { text: Some("4-turbo".into()), vendor: None, all: false };
        assert!(shown(&named, 80).contains("gpt-4-turbo"), "who names it wants to see it");
        let vendor = ModelsArgs { text: None, vendor: Some("anthropic".into()), all: false };
        let claude = shown(&vendor, 80);
        assert!(claude.contains("claude-opus-4-8") && !claude.contains("gpt-"), "{claude}");
        assert!(claude.contains("kept: genai-prices 0.2"), "{claude}");
        let none = ModelsArgs { text: Some("no-such".into()), vendor: None, all: false };
        assert!(shown(&none, 80).starts_with("no such model"));
    }

    #[test]
    fn windows_are_short() {
        let all = [999, 8_192, 200_000, 1_000_000, 1_050_000, 2_000_000];
        assert_eq!(all.map(tokens), ["999", "8k", "200k", "1M", "1M", "2M"]);
        assert_eq!(tokens(1_200_000), "1.2M");
    }
}
