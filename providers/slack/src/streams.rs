//! The three streams and their fields.

use std::sync::Arc;

use sync_core::{Field, FieldKind, Stream};

use crate::draft;

pub(crate) const CHANNELS: &str = "channels";
pub(crate) const USERS: &str = "users";
pub(crate) const MESSAGES: &str = "messages";

/// The streams, in the order a host wants them.
pub(crate) const NAMES: &[&str] = &[CHANNELS, USERS, MESSAGES];

type Declared = &'static [(&'static str, FieldKind)];

use FieldKind::{Boolean, Integer, Json, Text};

/// Of a conversation. `created` counts seconds, `updated` milliseconds.
pub(crate) const CHANNEL_FIELDS: Declared = &[
    ("id", Text),
    ("name", Text),
    ("is_channel", Boolean),
    ("is_private", Boolean),
    ("is_im", Boolean),
    ("is_mpim", Boolean),
    ("is_archived", Boolean),
    ("is_general", Boolean),
    ("is_member", Boolean),
    ("user", Text),
    ("creator", Text),
    ("created", Integer),
    ("updated", Integer),
    ("num_members", Integer),
    ("topic", Json),
    ("purpose", Json),
    ("previous_names", Json),
];

/// Of a person or an app's own user. `updated` counts seconds.
pub(crate) const USER_FIELDS: Declared = &[
    ("id", Text),
    ("team_id", Text),
    ("name", Text),
    ("real_name", Text),
    ("deleted", Boolean),
    ("is_bot", Boolean),
    ("is_admin", Boolean),
    ("is_restricted", Boolean),
    ("tz", Text),
    ("updated", Integer),
    ("profile", Json),
];

/// Of a message: Slack's own, and at the end what is worked out from them.
pub(crate) const MESSAGE_FIELDS: Declared = &[
    ("ts", Text),
    ("type", Text),
    ("subtype", Text),
    ("user", Text),
    ("bot_id", Text),
    ("username", Text),
    ("team", Text),
    ("text", Text),
    ("thread_ts", Text),
    ("parent_user_id", Text),
    ("reply_count", Integer),
    ("reply_users_count", Integer),
    ("reply_users", Json),
    ("latest_reply", Text),
    ("edited", Json),
    ("reactions", Json),
    ("attachments", Json),
    ("files", Json),
    ("blocks", Json),
    ("client_msg_id", Text),
    ("account_id", Text),
    ("channel_id", Text),
    ("channel_name", Text),
    ("sender_id", Text),
    ("sender_name", Text),
    ("parent_ts", Text),
];

fn fields(declared: Declared) -> Arc<[Field]> {
    declared.iter().map(|(name, kind)| Field::typed(*name, *kind)).collect()
}

/// What every account has.
pub(crate) fn all() -> Vec<Stream> {
    vec![
        Stream::full(CHANNELS).with_fields(fields(CHANNEL_FIELDS)),
        Stream::full(USERS).with_fields(fields(USER_FIELDS)),
        Stream::incremental(MESSAGES).with_fields(fields(MESSAGE_FIELDS)).writable(draft::writable()),
    ]
}
