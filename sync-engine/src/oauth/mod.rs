//! OAuth 2.0 between a browser, a service and the vault: an authorization is begun, comes back once, and becomes a connection.

mod begin;
mod callback;
mod client;
mod finish;
mod proof;
mod state;

pub use self::{
    begin::{Authorization, BeginAuthorization},
    callback::Callback,
    client::OAuthClient,
    finish::Authorized,
};
pub(crate) use self::{client::Clients, state::State};
