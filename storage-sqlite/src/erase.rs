//! Deleting everything there is of a workspace.

use rusqlite::Transaction;
use sync_core::{Error, ErrorKind, WorkspaceId};

use crate::{error::Db, run, storage::Shared};

/// Deletes it from every table of ours, all or nothing; answers how many rows went.
pub(crate) fn erase(tx: &Transaction<'_>, workspace: &WorkspaceId, shared: &Shared) -> Db<u64> {
    if run::is_under_way(tx, shared, workspace, None)? {
        let text = format!("a run of workspace {workspace} is under way; stop it, then erase again. Nothing was deleted");
        return Err(Error::new(ErrorKind::Conflict, "erase", text).into());
    }
    // Rows refer to each other; in the end all of them are gone.
    tx.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    let tables: Vec<String> = tx
        .prepare(
            "SELECT m.name FROM sqlite_master m WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) c \
             WHERE c.name = 'workspace_id') AND (m.name LIKE 'syncline\\_%' ESCAPE '\\' \
             OR m.name IN (SELECT table_name FROM syncline_entity_types WHERE place <> 'host')) ORDER BY m.name",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut gone = 0;
    for table in tables {
        let sql = format!("DELETE FROM \"{}\" WHERE workspace_id = ?1", table.replace('"', "\"\""));
        gone += tx.execute(&sql, [workspace.as_str()])? as u64;
    }
    Ok(gone)
}
