//! Each app has a user of its own, by a number.

use sea_orm::sea_query::{Alias, Table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, unique};

pub(super) struct AppUsers;

impl MigrationName for AppUsers {
    fn name(&self) -> &str {
        "m0002_app_users"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AppUsers {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let mut table = Table::alter();
        table.table(Alias::new("apps")).add_column(c.long("user_number").default(0));
        manager.alter_table(table).await?;
        // Apps that are there count by their ids, which are in the order of their making.
        let count = "UPDATE apps SET user_number = (SELECT count(*) FROM apps AS older WHERE older.id < apps.id)";
        manager.get_connection().execute_unprepared(count).await?;
        manager.create_index(unique("apps", &["user_number"])).await
    }
}
