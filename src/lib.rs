//! PAS, the Polyglot Agent Swarm: one daemon that runs a supervised tree of agents.
//!
//! Layers, top to bottom; arrows point down only (checked by `tests/it/tidy.rs`): `cli` → `daemon` → `http` →
//! `actors` → `supervision` → `store`, `llm`, `skills`, `roster`, `tools`, `sandbox`, `worktree`, `review` →
//! `proof` → `domain`, `config`, `files`. Each layer below `actors` is a crate of its own, so that an edit compiles
//! little more than itself.

pub mod actors;
pub mod cli;
pub mod daemon;
pub mod http;

pub use pas_config as config;
pub use pas_domain as domain;
pub use pas_files as files;
pub use pas_llm as llm;
pub use pas_proof as proof;
pub use pas_review as review;
pub use pas_roster as roster;
pub use pas_sandbox as sandbox;
pub use pas_skills as skills;
pub use pas_store as store;
pub use pas_supervision as supervision;
pub use pas_tools as tools;
pub use pas_worktree as worktree;
