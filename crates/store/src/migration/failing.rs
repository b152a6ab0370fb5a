//! What finds the channels whose messages do not arrive.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::index;

pub(super) struct Failing;

impl MigrationName for Failing {
    fn name(&self) -> &str {
        "m0028_failing"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Failing {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(index("channels", &["failing_since"])).await
    }
}
