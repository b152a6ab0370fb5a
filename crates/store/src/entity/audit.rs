use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub at: i64,
    pub actor: String,
    pub actor_kind: String,
    pub actor_name: String,
    pub token: Option<String>,
    pub via: String,
    pub address: Option<String>,
    pub request: Option<String>,
    pub operation: String,
    pub app_id: Option<String>,
    pub app: Option<String>,
    pub environment: Option<String>,
    pub target: Option<String>,
    pub outcome: String,
    pub of: Option<i64>,
    pub detail: String,
    pub prev: String,
    pub hash: String,
    pub mac: String,
    pub key: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
