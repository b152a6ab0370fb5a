//! The second factor, and by whom an invitation was made: who may not invite any more has invited nobody.

use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, key, refers};

pub(super) struct Access;

impl MigrationName for Access {
    fn name(&self) -> &str {
        "m0022_access"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Access {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        totp(manager).await?;
        recovery_codes(manager).await?;
        inviters(manager).await
    }
}

async fn totp(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("totp"));
    table.col(c.text("user_id"));
    table.col(c.bytes("sealed"));
    // Asked for at sign-in from then on.
    table.col(c.long_or_null("confirmed_at"));
    table.col(c.long_or_null("last_step"));
    table.primary_key(&mut key(&["user_id"]));
    table.foreign_key(&mut refers("totp", "user_id", "users", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}

async fn recovery_codes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("recovery_codes"));
    table.col(c.text("user_id"));
    table.col(c.text("hash"));
    table.col(c.long_or_null("used_at"));
    table.primary_key(&mut key(&["user_id", "hash"]));
    table.foreign_key(&mut refers("recovery_codes", "user_id", "users", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}

/// Id of who acted, as the name alone tells nobody apart. Of the one that the server made itself it is `system`; empty for what
/// nobody can lose the right to: what was made before, and what the machine's own token made.
async fn inviters(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut alter = Table::alter();
    alter.table(Alias::new("invitations")).add_column(c.text("inviter").default("").to_owned());
    manager.alter_table(alter).await?;
    let of_the_server = "UPDATE invitations SET inviter = 'system' WHERE created_by = 'the server' AND email IS NULL";
    manager.get_connection().execute_unprepared(of_the_server).await.map(drop)
}
