//! What makes somebody who they say they are: by whose word an address is theirs, since when a second factor waits for its first
//! code, and in which session a program was let in.

use sea_orm::sea_query::{Alias, Table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::Columns;

pub(super) struct Proofs;

impl MigrationName for Proofs {
    fn name(&self) -> &str {
        "m0029_proofs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Proofs {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        for (table, column) in [
            ("invitations", c.flag("vouches").default(false).to_owned()),
            // Whatever waits since before is too old.
            ("totp", c.long("begun_at").default(0).to_owned()),
            ("device_logins", c.text_or_null("session_id")),
            ("device_logins", c.long_or_null("answered_at")),
        ] {
            let mut alter = Table::alter();
            alter.table(Alias::new(table)).add_column(column);
            manager.alter_table(alter).await?;
        }
        for sql in [
            // Of those for one app nothing says what their makers were then.
            "UPDATE invitations SET vouches = TRUE WHERE everywhere IS NOT NULL",
            // Nothing says in which session somebody said yes, and there are ten minutes to begin again.
            "DELETE FROM device_logins WHERE state = 'approved'",
        ] {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
