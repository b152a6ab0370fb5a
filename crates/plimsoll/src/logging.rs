//! The log of a role: lines on stderr, for people or as JSON.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;

const FORMAT: &str = "PLIMSOLL_LOG_FORMAT";

const FILTER: &str = "PLIMSOLL_LOG";

/// Form of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// How to log.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LogArgs {
    /// Form of the log on stderr, and of the ingress's log.
    #[arg(long, value_enum, value_name = "FORMAT", env = FORMAT, default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What to log: error, warn, info, debug or trace, or by part such as `info,control=debug`.
    #[arg(long, value_name = "FILTER", env = FILTER, default_value = "info")]
    pub(crate) log: String,
}

/// Begins to log as the server that started this process does, see [`hand_down`].
pub(crate) fn start_from_environment() {
    let json = std::env::var(FORMAT).is_ok_and(|form| form == "json");
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new("info"));
    begin(filter, if json { LogFormat::Json } else { LogFormat::Text });
}

/// Begins to log. Each line has time, level, the part that logs, and the request or deployment that it is about.
pub(crate) fn start(args: &LogArgs) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|e| Failure::usage(format!("--log: {e}")).hint("Try `info` or `info,control=debug`"))?;
    begin(filter, args.log_format);
    Ok(())
}

fn begin(filter: EnvFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.finish().with(filter_fn(is_harmless)).init(),
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_current_span(true).with_span_list(false);
            log.finish().with(filter_fn(is_harmless)).init();
        }
    }
}

/// The library that speaks to agents logs whole calls when it is asked for details: values of variables are in them.
fn is_harmless(said: &Metadata<'_>) -> bool {
    *said.level() <= Level::INFO || !said.target().starts_with("rmcp")
}

/// Lets the ingress that this process may start log in the same way. Only before there are threads.
pub(crate) fn hand_down(args: &LogArgs) {
    let form = match args.log_format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    for (name, value) in [(FORMAT, form), (FILTER, args.log.as_str())] {
        // SAFETY: the caller is the only thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
}
