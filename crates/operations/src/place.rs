//! What a request is about, as far as access is concerned.

use domain::plan::PlanRef;
use domain::{ApprovalId, ChannelId, DeploymentId, InvitationId, Name, SessionId, TokenId, UploadId, WindowId};

/// The place at which an operation's permission is asked for, in the words of the request: nothing was looked up yet, and
/// perhaps there is no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The server, or whatever holds for all apps.
    Server,
    /// Who asks.
    Me,
    App(&'a Name),
    /// A list, perhaps of one app alone. Without an app its handler leaves out what the caller does not see.
    Apps(Option<&'a Name>),
    Deployment(&'a DeploymentId),
    Plan(&'a PlanRef),
    /// By id, or by a name that one schedule alone has.
    Schedule(&'a str),
    Window(&'a WindowId),
    Upload(&'a UploadId),
    Token(&'a TokenId),
    Session(&'a SessionId),
    Invitation(&'a InvitationId),
    Approval(&'a ApprovalId),
    Channel(&'a ChannelId),
}

impl<'a> Place<'a> {
    /// What is set for one app, or for all without a setting of their own.
    pub fn app_or_server(app: Option<&'a Name>) -> Self {
        app.map_or(Place::Server, Place::App)
    }
}
