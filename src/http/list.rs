//! Lists on every port: one form of request, one form of answer.
//!
//! The request may have `limit` and `cursor`. The answer has the page under the list's own name, beside
//! `count` (length of the page), `total` (all matches, on all pages) and `next_cursor` (`null` on the last
//! page). The handler filters before the cut, so `total` is exact.
//!
//! Invariants: a cursor is the sort key of the last item shown, not an offset; items that come or go between
//! two pages shift nothing, so no other item is repeated or skipped. Keys must be unique within a list and
//! must not change while an item lives. Failure policy: a foreign cursor is a 422; a `limit` above the
//! list's maximum is lowered to it, and `next_cursor` leads to the rest.
//!
//! ```ignore
//! async fn list(params: ListParams, ContractQuery(query): ContractQuery<AlertQuery>) -> ApiResult<Json<Value>> {
//!     let alerts = monitor.alerts().into_iter().filter(|alert| query.matches(alert)).collect();
//!     // Newest first; the id parts alerts of one millisecond.
//!     let page = params.cut(ALERT_LIMITS, alerts, |alert| Reverse((alert.at.as_millis(), alert.id)))?;
//!     Ok(Json(page.answer("alerts")))
//! }
//! ```

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::RequestChecks;
use super::error::{ApiError, ApiResult};
use super::extract::ContractQuery;

/// Longest cursor that is decoded: a key of four ids of the longest kind, as JSON in base64.
const MAX_CURSOR_BYTES: usize = 1024;

/// Page sizes of a list.
#[derive(Debug, Clone, Copy)]
pub struct ListLimits {
    /// Without a `limit`.
    pub default: usize,
    /// Upper bound of `limit`: an answer is built in memory.
    pub max: usize,
}

impl ListLimits {
    /// 50 items, at most 1,000: the usual sizes.
    pub const USUAL: Self = Self { default: 50, max: 1000 };
}

/// The query parameters shared by all lists. The handler's own [`ContractQuery`] reads the filters from the
/// same query; where it denies unknown fields, it names these two as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ListParams {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for ListParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let ContractQuery(params) = ContractQuery::<Self>::from_request_parts(parts, state).await?;
        let mut checks = RequestChecks::query();
        checks.range("limit", &params.limit.unwrap_or(1), 1..=usize::MAX);
        checks.done()?;
        Ok(params)
    }
}

impl ListParams {
    /// Most items in this answer.
    #[must_use]
    pub fn limit(&self, limits: ListLimits) -> usize {
        self.limit.unwrap_or(limits.default).min(limits.max)
    }

    /// The key of the previous page's last item; `None` on the first page.
    ///
    /// # Errors
    /// 422 for a foreign cursor.
    pub fn after<K: DeserializeOwned>(&self) -> ApiResult<Option<K>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let bytes = Some(cursor).filter(|cursor| cursor.len() <= MAX_CURSOR_BYTES);
        let bytes = bytes.and_then(|cursor| URL_SAFE_NO_PAD.decode(cursor).ok());
        let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        place.map(Some).ok_or_else(|| {
            let msg = "is no cursor of this list; take `next_cursor` of the page before as it is, or leave it out \
                       to begin at the first page";
            ApiError::violation(vec!["query".into(), "cursor".into()], "value_error", msg)
        })
    }

    /// The requested page of `matching`, ordered by key (`std::cmp::Reverse` for descending order). For lists
    /// in memory; lists read from the store page by page use [`ListParams::after`] and [`ListPage::new`].
    ///
    /// # Errors
    /// 422 for a foreign cursor.
    pub fn cut<T, K: Ord + Serialize + DeserializeOwned>(
        &self,
        limits: ListLimits,
        matching: Vec<T>,
        place: impl Fn(&T) -> K,
    ) -> ApiResult<ListPage<T>> {
        let (after, limit, total) = (self.after::<K>()?, self.limit(limits), matching.len());
        let placed = matching.into_iter().map(|item| (place(&item), item));
        let mut placed: Vec<(K, T)> =
            placed.filter(|(place, _)| after.as_ref().is_none_or(|after| place > after)).collect();
        placed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = placed.len() > limit;
        placed.truncate(limit);
        let next = placed.last().filter(|_| more).map(|(place, _)| encode(place));
        Ok(ListPage { items: placed.into_iter().map(|(_, item)| item).collect(), total, next_cursor: next })
    }
}

fn encode(place: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(place).unwrap_or_default())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage<T> {
    items: Vec<T>,
    total: usize,
    next_cursor: Option<String>,
}

impl<T> ListPage<T> {
    /// A page of `total` matching items; `last` is the key of the page's last item if more follow.
    #[must_use]
    pub fn new(items: Vec<T>, total: usize, last: Option<&impl Serialize>) -> Self {
        Self { items, total, next_cursor: last.map(encode) }
    }

    /// Maps the items, for example to their form on the wire.
    pub fn map<U>(self, form: impl FnMut(T) -> U) -> ListPage<U> {
        let items = self.items.into_iter().map(form).collect();
        ListPage { items, total: self.total, next_cursor: self.next_cursor }
    }

    /// The items, `total` and `next_cursor`, for a handler that builds the answer itself: [`Self::answer`]
    /// would make binary floats of numbers that serialise digit by digit.
    pub fn into_parts(self) -> (Vec<T>, usize, Option<String>) {
        (self.items, self.total, self.next_cursor)
    }

    /// The answer, with the page under `name`.
    pub fn answer(self, name: &str) -> Value
    where
        T: Serialize,
    {
        json!({
            "count": self.items.len(), "total": self.total, "next_cursor": self.next_cursor, name: self.items,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: ListLimits = ListLimits { default: 3, max: 5 };

    fn params(limit: Option<usize>, cursor: Option<String>) -> ListParams {
        ListParams { limit, cursor }
    }

    proptest! {
        /// Newest first, while items come and go between the pages: all that stay are shown once, in order.
        #[test]
        fn pages_show_every_item_that_stays_exactly_once(
            items in proptest::collection::btree_set(0_u32..60, 0..40),
            changes in proptest::collection::vec((0_u32..60, any::<bool>()), 0..20),
            limit in 1_usize..9,
        ) {
            let (mut now, mut stayed) = (items.clone(), items);
            let (mut shown, mut cursor, mut changes) = (Vec::new(), None, changes.into_iter());
            loop {
                let page = params(Some(limit), cursor)
                    .cut(LIMITS, now.iter().copied().collect(), |item| Reverse(*item))
                    .unwrap();
                prop_assert_eq!(page.total, now.len());
                prop_assert!(page.items.len() <= limit.min(LIMITS.max));
                shown.extend(page.items);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
                if let Some((item, comes)) = changes.next() {
                    if comes { now.insert(item); } else { now.remove(&item); stayed.remove(&item); }
                }
            }
            prop_assert!(shown.windows(2).all(|pair| pair[0] > pair[1]), "{shown:?}");
            prop_assert!(stayed.iter().all(|item| shown.contains(item)), "{shown:?} lacks one of {stayed:?}");
        }
    }

    #[test]
    fn the_last_page_has_no_cursor_also_when_it_is_full() {
        let page = params(Some(2), None).cut(LIMITS, vec![1, 2], |item| *item).unwrap();
        assert_eq!(
            page.answer("numbers"),
            json!({ "count": 2, "total": 2, "next_cursor": null, "numbers": [1, 2] })
        );
        let empty = params(None, None).cut(LIMITS, Vec::<u8>::new(), |item| *item).unwrap();
        assert_eq!(
            empty.answer("numbers"),
            json!({ "count": 0, "total": 0, "next_cursor": null, "numbers": [] })
        );
    }

    #[tokio::test]
    async fn the_query_is_checked_and_filters_beside_it_are_left_alone() {
        async fn read(uri: &str) -> ApiResult<ListParams> {
            let (mut parts, ()) = axum::http::Request::builder().uri(uri).body(()).unwrap().into_parts();
            ListParams::from_request_parts(&mut parts, &()).await
        }
        let read_params = read("/x?state=done&limit=9&cursor=abc").await.unwrap();
        assert_eq!(read_params, params(Some(9), Some("abc".into())));
        assert_eq!(read_params.limit(LIMITS), 5);
        assert_eq!(read("/x").await.unwrap().limit(LIMITS), 3);
        assert_eq!(read("/x?limit=0").await.unwrap_err().status(), 422);
        assert_eq!(read("/x?limit=-1").await.unwrap_err().status(), 422);
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let page = params(Some(1), None).cut(LIMITS, vec!["a", "b"], |item| (*item).to_owned()).unwrap();
        let of_texts = params(None, page.next_cursor);
        assert_eq!(of_texts.after::<String>().unwrap(), Some("a".to_owned()));
        assert_eq!(of_texts.after::<(u64, String)>().unwrap_err().status(), 422);
        for bad in ["", "?", "YWJj", &"A".repeat(MAX_CURSOR_BYTES + 1)] {
            let error = params(None, Some(bad.to_owned())).after::<u64>().unwrap_err();
            assert_eq!(error.sentence_and_field().1.as_deref(), Some("cursor"), "{bad}");
        }
    }
}
