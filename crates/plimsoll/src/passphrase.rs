//! A passphrase from a file, from stdin or from the environment; never from the command line, which everybody can read.

use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::failure::Failure;

const VARIABLE: &str = "PLIMSOLL_BACKUP_PASSPHRASE";

/// Where the passphrase is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PassphraseArgs {
    /// File with the passphrase, `-` for stdin; by default PLIMSOLL_BACKUP_PASSPHRASE.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The passphrase, without the end of its line; `None` when there is none.
    pub(crate) fn find(&self) -> Result<Option<SecretString>, Failure> {
        let text = match &self.passphrase_file {
            Some(path) if path == Path::new("-") => {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|e| Failure::file("read", Path::new("stdin"), &e))?;
                Some(text)
            }
            Some(path) => Some(std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?),
            None => std::env::var(VARIABLE).ok(),
        };
        let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
        match text {
            Some(text) if text.is_empty() => Err(Failure::usage("the passphrase is empty")),
            other => Ok(other.map(SecretString::from)),
        }
    }
}
