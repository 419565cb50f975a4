//! Describing a service, and refusing what would send credentials in the clear.

use std::sync::{Arc, Mutex};

use http::HeaderValue;
use sync_core::{Error, Result, policy::RetryPolicy};
use url::{Host, Url};

use super::{Api, Inner};
use crate::{Auth, Classifier, HttpTransport, RetryBudget, classify_status};

const OPERATION: &str = "configure";

/// Describes a service; made by [`Api::builder`]. Setters cannot fail, [`build`](Self::build) reports every problem at once.
#[derive(Debug)]
#[must_use]
pub struct ApiBuilder {
    provider: &'static str,
    base_url: String,
    transport: Option<Arc<dyn HttpTransport>>,
    auth: Auth,
    classifier: Classifier,
    retry: RetryPolicy,
    user_agent: String,
}

impl ApiBuilder {
    pub(super) fn new(provider: &'static str, base_url: &str) -> Self {
        Self {
            provider,
            base_url: base_url.to_owned(),
            transport: None,
            auth: Auth::Bearer,
            classifier: |operation, answer| classify_status(operation, answer, None),
            retry: RetryPolicy::default(),
            user_agent: concat!("syncline/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// What carries the requests. Default: a [`reqwest_transport`](crate::reqwest_transport) of its own, where that feature is on.
    pub fn transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// How the token is sent. Default: [`Auth::Bearer`].
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// What turns answers into errors. Default: [`classify_status`] without a message.
    pub fn classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// When a call is made again. Default: [`RetryPolicy::default`].
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The `User-Agent`. Default: `syncline/<version>`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The API.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) naming everything that is wrong: a base URL that is none, is not https (http is allowed
    /// for this machine alone: `localhost`, `127.0.0.0/8`, `::1`), or holds credentials or a query; no transport; an impossible user
    /// agent.
    pub fn build(self) -> Result<Api> {
        let mut problems = Vec::new();
        let base_url = match base_url(&self.base_url) {
            Ok(url) => Some(url),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let user_agent = HeaderValue::from_str(&self.user_agent).ok();
        if user_agent.is_none() {
            problems.push("the user agent holds a character that no header may carry".to_owned());
        }
        let transport = match self.transport {
            Some(transport) => Some(transport),
            #[cfg(feature = "reqwest")]
            None => Some(crate::reqwest_transport()),
            #[cfg(not(feature = "reqwest"))]
            None => {
                problems.push("no transport is set, and the feature `reqwest` that brings one is off".to_owned());
                None
            }
        };
        let (Some(base_url), Some(user_agent), Some(transport)) = (base_url, user_agent, transport) else {
            return Err(Error::config(OPERATION, problems.join("; ")).at("provider", self.provider));
        };
        let host = match (base_url.host_str().unwrap_or_default(), base_url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        Ok(Api(Arc::new(Inner {
            provider: self.provider,
            base_url,
            host,
            transport,
            auth: self.auth,
            classifier: self.classifier,
            retry: self.retry,
            user_agent,
            budget: Mutex::new(RetryBudget::default()),
        })))
    }
}

/// The base URL, or what is wrong with it, without repeating credentials it may hold.
pub(crate) fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("the base URL cannot be read: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the base URL holds credentials; give them to the connection instead".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("the base URL has a query or fragment; requests bring their own".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(format!("the base URL {url} is not https; plain http is allowed for loopback addresses only")),
    }
}

/// Whether the URL leads to this machine by its very name.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sent_over_https_or_to_this_machine_only() {
        for (url, expected) in [
            ("https://slack.com/api/", Ok(())),
            ("https://example.com:8443", Ok(())),
            ("http://localhost:8080/api", Ok(())),
            ("http://127.0.0.1:1", Ok(())),
            ("http://127.9.9.9", Ok(())),
            ("http://[::1]:8080/", Ok(())),
            ("http://slack.com/api/", Err("not https")),
            ("http://localhost.example.com/", Err("not https")),
            ("http://128.0.0.1/", Err("not https")),
            ("http://[::2]/", Err("not https")),
            ("http://0.0.0.0/", Err("not https")),
            ("ftp://localhost/", Err("not https")),
            ("file:///etc/passwd", Err("not https")),
            ("https://user:s3cret@example.com/", Err("holds credentials")),
            ("https://example.com/?key=s3cret", Err("query or fragment")),
            ("example.com", Err("cannot be read")),
            ("", Err("cannot be read")),
        ] {
            match (base_url(url), expected) {
                (Ok(_), Ok(())) => {}
                (Err(problem), Err(expected)) => {
                    assert!(problem.contains(expected), "{url}: {problem}");
                    assert!(!problem.contains("s3cret"), "{problem}");
                }
                (found, _) => panic!("{url}: {found:?}"),
            }
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let error = Api::builder("slack", "http://slack.com").user_agent("a\nb").build().expect_err("two problems");
        let text = error.to_string();
        assert!(text.contains("not https") && text.contains("user agent") && text.contains("slack"), "{text}");
    }
}
