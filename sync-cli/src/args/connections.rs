//! `connections`.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline connections why slack
  syncline connections test slack
  syncline connections history slack
  syncline --as ada connections restore slack 2
  syncline connections disconnect slack")]
pub(crate) struct Connections {
    #[command(subcommand)]
    pub(crate) what: Option<OnConnection>,
}

/// What is done with a connection. Each takes its id, the beginning of one, or a provider with one connection.
#[derive(Debug, Subcommand)]
pub(crate) enum OnConnection {
    /// How it stands and who has to act, from what is stored; nothing is sent.
    Why {
        /// The connection.
        connection: String,
    },
    /// One cheap call to the service: whether the credentials are taken, and whose they are.
    Test {
        /// The connection.
        connection: String,
    },
    /// Renew its token now.
    Renew {
        /// The connection.
        connection: String,
    },
    /// Switch it on; clears errors.
    Enable {
        /// The connection.
        connection: String,
    },
    /// Switch it off: no run starts.
    Disable {
        /// The connection.
        connection: String,
    },
    /// Who changed what of its configuration, the newest first.
    History {
        /// The connection.
        connection: String,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Put an earlier version of its configuration in force again; the service is asked first.
    Restore {
        /// The connection.
        connection: String,
        /// The number of the version, from the history.
        version: u64,
    },
    /// Revoke its tokens at the service where that can be, and delete them here. Rows and history stay.
    Disconnect {
        /// The connection.
        connection: String,
    },
}
