//! How the answer of the browser gets here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Url;

use crate::{
    args::Connect,
    config::Config,
    exit::{Done, Failure},
    session::{REDIRECT_URI, secret_variable},
};

/// How the answer of the browser gets here.
#[derive(Debug)]
pub(super) enum Way {
    /// The browser comes back to this machine.
    Listen(Place),
    /// The person pastes the address the browser ended at, which begins with this redirect URI.
    Paste(String),
}

/// Where the browser comes back to.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) uri: String,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) path: String,
}

impl Way {
    pub(super) fn of(config: &Config, args: &Connect, provider: &str) -> Done<Self> {
        let Some(service) = config.service(provider) else {
            return Err(Failure::usage(format!("there is no service {provider:?}"), "connect", "name one of: sheets, slack"));
        };
        if service.client_id.is_none() {
            let text = format!("there is no OAuth client for {provider}");
            let hint = format!(
                "register one at the service with the redirect URI {REDIRECT_URI}, put its client_id into [{provider}] of syncline.toml and \
                 its secret into {}; README.md tells the clicks",
                secret_variable(provider)
            );
            return Err(Failure::usage(text, "connect --browser", hint));
        }
        let uri = service.redirect_uri.as_deref().unwrap_or(REDIRECT_URI);
        let wrong = |what: &str| {
            let hint = format!(
                "add --paste and paste the address the browser ends at, or register {REDIRECT_URI} at the service and leave redirect_uri out"
            );
            Failure::usage(format!("the redirect URI {uri:?} {what}"), format!("[{provider}] redirect_uri"), hint)
        };
        let url = Url::parse(uri).map_err(|_| wrong("is no address"))?;
        if args.paste {
            return Ok(Self::Paste(uri.to_owned()));
        }
        let hosts: Vec<IpAddr> = match url.host() {
            Some(url::Host::Ipv4(ip)) => vec![ip.into()],
            Some(url::Host::Ipv6(ip)) => vec![ip.into()],
            // Browsers take either for it.
            Some(url::Host::Domain("localhost")) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            _ => return Err(wrong("does not lead to this machine")),
        };
        if url.scheme() != "http" || !hosts.iter().all(IpAddr::is_loopback) {
            return Err(wrong("does not lead to this machine by http"));
        }
        let port = url.port().ok_or_else(|| wrong("names no port"))?;
        let addresses = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
        Ok(Self::Listen(Place { uri: uri.to_owned(), addresses, path: url.path().to_owned() }))
    }
}
