//! Settings, signs of life of deployments at work, and releases whose files are gone.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, key, refers};

pub(super) struct Upkeep;

impl MigrationName for Upkeep {
    fn name(&self) -> &str {
        "m0014_upkeep"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Upkeep {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let mut table = Table::create();
        table.table(Alias::new("settings"));
        table.col(c.text("scope"));
        table.col(c.text("name"));
        table.col(c.text("value"));
        table.primary_key(&mut key(&["scope", "name"]));
        manager.create_table(table).await?;

        // Beside the deployments, whose rows are wide and have many indexes, as it is written every few seconds.
        let mut table = Table::create();
        table.table(Alias::new("beats"));
        table.col(c.text("deployment_id"));
        table.col(c.long("beat_at"));
        table.col(c.long_or_null("output_at"));
        table.col(c.text_or_null("stalled"));
        table.col(c.flag("again"));
        table.primary_key(&mut key(&["deployment_id"]));
        table.foreign_key(&mut refers("beats", "deployment_id", "deployments", ForeignKeyAction::Cascade));
        manager.create_table(table).await?;

        let mut alter = Table::alter();
        alter.table(Alias::new("releases")).add_column(c.long_or_null("files_gone_at"));
        manager.alter_table(alter).await
    }
}
