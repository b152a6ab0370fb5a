use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sagas")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    pub version: i64,
    pub fence: i64,
    pub seq: i64,
    pub finished: bool,
    pub cancel_requested: bool,
    pub owner: Option<String>,
    pub cancel_by: Option<String>,
    pub cancel_refused: Option<String>,
    pub resume_by: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
