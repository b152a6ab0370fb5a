#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn user(n: u8) -> UserId {
    UserId::from_ulid(ulid::Ulid::from_parts(1, n.into()))
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn policy(rollbacks: bool, bypasses: bool) -> Policy {
    Policy { required: 2, role: Role::Admin, rollbacks, bypasses, expires_in: "1h".parse().unwrap() }
}

#[test]
fn names_round_trip_and_others_are_refused() {
    for state in ApprovalState::ALL {
        assert_eq!(state.as_str().parse(), Ok(*state));
        assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
    }
    for verdict in Verdict::ALL {
        assert_eq!(verdict.as_str().parse(), Ok(*verdict));
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
    }
    for kind in ApprovalKind::ALL {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    let error = "yes".parse::<Verdict>().unwrap_err().to_string();
    assert_eq!(error, "`yes` is not one of approve, refuse");
}

#[test]
fn rollbacks_wait_only_where_that_is_wanted() {
    use DeploymentKind::{Deploy, Promotion, Rollback};
    let table = [
        (policy(false, false), Deploy, true, Some(ApprovalKind::Deployment)),
        (policy(false, true), Deploy, true, Some(ApprovalKind::Bypass)),
        (policy(false, true), Deploy, false, Some(ApprovalKind::Deployment)),
        (policy(false, true), Promotion, false, Some(ApprovalKind::Deployment)),
        (policy(false, true), Rollback, false, None),
        (policy(true, true), Rollback, false, Some(ApprovalKind::Deployment)),
        (policy(true, true), Rollback, true, Some(ApprovalKind::Deployment)),
    ];
    for (policy, kind, bypass, expected) in table {
        assert_eq!(needed(&policy, kind, bypass), expected, "{policy:?} {kind:?} {bypass}");
    }
}

#[test]
fn a_subject_names_what_runs_and_each_round_is_another() {
    let pin = Pin::Commit("0123456789abcdef0123456789abcdef01234567".to_owned());
    let first = pin.subject();
    assert_eq!(first, "commit:0123456789abcdef0123456789abcdef01234567#1");
    let second = next_round(&first);
    assert_eq!(second, "commit:0123456789abcdef0123456789abcdef01234567#2");
    assert_eq!(next_round(&second).rsplit_once('#').unwrap().1, "3");
}

#[test]
fn who_may_vote_is_a_person_other_than_who_asked_with_the_role_and_in_time() {
    let (ann, zoe) = (user(1), user(2));
    let ballot = Ballot { state: ApprovalState::Pending, role: Role::Admin, requester: Some(&ann), expires_at: at(10) };
    let admin = Some(Role::Admin);
    assert_eq!(may_vote(ballot, Some(&zoe), admin, at(0)), Ok(()));
    assert_eq!(may_vote(ballot, Some(&zoe), Some(Role::Owner), at(0)), Ok(()), "more is enough");
    assert_eq!(may_vote(ballot, None, Some(Role::Owner), at(0)), Err(Barred::Program));
    assert_eq!(may_vote(ballot, Some(&ann), Some(Role::Owner), at(0)), Err(Barred::Own));
    let needs = Role::Admin;
    for has in [None, Some(Role::Viewer), Some(Role::Deployer)] {
        assert_eq!(may_vote(ballot, Some(&zoe), has, at(0)), Err(Barred::Role { needs, has }));
    }
    assert_eq!(may_vote(ballot, Some(&zoe), admin, at(10)), Err(Barred::TooLate));
    for state in ApprovalState::ALL.iter().copied().filter(|state| *state != ApprovalState::Pending) {
        let ballot = Ballot { state, ..ballot };
        assert_eq!(may_vote(ballot, Some(&zoe), admin, at(0)), Err(Barred::Decided(state)));
    }
    // What a program of nobody's asked for, any person with the role may approve of.
    assert_eq!(may_vote(Ballot { requester: None, ..ballot }, Some(&ann), admin, at(0)), Ok(()));
}

fn votes() -> impl Strategy<Value = Vec<(UserId, Verdict, bool)>> {
    let verdict = prop_oneof![4 => Just(Verdict::Approve), 1 => Just(Verdict::Refuse)];
    prop::collection::vec(((0u8..6).prop_map(user), verdict, any::<bool>()), 0..12)
}

fn count(votes: &[(UserId, Verdict, bool)], required: u8, requester: Option<&UserId>) -> Tally {
    let counted = votes.iter().map(|vote| Counted { voter: &vote.0, verdict: vote.1, counts: vote.2 });
    tally(counted, required, requester)
}

proptest! {
    /// Written the other way around: the sets of people first.
    #[test]
    fn people_are_counted_and_a_no_ends_it(all in votes(), required in 1u8..=MOST_REQUIRED, asker in 0u8..8) {
        let asker = user(asker);
        let said = |verdict: Verdict| -> BTreeSet<&UserId> {
            all.iter().filter(|(who, what, counts)| *counts && *what == verdict && *who != asker).map(|v| &v.0).collect()
        };
        let (yes, no) = (said(Verdict::Approve), said(Verdict::Refuse));
        let expected = match (no.is_empty(), yes.len() >= usize::from(required)) {
            (false, _) => Tally::Refused,
            (true, true) => Tally::Approved,
            (true, false) => Tally::Open { got: u8::try_from(yes.len()).unwrap() },
        };
        prop_assert_eq!(count(&all, required, Some(&asker)), expected);
    }

    #[test]
    fn ones_own_approval_never_counts(all in votes(), required in 1u8..=MOST_REQUIRED, asker in 0u8..6, more in 1usize..9) {
        let asker = user(asker);
        let before = count(&all, required, Some(&asker));
        let mut with = all.clone();
        with.extend((0..more).map(|_| (asker.clone(), Verdict::Approve, true)));
        prop_assert_eq!(count(&with, required, Some(&asker)), before);
    }

    #[test]
    fn neither_order_nor_repetition_matters(all in votes(), required in 1u8..=MOST_REQUIRED) {
        let expected = count(&all, required, None);
        let backwards: Vec<_> = all.iter().rev().cloned().collect();
        prop_assert_eq!(count(&backwards, required, None), expected);
        let twice: Vec<_> = all.iter().chain(&all).cloned().collect();
        prop_assert_eq!(count(&twice, required, None), expected);
    }

    #[test]
    fn nobody_is_no_approval(required in 0u8..=MOST_REQUIRED) {
        prop_assert_eq!(count(&[], required, None), Tally::Open { got: 0 });
    }

    #[test]
    fn rounds_differ(pin in "[a-z]{1,10}:[0-9a-f]{1,20}", rounds in 1usize..20) {
        let mut seen = BTreeSet::from([format!("{pin}#1")]);
        let mut subject = format!("{pin}#1");
        for _ in 0..rounds {
            subject = next_round(&subject);
            prop_assert!(seen.insert(subject.clone()));
        }
    }
}
