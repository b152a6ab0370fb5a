//! Who may do what: roles, the grants that give them, the permissions that ask for them, and the one decision.
//!
//! A grant is a role at one app, or everywhere. Whoever acts (a person, an API token, a schedule) has [`Grants`]; each
//! operation names a [`Permission`] and the place it is asked [`At`]; [`decide`] is the only judge of the two.

mod decision;
mod grants;
mod permission;
mod role;

pub use decision::{At, Decision, decide};
pub use grants::{Grants, Sees};
pub use permission::{Needs, Permission};
pub use role::{Role, UnknownRole};
