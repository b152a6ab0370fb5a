//! Why no way to build and serve an app was found.

use domain::config::ConfigError;

/// The app can't be deployed as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// `plimsoll.toml` is wrong; it knows where.
    #[error("plimsoll.toml, {0}")]
    Config(ConfigError),
    /// Another file of the app is wrong.
    #[error("{file}: {message}; {hint}")]
    File { file: String, message: String, hint: String },
    /// Nothing in the folder says what it is, or how it is built or started.
    #[error("{message}; {hint}")]
    Unrecognised { message: String, hint: String },
    /// It is known what it is, and a program that it needs is not installed here.
    #[error("{needed_by} needs `{tool}`, which is not installed on this server; {hint}")]
    MissingTool { tool: String, needed_by: String, hint: String },
}
