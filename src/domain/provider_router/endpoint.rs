//! The rules for a provider's endpoint.
//!
//! The gateway calls registered endpoints, so a registration could make the daemon send requests elsewhere
//! (SSRF). Rule: `https` to any host, because the certificate proves who answers; plain `http` to this
//! machine (`localhost`, names below it, loopback addresses) and to hosts in the configuration. So no
//! registration reaches plain-http services of a private network, such as a cloud's metadata address. A URL
//! has neither user nor password, because everyone can see it.

use url::{Host, Url};

/// Longest endpoint in characters: all browsers and proxies support this length.
pub const MAX_ENDPOINT: usize = 2048;

/// Hosts that may be called without TLS, beyond this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointRules {
    /// Host names or addresses, without port, compared without case.
    pub plain_http_hosts: Vec<String>,
    /// Ports on which this daemon itself listens and serves no model.
    pub ports_without_models: Vec<u16>,
}

/// Why an endpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRefusal {
    #[error("must be an absolute http or https URL: {0}")]
    NoUrl(String),
    #[error("must be an http or https URL, not {0}")]
    Scheme(String),
    /// A user or password in the URL.
    #[error("must not contain a user or password; put keys into the environment or the configuration")]
    Credentials,
    /// Plain http to another machine.
    #[error(
        "plain http is taken for this machine only; use https, or add `{0}` to \
         `provider_router.plain_http_hosts` in the configuration"
    )]
    PlainHttp(String),
    /// A port of this daemon that serves no model.
    #[error(
        "is port {0} of this daemon, which serves no model; give the address of the model's own server, or a \
         port of this daemon that does: the gateway's, an adapter's or a local model's"
    )]
    OwnPort(u16),
}

impl EndpointRules {
    /// Checks an endpoint.
    ///
    /// # Errors
    /// [`EndpointRefusal`].
    pub fn check(&self, endpoint: &str) -> Result<(), EndpointRefusal> {
        let url = Url::parse(endpoint).map_err(|error| EndpointRefusal::NoUrl(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointRefusal::Credentials);
        }
        if let Some(port) = port_of(&url).filter(|port| self.ports_without_models.contains(port)) {
            return Err(EndpointRefusal::OwnPort(port));
        }
        match (url.scheme(), url.host()) {
            ("https", Some(_)) => Ok(()),
            ("http", Some(host)) if is_this_machine(&host) || self.lists(&host) => Ok(()),
            ("http", Some(host)) => Err(EndpointRefusal::PlainHttp(host.to_string())),
            ("http" | "https", None) => Err(EndpointRefusal::NoUrl("it names no host".to_owned())),
            (scheme, _) => Err(EndpointRefusal::Scheme(scheme.to_owned())),
        }
    }

    fn lists(&self, host: &Host<&str>) -> bool {
        let host = host.to_string();
        self.plain_http_hosts.iter().any(|listed| listed.eq_ignore_ascii_case(&host))
    }
}

/// The port of this machine that an address leads to; `None` for addresses of other machines.
#[must_use]
pub fn port_here(endpoint: &str) -> Option<u16> {
    port_of(&Url::parse(endpoint).ok()?)
}

fn port_of(url: &Url) -> Option<u16> {
    let is_here = match url.host()? {
        // Connecting to the unspecified address reaches this machine.
        Host::Ipv4(address) if address.is_unspecified() => true,
        Host::Ipv6(address) if address.is_unspecified() => true,
        host => is_this_machine(&host),
    };
    url.port_or_known_default().filter(|_| is_here)
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_and_tls_are_taken_and_nothing_else() {
        let rules = EndpointRules::default();
        for good in [
            "http://localhost:8100",
            "http://LOCALHOST/v1",
            "http://127.8.0.1:1",
            "http://[::1]:11434",
            "http://[::ffff:127.0.0.1]",
            "http://models.localhost",
            "https://api.example.com/v1",
            "https://10.0.0.7",
        ] {
            assert_eq!(rules.check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.7:11434",
            "http://localhost.example.com",
            "http://2130706433.example",
            "http://user:secret@localhost",
            "https://:secret@api.example.com",
            "ftp://localhost",
            "file:///etc/passwd",
            "localhost:8100",
            "/v1",
            "http://",
            "",
        ] {
            assert!(rules.check(bad).is_err(), "{bad}");
        }
        // The decimal form of 127.0.0.1 is that address to every client.
        assert_eq!(rules.check("http://2130706433"), Ok(()));
    }

    #[test]
    fn an_own_port_without_models_is_refused_however_it_is_written() {
        let rules = EndpointRules { ports_without_models: vec![6105, 80], ..EndpointRules::default() };
        for own in [
            "http://localhost:6105",
            "http://127.0.0.1:6105/v1",
            "http://[::1]:6105",
            "http://a.localhost:6105",
            "https://0.0.0.0:6105",
            "http://localhost",
        ] {
            assert!(matches!(rules.check(own), Err(EndpointRefusal::OwnPort(6105 | 80))), "{own}");
        }
        assert_eq!(rules.check("http://localhost:6106"), Ok(()));
        assert_eq!(rules.check("https://api.example.com:6105"), Ok(()));
        assert_eq!(port_here("http://127.0.0.1:8100/v1"), Some(8100));
        assert_eq!(port_here("https://api.example.com:8100"), None);
    }

    #[test]
    fn a_listed_host_may_be_asked_without_tls() {
        let rules =
            EndpointRules { plain_http_hosts: vec!["GPU-box.lan".into()], ..EndpointRules::default() };
        assert_eq!(rules.check("http://gpu-box.lan:11434"), Ok(()));
        assert_eq!(rules.check("http://other.lan"), Err(EndpointRefusal::PlainHttp("other.lan".into())));
    }
}
