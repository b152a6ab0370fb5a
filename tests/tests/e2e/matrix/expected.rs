//! What each must be told, written out as the guide has it and not computed from the code.
//!
//! A row has three groups of four marks: of viewers, deployers, admins and owners, who have that role at the app that is asked about,
//! at another app alone, or everywhere. `+` is let through, `-` refused with what it would take, `.` told that there is no such thing.

pub(super) struct Row {
    pub(super) operation: &'static str,
    pub(super) marks: &'static str,
    /// Of tokens, where those are told something else: one that was given out to look changes nothing, not even what is its person's own.
    pub(super) by_token: Option<&'static str>,
    /// Of tokens that may do less than their person.
    pub(super) by_capped: Option<&'static str>,
}

/// Told to nobody, too.
pub(super) const OPEN: [&str; 2] = ["health.live", "health.ready"];

/// Lists over all apps: whoever is asked for them in full must be shown both apps, or the search in them proves nothing.
pub(super) const OF_ALL_APPS: [&str; 14] = [
    "apps.list",
    "deployments.list",
    "queue.list",
    "queue.timeline",
    "schedules.list",
    "windows.list",
    "plans.list",
    "events.list",
    "tokens.list",
    "audit.list",
    "approvals.list",
    "channels.list",
    "notices.list",
    "overview.show",
];

const fn row(operation: &'static str, marks: &'static str) -> Row {
    Row { operation, marks, by_token: None, by_capped: None }
}

pub(super) const ROWS: &[Row] = &[
    row("health.live", "++++ ++++ ++++"),
    row("health.ready", "++++ ++++ ++++"),
    row("server.info", "++++ ++++ ++++"),
    row("guides.list", "++++ ++++ ++++"),
    row("guides.get", "++++ ++++ ++++"),
    row("guides.search", "++++ ++++ ++++"),
    row("schedules.preview", "++++ ++++ ++++"),
    // What is of one app.
    row("apps.get", "++++ .... ++++"),
    row("environments.list", "++++ .... ++++"),
    row("environments.get", "++++ .... ++++"),
    row("environments.metrics", "++++ .... ++++"),
    row("variables.list", "++++ .... ++++"),
    row("releases.list", "++++ .... ++++"),
    row("releases.get", "++++ .... ++++"),
    row("promotions.plan", "++++ .... ++++"),
    row("plans.get", "++++ .... ++++"),
    row("plans.simulate", "++++ .... ++++"),
    row("deployments.get", "++++ .... ++++"),
    row("deployments.output", "++++ .... ++++"),
    row("deployments.output_stream", "++++ .... ++++"),
    row("deployments.output_file", "++++ .... ++++"),
    row("logs.read", "++++ .... ++++"),
    row("logs.stream", "++++ .... ++++"),
    row("schedules.get", "++++ .... ++++"),
    row("members.list", "++++ .... ++++"),
    row("plans.create", "-+++ .... -+++"),
    row("deployments.deploy", "-+++ .... -+++"),
    row("deployments.rollback", "-+++ .... -+++"),
    row("deployments.cancel", "-+++ .... -+++"),
    row("deployments.resume", "-+++ .... -+++"),
    row("deployments.abandon", "-+++ .... -+++"),
    row("promotions.promote", "-+++ .... -+++"),
    row("smoke_tests.run", "-+++ .... -+++"),
    // To the first place, which passes those of other apps.
    row("queue.move", "---- .... --++"),
    row("queue.reschedule", "-+++ .... -+++"),
    row("schedules.create", "-+++ .... -+++"),
    row("schedules.update", "-+++ .... -+++"),
    row("schedules.delete", "-+++ .... -+++"),
    row("apps.set_concurrency", "--++ .... --++"),
    row("environments.create", "--++ .... --++"),
    row("environments.set_supersede", "--++ .... --++"),
    row("variables.set", "--++ .... --++"),
    row("variables.unset", "--++ .... --++"),
    row("windows.delete", "--++ .... --++"),
    row("members.set", "--++ .... --++"),
    row("members.remove", "--++ .... --++"),
    row("invitations.withdraw", "--++ .... --++"),
    row("tokens.revoke", "--++ .... --++"),
    row("apps.delete", "---+ .... ---+"),
    row("environments.delete", "---+ .... ---+"),
    row("approvals.get", "++++ .... ++++"),
    row("approval_policies.list", "++++ .... ++++"),
    row("approval_policies.set", "--++ .... --++"),
    row("approval_policies.remove", "--++ .... --++"),
    // Viewers may be asked, but this policy asks admins.
    row("approvals.vote", "--++ .... --++"),
    // What is of several apps: everybody gets what they may see of it.
    row("apps.list", "++++ ++++ ++++"),
    row("approvals.list", "++++ ++++ ++++"),
    row("deployments.list", "++++ ++++ ++++"),
    row("deployments.diagnose", "++++ ++++ ++++"),
    row("queue.list", "++++ ++++ ++++"),
    row("queue.timeline", "++++ ++++ ++++"),
    row("schedules.list", "++++ ++++ ++++"),
    row("windows.list", "++++ ++++ ++++"),
    row("windows.bypasses", "++++ ++++ ++++"),
    row("plans.list", "++++ ++++ ++++"),
    row("events.list", "++++ ++++ ++++"),
    row("events.stream", "++++ ++++ ++++"),
    row("stream.topics", "++++ ++++ ++++"),
    row("analytics.show", "++++ ++++ ++++"),
    row("overview.show", "++++ ++++ ++++"),
    row("figures.show", "++++ ++++ ++++"),
    row("uploads.list", "++++ ++++ ++++"),
    // Whoever deploys somewhere has to send it first.
    row("uploads.create", "-+++ -+++ -+++"),
    // Somebody else's is nobody's but the operators'.
    row("uploads.get", ".... .... ..++"),
    row("uploads.delete", ".... .... ..++"),
    row("uploads.send", ".... .... ..++"),
    // The source is on the server's own disk, and another app's: only operators have such a one looked at or set.
    row("sources.detect", "---- ---- --++"),
    row("apps.set_source", "---- .... --++"),
    // What is of the server.
    row("cluster.show", "---- ---- ++++"),
    row("certificates.list", "---- ---- ++++"),
    row("certificates.get", "---- ---- ++++"),
    row("stalls.show", "---- ---- ++++"),
    row("retention.show", "---- ---- ++++"),
    row("retention.plan", "---- ---- ++++"),
    row("metrics.read", "---- ---- ++++"),
    row("apps.create", "---- ---- -+++"),
    row("windows.create", "---- ---- --++"),
    row("certificates.add", "---- ---- --++"),
    row("certificates.remove", "---- ---- --++"),
    row("ingress.restart", "---- ---- --++"),
    row("stalls.set", "---- ---- --++"),
    row("retention.set", "---- ---- --++"),
    row("retention.run", "---- ---- --++"),
    row("audit.list", "---- ---- --++"),
    row("audit.verify", "---- ---- --++"),
    row("audit.export", "---- ---- --++"),
    row("invitations.list", "---- ---- --++"),
    // Of people everywhere, and for programs everywhere.
    row("users.list", "---- ---- ---+"),
    row("users.get", "---- ---- ---+"),
    row("users.set", "---- ---- ---+"),
    row("users.remove", "---- ---- ---+"),
    row("users.invite", "---- ---- ---+"),
    row("tokens.create", "---- ---- ---+"),
    // One's own.
    row("me.show", "++++ ++++ ++++"),
    // No program waits with that code. A token lets none in, whoever's it is.
    row("devices.show", ".... .... ...."),
    Row { by_token: Some("---- ---- ----"), ..row("devices.approve", ".... .... ....") },
    row("auth_settings.show", "---- ---- ---+"),
    row("auth_settings.set", "---- ---- ---+"),
    row("tokens.list", "++++ ++++ ++++"),
    // That of an owner everywhere has all that its person has.
    Row { by_capped: Some("---- ---- ---+"), ..row("sessions.list", "++++ ++++ ++++") },
    Row { by_token: Some("-+++ -+++ -+++"), ..row("me.set_preferences", "++++ ++++ ++++") },
    Row { by_token: Some("-+++ -+++ -+++"), ..row("me.change_password", "++++ ++++ ++++") },
    // One's second factor is changed in a session alone.
    row("totp.show", "++++ ++++ ++++"),
    Row { by_token: Some("---- ---- ----"), ..row("totp.begin", "++++ ++++ ++++") },
    Row { by_token: Some("---- ---- ----"), ..row("totp.confirm", "++++ ++++ ++++") },
    Row { by_token: Some("---- ---- ----"), ..row("totp.remove", "++++ ++++ ++++") },
    // Of channels and notices.
    row("channels.list", "++++ ++++ ++++"),
    row("notices.list", "++++ ++++ ++++"),
    row("deliveries.list", "++++ .... ++++"),
    row("channels.update", "--++ .... --++"),
    row("channels.remove", "--++ .... --++"),
    row("channels.test", "--++ .... --++"),
    row("deliveries.resend", "--++ .... --++"),
    // Of all apps, as none is named.
    row("channels.create", "---- ---- --++"),
    row("mail.show", "---- ---- ++++"),
    row("mail.set", "---- ---- --++"),
    row("mutes.list", "++++ ++++ ++++"),
    Row { by_token: Some("-+++ -+++ -+++"), ..row("notices.seen", "++++ ++++ ++++") },
    Row { by_token: Some("-+++ -... -+++"), ..row("mutes.set", "++++ .... ++++") },
    // Nobody has muted it.
    Row { by_token: Some("-... -... -..."), ..row("mutes.remove", ".... .... ....") },
    // The session is somebody else's.
    row("sessions.end", ".... .... ...+"),
];
