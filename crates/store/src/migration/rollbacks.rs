//! What finds the rollbacks among all deployments that have not ended: windows do not hold them.

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::deployments::NOT_ENDED;

pub(super) struct Rollbacks;

impl MigrationName for Rollbacks {
    fn name(&self) -> &str {
        "m0015_rollbacks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Rollbacks {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // With the kind as a column, as SQLite takes the index of all that have not ended otherwise.
        let create = format!(
            "CREATE INDEX deployments_open_rollbacks ON deployments (kind, id) WHERE kind = 'rollback' AND {NOT_ENDED}"
        );
        manager.get_connection().execute_unprepared(&create).await?;
        Ok(())
    }
}
