//! The settings of a connection.

use serde::{Deserialize, Deserializer, de::Error as _};
use sync_core::{Error, Result, SyncContext};

/// What Slack allows on one page to apps that are sold outside its Marketplace.
const COMMERCIAL_PAGE: u16 = 15;

/// The settings a connection to one Slack workspace takes; all have defaults.
///
/// ```
/// # use provider_slack::Settings;
/// let settings: Settings = serde_json::from_str(r##"{"channels": ["#general", "C024BE91L"]}"##)?;
/// assert!(settings.replies && settings.history_limit == 200);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// The channels whose messages are pulled, by id or name, with or without `#`. Default: all the app is a member of.
    #[serde(deserialize_with = "channels")]
    pub channels: Vec<String>,
    /// Whether messages of archived channels are read, where the app is a member. Default false. Channels named in
    /// [`channels`](Self::channels) are read in any case, and the stream `channels` lists them all.
    #[serde(deserialize_with = "include_archived")]
    pub include_archived: bool,
    /// The kinds of conversations. Default public and private channels; each kind needs scopes of its own.
    #[serde(deserialize_with = "types")]
    pub types: Vec<ConversationType>,
    /// Messages asked for in one call, 1 to 999. Default 200. At most 15 are asked for with [`commercial`](Self::commercial).
    #[serde(deserialize_with = "history_limit")]
    pub history_limit: u16,
    /// Whether replies are read too, which is one more call for each thread. Default true. Without them no pull is complete, so
    /// that deleted messages stay in the table.
    #[serde(deserialize_with = "replies")]
    pub replies: bool,
    /// Whether the app is sold outside Slack's Marketplace, so that history and replies are limited to one call a minute and 15
    /// messages a call. Default false.
    #[serde(deserialize_with = "commercial")]
    pub commercial: bool,
}

/// A kind of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConversationType {
    /// Channels everybody can join (`channels:read`, `channels:history`).
    PublicChannel,
    /// Channels by invitation (`groups:read`, `groups:history`).
    PrivateChannel,
    /// Direct messages among several (`mpim:read`, `mpim:history`).
    Mpim,
    /// Direct messages (`im:read`, `im:history`).
    Im,
}

impl ConversationType {
    fn as_str(self) -> &'static str {
        match self {
            Self::PublicChannel => "public_channel",
            Self::PrivateChannel => "private_channel",
            Self::Mpim => "mpim",
            Self::Im => "im",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            include_archived: false,
            types: vec![ConversationType::PublicChannel, ConversationType::PrivateChannel],
            history_limit: 200,
            replies: true,
            commercial: false,
        }
    }
}

/// Names and meanings for [`Descriptor::settings`](sync_core::Descriptor).
pub(crate) const DESCRIBED: &[(&str, &str)] = &[
    ("channels", "the channels whose messages are pulled, by id or name (default: all the app is a member of)"),
    ("include_archived", "whether messages of archived channels are read (default false)"),
    ("types", "kinds of conversations: public_channel, private_channel, mpim, im (default the first two)"),
    ("history_limit", "messages asked for in one call, 1 to 999 (default 200)"),
    ("replies", "whether replies are read, one more call for each thread (default true)"),
    ("commercial", "whether the app is sold outside Slack's Marketplace: 1 call a minute, 15 messages a call (default false)"),
];

impl Settings {
    /// The settings of the connection a call is made for.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) naming the setting that is unknown or wrong.
    pub(crate) fn of(cx: &SyncContext) -> Result<Self> {
        serde_json::from_str(cx.settings.get())
            .map_err(|problem| Error::config("slack.settings", format!("the connection's settings do not fit: {problem}")))
    }

    /// Messages to ask for in one call.
    pub(crate) fn page_size(&self) -> u16 {
        if self.commercial { self.history_limit.min(COMMERCIAL_PAGE) } else { self.history_limit }
    }

    /// The kinds of conversations as Slack takes them.
    pub(crate) fn types(&self) -> String {
        self.types.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(",")
    }
}

/// Reads a setting so that its error begins with its name; serde names only those that are unknown.
fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(name: &str, from: D) -> Result<T, D::Error> {
    T::deserialize(from).map_err(|problem| D::Error::custom(format!("`{name}`: {problem}")))
}

fn channels<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let channels: Vec<String> = named("channels", from)?;
    let channels: Vec<String> = channels.iter().map(|name| name.trim().trim_start_matches('#').to_owned()).collect();
    if channels.iter().any(String::is_empty) {
        return Err(D::Error::custom("`channels`: a name is empty"));
    }
    Ok(channels)
}

fn types<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ConversationType>, D::Error> {
    let types: Vec<ConversationType> = named("types", from)?;
    if types.is_empty() {
        return Err(D::Error::custom("`types`: name at least one kind of conversation"));
    }
    Ok(types)
}

fn history_limit<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match named("history_limit", from)? {
        limit @ 1..=999 => Ok(limit),
        limit => Err(D::Error::custom(format!("`history_limit`: 1 to 999, not {limit}"))),
    }
}

fn include_archived<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    named("include_archived", from)
}

fn replies<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    named("replies", from)
}

fn commercial<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    named("commercial", from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_settings_are_the_documented_defaults() {
        let settings: Settings = serde_json::from_str("{}").expect("all have defaults");
        assert_eq!(settings, Settings::default());
        assert_eq!((settings.types().as_str(), settings.page_size()), ("public_channel,private_channel", 200));
    }

    #[test]
    fn channels_may_be_written_as_people_do() {
        let settings: Settings = serde_json::from_str(r##"{"channels": ["#general", " random ", "C024BE91L"]}"##).expect("names");
        assert_eq!(settings.channels, ["general", "random", "C024BE91L"]);
    }

    #[test]
    fn commercial_apps_ask_for_fifteen() {
        for (json, size) in
            [(r#"{"commercial": true}"#, 15), (r#"{"commercial": true, "history_limit": 3}"#, 3), (r#"{"history_limit": 999}"#, 999)]
        {
            assert_eq!(serde_json::from_str::<Settings>(json).expect(json).page_size(), size);
        }
    }

    #[test]
    fn every_problem_names_its_setting() {
        for (json, name) in [
            (r#"{"channels": "general"}"#, "channels"),
            (r##"{"channels": ["#"]}"##, "channels"),
            (r#"{"types": []}"#, "types"),
            (r#"{"types": ["public"]}"#, "types"),
            (r#"{"history_limit": 0}"#, "history_limit"),
            (r#"{"history_limit": 1000}"#, "history_limit"),
            (r#"{"history_limit": "all"}"#, "history_limit"),
            (r#"{"channel": "general"}"#, "channel"),
        ] {
            let problem = serde_json::from_str::<Settings>(json).expect_err(json).to_string();
            assert!(problem.contains(&format!("`{name}`")), "{json}: {problem}");
        }
        for (name, _) in DESCRIBED {
            let problem = serde_json::from_str::<Settings>(&format!(r#"{{"{name}": {{"never": 1}}}}"#)).expect_err("of the wrong type");
            assert!(problem.to_string().contains(&format!("`{name}`:")), "{problem}");
        }
    }
}
