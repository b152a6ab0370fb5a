//! The supervise role alone, for this crate's tests: `supervise FOLDER`.

use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::supervise(std::env::args_os().skip(1))
}
