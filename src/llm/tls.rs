//! TLS of every HTTP client in PAS: rustls with ring, and the certificates the system trusts.
//!
//! Invariant: no client relies on a process-wide crypto provider. Failure policy: a machine without trusted
//! certificates (a bare container) can still reach plain `http` servers; an `https` call there fails with an
//! untrusted certificate, and the log has the reason.

use std::sync::Arc;

use reqwest::ClientBuilder;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// TLS towards vendors.
///
/// # Errors
/// rustls's, when the provider lacks the usual versions of TLS.
pub(super) fn trusting_this_machine() -> Result<ClientConfig, rustls::Error> {
    match base()?.with_platform_verifier() {
        Ok(config) => Ok(config.with_no_client_auth()),
        Err(error) => {
            tracing::warn!(%error, "no trusted certificates on this machine; only http works");
            trusting_nobody()
        }
    }
}

/// A builder of clients that talk plain `http` only: it reads no certificates, so it is quick to start.
///
/// # Errors
/// rustls's, when the provider lacks the usual versions of TLS.
pub fn plain_client_builder() -> Result<ClientBuilder, rustls::Error> {
    Ok(reqwest::Client::builder().tls_backend_preconfigured(trusting_nobody()?))
}

fn base() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions()
}

fn trusting_nobody() -> Result<ClientConfig, rustls::Error> {
    Ok(base()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
