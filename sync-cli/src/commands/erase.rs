//! `erase`: deletes everything there is of a workspace.

use serde_json::json;

use super::View;
use crate::{
    args::Erase,
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style, plural},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &Erase, view: View) -> Done {
    if args.confirm != config.workspace {
        let text = format!("--confirm says {:?}, and the workspace is {:?}; nothing was deleted", args.confirm, config.workspace);
        return Err(Failure::usage(text, "--confirm", "repeat the workspace's name"));
    }
    let session = Session::open(config, Need::None).await?;
    let rows = session.workspace.erase(&args.confirm).await?;
    if view.json {
        output::json(&json!({ "workspace": config.workspace, "rows": rows }));
    } else {
        let rows = plural(rows, "row", "rows");
        output::line(format!(
            "{} workspace {:?}: {rows}. Tables of your own were left alone.",
            Style::stdout().good("erased"),
            config.workspace
        ));
    }
    Ok(Exit::Done)
}
