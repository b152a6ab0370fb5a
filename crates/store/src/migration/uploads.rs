//! Uploads: files on their way to a deployment.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, key};

pub(super) struct Uploads;

impl MigrationName for Uploads {
    fn name(&self) -> &str {
        "m0002_uploads"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Uploads {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let mut table = Table::create();
        table.table(Alias::new("uploads"));
        table.col(c.text("id"));
        table.col(c.text("name"));
        table.col(c.long("size"));
        table.col(c.text("digest"));
        table.col(c.text("requested_by"));
        table.col(c.flag("complete"));
        table.col(c.flag("used"));
        table.col(c.long("created_at"));
        table.col(c.long("touched_at"));
        table.primary_key(&mut key(&["id"]));
        manager.create_table(table).await
    }
}
