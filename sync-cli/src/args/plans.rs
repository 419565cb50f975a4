//! `plan`, `plans`, `apply` and `undo`.

use clap::Args;

use super::Pull;

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline plan sheets Movies --mapping movies.toml
  syncline plans 7 --approve
  syncline apply 7")]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) pull: Pull,
    /// Rows shown; all of them are kept.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) show: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline plans
  syncline plans 7 --show 1000
  syncline plans 7 --approve")]
pub(crate) struct Plans {
    /// One plan by its number.
    pub(crate) plan: Option<i64>,
    /// Say that it may be applied.
    #[arg(long, requires = "plan", conflicts_with = "discard")]
    pub(crate) approve: bool,
    /// Say that it shall never be applied.
    #[arg(long, requires = "plan")]
    pub(crate) discard: bool,
    /// Rows shown of one plan, or plans listed.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) show: u32,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline apply 7
  syncline apply 7 --only anna@example.com --only ben@example.com")]
pub(crate) struct Apply {
    /// The plan's number.
    pub(crate) plan: i64,
    /// Only the row with this key, repeatable.
    #[arg(long = "only", value_name = "KEY")]
    pub(crate) only: Vec<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
  syncline undo 12                                  # shows what would be taken back, to be applied
  syncline undo 12 --now")]
pub(crate) struct Undo {
    /// The run's number, as `syncline runs` lists it.
    pub(crate) run: i64,
    /// Apply it at once.
    #[arg(long)]
    pub(crate) now: bool,
    /// Rows shown; all of them are kept.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) show: u32,
}
