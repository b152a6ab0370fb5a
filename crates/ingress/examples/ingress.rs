//! The ingress alone: `ingress --dir DIR --listen ADDR`, as the tests start it.
//!
//! Called as `plimsoll ingress` is: a first argument `ingress` is skipped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::INFO).init();
    let mut dir: Option<PathBuf> = None;
    let mut listen: Option<SocketAddr> = None;
    let mut args = std::env::args_os().skip(1).peekable();
    args.next_if(|first| first == "ingress");
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        match name.to_str() {
            Some("--dir") => dir = Some(value.into()),
            Some("--listen") => listen = value.to_str().and_then(|v| v.parse().ok()),
            _ => {}
        }
    }
    let (Some(dir), Some(listen)) = (dir, listen) else {
        eprintln!("usage: ingress --dir DIR --listen ADDR");
        return ExitCode::from(2);
    };
    match ingress::run(ingress::Options::new(dir, listen)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
