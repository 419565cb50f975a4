//! The differences from the services' descriptions that are meant. One that covers nothing any more is an error.

use super::problem::{
    Exception,
    Kind::{MissingField, UnknownField, WrongType},
};

pub(super) const EXCEPTIONS: &[Exception] = &[
    Exception {
        provider: "slack",
        operation: "*",
        kind: UnknownField,
        at: "response.body.warning",
        reason: "any reply may carry a warning, here that a JSON body names no charset; only some examples show one",
    },
    Exception {
        provider: "slack",
        operation: "*",
        kind: UnknownField,
        at: "response.body.response_metadata*",
        reason: "any reply may carry warnings and messages there; only some examples show them",
    },
    Exception {
        provider: "slack",
        operation: "*",
        kind: MissingField,
        at: "response.body.response_metadata",
        reason: "every example happens to be a page with another one behind it; the last page has no cursor",
    },
    Exception {
        provider: "slack",
        operation: "*",
        kind: UnknownField,
        at: "response.body.messages[].hidden",
        reason: "tombstones of deleted parents carry it; no example and no sample is one",
    },
    Exception {
        provider: "slack",
        operation: "conversations.replies",
        kind: UnknownField,
        at: "response.body.messages[].subtype",
        reason: "a reply that was sent to the channel too has one, as in conversations.history; the samples of threads hold plain replies",
    },
    Exception {
        provider: "slack",
        operation: "*",
        kind: UnknownField,
        at: "response.body.messages[].bot_profile.user_id",
        reason: "the samples of chat.postMessage have it, those of threads are older",
    },
    Exception {
        provider: "slack",
        operation: "chat.update",
        kind: UnknownField,
        at: "response.body.message.bot_profile.user_id",
        reason: "the samples of chat.postMessage have it, that of chat.update is older",
    },
    Exception {
        provider: "slack",
        operation: "chat.update",
        kind: WrongType,
        at: "response.body.message.blocks",
        reason: "the OpenAPI file has an object; the reference and every other method have a list",
    },
];
