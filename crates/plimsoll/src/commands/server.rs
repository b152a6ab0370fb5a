//! `plimsoll server`: the control plane. It may end at any time; apps and ingress go on.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use control::{Control, Options, UploadLimits};
use domain::limits::{Bytes, Cores, Limits, Tasks};
use domain::route::Host;
use operations::{Error, ErrorKind, local};
use runtime::Users;
use runtime::isolation::InvalidUsers;
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::database::DatabaseArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logging::{self, LogArgs};
use crate::notify::Notify;
use crate::pidfile;

const EXAMPLES: &str = "\
Examples:
  plimsoll server
  plimsoll server --data /var/lib/plimsoll --ingress-listen 0.0.0.0:80 --domain apps.example.org
  plimsoll server --listen 10.0.0.5:7878 --mcp-host deploy.example.org --mcp-read-only
  plimsoll server --max-memory 2GiB --max-disk 5GiB --app-path /srv/shared
  plimsoll server --ingress-listen 0.0.0.0:80 --ingress-https-listen 0.0.0.0:443 --ingress-https-redirect
  plimsoll server --trusted-proxies 10.0.0.0/8,fd00::/8
  plimsoll server --public-url https://deploy.example.org --api-trusted-proxies 127.0.0.1
  plimsoll server --rate-limit 4
  plimsoll server --allow-outgoing 10.1.0.0/16
  plimsoll server --database-url-file /etc/plimsoll/database-url --log-format json
  plimsoll server --database-url-file /etc/plimsoll/database-url --listen 127.0.0.1:7879 --host rack-7 --lease 5s

Ctrl-C or TERM stops the server; apps keep serving. `plimsoll down` stops the apps, too.";

/// Start a server on this machine.
///
/// Keeps everything in one data folder, starts the ingress that apps answer through, and serves the API. At its first
/// start it prints a link by which the first person signs in, and an API token, once; commands on this machine need none.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address of the API.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
    /// Address that apps answer at.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    ingress_listen: SocketAddr,
    /// Address that apps answer at over HTTPS; give it certificates with `plimsoll certificates add`.
    #[arg(long, value_name = "ADDR")]
    ingress_https_listen: Option<SocketAddr>,
    /// Send plain requests for hosts that have a certificate to HTTPS.
    #[arg(long, requires = "ingress_https_listen")]
    ingress_https_redirect: bool,
    /// Connections of clients that the ingress takes at the same time; others wait. By default 16384, or what the limit
    /// of open files allows.
    #[arg(long, value_name = "N")]
    ingress_max_connections: Option<NonZeroUsize>,
    /// Of them from one client address; by default 1024, and any number from this machine.
    #[arg(long, value_name = "N")]
    ingress_max_connections_per_client: Option<NonZeroUsize>,
    /// Apps answer at APP.DOMAIN.
    #[arg(long, default_value = "localhost")]
    domain: Host,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Deployments at work at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// Agents may only look, at /mcp and by `plimsoll mcp`, whatever they ask for.
    #[arg(long)]
    mcp_read_only: bool,
    /// A name by which agents call /mcp, besides localhost and the address of the API; NAME or NAME:PORT, may be repeated.
    #[arg(long = "mcp-host", value_name = "NAME")]
    mcp_hosts: Vec<String>,
    /// Users that apps run as when the server is root, one for each app; `none` to run them as root.
    #[arg(long, value_name = "FIRST-LAST", default_value_t = AppUsers(Some(Users::default())))]
    app_users: AppUsers,
    /// Folder that all apps may use, as far as its permissions allow their users; may be given again.
    #[arg(long = "app-path", value_name = "FOLDER")]
    app_paths: Vec<PathBuf>,
    /// Memory that a build command or an instance may ask for, and gets unless it asks for less [default: three quarters of the machine's].
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<Bytes>,
    /// Cores for the same; by default all there are.
    #[arg(long, value_name = "CORES")]
    max_cpu: Option<Cores>,
    /// Processes and threads for the same.
    #[arg(long, value_name = "N", default_value = "4096")]
    max_processes: Tasks,
    /// Disk for the same.
    #[arg(long, value_name = "SIZE", default_value = "20GiB")]
    max_disk: Bytes,
    /// Proxies in front of the ingress, as addresses or networks such as 10.0.0.0/8: what they say about a client
    /// (X-Forwarded-For and the like) is passed on to apps. From anybody else it is replaced.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    trusted_proxies: Vec<domain::network::Network>,
    /// Where people reach the web interface, such as https://deploy.example.org: links begin with it, and people sign in there.
    #[arg(long, value_name = "URL", value_parser = public_url)]
    public_url: Option<String>,
    /// Proxies in front of the API and the web interface, as addresses or networks: their word is taken for where a client
    /// is, and for whether it came by TLS.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    api_trusted_proxies: Vec<domain::network::Network>,
    /// How often each may ask: so many times as much as usual, or `off`. Commands on this machine are never counted.
    #[arg(long, value_name = "off|N", default_value = "1", value_parser = rate_limit)]
    rate_limit: server::RateLimit,
    /// Networks that addresses which users name may lead into although they are not public, such as 10.1.0.0/16: those of
    /// channels, mail and sign-in. Without it nothing inside is called, and nothing without encryption.
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    allow_outgoing: Vec<domain::network::Network>,
    /// Largest archive that can be uploaded, such as 500MiB.
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    max_upload: Bytes,
    /// What an archive may become when it is unpacked, and a commit with its submodules.
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    max_unpacked: Bytes,
    /// Files, links and folders that either of them may hold.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    max_unpacked_files: u64,
    /// Another address for /metrics, /healthz and /readyz, which asks for no token there.
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
    /// What this machine is called among those that share a PostgreSQL database; by default its own id.
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    host: Option<String>,
    /// A server whose heartbeat stands still for so long is taken for dead, and another one goes on with its deployments.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = lease)]
    lease: humantime::Duration,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// The shortest leaves room for a few heartbeats, the longest is what people wait for.
fn lease(text: &str) -> Result<humantime::Duration, String> {
    let lease: humantime::Duration = text.parse().map_err(|e: humantime::DurationError| e.to_string())?;
    match lease.as_secs() {
        1..=600 if lease.subsec_nanos() == 0 => Ok(lease),
        _ => Err("expected whole seconds from 1s to 10m, such as 10s".to_owned()),
    }
}

/// Scheme and name alone: the web interface is at the root.
fn public_url(text: &str) -> Result<String, String> {
    let bare = text.trim_end_matches('/').to_ascii_lowercase();
    let name = bare.strip_prefix("https://").or_else(|| bare.strip_prefix("http://")).unwrap_or_default();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    match !name.is_empty() && name.chars().all(fine) {
        true => Ok(bare),
        false => Err("expected an address like https://deploy.example.org, without a path".to_owned()),
    }
}

fn rate_limit(text: &str) -> Result<server::RateLimit, String> {
    match (text, text.parse()) {
        ("off", _) => Ok(server::RateLimit::Off),
        (_, Ok(times @ 1..=1000)) => Ok(server::RateLimit::Times(times)),
        _ => Err("expected a whole number from 1 to 1000, or `off`".to_owned()),
    }
}

fn host_name(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match !text.is_empty() && text.len() <= 128 && text.chars().all(fine) {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, `.`, `_` and `-`, 128 at most".to_owned()),
    }
}

/// A range of users, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AppUsers(Option<Users>);

impl FromStr for AppUsers {
    type Err = InvalidUsers;
    fn from_str(text: &str) -> Result<Self, InvalidUsers> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|users| Self(Some(users))) }
    }
}

impl fmt::Display for AppUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(users) => users.fmt(f),
            None => f.write_str("none"),
        }
    }
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    logging::start(&args.log)?;
    let notify = Notify::from_environment();
    let data = prepare_data(context)?;
    let database = args.database.find(&context.out)?;
    if !args.listen.ip().is_loopback() {
        context.out.warn(format!(
            "{} can be reached from other machines, and the API's tokens travel unencrypted: put TLS in front of it",
            args.listen
        ));
    }
    // Before anything else is touched: an address in use is the most likely trouble.
    let listener = TcpListener::bind(args.listen).await.map_err(|e| cannot_listen(args.listen, &e))?;
    let address = listener.local_addr().map_err(|e| cannot_listen(args.listen, &e))?;
    let metrics = match args.metrics_listen {
        Some(address) => Some(TcpListener::bind(address).await.map_err(|e| cannot_listen(address, &e))?),
        None => None,
    };
    let url = format!("http://{}", reachable_address(address));
    let binary = std::env::current_exe().map_err(|e| Failure::file("find", Path::new("plimsoll"), &e))?;
    let started = Control::start(Options {
        data: data.clone(),
        database,
        ingress: ingress_settings(&args),
        domain: args.domain.to_string(),
        binary,
        workers: usize::from(args.workers),
        app_users: args.app_users.0,
        app_paths: app_paths(&args.app_paths)?,
        most: most(&args),
        trusted_proxies: args.trusted_proxies.clone(),
        uploads: upload_limits(args.max_upload.get()),
        archives: forge::archive::Limits {
            bytes: args.max_unpacked.get(),
            entries: args.max_unpacked_files,
            ..forge::archive::Limits::default()
        },
        host: args.host.clone(),
        lease: args.lease.into(),
        url: url.clone(),
        names: own_names(&args),
        public_url: args.public_url.clone(),
        allow_outgoing: args.allow_outgoing.clone(),
        mcp_read_only: args.mcp_read_only,
        guides: ui::GUIDES,
    })
    .await?;
    // From here on this process holds the folder's lock.
    pidfile::write(&data).map_err(|e| Failure::file("write into", &data, &e))?;
    let beside = CancellationToken::new();
    watch_beside(&started.control, metrics, &notify, &beside);
    let served = serve(context, &args, &data, &started, &url, listener, &notify).await;
    notify.stopping();
    beside.cancel();
    started.control.shutdown().await;
    pidfile::remove(&data);
    served?;
    context.out.remark("stopped; apps keep serving (`plimsoll down` stops them, too)");
    Ok(())
}

/// Where people call the server, as far as it can be told. What is no name that an app could have is left out.
fn own_names(args: &Args) -> Vec<Host> {
    let public = args.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, name)| name.to_owned());
    let listens = (!args.listen.ip().is_unspecified()).then(|| args.listen.ip().to_string());
    let names = args.mcp_hosts.iter().cloned().chain(public).chain(listens);
    names.filter_map(|name| Host::from_header(&name).ok()).collect()
}

/// What nobody gets more of.
fn most(args: &Args) -> Limits {
    Limits {
        memory: args.max_memory.or_else(|| Some(Bytes::clamped(runtime::isolation::machine_memory()? / 4 * 3))),
        cpu: args.max_cpu,
        processes: Some(args.max_processes),
        disk: Some(args.max_disk),
    }
}

/// Under their true names, as rules are about those.
fn app_paths(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    paths.iter().map(|path| path.canonicalize().map_err(|e| Failure::file("find", path, &e))).collect()
}

fn ingress_settings(args: &Args) -> ingress::Settings {
    ingress::Settings {
        listen: args.ingress_listen,
        https_listen: args.ingress_https_listen,
        https_redirect: args.ingress_https_redirect,
        max_connections: args.ingress_max_connections.map(NonZeroUsize::get),
        max_connections_per_client: args.ingress_max_connections_per_client.map(NonZeroUsize::get),
    }
}

/// Eight of the largest may wait at the same time.
fn upload_limits(size: u64) -> UploadLimits {
    UploadLimits { size, bytes: size.saturating_mul(8), ..UploadLimits::default() }
}

async fn serve(
    context: &Context,
    args: &Args,
    data: &Path,
    started: &control::Started,
    url: &str,
    listener: TcpListener,
    notify: &Notify,
) -> Result<(), Failure> {
    let asked = asked_to_stop()?;
    started.control.announce().await?;
    greet(context, args, data, url, started)?;
    notify.ready(&format!("API at {url}, apps at {}", args.ingress_listen));
    let public = args.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, name)| name.to_owned());
    let names: Vec<String> = args.mcp_hosts.iter().cloned().chain(public).collect();
    let settings = server::Settings {
        mcp_hosts: mcp::Hosts::new(Some(args.listen.ip()), names.iter().cloned()),
        trusted_proxies: args.api_trusted_proxies.clone(),
        names,
        public_url: args.public_url.clone(),
        rate_limit: args.rate_limit,
        ui: Some(web_file),
    };
    server::serve(started.control.clone(), &settings, listener, asked)
        .await
        .map_err(|e| Failure::with(Exit::Internal, Error::new(ErrorKind::Internal, format!("the API ended: {e}"))))
}

/// A file of the web interface, as the server wants it.
fn web_file(path: &str) -> Option<server::Asset> {
    let file = ui::file(path)?;
    Some(server::Asset { kind: file.kind, etag: file.etag, bytes: file.bytes, brotli: file.brotli })
}

/// What goes on beside the API until `end`: the metrics' own address, and telling systemd that we live. A reconciler
/// that no longer comes through is a reason to be started anew.
fn watch_beside(control: &Control, metrics: Option<TcpListener>, notify: &Notify, end: &CancellationToken) {
    if let Some(listener) = metrics {
        let (control, end) = (control.clone(), end.clone());
        tokio::spawn(async move {
            if let Err(e) = server::serve_metrics(control, listener, end.cancelled_owned()).await {
                tracing::error!("the address of the metrics: {e}");
            }
        });
    }
    if let Some(interval) = notify.interval() {
        let (control, end, notify) = (control.clone(), end.clone(), notify.clone());
        tokio::spawn(end.run_until_cancelled_owned(async move {
            let mut ticks = tokio::time::interval(interval);
            loop {
                ticks.tick().await;
                if control.is_alive() {
                    notify.alive();
                }
            }
        }));
    }
}

/// Tells the addresses, and at the first start the token and the way in for the first person.
fn greet(context: &Context, args: &Args, data: &Path, url: &str, started: &control::Started) -> Result<(), Failure> {
    let out = &context.out;
    let token = started.first_token.as_ref();
    // Behind the `#`, so that no browser sends it anywhere but to the page, and no log on the way has it.
    let setup = started
        .first_invitation
        .as_ref()
        .map(|secret| format!("{}/setup#{}", args.public_url.as_deref().unwrap_or(url), secret.expose_secret()));
    if out.json {
        let token = token.map(ExposeSecret::expose_secret);
        return out.record(
            &json!({ "url": url, "ingress": args.ingress_listen, "https": args.ingress_https_listen, "domain": args.domain, "data": data, "token": token, "setup": setup }),
        );
    }
    out.line(format!("{} {} serves", out.paint.bold("Plimsoll"), env!("CARGO_PKG_VERSION")))?;
    out.line(format!("  API   {}", out.paint.cyan(url)))?;
    out.line(format!(
        "  apps  {}",
        out.paint.cyan(format!("http://APP.{}:{}", args.domain, args.ingress_listen.port()))
    ))?;
    if let Some(https) = args.ingress_https_listen {
        out.line(format!("  https {}", out.paint.cyan(format!("https://APP.{}:{}", args.domain, https.port()))))?;
    }
    out.line(format!("  data  {}", data.display()))?;
    if let Some(setup) = setup {
        out.line("")?;
        out.line("Open this to become the owner. It is good once, for a week, and only its hash is kept:")?;
        out.line(format!("  {}", out.paint.bold(setup)))?;
    }
    if let Some(token) = token {
        out.line("")?;
        out.line("API token for other machines and programs. It is shown this once, and only its hash is kept:")?;
        out.line(format!("  {}", out.paint.bold(token.expose_secret())))?;
        out.line(format!(
            "Use it there as PLIMSOLL_TOKEN, with PLIMSOLL_SERVER={url}; on this machine `plimsoll` needs none."
        ))?;
    }
    Ok(())
}

/// Ready when Ctrl-C or TERM has come. The handlers are set now, so that neither is missed.
fn asked_to_stop() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let failed =
        |e: std::io::Error| Failure::with(Exit::Internal, Error::unavailable(format!("can't hear signals: {e}")));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping; apps keep serving");
    })
}

/// Makes the data folder, for its owner alone, and tries whether it can be written.
fn prepare_data(context: &Context) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let given = context.globals.data.clone();
    let data = given.or_else(|| local::default_data(|name| std::env::var(name).ok())).ok_or_else(|| {
        Failure::usage("no data folder: neither HOME nor XDG_DATA_HOME is set").hint("Give one with --data DIR")
    })?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data)
        .map_err(|e| Failure::file("make the data folder", &data, &e))?;
    let data = data.canonicalize().map_err(|e| Failure::file("open the data folder", &data, &e))?;
    let probe = data.join(format!(".probe-{}", std::process::id()));
    std::fs::write(&probe, "")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|e| Failure::file("write into the data folder", &data, &e))?;
    Ok(data)
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => Error::conflict(format!("the address {address} is in use"))
            .hint("Is another server running? Stop it, or choose another address with --listen"),
        std::io::ErrorKind::PermissionDenied => Error::invalid(format!("no right to listen on {address}"))
            .hint("Ports below 1024 need a privilege: choose a higher one with --listen"),
        _ => Error::invalid(format!("can't listen on {address}: {error}"))
            .hint("Choose an address of this machine with --listen"),
    }
    .into()
}

/// Where clients on this machine find a server that listens on `address`.
fn reachable_address(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    address
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn clients_find_a_server_that_listens_everywhere() {
        let check =
            |given: &str, expected: &str| assert_eq!(reachable_address(given.parse().unwrap()).to_string(), expected);
        check("0.0.0.0:7878", "127.0.0.1:7878");
        check("[::]:7878", "[::1]:7878");
        check("10.0.0.1:80", "10.0.0.1:80");
    }

    #[test]
    fn a_rate_limit_is_a_factor_or_off() {
        use server::RateLimit::{Off, Times};
        assert_eq!((rate_limit("off"), rate_limit("1"), rate_limit("1000")), (Ok(Off), Ok(Times(1)), Ok(Times(1000))));
        for bad in ["", "0", "1001", "-1", "0.5", "Off", "none"] {
            assert!(rate_limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_public_address_is_a_scheme_and_a_name() {
        assert_eq!(public_url("https://Deploy.Example.org/").unwrap(), "https://deploy.example.org");
        assert_eq!(public_url("http://[fd00::1]:7878").unwrap(), "http://[fd00::1]:7878");
        for bad in ["", "deploy.example.org", "ftp://a", "https://", "https://a/b", "https://u@a", "https://a?b"] {
            assert!(public_url(bad).is_err(), "{bad}");
        }
    }
}
