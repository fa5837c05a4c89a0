//! The laws of the ledger.
