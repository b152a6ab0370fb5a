use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub app_id: String,
    pub environment_id: String,
    pub app: String,
    pub environment: String,
    pub kind: String,
    pub generation: i64,
    pub phase: String,
    pub progress: i32,
    pub source: Option<String>,
    pub release_id: Option<String>,
    pub release_number: Option<i64>,
    pub metadata: String,
    pub phases: String,
    pub failure: Option<String>,
    pub cancelling: bool,
    pub stuck: Option<String>,
    pub requested_by: String,
    pub created_at: i64,
    pub updated_at: i64,
    pub finished_at: Option<i64>,
    /// Of its metadata, to be found by.
    pub commit_sha: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
