//! `pull`: one run, from the first question to what became of the records.

use syncline::Pull;

use super::{View, ended};
use crate::{
    args,
    config::Config,
    exit::Done,
    keys::Need,
    output,
    progress::{self, Show},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &args::Pull, view: View) -> Done {
    let pull = request(args)?;
    let session = Session::open(config, Need::Open).await?;
    let pull = forced(pull, args, config, &session);
    let connection = session.connection(&args.connection).await?;
    let title = format!("{}/{}", connection.integration_name(), output::plain(&args.stream));
    let show = Show::for_terminal(view.quiet);
    let watched = progress::watch(&session.engine, connection.sync_from_external(pull), &title, show).await;
    ended::tell(&session.workspace, watched, &title, view).await
}

/// Whoever may run this command may overwrite.
pub(crate) fn forced(pull: Pull, args: &args::Pull, config: &Config, session: &Session) -> Pull {
    match args.force_overwrite {
        true => pull.force_overwrite(&session.engine.force_overwrite(config.acting.as_deref().unwrap_or("manual"))),
        false => pull,
    }
}

pub(crate) fn request(args: &args::Pull) -> Done<Pull> {
    let mut pull = match &args.mapping {
        None => Pull::stream(args.stream.as_str()),
        Some(file) => {
            let mapping = super::mapping::load(file)?;
            super::mapping::check_stream(&mapping, &args.stream, file)?;
            Pull::mapped(mapping)
        }
    };
    if !args.key.is_empty() {
        pull = pull.key(args.key.iter().map(String::as_str));
    }
    if args.full {
        pull = pull.full();
    }
    if let Some(limit) = args.limit {
        pull = pull.limit(limit);
    }
    if !args.partitions.is_empty() {
        pull = pull.partitions(args.partitions.iter().map(String::as_str));
    }
    if args.confirm_deletes {
        pull = pull.confirm_deletes();
    }
    if args.no_lineage {
        pull = pull.without_lineage();
    }
    Ok(pull)
}
