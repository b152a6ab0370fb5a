//! What finds the deployments of an app or of an environment that somebody asked for.

use sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::index;

pub(super) struct AskedBy;

impl MigrationName for AskedBy {
    fn name(&self) -> &str {
        "m0026_asked_by"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AskedBy {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Without them all of an app were looked at for those of a person, or all that the CI ever asked for, for those of
        // an app: whichever is more, as a database can't know.
        for place in ["app_id", "environment_id"] {
            manager.create_index(index("deployments", &[place, "requested_by", "id"])).await?;
        }
        Ok(())
    }
}
