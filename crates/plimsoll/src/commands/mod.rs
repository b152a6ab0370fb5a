//! The commands, one per file, and what they share.

pub(crate) mod abandon;
pub(crate) mod analytics;
pub(crate) mod approval_policies;
pub(crate) mod approvals;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod cancel;
pub(crate) mod certificates;
pub(crate) mod channels;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod deployments;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod env;
pub(crate) mod envs;
pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod guides;
pub(crate) mod ingress;
pub(crate) mod init;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod logs;
pub(crate) mod mail;
pub(crate) mod mcp;
pub(crate) mod me;
pub(crate) mod members;
pub(crate) mod metrics;
pub(crate) mod mutes;
pub(crate) mod notices;
pub(crate) mod overview;
pub(crate) mod plan;
pub(crate) mod plans;
pub(crate) mod promote;
pub(crate) mod queue;
pub(crate) mod releases;
pub(crate) mod restore;
pub(crate) mod resume;
pub(crate) mod retention;
pub(crate) mod rollback;
pub(crate) mod schedules;
pub(crate) mod server;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod simulate;
pub(crate) mod smoke_tests;
pub(crate) mod stalls;
pub(crate) mod status;
pub(crate) mod supervise;
mod timeline;
pub(crate) mod tokens;
pub(crate) mod uploads;
pub(crate) mod users;
pub(crate) mod version;
pub(crate) mod windows;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use domain::Name;
use operations::Error;

use crate::app_name::Origin;
use crate::cli::{self, Cli, Command, Globals};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// What every command gets.
pub(crate) struct Context {
    pub(crate) out: Output,
    pub(crate) globals: Globals,
    /// The app that the surroundings name.
    pub(crate) inferred: Option<(Name, Origin)>,
}

impl Context {
    pub(crate) fn connect(&self) -> Result<Arc<Connection>, Failure> {
        Connection::find(&self.globals).map(Arc::new)
    }

    /// The app that was named, else the one that the surroundings name.
    pub(crate) fn app(&self, named: Option<Name>) -> Result<Name, Failure> {
        named.or_else(|| self.inferred.as_ref().map(|(name, _)| name.clone())).ok_or_else(|| {
            Failure::usage("which app? Neither the command line, nor a plimsoll.toml, nor PLIMSOLL_APP names one")
                .hint("Name it: --app NAME")
        })
    }
}

/// Runs the command in the runtime that suits its role.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let out = Output::new(cli.globals.json, cli.globals.quiet, cli.globals.color);
    let context = Context { out, globals: cli.globals, inferred: cli.inferred };
    if let Command::Server(args) = &cli.command {
        crate::logging::hand_down(&args.log);
        runtime::priority::stand_back();
    }
    // Two threads are enough to serve, and each costs memory for as long as we run; the ingress has others for its
    // connections; a client has one thing to do.
    let threads = |n: usize| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(n).thread_keep_alive(std::time::Duration::from_secs(5));
        builder
    };
    let mut builder = match &cli.command {
        Command::Ingress(args) if args.is_process() => threads(1),
        Command::Server(_) => threads(2),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let done = match builder.enable_all().build() {
        Ok(runtime) => {
            let done = runtime.block_on(dispatch(&context, cli.command));
            // A prompt or a look-up that still blocks a thread must not keep us.
            runtime.shutdown_background();
            done
        }
        Err(e) => Err(Failure::with(Exit::Internal, Error::unavailable(format!("can't start threads: {e}")))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => cli::finish(&out, &explain_guess(failure, context.inferred.as_ref())),
    }
}

async fn dispatch(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Server(args) => server::run(context, *args).await,
        Command::Down(args) => down::run(context, args).await,
        Command::Init(args) => init::run(context, args).await,
        Command::Deploy(args) => deploy::run(context, *args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Logs(args) => logs::run(context, args).await,
        Command::Metrics(args) => metrics::run(context, args).await,
        Command::Analytics(args) => analytics::run(context, args).await,
        Command::Rollback(args) => rollback::run(context, args).await,
        Command::Promote(args) => promote::run(context, args).await,
        Command::Plan(args) => plan::run(context, args).await,
        Command::Simulate(args) => simulate::run(context, args).await,
        Command::Plans(args) => plans::run(context, args).await,
        Command::Cancel(args) => cancel::run(context, args).await,
        Command::Resume(args) => resume::run(context, args).await,
        Command::Abandon(args) => abandon::run(context, args).await,
        Command::Deployments(args) => deployments::run(context, args).await,
        Command::Queue(args) => queue::run(context, args).await,
        Command::Schedules(args) => schedules::run(context, args).await,
        Command::Windows(args) => windows::run(context, args).await,
        Command::Cluster(args) => cluster::run(context, args).await,
        Command::Releases(args) => releases::run(context, args).await,
        Command::SmokeTests(args) => smoke_tests::run(context, args).await,
        Command::Uploads(args) => uploads::run(context, args).await,
        Command::Events(args) => events::run(context, args).await,
        Command::Guides(args) => guides::run(context, args).await,
        Command::Figures(args) => figures::run(context, args).await,
        Command::Overview(args) => overview::run(context, args).await,
        Command::Mcp(args) => mcp::run(context, args).await,
        Command::Apps(args) => apps::run(context, args).await,
        Command::Envs(args) => envs::run(context, args).await,
        Command::Env(args) => env::run(context, args).await,
        Command::Certificates(args) => certificates::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Backup(args) => backup::run(context, args).await,
        Command::Restore(args) => restore::run(context, args).await,
        Command::Keys(args) => keys::run(context, args).await,
        Command::Stalls(args) => stalls::run(context, args).await,
        Command::Retention(args) => retention::run(context, args).await,
        Command::Tokens(args) => tokens::run(context, args).await,
        Command::Users(args) => users::run(context, args).await,
        Command::Invitations(args) => invitations::run(context, args).await,
        Command::Members(args) => members::run(context, args).await,
        Command::Sessions(args) => sessions::run(context, args).await,
        Command::Me(args) => me::run(context, args).await,
        Command::Audit(args) => audit::run(context, args).await,
        Command::Approvals(args) => approvals::run(context, args).await,
        Command::ApprovalPolicies(args) => approval_policies::run(context, args).await,
        Command::Channels(args) => channels::run(context, args).await,
        Command::Notices(args) => notices::run(context, args).await,
        Command::Mutes(args) => mutes::run(context, args).await,
        Command::Mail(args) => mail::run(context, args).await,
        Command::Login(args) => login::run(context, args).await,
        Command::Logout(args) => logout::run(context, args).await,
        Command::SignIn(args) => sign_in::run(context, args).await,
        Command::Version(args) => version::run(context, args).await,
        Command::Completions(args) => completions::run(context, args),
        Command::Ingress(args) => ingress::run(context, args).await,
        Command::Supervise(_) => Err(Failure::usage("supervise needs to be the first word of the command line")),
    }
}

/// An app that is not there may be one that we only guessed from the folder's name.
fn explain_guess(failure: Failure, inferred: Option<&(Name, Origin)>) -> Failure {
    match (&failure, inferred) {
        (Failure::Problem { exit: Exit::NotFound, problem }, Some((name, Origin::Folder)))
            if problem.detail.contains(name.as_str()) =>
        {
            failure.hint(format!(
                "`{name}` is only the name of this folder: say --app NAME, or make an app of it with `plimsoll init`"
            ))
        }
        _ => failure,
    }
}

/// The folder that we are in.
pub(crate) fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|e| Failure::from(Error::invalid(format!("can't tell which folder this is: {e}"))))
}
