//! The settings of a connection.

use serde::Deserialize;
use sync_core::{Error, Result, SyncContext};

/// The settings a connection to one Slack workspace takes; all have defaults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Channels to read messages of, by id or by name. Default: every channel the app is a member of.
    pub channels: Vec<String>,
    /// Whether messages of archived channels are read. Default false.
    pub include_archived: bool,
    /// Kinds of conversations: `public_channel`, `private_channel`, `mpim`, `im`. Default the first two; each needs its own scope.
    pub types: Vec<String>,
    /// Messages asked for in one call, 1 to 999. Default 999; apps that are sold outside the Marketplace are given 15.
    pub page_size: u32,
    /// Whether replies in threads are read, one call or more per thread. Default true.
    pub replies: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            include_archived: false,
            types: vec!["public_channel".into(), "private_channel".into()],
            page_size: 999,
            replies: true,
        }
    }
}

/// Names and meanings for [`Descriptor::settings`](sync_core::Descriptor).
pub(crate) const DESCRIBED: &[(&str, &str)] = &[
    ("channels", "ids or names of the channels to read messages of (default: all the app is a member of)"),
    ("include_archived", "whether messages of archived channels are read (default false)"),
    ("types", "kinds of conversations: public_channel, private_channel, mpim, im (default the first two)"),
    ("page_size", "messages asked for in one call, 1 to 999 (default 999)"),
    ("replies", "whether replies in threads are read (default true)"),
];

const TYPES: &[&str] = &["public_channel", "private_channel", "mpim", "im"];

impl Settings {
    /// The settings of the connection a call is made for.
    ///
    /// # Errors
    /// [`Config`](sync_core::ErrorKind::Config) naming the setting that is unknown or wrong.
    pub(crate) fn of(cx: &SyncContext) -> Result<Self> {
        let settings: Self = cx.settings()?;
        if !(1..=999).contains(&settings.page_size) {
            return Err(Error::config("settings", format!("page_size is 1 to 999, not {}", settings.page_size)));
        }
        match settings.types.iter().find(|kind| !TYPES.contains(&kind.as_str())) {
            Some(unknown) => Err(Error::config("settings", format!("there is no type {unknown:?}; there are: {}", TYPES.join(", ")))),
            None if settings.types.is_empty() => Err(Error::config("settings", "types is empty; name at least one")),
            None => Ok(settings),
        }
    }
}
