//! `erase`: deletes everything there is of a workspace, or of one entity.

use serde_json::json;

use super::View;
use crate::{
    args::{Erase, EraseOne},
    config::Config,
    exit::{Done, Exit, Failure},
    keys::Need,
    output::{self, Style, plural},
    session::Session,
};

pub(crate) async fn run(config: &Config, args: &Erase, view: View) -> Done {
    if let Some(EraseOne::Entity { entity, key, confirm }) = &args.part {
        return one(config, entity, key, confirm, view).await;
    }
    let confirm = args.confirm.as_deref().unwrap_or_default();
    if confirm != config.workspace {
        let text = format!("--confirm says {confirm:?}, and the workspace is {:?}; nothing was deleted", config.workspace);
        return Err(Failure::usage(text, "--confirm", "repeat the workspace's name"));
    }
    let session = Session::open(config, Need::None).await?;
    let rows = session.workspace.erase(confirm).await?;
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

async fn one(config: &Config, entity: &str, key: &str, confirm: &str, view: View) -> Done {
    if confirm != key {
        let text = format!("--confirm says {confirm:?}, and the key is {key:?}; nothing was deleted");
        return Err(Failure::usage(text, "--confirm", "repeat the key"));
    }
    let session = Session::open(config, Need::None).await?;
    let erased = session.workspace.erase_entity(entity, key).await?;
    if view.json {
        output::json(&json!({ "entity": entity, "erased": erased, "total": erased.total() }));
        return Ok(Exit::Done);
    }
    let style = Style::stdout();
    let parts = [
        plural(erased.rows, "row", "rows"),
        plural(erased.lineage, "line of lineage", "lines of lineage"),
        plural(erased.plan_items, "item of plans", "items of plans"),
        plural(erased.beside + erased.links, "link or conflict", "links and conflicts"),
        plural(erased.texts, "text that quoted it", "texts that quoted it"),
    ];
    output::line(format!("{} {}: {}", style.good("erased"), output::plain(entity), parts.join(", ")));
    if erased.host_row {
        output::line(style.warn("the row is in your own table still; delete it there, then erase again"));
    }
    output::line(style.faint("what the service still has of it comes again with the next pull"));
    Ok(Exit::Done)
}
