//! What is not there. Said in one way, so that nobody can tell it from what they must not know of.

use domain::device::UserCode;
use domain::plan::PlanRef;
use domain::{ApprovalId, ChannelId, DeploymentId, InvitationId, Name, SessionId, TokenId, UploadId, WindowId};
use operations::Error;

pub(crate) fn app(name: &Name) -> Error {
    Error::not_found(format!("there is no app `{name}`"))
        .hint(format!("create it with `plimsoll apps create {name}` or list them with `plimsoll apps list`"))
}

pub(crate) fn deployment(id: &DeploymentId) -> Error {
    Error::not_found(format!("there is no deployment `{id}`")).hint("list them with `plimsoll deployments list`")
}

pub(crate) fn plan(named: &PlanRef) -> Error {
    Error::not_found(format!("there is no plan `{named}`"))
        .hint("a plan is kept for a day: make one with `plimsoll plan`, or list them with `plimsoll plans list`")
}

pub(crate) fn schedule(wanted: &str) -> Error {
    Error::not_found(format!("there is no schedule `{}`", line(wanted)))
        .hint("list them with `plimsoll schedules list`")
}

pub(crate) fn guide(wanted: &str) -> Error {
    Error::not_found(format!("there is no guide `{}`", line(wanted))).hint("list them with `plimsoll guides list`")
}

pub(crate) fn section(guide: &str, wanted: &str) -> Error {
    Error::not_found(format!("the guide `{guide}` has no section `{}`", line(wanted)))
        .hint("list them with `plimsoll guides list`, or look for words with `plimsoll guides search`")
}

pub(crate) fn window(id: &WindowId) -> Error {
    Error::not_found(format!("there is no window or freeze `{id}`")).hint("list them with `plimsoll windows list`")
}

pub(crate) fn token(id: &TokenId) -> Error {
    Error::not_found(format!("there is no token `{id}`")).hint("list them with `plimsoll tokens list`")
}

pub(crate) fn upload(id: &UploadId) -> Error {
    Error::not_found(format!("there is no upload `{id}`")).hint(
        "it was deployed, removed, or has expired: send the archive again; `plimsoll deploy --archive FILE` does it all",
    )
}

pub(crate) fn session(id: &SessionId) -> Error {
    Error::not_found(format!("there is no session `{id}`")).hint("list them with `plimsoll sessions list`")
}

pub(crate) fn invitation(id: &InvitationId) -> Error {
    Error::not_found(format!("there is no invitation `{id}` that waits"))
        .hint("it was accepted, withdrawn, or has expired: list those that wait with `plimsoll invitations list`")
}

pub(crate) fn approval(id: &ApprovalId) -> Error {
    Error::not_found(format!("there is no approval `{id}`")).hint("list them with `plimsoll approvals list`")
}

pub(crate) fn channel(id: &ChannelId) -> Error {
    Error::not_found(format!("there is no channel `{id}`")).hint("list them with `plimsoll channels list`")
}

pub(crate) fn device(code: &UserCode) -> Error {
    Error::not_found(format!("no program waits with the code {code} to be let in"))
        .hint("look at the code again; after ten minutes it is over: begin again there, with `plimsoll login`")
}

/// What somebody wrote, on one line that is not endless.
fn line(wanted: &str) -> String {
    wanted.chars().filter(|c| !c.is_control()).take(80).collect()
}
