//! What is simulated and what is not, for people who look at a sandbox.

use sync_testkit::Simulated;

const fn call(operation: &'static str, request: &'static str, note: &'static str) -> Simulated {
    Simulated { operation, request, note }
}

/// Every method, named `slack.` and its path.
pub(super) const SIMULATED: &[Simulated] = &[
    call("slack.auth.test", "GET or POST /api/auth.test", ""),
    call("slack.team.info", "GET or POST /api/team.info", "knows the one workspace"),
    call("slack.conversations.list", "GET or POST /api/conversations.list", "public and private channels, no direct messages"),
    call("slack.conversations.info", "GET or POST /api/conversations.info", ""),
    call("slack.conversations.members", "GET or POST /api/conversations.members", "everybody is in every channel"),
    call("slack.conversations.join", "GET or POST /api/conversations.join", ""),
    call("slack.conversations.history", "GET or POST /api/conversations.history", ""),
    call("slack.conversations.replies", "GET or POST /api/conversations.replies", "a reply's ts shows its whole thread"),
    call("slack.users.list", "GET or POST /api/users.list", "without the app's own user"),
    call("slack.users.info", "GET or POST /api/users.info", ""),
    call(
        "slack.chat.postMessage",
        "GET or POST /api/chat.postMessage",
        "channels by id alone; a thread_ts without a message is thread_not_found, a malformed one invalid_thread_ts",
    ),
    call("slack.chat.update", "GET or POST /api/chat.update", "blocks and attachments that are not named stay; [] takes them away"),
    call("slack.chat.delete", "GET or POST /api/chat.delete", "works in archived channels, too"),
];

/// In words.
pub(super) const NOT_SIMULATED: &[&str] = &[
    "permissions of a user beside those of the app; `oauth.v2.exchange`; without an authorization server any token is good",
    "tokens in the query of an address, which Slack takes from old apps only",
    "multipart and text/plain bodies",
    "direct messages, shared channels, files, reactions, scheduled and ephemeral messages, the Events API",
    "rich_text blocks that Slack makes of a text; `root` in replies sent to the channel; link previews",
    "rewriting of a text: unescaped &, < and > stay as they were sent",
    "the quota of posts of a whole workspace, which Slack does not publish; one a second for each channel is kept",
    "the check of blocks beyond their number and their types being named",
];

/// Calls a minute of a method's tier; `None` where there is none: posts are counted by channel.
pub(super) fn per_minute(method: &str, commercial: bool) -> Option<u32> {
    match method {
        "conversations.history" | "conversations.replies" if commercial => Some(1),
        "auth.test" => Some(600),
        "conversations.list" | "users.list" => Some(20),
        "conversations.members" | "users.info" => Some(100),
        "chat.postMessage" => None,
        _ => Some(50),
    }
}
