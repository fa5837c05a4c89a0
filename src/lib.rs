//! PAS, the Polyglot Agent Swarm: one daemon that runs a supervised tree of agents.
//!
//! Layers, top to bottom; arrows point down only (checked by `tests/it/tidy.rs`): `cli` → `daemon` → `http` →
//! `actors` → `supervision` → `store`, `llm`, `skills`, `roster`, `tools`, `sandbox`, `worktree`, `review` →
//! `proof` → `domain`, `config`, `files`.

pub mod actors;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod files;
pub mod http;
pub mod llm;
pub mod proof;
pub mod review;
pub mod roster;
pub mod sandbox;
pub mod skills;
pub mod store;
pub mod supervision;
pub mod tools;
pub mod worktree;
