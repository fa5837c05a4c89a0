//! The turns of thinking agents: the gateway as a [`ModelCaller`].
//!
//! An agent's preferred models are tried in order, as far as they can be called; one that has been shut down since
//! its definition was written gives way to its vendor's replacement. If none can be called, the best fit.
//! The conversation is the agent's step log, which has limits of its own, so these calls do not count in the
//! governor's contexts: a reset between an answer and its row would lose paid work.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{GatewayCaller, GatewayError, GatewayHandle, ModelCall, ModelRequest, ModelTarget};
use crate::actors::provider_router::ProviderFilter;
use crate::domain::accounts::budget::{BudgetScope, BudgetView};
use crate::domain::money::NanoUsd;
use crate::domain::provider_router::model_name::RETIRED;
use crate::domain::provider_router::{
    CallLimits, CallRequirements, ModelName, RegisteredProvider, RoutingOptimization,
};
use crate::domain::time::Timestamp;
use crate::llm::model_caller::{ModelCaller, ModelTurn, TurnAnswer, TurnError};
use crate::llm::text_writer::TextAuthor;
use crate::llm::{VendorFailureKind, catalogue};

/// The window assumed for a model without a stated one: the smallest of today's models that call tools well.
const DEFAULT_WINDOW: u64 = 128_000;
/// Longest wait for the first look at the models after a start: a look at local servers takes two seconds each time.
const FIRST_LOOK: Duration = Duration::from_secs(20);
/// The feature every agent needs.
const TOOLS: &str = "tools";

fn requirements(model: &str) -> CallRequirements {
    CallRequirements { model: model.to_owned(), context_window: None, features: vec![TOOLS.to_owned()] }
}

impl GatewayHandle {
    /// The provider that would answer an agent; never one whose vendor has shut the model down, which an agent's
    /// definition may still name.
    fn provider_for(&self, model: &str) -> Option<Arc<RegisteredProvider>> {
        let found = self.selected(&requirements(model), RoutingOptimization::Balanced, CallLimits::default());
        found.ok().map(|(choice, _)| choice.chosen).filter(|chosen| chosen.metadata.get(RETIRED).is_none())
    }

    fn can_route(&self, model: &str) -> bool {
        self.provider_for(model).is_some()
    }

    /// The model to call: the first preferred one whose vendor is not avoided, else any of another vendor,
    /// else the first preferred one, else the best fit.
    fn model_for(&self, preferred: &[String], avoided_vendors: &[String]) -> String {
        let now = Timestamp::now();
        let served = || preferred.iter().map(|model| catalogue::served(model, now));
        let callable = || served().filter(|model| self.can_route(model)).map(str::to_owned);
        let is_other =
            |model: &String| self.vendor_for(model).is_some_and(|vendor| !avoided_vendors.contains(&vendor));
        let independent = if avoided_vendors.is_empty() {
            None
        } else {
            callable().find(is_other).or_else(|| self.model_of_another_vendor(avoided_vendors))
        };
        independent.or_else(|| callable().next()).unwrap_or_else(|| "auto".to_owned())
    }

    /// The least that any of the scopes with a cap has left.
    fn least_left(&self, scopes: &[BudgetScope]) -> Option<NanoUsd> {
        let left = scopes.iter().filter_map(|scope| self.accounts().budget(scope).ok()?.remaining());
        left.min()
    }

    fn vendor_for(&self, model: &str) -> Option<String> {
        self.provider_for(model)?.vendor().map(str::to_owned)
    }

    fn model_of_another_vendor(&self, avoided_vendors: &[String]) -> Option<String> {
        let offers = self.router().providers(&ProviderFilter::default());
        let others = offers.into_iter().map(|offer| offer.provider);
        // Only choices of `auto`: general models that are still served.
        let others = others.filter(|offer| ModelName::Auto(None).fits(offer)).filter(|offer| {
            offer.vendor().is_some_and(|vendor| avoided_vendors.iter().all(|avoided| avoided != vendor))
        });
        let mut names = others.map(|offer| format!("{}/{}", offer.name, offer.model));
        names.find(|name| self.can_route(name))
    }
}

impl ModelCaller for GatewayHandle {
    fn readiness(&self) -> Result<(), String> {
        let chosen =
            self.router().select(&requirements("auto"), RoutingOptimization::Balanced, CallLimits::default());
        chosen.map(drop).map_err(|none| none.to_string())
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // A gateway that cannot look says so when it is asked.
            let _ = tokio::time::timeout(FIRST_LOOK, self.ready().has_looked()).await;
        })
    }

    fn context_window(&self, preferred: &[String]) -> u64 {
        let model = self.model_for(preferred, &[]);
        self.provider_for(&model).map_or(DEFAULT_WINDOW, |chosen| chosen.context_window)
    }

    fn ask(&self, turn: ModelTurn) -> BoxFuture<'_, Result<TurnAnswer, TurnError>> {
        let ModelTurn { author, request_id, preferred, avoided_vendors, mut chat } = turn;
        let TextAuthor { run, job, agent, lane } = author;
        let scopes = [BudgetScope::Run(run.clone()), BudgetScope::Job(job.clone())];
        chat.model = self.model_for(&preferred, &avoided_vendors);
        let target = ModelTarget::Routed {
            requirements: requirements(&chat.model),
            optimization: RoutingOptimization::Balanced,
            limits: CallLimits::default(),
        };
        let caller = GatewayCaller { request_id, run, job: Some(job), agent, lane };
        let call =
            ModelCall { counts_context: false, ..ModelCall::new(caller, target, ModelRequest::Chat(chat)) };
        Box::pin(async move {
            let chatted = self.chat(call).await.map_err(|error| error_of(&error))?;
            let vendor = self.router().provider(&chatted.by.provider);
            let vendor = vendor.and_then(|seen| seen.provider.vendor().map(str::to_owned));
            let choice = chatted.answer.choices.into_iter().next();
            let choice = choice.ok_or_else(|| TurnError::Passing {
                why: format!("{} answered without any choice", chatted.by.provider),
                retry_after: None,
            })?;
            Ok(TurnAnswer {
                message: choice.message,
                finish_reason: choice.finish_reason,
                usage: chatted.usage,
                cost: chatted.receipt.outcome.cost,
                receipt: chatted.receipt.seq,
                money_left: self.least_left(&scopes),
                vendor: vendor.unwrap_or_else(|| chatted.by.provider.clone()),
                provider: chatted.by.provider,
                model: chatted.by.model,
            })
        })
    }

    fn cap(&self, scope: BudgetScope, cap: Option<NanoUsd>) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let done = match cap {
                Some(cap) => self.accounts().set_budget(scope, cap).await,
                None => self.accounts().lift_budget(scope).await,
            };
            done.map_err(|error| error.to_string())
        })
    }

    fn budget(&self, scope: &BudgetScope) -> Result<BudgetView, String> {
        self.accounts().budget(scope).map_err(|error| error.to_string())
    }
}

fn error_of(error: &GatewayError) -> TurnError {
    let why = error.to_string();
    match error {
        GatewayError::OverBudget(over) => TurnError::OverBudget {
            why,
            scope: over.scope.to_string(),
            needed: over.wanted,
            left: over.left(),
        },
        GatewayError::NoneFits(none) if none.resting > 0 => {
            TurnError::Passing { why, retry_after: none.retry_after }
        }
        GatewayError::NoneFits(_)
        | GatewayError::NoPrice { .. }
        | GatewayError::NoKey { .. }
        | GatewayError::UnknownModel { .. } => TurnError::NoModel(why),
        GatewayError::CircuitOpen { wait, .. } => TurnError::Passing { why, retry_after: Some(*wait) },
        GatewayError::Accounts(accounts) if accounts.is_passing() => {
            TurnError::Passing { why, retry_after: Some(Duration::from_secs(1)) }
        }
        GatewayError::Untranslatable(_) | GatewayError::Accounts(_) => TurnError::Refused(why),
        GatewayError::Failed { failure, .. } => match failure.kind {
            VendorFailureKind::Cancelled => TurnError::Cancelled,
            VendorFailureKind::ContextTooLong => TurnError::ContextTooLong(why),
            VendorFailureKind::Credential => TurnError::NoModel(why),
            kind if kind.is_transient() => TurnError::Passing { why, retry_after: failure.retry_after },
            _ => TurnError::Refused(why),
        },
    }
}
