//! Every bound on a setting, and the rules between settings.
//!
//! The only file that judges values. Invariant: every integer key of `config/pas.toml` has exactly one row in
//! [`BOUNDS`] (a test counts them).

use std::path::Path;

use super::compatible;
use super::{ProvidersConfig, SwarmConfig, providers};

/// Services have ports from 6100 on, model services up to this one (`port_offset` comes on top).
const HIGHEST_SERVICE_PORT: i64 = 8_199;
/// A day: a longer wait is a mistake in the unit.
const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;
const KIB: i64 = 1_024;
const GIB: i64 = KIB * KIB * KIB;
/// Shortest token accepted beyond loopback: 16 random characters cannot be guessed over a network.
const MIN_TOKEN_CHARS: usize = 16;

/// Smallest and largest value of an integer key, and the reason for the limits.
pub(super) struct IntegerBound {
    pub(super) key: &'static str,
    min: i64,
    max: i64,
    reason: &'static str,
}

const fn bound(key: &'static str, min: i64, max: i64, reason: &'static str) -> IntegerBound {
    IntegerBound { key, min, max, reason }
}

pub(super) const BOUNDS: &[IntegerBound] = &[
    bound("http.port_offset", 0, 65_535 - HIGHEST_SERVICE_PORT, "the ports must stay below 65536"),
    bound("http.max_connections", 1, 65_536, "each takes a file descriptor and some 16 KiB"),
    bound("http.max_body_bytes", KIB, GIB, "bodies are held in memory"),
    bound("http.header_timeout_ms", 100, 60_000, "a slow link needs tenths of a second, not minutes"),
    bound("http.idle_timeout_s", 1, HOUR_S, "idle connections use up max_connections"),
    bound("http.body_timeout_s", 1, HOUR_S, "slow bodies use up max_connections"),
    bound("http.shutdown_grace_s", 0, 600, "service managers kill after minutes"),
    bound("supervision.intensity", 0, 10_000, "with more restarts a supervisor never gives up"),
    bound("supervision.period_s", 1, DAY_S, "restarts are counted within one run"),
    bound("supervision.shutdown_deadline_s", 0, 600, "service managers kill after minutes"),
    bound("supervision.start_deadline_s", 1, 600, "a start that takes longer hangs"),
    bound("supervision.mailbox_capacity", 1, 1_048_576, "waiting messages are held in memory"),
    bound("supervision.heartbeat_interval_s", 0, HOUR_S, "a hang must be seen while someone waits"),
    bound("supervision.hang_factor", 2, 100, "below two intervals one late heartbeat kills"),
    bound("trace.ring_records", 1_024, 16_777_216, "96 bytes each: up to 1.5 GiB"),
    bound("trace.frozen_spans", 1, 65_536, "they are written in one transaction"),
    bound("trace.otlp.interval_ms", 100, 60_000, "the ring must not run over between two exports"),
    bound("store.backup_every_s", 0, 31 * DAY_S, "a disk can fail any day"),
    bound("store.backups", 1, 1_000, "each is a whole copy of the database"),
    bound("jobs.threads", 0, 1_024, "each takes a stack"),
    bound("jobs.step_soft_timeout_s", 1, DAY_S, "a step that runs for days hangs"),
    bound("jobs.step_hard_timeout_s", 1, 7 * DAY_S, "a step that runs for weeks hangs"),
    bound("jobs.stop_grace_s", 1, HOUR_S, "someone waits for the cancellation"),
    bound("jobs.max_attempts", 1, 100, "retries repeat the work and its costs"),
    bound("jobs.backoff_base_ms", 1, 60_000, "it doubles with every retry"),
    bound("jobs.backoff_max_s", 1, HOUR_S, "someone waits for the job"),
    bound("jobs.max_queued", 1, 1_000_000, "queued jobs are listed and searched"),
    bound("retention.jobs_days", 0, 3_650, "nobody looks beyond ten years; 0 keeps all"),
    bound("retention.jobs_mb", 0, GIB, "no disk has a pebibyte; 0 keeps all"),
    bound("retention.traces_days", 0, 3_650, "nobody looks beyond ten years; 0 keeps all"),
    bound("retention.traces_mb", 0, GIB, "no disk has a pebibyte; 0 keeps all"),
    bound("retention.logs_days", 0, 3_650, "nobody looks beyond ten years; 0 keeps all"),
    bound("retention.logs_mb", 0, GIB, "no disk has a pebibyte; 0 keeps all"),
    bound("retention.events_days", 1, 3_650, "a file a day; nobody looks beyond ten years"),
    bound("retention.events_mb", 0, GIB, "no disk has a pebibyte; 0 keeps all"),
    bound("ingest.max_file_bytes", KIB, GIB, "a document is held in memory whole"),
    bound("ingest.max_files", 1, 100_000_000, "every file has a row in the audit"),
    bound("ingest.near_duplicate_percent", 1, 100, "it is a percentage"),
    bound("ingest.boilerplate_percent", 1, 100, "it is a percentage"),
    bound("gateway.connect_timeout_ms", 10, 60_000, "a connection takes tenths of a second, not minutes"),
    bound("gateway.first_byte_timeout_ms", 0, HOUR_S * 1_000, "someone waits for the answer"),
    bound("gateway.idle_timeout_ms", 10, HOUR_S * 1_000, "someone waits for the answer"),
    bound("gateway.overall_timeout_ms", 10, HOUR_S * 1_000, "someone waits for the answer"),
    bound("registry.sweep_s", 1, HOUR_S, "expired services must be announced in time"),
    bound("resources.cpu", 0, 65_536, "no machine has more cores"),
    bound("resources.mem_mb", 0, 1_073_741_824, "no machine has more than a pebibyte"),
    bound("resources.gpu", 0, 4_096, "no machine has more accelerators"),
    bound("resources.gpu_mem_mb", 0, 1_073_741_824, "no machine has more than a pebibyte"),
    bound("resources.trainers", 1, 1_000, "without one, trainers wait for ever"),
    bound("resources.embedders", 1, 1_000, "without one, embedders wait for ever"),
    bound("resources.lease_s", 1, 7 * DAY_S, "a forgotten reservation must come back"),
];

/// Integer keys that also take the word `auto`.
pub(super) const OR_AUTO: &[&str] =
    &["resources.cpu", "resources.mem_mb", "resources.gpu", "resources.gpu_mem_mb"];

/// The objection to a single integer, if any.
pub(super) fn out_of_range(key: &str, value: i64) -> Option<String> {
    let bound = BOUNDS.iter().find(|bound| bound.key == key)?;
    let IntegerBound { min, max, reason, .. } = bound;
    (value < *min || value > *max).then(|| format!("`{key}` is {value}, must be {min} to {max}: {reason}"))
}

/// Conflicts between settings: the key to look at, and the reason.
pub(super) fn disagreements(config: &SwarmConfig) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut check = |wrong: bool, key, what: &dyn Fn() -> String| {
        if wrong {
            found.push((key, what()));
        }
    };
    let SwarmConfig { http, trace, store, jobs, .. } = config;
    check(!http.bind.is_loopback() && http.token.is_none(), "http.bind", &|| {
        format!(
            "`http.bind` is {}, which other machines can reach, so a token is needed: \
             set PAS_HTTP__TOKEN to at least {MIN_TOKEN_CHARS} random characters, or bind to 127.0.0.1",
            http.bind
        )
    });
    let token_chars = http.token.as_ref().map(|token| token.expose().chars().count());
    check(token_chars.is_some_and(|chars| chars < MIN_TOKEN_CHARS), "http.token", &|| {
        format!("`http.token` is too short: give at least {MIN_TOKEN_CHARS} random characters")
    });
    check(
        trace.otlp.endpoint.as_deref().is_some_and(|url| !is_http_url(url)),
        "trace.otlp.endpoint",
        &|| "`trace.otlp.endpoint` must be like \"http://127.0.0.1:4318\" (plain http, no spaces)".into(),
    );
    for origin in http.allowed_origins.iter().filter(|origin| !is_origin(origin)) {
        check(true, "http.allowed_origins", &|| {
            format!(
                "`http.allowed_origins`: {origin:?} is no origin; write it like \"http://localhost:3000\""
            )
        });
    }
    for (key, address) in addresses(&config.providers) {
        if let Some(problem) = providers::address_problem(address) {
            check(true, key, &|| format!("`{key}` {problem}"));
        }
    }
    for problem in compatible::problems(&config.providers.compatible, &config.provider_router) {
        check(true, compatible::KEY, &|| problem.clone());
    }
    check(!is_bare_name(&store.file), "store.file", &|| {
        "`store.file` must be a bare file name; its folder is `daemon.data_dir`".into()
    });
    check(jobs.step_soft_timeout >= jobs.step_hard_timeout, "jobs.step_soft_timeout_s", &|| {
        format!(
            "`jobs.step_soft_timeout_s` is {}, must be below `jobs.step_hard_timeout_s`, which is {}",
            jobs.step_soft_timeout.as_secs(),
            jobs.step_hard_timeout.as_secs()
        )
    });
    let gateway = &config.gateway;
    for (key, part) in [
        ("gateway.connect_timeout_ms", gateway.connect_timeout),
        ("gateway.first_byte_timeout_ms", gateway.first_byte_timeout.unwrap_or_default()),
        ("gateway.idle_timeout_ms", gateway.idle_timeout),
    ] {
        check(part > gateway.overall_timeout, key, &|| {
            format!(
                "`{key}` is {}, must not exceed `gateway.overall_timeout_ms`, which is {}",
                part.as_millis(),
                gateway.overall_timeout.as_millis()
            )
        });
    }
    check(jobs.backoff_base > jobs.backoff_max, "jobs.backoff_base_ms", &|| {
        format!(
            "`jobs.backoff_base_ms` is {}, must not exceed `jobs.backoff_max_s`, which is {}",
            jobs.backoff_base.as_millis(),
            jobs.backoff_max.as_secs()
        )
    });
    found
}

fn addresses(providers: &ProvidersConfig) -> [(&'static str, &str); 5] {
    [
        ("providers.openai.base_url", &providers.openai.base_url),
        ("providers.anthropic.base_url", &providers.anthropic.base_url),
        ("providers.gemini.base_url", &providers.gemini.base_url),
        ("providers.grok.base_url", &providers.grok.base_url),
        ("providers.ollama.host", &providers.ollama.host),
    ]
}

fn is_http_url(url: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with(['/', ':']) && !rest.contains(char::is_whitespace)
    })
}

/// Scheme and host as a browser sends them, without a path.
fn is_origin(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(scheme, host)| {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '+';
        let is_host = |c: char| c.is_ascii_graphic() && !"/?#*@".contains(c);
        let is_made_of = |text: &str, is: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(is);
        is_made_of(scheme, &is_scheme) && is_made_of(host, &is_host)
    })
}

fn is_bare_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|last| last == name) && !name.contains(['/', '\\'])
}
