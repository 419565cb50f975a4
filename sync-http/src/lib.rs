#![doc = include_str!("../README.md")]

mod answer;
mod api;
mod auth;
mod budget;
mod hint;
mod oauth;
mod page;
mod redact;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest;
mod status;
mod transport;

pub use http::{HeaderMap, Method, StatusCode};

#[cfg(feature = "reqwest")]
pub use self::reqwest::reqwest_transport;
pub use self::{
    answer::Answer,
    api::{Api, ApiBuilder},
    auth::Auth,
    budget::RetryBudget,
    hint::{quota_left, retry_after},
    oauth::{StandardOAuth, StandardOAuthBuilder, TokenReader, classify_oauth},
    page::{offset_after, offset_next, same_origin_path, segment},
    redact::scrub,
    request::Request,
    status::{Classifier, classify_status},
    transport::{HttpTransport, Limits, TransportError},
};
