//! Where the files of a promoted release are, and where it comes from.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::Columns;

pub(super) struct Promotion;

impl MigrationName for Promotion {
    fn name(&self) -> &str {
        "m0003_promotion"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Promotion {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        // One column a statement: SQLite takes no more.
        for column in ["artifact", "promoted_from"] {
            let mut alter = Table::alter();
            alter.table(Alias::new("releases")).add_column(c.text_or_null(column));
            manager.alter_table(alter).await?;
        }
        Ok(())
    }
}
