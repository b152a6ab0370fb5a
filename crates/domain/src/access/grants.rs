//! The roles that somebody has.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::id::AppId;

/// Roles by place. As JSON `{"everywhere": "viewer", "apps": {"app_…": "deployer"}}`; either may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// At every app, those to come included, and at the server itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everywhere: Option<Role>,
    /// At single apps, by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apps: BTreeMap<AppId, Role>,
}

/// The apps that somebody may know of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sees {
    #[default]
    All,
    Only(BTreeSet<AppId>),
}

impl Grants {
    /// A role at every place.
    pub fn everywhere(role: Role) -> Self {
        Self { everywhere: Some(role), apps: BTreeMap::new() }
    }

    /// At an app: the higher of the role there and the role everywhere.
    pub fn at(&self, app: &AppId) -> Option<Role> {
        self.apps.get(app).copied().max(self.everywhere)
    }

    /// The highest of all, wherever it is.
    pub fn highest(&self) -> Option<Role> {
        self.apps.values().copied().max().max(self.everywhere)
    }

    /// What is left of them under a limit: at each place the lower of the two.
    #[must_use]
    pub fn within(&self, limit: &Grants) -> Grants {
        let everywhere = self.everywhere.min(limit.everywhere);
        let apps = self.apps.keys().chain(limit.apps.keys()).filter_map(|app| {
            let role = self.at(app).min(limit.at(app));
            // What holds everywhere need not be said again.
            role.filter(|_| role > everywhere).map(|role| (app.clone(), role))
        });
        Grants { everywhere, apps: apps.collect() }
    }

    /// Each may be given by who has these: nobody gives what is not theirs.
    pub fn covers(&self, other: &Grants) -> bool {
        other.everywhere <= self.everywhere && other.apps.iter().all(|(app, role)| Some(*role) <= self.at(app))
    }

    pub fn sees(&self) -> Sees {
        match self.everywhere {
            Some(_) => Sees::All,
            None => Sees::Only(self.apps.keys().cloned().collect()),
        }
    }

    /// Nothing but looking.
    pub fn is_read_only(&self) -> bool {
        self.highest().is_none_or(|role| role == Role::Viewer)
    }
}

impl Sees {
    pub fn includes(&self, app: &AppId) -> bool {
        match self {
            Sees::All => true,
            Sees::Only(apps) => apps.contains(app),
        }
    }

    pub fn is_all(&self) -> bool {
        matches!(self, Sees::All)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn app(n: u8) -> AppId {
        AppId::from_ulid(ulid::Ulid::from_parts(1, n.into()))
    }

    fn any_role() -> impl Strategy<Value = Option<Role>> {
        (0usize..5).prop_map(|n| Role::ALL.get(n).copied())
    }

    fn any_grants() -> impl Strategy<Value = Grants> {
        (any_role(), prop::collection::btree_map(0u8..4, any_role(), 0..4)).prop_map(|(everywhere, apps)| Grants {
            everywhere,
            apps: apps.into_iter().filter_map(|(n, role)| Some((app(n), role?))).collect(),
        })
    }

    #[test]
    fn the_higher_role_counts() {
        let apps = BTreeMap::from([(app(1), Role::Owner), (app(2), Role::Viewer)]);
        let grants = Grants { everywhere: Some(Role::Deployer), apps };
        assert_eq!(grants.at(&app(1)), Some(Role::Owner));
        assert_eq!(grants.at(&app(2)), Some(Role::Deployer));
        assert_eq!(grants.at(&app(3)), Some(Role::Deployer));
        assert_eq!(grants.sees(), Sees::All);
        let only = Grants { everywhere: None, ..grants };
        assert_eq!((only.at(&app(2)), only.at(&app(3))), (Some(Role::Viewer), None));
        assert_eq!(only.sees(), Sees::Only(BTreeSet::from([app(1), app(2)])));
        assert!(only.sees().includes(&app(1)) && !only.sees().includes(&app(3)));
        assert_eq!(Grants::default().sees(), Sees::Only(BTreeSet::new()));
    }

    #[test]
    fn json_is_what_the_database_holds() {
        let grants = Grants { everywhere: None, apps: BTreeMap::from([(app(1), Role::Admin)]) };
        let json = serde_json::json!({ "apps": { app(1).as_str(): "admin" } });
        assert_eq!(serde_json::to_value(&grants).unwrap(), json);
        assert_eq!(serde_json::from_value::<Grants>(json).unwrap(), grants);
        for (text, expected) in [
            ("{}", Grants::default()),
            (r#"{"everywhere":null}"#, Grants::default()),
            (r#"{"everywhere":"owner"}"#, Grants::everywhere(Role::Owner)),
            (r#"{"everywhere":"viewer","apps":{}}"#, Grants::everywhere(Role::Viewer)),
        ] {
            assert_eq!(serde_json::from_str::<Grants>(text).unwrap(), expected, "{text}");
        }
        for bad in [r#"{"everywhere":"root"}"#, r#"{"apps":{"dep_1":"owner"}}"#, r#"{"everyone":"owner"}"#, "7"] {
            assert!(serde_json::from_str::<Grants>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_limit_limits_each_place_and_gives_nothing(own in any_grants(), limit in any_grants(), n in 0u8..6) {
            let left = own.within(&limit);
            let here = app(n);
            prop_assert_eq!(left.at(&here), own.at(&here).min(limit.at(&here)));
            prop_assert_eq!(left.everywhere, own.everywhere.min(limit.everywhere));
            prop_assert!(own.covers(&left) && limit.covers(&left));
            prop_assert_eq!(&left, &limit.within(&own), "it does not matter which is the limit");
            prop_assert_eq!(&left, &left.within(&own), "and once is enough");
        }

        #[test]
        fn whoever_covers_another_has_no_less_anywhere(own in any_grants(), other in any_grants()) {
            let everywhere = (0..6).all(|n| other.at(&app(n)) <= own.at(&app(n))) && other.everywhere <= own.everywhere;
            prop_assert_eq!(own.covers(&other), everywhere);
        }

        #[test]
        fn what_is_seen_is_where_there_is_a_role(grants in any_grants(), n in 0u8..6) {
            prop_assert_eq!(grants.sees().includes(&app(n)), grants.at(&app(n)).is_some());
            prop_assert_eq!(serde_json::from_value::<Grants>(serde_json::to_value(&grants).unwrap()).unwrap(), grants);
        }
    }
}
