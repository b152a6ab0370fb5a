//! The one judge.

use super::{Grants, Needs, Permission, Role};
use crate::id::AppId;

/// Where a permission is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At<'a> {
    /// The server itself, and whatever holds for all apps.
    Server,
    App(&'a AppId),
    /// Any app: what comes of it is filtered by what one sees.
    Somewhere,
    /// What was named is not there.
    Nowhere,
    /// Something that belongs to somebody: to who asks, or to somebody else.
    Own(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// As if it were not there.
    Hide,
    Refuse {
        needs: Needs,
        /// The role that there is at that place.
        has: Option<Role>,
    },
}

/// Whether somebody with these grants, who is a person or a program, may do this there.
///
/// What is of an app needs a role at it: without any, the app is hidden, as is what does not exist. What is somebody
/// else's is hidden, too, but for those who see to everybody's: to people's own things who decides about people, to others
/// who runs the server.
pub fn decide(grants: &Grants, person: bool, permission: Permission, at: At<'_>) -> Decision {
    let needs = permission.needs();
    let refuse = |has| Decision::Refuse { needs, has };
    let at_least = |has: Option<Role>, role: Role| if has >= Some(role) { Decision::Allow } else { refuse(has) };
    let overall = |role: Role| match grants.everywhere >= Some(role) {
        true => Decision::Allow,
        false => Decision::Refuse { needs: Needs::Everywhere(role), has: grants.everywhere },
    };
    match (needs, at) {
        (Needs::SignedIn, _) => Decision::Allow,
        (Needs::Everywhere(role), _) => overall(role),
        (Needs::PersonAt(_), _) if !person => refuse(grants.highest()),
        (Needs::App(role) | Needs::PersonAt(role), At::App(app)) => match grants.at(app) {
            None => Decision::Hide,
            has => at_least(has, role),
        },
        (Needs::App(role) | Needs::PersonAt(role), At::Somewhere | At::Own(true)) => at_least(grants.highest(), role),
        (Needs::App(role) | Needs::PersonAt(role), At::Server) => overall(role),
        // Who sees everything is told what is not there by who looked for it.
        (Needs::App(role) | Needs::PersonAt(role), At::Nowhere) => match grants.everywhere {
            None => Decision::Hide,
            has => at_least(has, role),
        },
        (Needs::App(role) | Needs::PersonAt(role), At::Own(false)) => hidden_below(grants, role.max(Role::Admin)),
        (Needs::Person, At::Own(true) | At::Somewhere) if person => Decision::Allow,
        (Needs::Person, At::Own(true) | At::Somewhere) => refuse(grants.highest()),
        (Needs::Person, At::Own(false) | At::Nowhere) => hidden_below(grants, Role::Owner),
        // Not a person's but an app's or the server's: those see to it who see to people there.
        (Needs::Person, At::App(app)) => match grants.at(app) {
            None => Decision::Hide,
            has if has >= Some(Role::Admin) => Decision::Allow,
            has => Decision::Refuse { needs: Needs::App(Role::Admin), has },
        },
        (Needs::Person, At::Server) => overall(Role::Owner),
    }
}

/// For things that are somebody else's, or nobody's.
fn hidden_below(grants: &Grants, role: Role) -> Decision {
    if grants.everywhere >= Some(role) { Decision::Allow } else { Decision::Hide }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::access::Permission::*;

    fn app(n: u8) -> AppId {
        AppId::from_ulid(ulid::Ulid::from_parts(1, n.into()))
    }

    /// A letter for each role that is asked: nobody's, viewer, deployer, admin, owner. `+` may, `.` must not know of it,
    /// `-` is refused.
    fn row(grants: impl Fn(Option<Role>) -> Grants, person: bool, permission: Permission, at: At<'_>) -> String {
        let roles = [None].into_iter().chain(Role::ALL.into_iter().map(Some));
        roles
            .map(|role| match decide(&grants(role), person, permission, at) {
                Decision::Allow => '+',
                Decision::Hide => '.',
                Decision::Refuse { .. } => '-',
            })
            .collect()
    }

    fn here(role: Option<Role>) -> Grants {
        Grants { everywhere: None, apps: role.map(|role| (app(1), role)).into_iter().collect() }
    }

    fn everywhere(role: Option<Role>) -> Grants {
        Grants { everywhere: role, apps: BTreeMap::new() }
    }

    /// Each permission at each place: first with the role at app 1 alone, then with the role everywhere. The places are app 1,
    /// app 2, the server, somewhere, nowhere, one's own, another's. Written out, not computed: this is the table of the guide.
    #[rustfmt::skip]
    const MATRIX: [(Permission, [&str; 7], [&str; 7]); 14] = [
        //           app 1    app 2    server   somewhere nowhere own      another's
        (Hello,      ["+++++", "+++++", "+++++", "+++++", "+++++", "+++++", "+++++"],
                     ["+++++", "+++++", "+++++", "+++++", "+++++", "+++++", "+++++"]),
        (Mine,       [".--++", ".....", "-----", "+++++", ".....", "+++++", "....."],
                     [".--++", ".--++", "----+", "+++++", "....+", "+++++", "....+"]),
        (Look,       [".++++", ".....", "-----", "-++++", ".....", "-++++", "....."],
                     [".++++", ".++++", "-++++", "-++++", ".++++", "-++++", "...++"]),
        (Deploy,     [".-+++", ".....", "-----", "--+++", ".....", "--+++", "....."],
                     [".-+++", ".-+++", "--+++", "--+++", ".-+++", "--+++", "...++"]),
        (Configure,  [".--++", ".....", "-----", "---++", ".....", "---++", "....."],
                     [".--++", ".--++", "---++", "---++", ".--++", "---++", "...++"]),
        (Govern,     [".--++", ".....", "-----", "---++", ".....", "---++", "....."],
                     [".--++", ".--++", "---++", "---++", ".--++", "---++", "...++"]),
        (Delete,     [".---+", ".....", "-----", "----+", ".....", "----+", "....."],
                     [".---+", ".---+", "----+", "----+", ".---+", "----+", "....+"]),
        (Vote,       [".++++", ".....", "-----", "-++++", ".....", "-++++", "....."],
                     [".++++", ".++++", "-++++", "-++++", ".++++", "-++++", "...++"]),
        (Create,     ["-----", "-----", "-----", "-----", "-----", "-----", "-----"],
                     ["--+++", "--+++", "--+++", "--+++", "--+++", "--+++", "--+++"]),
        (Local,      ["-----", "-----", "-----", "-----", "-----", "-----", "-----"],
                     ["---++", "---++", "---++", "---++", "---++", "---++", "---++"]),
        (ServerLook, ["-----", "-----", "-----", "-----", "-----", "-----", "-----"],
                     ["-++++", "-++++", "-++++", "-++++", "-++++", "-++++", "-++++"]),
        (Operate,    ["-----", "-----", "-----", "-----", "-----", "-----", "-----"],
                     ["---++", "---++", "---++", "---++", "---++", "---++", "---++"]),
        (People,     ["-----", "-----", "-----", "-----", "-----", "-----", "-----"],
                     ["----+", "----+", "----+", "----+", "----+", "----+", "----+"]),
        (Audit,      [".--++", ".....", "-----", "---++", ".....", "---++", "....."],
                     [".--++", ".--++", "---++", "---++", ".--++", "---++", "...++"]),
    ];

    #[test]
    fn every_role_meets_every_permission_at_every_place() {
        let (own, other) = (app(1), app(2));
        let places =
            [At::App(&own), At::App(&other), At::Server, At::Somewhere, At::Nowhere, At::Own(true), At::Own(false)];
        assert_eq!(MATRIX.map(|(permission, ..)| permission), Permission::ALL);
        for (permission, with_app, with_all) in MATRIX {
            for (n, place) in places.into_iter().enumerate() {
                let what = format!("{permission} at {place:?}");
                assert_eq!(row(here, true, permission, place), with_app[n], "{what}, with a role at app 1");
                assert_eq!(row(everywhere, true, permission, place), with_all[n], "{what}, with a role everywhere");
                // A program may do what a person may, but for what is a person's.
                let alike = !matches!(permission.needs(), Needs::Person | Needs::PersonAt(_));
                let program = row(everywhere, false, permission, place);
                assert!(!alike || program == with_all[n], "{what}, by a program: {program}");
            }
        }
    }

    #[test]
    fn what_is_a_persons_is_no_programs() {
        let own = app(1);
        for place in [At::App(&own), At::Server, At::Somewhere, At::Nowhere, At::Own(true), At::Own(false)] {
            assert_eq!(row(everywhere, false, Vote, place), "-----", "{place:?}");
        }
        assert_eq!(row(everywhere, false, Mine, At::Own(true)), "-----");
        assert_eq!(row(everywhere, false, Mine, At::Somewhere), "-----");
        // Tokens of an app, or of the server, are made by programs, too.
        assert_eq!(row(everywhere, false, Mine, At::App(&own)), ".--++");
        assert_eq!(row(everywhere, false, Mine, At::Server), "----+");
        assert_eq!(row(everywhere, false, Mine, At::Own(false)), "....+");
    }

    #[test]
    fn a_refusal_tells_what_is_needed_and_what_there_is() {
        let refused = decide(&here(Some(Role::Viewer)), true, Deploy, At::App(&app(1)));
        assert_eq!(refused, Decision::Refuse { needs: Needs::App(Role::Deployer), has: Some(Role::Viewer) });
        let refused = decide(&here(Some(Role::Owner)), true, Configure, At::Server);
        assert_eq!(refused, Decision::Refuse { needs: Needs::Everywhere(Role::Admin), has: None });
        let refused = decide(&here(Some(Role::Owner)), true, Mine, At::Server);
        assert_eq!(refused, Decision::Refuse { needs: Needs::Everywhere(Role::Owner), has: None });
    }
}
