//! `plimsoll supervise`: the parent of one app process. [`crate::main`] runs it before anything else starts.

/// Looks after one app process. Started by the server; not for people.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the instance.
    #[arg(value_name = "DIR")]
    _dir: std::path::PathBuf,
}
