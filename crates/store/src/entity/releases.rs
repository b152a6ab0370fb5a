use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "releases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub app_id: String,
    pub number: i64,
    pub digest: String,
    pub commit: Option<String>,
    pub spec: String,
    pub size: i64,
    pub files: i64,
    pub tags: String,
    pub metadata: String,
    pub snapshot: Vec<u8>,
    /// `None`: its own digest.
    pub artifact: Option<String>,
    pub promoted_from: Option<String>,
    /// `None`: they are there.
    pub files_gone_at: Option<i64>,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
