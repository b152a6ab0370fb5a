//! One suite for both databases. Each case gets a fresh database of either kind; a case is written once.
#![allow(clippy::unwrap_used)]

mod analytics;
mod approvals;
mod audit;
mod cluster;
mod concurrency;
mod crash;
mod database;
mod deployments;
mod environments;
mod fixture;
mod full;
mod model;
mod notices;
mod nouns;
mod opening;
mod people;
mod plans;
mod records;
mod releases;
mod schedules;
mod sees;
mod sign_in_ways;
mod starts;
mod supersede;
mod transfer;
mod upkeep;
mod uploads;

use std::pin::Pin;

use database::Database;
use store::Kind;

type Case = fn(Database) -> Pin<Box<dyn Future<Output = ()>>>;

/// What must hold on every database.
const CASES: &[(&str, Case)] = &[
    ("apps", |db| Box::pin(nouns::apps(db))),
    ("purging an app", |db| Box::pin(nouns::purge(db))),
    ("variables and data keys", |db| Box::pin(nouns::variables_and_data_keys(db))),
    ("instances", |db| Box::pin(nouns::instances(db))),
    ("tokens", |db| Box::pin(nouns::tokens(db))),
    ("people", |db| Box::pin(people::users(db))),
    ("members", |db| Box::pin(people::members(db))),
    ("invitations", |db| Box::pin(people::invitations(db))),
    ("sessions", |db| Box::pin(people::sessions(db))),
    ("second factors", |db| Box::pin(people::second_factors(db))),
    ("failed sign-ins and known places", |db| Box::pin(people::sign_ins(db))),
    ("identities", |db| Box::pin(sign_in_ways::identities(db))),
    ("logins of programs", |db| Box::pin(sign_in_ways::device_logins(db))),
    ("tokens of people", |db| Box::pin(people::tokens_of_people(db))),
    ("what there was before people", |db| Box::pin(people::before(db))),
    ("the audit log", |db| Box::pin(audit::pages(db))),
    ("the audit log is kept", |db| Box::pin(audit::refusals(db))),
    ("each altered byte of the audit log", |db| Box::pin(audit::altered(db))),
    ("the head of the audit log", |db| Box::pin(audit::heads(db))),
    ("the audit log of many writers", |db| Box::pin(audit::many(db))),
    ("the audit log goes with a backup", |db| Box::pin(audit::restored(db))),
    ("channels", |db| Box::pin(notices::channels_of_apps(db))),
    ("messages to channels", |db| Box::pin(notices::messages(db))),
    ("how far the log was read for channels", |db| Box::pin(notices::places(db))),
    ("what people muted and have seen", |db| Box::pin(notices::muted(db))),
    ("uploads", |db| Box::pin(uploads::rows(db))),
    ("plans", |db| Box::pin(plans::rows(db))),
    ("schedules", |db| Box::pin(schedules::rows(db))),
    ("windows", |db| Box::pin(schedules::windows(db))),
    ("bypasses", |db| Box::pin(schedules::bypasses(db))),
    ("what windows do not hold", |db| Box::pin(schedules::not_held(db))),
    ("approval policies", |db| Box::pin(approvals::policies(db))),
    ("approvals", |db| Box::pin(approvals::rows(db))),
    ("whose votes count", |db| Box::pin(approvals::standing(db))),
    ("what is held for approval", |db| Box::pin(approvals::held(db))),
    ("who has made the tokens of before", |db| Box::pin(approvals::makers(db))),
    ("idempotency", |db| Box::pin(nouns::idempotency(db))),
    ("environments", |db| Box::pin(environments::rows(db))),
    ("claims", |db| Box::pin(environments::claims(db))),
    ("activation and taking it back", |db| Box::pin(environments::activation(db))),
    ("activation out of turn", |db| Box::pin(environments::activation_out_of_turn(db))),
    ("releases", |db| Box::pin(releases::rows(db))),
    ("deleting releases", |db| Box::pin(releases::deletion(db))),
    ("deployments", |db| Box::pin(deployments::rows(db))),
    ("lists of deployments", |db| Box::pin(deployments::lists(db))),
    ("phases of deployments", |db| Box::pin(deployments::phases(db))),
    ("how long deployments took", |db| Box::pin(deployments::took(db))),
    ("failures that nothing has healed", |db| Box::pin(deployments::unhealed(db))),
    ("finding deployments", |db| Box::pin(deployments::searches(db))),
    ("finding deployments among many", |db| Box::pin(deployments::searches_of_many(db))),
    ("analytics", |db| Box::pin(analytics::counts(db))),
    ("analytics of before", |db| Box::pin(analytics::backfill(db))),
    ("settings", |db| Box::pin(upkeep::settings_of_apps(db))),
    ("signs of life", |db| Box::pin(upkeep::signs_of_life(db))),
    ("signs of life of what cleans up", |db| Box::pin(upkeep::cleaning_up(db))),
    ("old deployments", |db| Box::pin(upkeep::old_deployments(db))),
    ("old files", |db| Box::pin(upkeep::old_files(db))),
    ("old events and keys", |db| Box::pin(upkeep::old_events_and_keys(db))),
    ("sagas", |db| Box::pin(records::sagas(db))),
    ("fences", |db| Box::pin(records::fences(db))),
    ("starting many", |db| Box::pin(starts::together(db))),
    ("starting what others have not", |db| Box::pin(starts::outrun(db))),
    ("sources that are the same", |db| Box::pin(supersede::sources(db))),
    ("what a newer one ends", |db| Box::pin(supersede::waiting(db))),
    ("adding to many journals", |db| Box::pin(starts::appends(db))),
    ("what additions mean", |db| Box::pin(starts::advances(db))),
    ("leases", |db| Box::pin(records::leases(db))),
    ("hosts", |db| Box::pin(cluster::hosts(db))),
    ("servers", |db| Box::pin(cluster::servers(db))),
    ("the queue", |db| Box::pin(cluster::queue(db))),
    ("heads of the queue", |db| Box::pin(cluster::heads(db))),
    ("orphans", |db| Box::pin(cluster::orphans(db))),
    ("wishes to cancel and to resume", |db| Box::pin(cluster::wishes(db))),
    ("one leads", |db| Box::pin(cluster::leadership(db))),
    ("others are woken", |db| Box::pin(cluster::waking(db))),
    ("events", |db| Box::pin(records::events(db))),
    ("transactions", |db| Box::pin(concurrency::transactions(db))),
    ("64 writers", |db| Box::pin(concurrency::many_writers(db))),
    ("a follower misses nothing", |db| Box::pin(concurrency::follower(db))),
    ("racing migrators", |db| Box::pin(opening::racing_migrators(db))),
    ("apps of before they had users", |db| Box::pin(opening::apps_without_users(db))),
    ("a newer schema", |db| Box::pin(opening::newer_schema(db))),
    ("rows go there and back", |db| Box::pin(transfer::there_and_back(db))),
    ("an export is of one moment", |db| Box::pin(transfer::one_moment(db))),
    ("older and damaged rows", |db| Box::pin(transfer::older_and_damaged(db))),
    ("surveys", |db| Box::pin(transfer::surveys(db))),
    ("what is seen", |db| Box::pin(sees::lists(db))),
    ("passing others in the queue", |db| Box::pin(sees::passing(db))),
    ("text is compared by bytes", |db| Box::pin(opening::collation(db))),
];

fn check_all(kind: Kind) {
    for (name, case) in CASES {
        // Shown by the test runner when a case fails.
        eprintln!("{kind:?}: {name}");
        let database = Database::fresh(kind);
        tokio::runtime::Runtime::new().unwrap().block_on(case(database));
    }
}

#[test]
fn sqlite() {
    check_all(Kind::Sqlite);
}

#[test]
fn postgres() {
    check_all(Kind::Postgres);
}
