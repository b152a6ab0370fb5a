use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "approvals")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub kind: String,
    pub deployment_id: String,
    pub app_id: String,
    pub app: String,
    pub environment_id: String,
    pub environment: String,
    pub subject: String,
    pub subject_note: String,
    pub requester: String,
    pub requester_person: Option<String>,
    pub requester_name: String,
    pub required: i32,
    pub role: String,
    pub state: String,
    pub why: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
    pub decided_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
