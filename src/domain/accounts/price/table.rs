//! The table of prices: the user's rows, then ours, then those that others keep.

use std::collections::HashMap;
use std::sync::Arc;

use super::kept::KeptPrices;
use super::rows::{self, PricedModel};
use super::{ANY_MODEL, BUILT_IN, ModelPrice, PriceTableError};
use crate::time::Timestamp;

/// Where a price stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriceOrigin {
    /// In the user's file.
    Own,
    /// In `config/prices.toml`.
    BuiltIn,
    /// In the data that others keep, `config/models.toml`.
    Kept,
    /// Stated by the registration of a provider, or by a section of the settings.
    Registration,
}

type ModelPrices = HashMap<String, Vec<Arc<ModelPrice>>>;

/// All known prices.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    by_provider: HashMap<String, ModelPrices>,
    /// The user's file and its rows.
    own: Option<(String, Vec<PricedModel>)>,
}

impl PriceTable {
    /// The built-in rows, with the user's own (their file's name and its text) before them.
    ///
    /// # Errors
    /// [`PriceTableError`] with file and line.
    pub fn new(own: Option<(&str, &str)>) -> Result<Self, PriceTableError> {
        let mut prices = Self::default();
        let mut search_fees = Vec::new();
        if let Some((file, text)) = own {
            let parsed = rows::parse(file, text, PriceOrigin::Own)?;
            prices.add(&parsed.rows);
            prices.own = Some((file.to_owned(), parsed.rows));
            search_fees = parsed.search_fees;
        }
        let parsed = rows::parse("config/prices.toml (built in)", BUILT_IN, PriceOrigin::BuiltIn)?;
        prices.add(&parsed.rows);
        search_fees.extend(parsed.search_fees);
        prices.add(KeptPrices::get()?.rows());
        prices.inherit_tiers();
        prices.inherit_search_fees(&search_fees);
        Ok(prices)
    }

    fn add(&mut self, rows: &[PricedModel]) {
        for row in rows {
            let models = self.by_provider.entry(row.provider.clone()).or_default();
            for name in row.names() {
                models.entry(name.to_owned()).or_default().push(Arc::clone(&row.price));
            }
        }
    }

    /// A row without service tiers takes those of the next row for the model: the user corrects the standard price,
    /// and the vendor sells its tiers all the same.
    fn inherit_tiers(&mut self) {
        for prices in self.by_provider.values_mut().flat_map(HashMap::values_mut) {
            let Some(tiers) =
                prices.iter().map(|price| &price.tiers).find(|tiers| !tiers.is_empty()).cloned()
            else {
                continue;
            };
            for price in prices.iter_mut().filter(|price| price.tiers.is_empty() && !price.free) {
                Arc::make_mut(price).tiers = Arc::clone(&tiers);
            }
        }
    }

    /// A row without a fee for searches takes that of the next row for the model, or its vendor's.
    fn inherit_search_fees(&mut self, fees: &[(String, u64)]) {
        for (provider, models) in &mut self.by_provider {
            let of_vendor = fees.iter().find(|(named, _)| named == provider).map(|(_, fee)| *fee);
            for prices in models.values_mut() {
                let Some(fee) = prices.iter().find_map(|price| price.search).or(of_vendor) else { continue };
                for price in prices.iter_mut().filter(|price| price.assumes_search_fee()) {
                    Arc::make_mut(price).search = Some(fee);
                }
            }
        }
    }

    /// The price of a vendor's model at a time; `None` when unknown.
    #[must_use]
    pub fn find(&self, provider: &str, model: &str, at: Timestamp) -> Option<&ModelPrice> {
        let models = self.by_provider.get(provider)?;
        let valid =
            |model: &str| models.get(model)?.iter().find(|price| price.applies_at(at)).map(|price| &**price);
        valid(model).or_else(|| valid(ANY_MODEL))
    }

    /// The rows of the user's file.
    #[must_use]
    pub fn own_rows(&self) -> &[PricedModel] {
        self.own.as_ref().map_or(&[], |(_, rows)| rows)
    }

    /// The user's file, if one is named.
    #[must_use]
    pub fn own_file(&self) -> Option<&str> {
        self.own.as_ref().map(|(file, _)| &**file)
    }

    /// An origin in words: a file, or a source with its version and date.
    #[must_use]
    pub fn origin_text(&self, origin: PriceOrigin) -> String {
        match origin {
            PriceOrigin::Own => self.own_file().unwrap_or_default().to_owned(),
            PriceOrigin::BuiltIn => "built in".to_owned(),
            PriceOrigin::Kept => KeptPrices::get().map(KeptPrices::source_text).unwrap_or_default(),
            PriceOrigin::Registration => "its registration".to_owned(),
        }
    }

    /// The row to add for a model without a price, and where.
    #[must_use]
    pub fn missing_row(&self, provider: &str, model: &str) -> String {
        let place = self
            .own_file()
            .map_or_else(|| "a file that `[prices] file` in pas.toml names".to_owned(), ToString::to_string);
        let (provider, model) = (quoted(provider), quoted(model));
        format!(
            "add its price in US dollars per million tokens to {place} and start again:\n[[price]]\nprovider = \
             {provider}\nmodel = {model}\ninput = 1.00\noutput = 5.00\n(or, in place of the last two, `free = true`)"
        )
    }
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
