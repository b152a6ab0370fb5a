//! Addresses of repositories: which are allowed, and how they are shown without their secrets.

use std::path::{Path, PathBuf};

use crate::error::GitError;

/// An address that may be given to git. Its password or token, if any, is kept apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GitUrl {
    /// For git's command line: without a password.
    address: String,
    kind: Kind,
    credentials: Option<Credentials>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Path,
    File,
    Ssh,
    Http,
}

/// What stood in front of the `@` of an http(s) address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
    /// `https://host`, for which alone they count.
    pub(crate) scope: String,
    /// As they were written, for taking them out of messages.
    written: Vec<String>,
}

impl GitUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, GitError> {
        let invalid =
            |reason: &str| GitError::InvalidUrl { url: redact_userinfo(&brief(text)), reason: reason.to_owned() };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if text.len() > 2048 {
            return Err(invalid("it has more than 2048 characters"));
        }
        if text.chars().any(|c| c.is_control()) {
            return Err(invalid("it holds control characters"));
        }
        if text.starts_with('-') {
            return Err(invalid("it begins with `-`, like an option"));
        }
        if text
            .split_once("::")
            .is_some_and(|(helper, _)| helper.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)))
        {
            return Err(invalid("`::` would start a helper program"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "file" => Self::file(text, rest).map_err(|reason| invalid(&reason)),
                scheme @ ("http" | "https" | "ssh") => Self::network(scheme, rest).map_err(|reason| invalid(&reason)),
                "git" => Err(invalid("git:// is neither encrypted nor authenticated")),
                other => Err(invalid(&format!("`{}://` is not supported", brief(other)))),
            };
        }
        if text.starts_with('/') {
            return Ok(Self { address: text.to_owned(), kind: Kind::Path, credentials: None });
        }
        match text.split_once(':') {
            Some((host, path)) if !host.contains('/') => Self::scp(text, host, path).map_err(|reason| invalid(&reason)),
            _ => Err(invalid("it is neither an address nor a path that begins with `/`")),
        }
    }

    /// For git's command line. Holds no secret.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(crate) fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Path | Kind::File)
    }

    /// The folder of a repository on this machine.
    pub(crate) fn local_path(&self) -> Option<PathBuf> {
        match self.kind {
            Kind::Path => Some(PathBuf::from(&self.address)),
            Kind::File => {
                let rest = self.address.strip_prefix("file://")?;
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                // With escapes only git knows what it means.
                (!path.contains('%')).then(|| PathBuf::from(path))
            }
            Kind::Ssh | Kind::Http => None,
        }
    }

    /// Takes this address's secrets, and whatever looks like one, out of a line that git printed.
    pub(crate) fn redact(&self, line: &str) -> String {
        let mut line = redact_userinfo(line);
        for secret in self.credentials.iter().flat_map(|c| &c.written).filter(|s| s.len() >= 3) {
            line = line.replace(secret.as_str(), "***");
        }
        line
    }

    /// The address of a submodule as its `.gitmodules` writes it; `./x` and `../x` count from this repository.
    pub(crate) fn submodule(&self, written: &str) -> Result<Self, GitError> {
        if !written.starts_with("./") && !written.starts_with("../") {
            let url = Self::parse(written)?;
            return if url.is_local() && !self.is_local() {
                let reason = "a submodule of a remote repository can't point into this machine".to_owned();
                Err(GitError::InvalidUrl { url: redact_userinfo(&brief(written)), reason })
            } else {
                Ok(url)
            };
        }
        let mut base = self.address.trim_end_matches('/').to_owned();
        let root = match self.kind {
            Kind::Path => 0,
            Kind::File => "file://".len(),
            Kind::Http | Kind::Ssh => match self.address.split_once("://") {
                Some((scheme, rest)) => scheme.len() + 3 + rest.find('/').unwrap_or(rest.len()),
                None => self.address.find(':').map_or(0, |i| i + 1),
            },
        };
        for part in written.split('/').filter(|p| !p.is_empty() && *p != ".") {
            if part == ".." {
                let cut = base.rfind('/').unwrap_or(root).max(root);
                base.truncate(cut);
            } else {
                if !base.ends_with(':') {
                    base.push('/');
                }
                base.push_str(part);
            }
        }
        Ok(Self { credentials: self.credentials.clone(), ..Self::parse(&base)? })
    }

    fn file(text: &str, rest: &str) -> Result<Self, String> {
        if rest.starts_with('/') || rest.starts_with("localhost/") {
            Ok(Self { address: text.to_owned(), kind: Kind::File, credentials: None })
        } else {
            Err("a file address has three slashes: file:///path".to_owned())
        }
    }

    fn network(scheme: &str, rest: &str) -> Result<Self, String> {
        let (authority, path) = rest.split_once('/').ok_or("it names no path after the host")?;
        if path.is_empty() {
            return Err("it names no path after the host".to_owned());
        }
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        check_host(host_port)?;
        if authority.contains('\\') {
            // Programs disagree on where the host begins then.
            return Err("it holds a `\\`".to_owned());
        }
        if scheme == "ssh" {
            let user = userinfo.map(|u| u.split(':').next().unwrap_or(u));
            check_user(user)?;
            // ssh takes no password from an address; git would pass it on to the command line.
            if userinfo.is_some_and(|u| u.contains(':')) {
                return Err("an ssh address can't hold a password; use a key".to_owned());
            }
            let user = user.map(|u| format!("{u}@")).unwrap_or_default();
            let address = format!("ssh://{user}{host_port}/{path}");
            return Ok(Self { address, kind: Kind::Ssh, credentials: None });
        }
        let scope = format!("{scheme}://{host_port}");
        let credentials = userinfo.filter(|u| !u.is_empty()).map(|userinfo| {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            let mut written =
                vec![decode(user), decode(password), userinfo.to_owned(), user.to_owned(), password.to_owned()];
            // A user name beside a password is no secret, and may be part of any word.
            if !password.is_empty() {
                written.retain(|w| w != user && *w != decode(user));
            }
            Credentials { username: decode(user), password: decode(password), scope: scope.clone(), written }
        });
        Ok(Self { address: format!("{scope}/{path}"), kind: Kind::Http, credentials })
    }

    fn scp(text: &str, host: &str, path: &str) -> Result<Self, String> {
        let (user, host) = match host.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, host),
        };
        check_host(host)?;
        check_user(user)?;
        if path.is_empty() || path.starts_with('-') {
            return Err("after the colon comes the path of the repository".to_owned());
        }
        Ok(Self { address: text.to_owned(), kind: Kind::Ssh, credentials: None })
    }
}

/// Never shows the secrets.
impl std::fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl std::fmt::Display for GitUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

/// `scheme://user:password@host` becomes `scheme://***@host`, wherever it stands in the text.
pub(crate) fn redact_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"').unwrap_or(after.len());
        let authority = &after[..end];
        match authority.rfind('@') {
            // `ssh://git@host` is no secret, and worth reading.
            Some(i) if before.ends_with("ssh://") && !authority[..i].contains(':') => out.push_str(authority),
            Some(i) => {
                out.push_str("***");
                out.push_str(&authority[i..]);
            }
            None => out.push_str(authority),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

fn check_host(host_port: &str) -> Result<(), String> {
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host_port, None),
    };
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let v6 = v6.is_some_and(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)));
    if host.is_empty() || host.starts_with('-') || !(plain || v6) {
        return Err(format!("`{}` is not a host", brief(host)));
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() => Err(format!("`{}` is not a port", brief(port))),
        _ => Ok(()),
    }
}

fn check_user(user: Option<&str>) -> Result<(), String> {
    match user {
        Some(user)
            if user.is_empty()
                || user.starts_with('-')
                || !user.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+%".contains(&b)) =>
        {
            Err(format!("`{}` is not a user", brief(user)))
        }
        _ => Ok(()),
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn brief(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Whether `path` can hold a repository at all, for a better word than git has.
pub(crate) fn check_local(path: &Path) -> Result<(), GitError> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(GitError::NotARepository { place: path.display().to_string() }),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(GitError::Authentication {
            place: path.display().to_string(),
            reason: "permission denied".to_owned(),
            hint: "let the user of the server read it".to_owned(),
        }),
        Err(_) => Err(GitError::NotFound { what: format!("the folder {}", path.display()) }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_forms_are_taken() {
        for (text, address, local) in [
            ("/srv/x.git", "/srv/x.git", true),
            ("file:///srv/x", "file:///srv/x", true),
            ("https://example.org/a/b.git", "https://example.org/a/b.git", false),
            ("HTTPS://u:p@example.org:8443/a", "https://example.org:8443/a", false),
            ("ssh://git@example.org:22/a", "ssh://git@example.org:22/a", false),
            ("git@example.org:a/b.git", "git@example.org:a/b.git", false),
            ("example.org:a", "example.org:a", false),
            ("https://[::1]:3000/a", "https://[::1]:3000/a", false),
        ] {
            let url = GitUrl::parse(text).unwrap();
            assert_eq!((url.address(), url.is_local()), (address, local), "{text}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        for text in [
            "",
            "-x",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c id",
            "fd::7",
            "ssh://-oProxyCommand=id/x",
            "ssh://git@-oProxyCommand=id/x",
            "ssh://-l@host/x",
            "-oProxyCommand=id:x",
            "git@-oX:x",
            "host:-x",
            "git://h/x",
            "ftp://h/x",
            "https://h",
            "https://h/",
            "https:///x",
            "https://h:99999/x",
            "x",
            "./x",
            "../x",
            "~/x",
            "a\nb",
            "/a\0b",
            "https://a b/x",
            "file://x",
            "https://h\\@evil/x",
            "ssh://u:p@h/x",
            ":x",
        ] {
            assert!(matches!(GitUrl::parse(text), Err(GitError::InvalidUrl { .. })), "{text}");
        }
    }

    #[test]
    fn secrets_are_kept_apart_and_out_of_sight() {
        let url = GitUrl::parse("https://deploy:s3cr%40t@example.org/a").unwrap();
        let credentials = url.credentials().unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("deploy", "s3cr@t"));
        assert_eq!(credentials.scope, "https://example.org");
        let said = url.redact("fatal: 'https://deploy:s3cr%40t@example.org/a' with s3cr@t or s3cr%40t by deploy");
        assert_eq!(said, "fatal: 'https://***@example.org/a' with *** or *** by deploy");
        let token = GitUrl::parse("https://ghp_token@example.org/a").unwrap();
        assert_eq!(token.redact("ghp_token was refused"), "*** was refused");
        let shown = format!("{url:?} {token} {}", GitUrl::parse("https://u:hunter2@/x").unwrap_err());
        assert!(!shown.contains("hunter2") && !shown.contains("s3cr") && !shown.contains("ghp_"), "{shown}");
    }

    #[test]
    fn submodules_count_from_their_parent() {
        let relative = |parent: &str, written: &str| {
            GitUrl::parse(parent).unwrap().submodule(written).map(|u| u.address().to_owned())
        };
        assert_eq!(relative("https://h/a/b.git", "../c.git").unwrap(), "https://h/a/c.git");
        assert_eq!(relative("https://h/a/b.git", "../../../../c").unwrap(), "https://h/c");
        assert_eq!(relative("git@h:a/b", "../c").unwrap(), "git@h:a/c");
        assert_eq!(relative("git@h:b", "../c").unwrap(), "git@h:c");
        assert_eq!(relative("/srv/a", "./c").unwrap(), "/srv/a/c");
        assert_eq!(relative("https://h/a", "https://h/b").unwrap(), "https://h/b");
        assert!(relative("https://h/a", "/etc/x").is_err());
        assert!(relative("https://h/a", "file:///etc/x").is_err());
        assert!(relative("/srv/a", "ext::id").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = GitUrl::parse(&text);
            redact_userinfo(&text);
        }

        #[test]
        fn a_password_is_never_shown(password in "[A-Za-z0-9%]{6,20}", tail in "[a-z@:/ ]{0,12}") {
            let text = format!("https://user:{password}@host/{tail}");
            let shown = match GitUrl::parse(&text) {
                Ok(url) => format!("{url:?} {} {}", url, url.redact(&format!("fatal: {text} {password}"))),
                Err(error) => error.to_string(),
            };
            prop_assert!(!shown.contains(&password), "{}", shown);
        }
    }
}
