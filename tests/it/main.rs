//! The one integration binary: a module a subject, so that PAS is linked once.

mod contracts;
mod edge;
