//! Tokens that end by themselves, and tokens that may only read.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::Columns;

pub(super) struct TokenScope;

impl MigrationName for TokenScope {
    fn name(&self) -> &str {
        "m0005_token_scope"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for TokenScope {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        // SQLite adds one column in a statement.
        for column in [c.long_or_null("expires_at"), c.flag("read_only").default(false).to_owned()] {
            let mut table = Table::alter();
            table.table(Alias::new("tokens")).add_column(column);
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
