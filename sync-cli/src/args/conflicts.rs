//! `conflicts` and `resolve`.

use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline conflicts
  syncline conflicts partner --field phone
  syncline resolve 12 accept")]
pub(crate) struct Conflicts {
    /// Of this table only.
    pub(crate) entity: Option<String>,
    /// Of the row with this key only.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Of this field only.
    #[arg(long, value_name = "NAME")]
    pub(crate) field: Option<String>,
    /// That stand so.
    #[arg(long, value_enum, default_value_t = ConflictState::Open)]
    pub(crate) state: ConflictState,
    /// Behind the one with this number.
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<i64>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
}

/// How conflicts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ConflictState {
    /// Nobody has decided.
    Open,
    /// Somebody said that the winning value stands.
    Accepted,
    /// Somebody had the losing value written.
    Taken,
    /// Both say the same, or the loser says nothing any more.
    Settled,
    /// However they stand.
    All,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline resolve 12 accept                        # the winning value stands, until the loser says something else
  syncline resolve 12 take                          # the losing value is written, until the winner says something else
  syncline resolve 12 accept --all                  # every open one of this table, field and losing source")]
pub(crate) struct Resolve {
    /// The conflict's number, as `syncline conflicts` lists it.
    pub(crate) conflict: i64,
    /// What to do.
    #[arg(value_enum)]
    pub(crate) decision: Decision,
    /// Decide so about every open conflict of the same table and field that the same source loses.
    #[arg(long)]
    pub(crate) all: bool,
}

/// What is done about a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Decision {
    /// The winning value stands.
    Accept,
    /// The losing value is written.
    Take,
}
