//! The ingress alone: `ingress --dir DIR --listen ADDR`, as the tests start it.
//!
//! Called as `plimsoll ingress` is: a first argument `ingress` is skipped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use ingress::{Options, Settings, Start};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let mut dir: Option<PathBuf> = None;
    let mut settings: Option<Settings> = None;
    let mut start = Start::Fresh;
    let mut args = std::env::args_os().skip(1).peekable();
    args.next_if(|first| first == "ingress");
    while let Some(name) = args.next() {
        let mut value = || args.next().and_then(|v| v.into_string().ok()).unwrap_or_default();
        let settings = &mut settings;
        match name.to_str() {
            Some("--dir") => dir = Some(value().into()),
            Some("--listen") => *settings = value().parse::<SocketAddr>().ok().map(Settings::from),
            Some("--https-listen") => settings.iter_mut().for_each(|s| s.https_listen = value().parse().ok()),
            Some("--https-redirect") => settings.iter_mut().for_each(|s| s.https_redirect = true),
            Some("--max-connections") => settings.iter_mut().for_each(|s| s.max_connections = value().parse().ok()),
            Some("--max-connections-per-client") => {
                settings.iter_mut().for_each(|s| s.max_connections_per_client = value().parse().ok());
            }
            Some("--take-over") => start = Start::TakeOver,
            Some("--sockets-on-stdin") => start = Start::Given,
            _ => {}
        }
    }
    let (Some(dir), Some(settings)) = (dir, settings) else {
        eprintln!("usage: ingress --dir DIR --listen ADDR [--https-listen ADDR] [--take-over]");
        return ExitCode::from(2);
    };
    match ingress::run(Options { start, ..Options::new(dir, settings) }).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
