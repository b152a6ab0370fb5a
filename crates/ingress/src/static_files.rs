//! Files of a release: only those inside its folder, none that begin with a dot.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tower_http::services::ServeFile;
use tower_http::services::fs::ServeFileSystemResponseBody;

/// What came of a request for a file.
pub(crate) enum Served {
    File(Response<ServeFileSystemResponseBody>),
    /// One of the ingress's own pages.
    Page(StatusCode),
    /// A redirect or `304`.
    Empty(Response<()>),
    /// The release's folder is not there.
    Gone,
}

/// What a path leads to.
#[derive(Debug, PartialEq)]
enum Found {
    File(PathBuf),
    /// A folder whose path lacks the final slash, without which its relative links lead elsewhere.
    Folder,
    Nothing,
}

pub(crate) async fn serve(
    root: &Path,
    prefix: &str,
    single_page: bool,
    release: &HeaderValue,
    request: &Request<()>,
) -> Served {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Served::Page(StatusCode::METHOD_NOT_ALLOWED);
    }
    let path = request.uri().path();
    let rest = path.strip_prefix(prefix).unwrap_or(path);
    let segments = segments(rest);
    let is_hidden = segments.is_none();
    let (base, slash) = (root.to_owned(), rest.ends_with('/'));
    let found = tokio::task::spawn_blocking(move || {
        if !base.is_dir() {
            return None;
        }
        let found = segments.map_or(Found::Nothing, |s| find(&base, &s, slash));
        Some(match found {
            Found::Nothing if single_page && !is_hidden => {
                (StatusCode::OK, find(&base, &["index.html".to_owned()], false))
            }
            Found::Nothing => (StatusCode::NOT_FOUND, find(&base, &["404.html".to_owned()], false)),
            found => (StatusCode::OK, found),
        })
    });
    match found.await {
        Ok(Some((status, Found::File(file)))) => match send(&file, status, release, request).await {
            Ok(served) => served,
            Err(e) => {
                tracing::warn!(file = %file.display(), error = %e, "can't read a release's file");
                Served::Page(StatusCode::INTERNAL_SERVER_ERROR)
            }
        },
        Ok(Some((_, Found::Folder))) => Served::Empty(with_slash(request)),
        Ok(None) => Served::Gone,
        Ok(Some((_, Found::Nothing))) => Served::Page(StatusCode::NOT_FOUND),
        Err(_) => Served::Page(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The decoded segments of a path, or none if it must not lead anywhere.
fn segments(path: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    for raw in path.split('/').filter(|s| !s.is_empty()) {
        let segment = decoded(raw)?;
        let is_allowed_dot = segments.is_empty() && segment == ".well-known";
        if segment.contains(['/', '\\', '\0']) || (segment.starts_with('.') && !is_allowed_dot) {
            return None;
        }
        segments.push(segment);
    }
    Some(segments)
}

fn decoded(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digit = |b: u8| char::from(b).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

/// The file that a path leads to, links followed as long as they stay inside `root`.
fn find(root: &Path, segments: &[String], slash: bool) -> Found {
    let Ok(root) = root.canonicalize() else {
        return Found::Nothing;
    };
    let Some(path) = inside(&root, &segments.iter().fold(root.clone(), |p, s| p.join(s))) else {
        return Found::Nothing;
    };
    if path.is_dir() {
        return match inside(&root, &path.join("index.html")) {
            Some(index) if index.is_file() => {
                if slash || segments.is_empty() {
                    Found::File(index)
                } else {
                    Found::Folder
                }
            }
            _ => Found::Nothing,
        };
    }
    if path.is_file() && !slash { Found::File(path) } else { Found::Nothing }
}

/// The real path, if it exists inside `root` and no link led to a hidden file.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    let below = real.strip_prefix(root).ok()?;
    let mut names = below.iter().enumerate();
    let is_hidden =
        names.any(|(n, name)| name.to_string_lossy().starts_with('.') && !(n == 0 && name == ".well-known"));
    if is_hidden { None } else { Some(real) }
}

async fn send(file: &Path, status: StatusCode, release: &HeaderValue, request: &Request<()>) -> io::Result<Served> {
    let tag = tag(file, release)?;
    let mut parts = Request::new(()).into_parts().0;
    parts.method = request.method().clone();
    parts.headers = request.headers().clone();
    if status != StatusCode::OK {
        parts.headers = HeaderMap::new();
    } else if names_tag(&parts.headers, header::IF_NONE_MATCH, &tag) {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        label(response.headers_mut(), tag);
        return Ok(Served::Empty(response));
    }
    // Tags are compared above, as ours name the release and those of the file server don't.
    if parts.headers.remove(header::IF_NONE_MATCH).is_some() {
        parts.headers.remove(header::IF_MODIFIED_SINCE);
    }
    parts.headers.remove(header::IF_MATCH);
    if parts.headers.contains_key(header::IF_RANGE) {
        if !names_tag(&parts.headers, header::IF_RANGE, &tag) {
            parts.headers.remove(header::RANGE);
        }
        parts.headers.remove(header::IF_RANGE);
    }
    let mut response = ServeFile::new(file).try_call(Request::from_parts(parts, ())).await?;
    if status != StatusCode::OK {
        *response.status_mut() = status;
    }
    label(response.headers_mut(), tag);
    name_charset(response.headers_mut());
    Ok(Served::File(response))
}

fn label(headers: &mut HeaderMap, tag: HeaderValue) {
    headers.insert(header::ETAG, tag);
    // Asked for anew each time, so that a deployment shows at once; the tag makes that cheap.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Text without a charset is shown in whatever the browser guesses; nearly all of it is UTF-8.
fn name_charset(headers: &mut HeaderMap) {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/")
        && !kind.contains("charset")
        && let Ok(kind) = HeaderValue::from_str(&format!("{kind}; charset=utf-8"))
    {
        headers.insert(header::CONTENT_TYPE, kind);
    }
}

/// A release never changes, so its id with the file's time and length names the content, even if builds set all
/// times to the same moment.
fn tag(file: &Path, release: &HeaderValue) -> io::Result<HeaderValue> {
    let meta = file.metadata()?;
    let time = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let release = release.to_str().unwrap_or_default();
    HeaderValue::from_str(&format!("\"{release}-{time:x}-{:x}\"", meta.len())).map_err(io::Error::other)
}

fn names_tag(headers: &HeaderMap, name: header::HeaderName, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().unwrap_or_default();
    let lists = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    lists.flat_map(|l| l.split(',')).map(str::trim).any(|t| t == "*" || t.trim_start_matches("W/") == tag)
}

fn with_slash(request: &Request<()>) -> Response<()> {
    let (path, query) = (request.uri().path(), request.uri().query());
    // One slash in front, as `//name` would be another host.
    let path = path.trim_start_matches('/');
    let target = query.map_or_else(|| format!("/{path}/"), |q| format!("/{path}/?{q}"));
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(target) = HeaderValue::from_str(&target) {
        response.headers_mut().insert(header::LOCATION, target);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_lead_to_files_of_the_folder_only() {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("root"), temp.path().join("outside"));
        for dir in ["docs", ".git", ".well-known", "docs/.hidden"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::create_dir_all(&outside).unwrap();
        for file in
            ["index.html", "a b.txt", ".env", ".git/config", ".well-known/x", "docs/index.html", "docs/.hidden/x"]
        {
            fs::write(root.join(file), file).unwrap();
        }
        fs::write(outside.join("secret"), "secret").unwrap();
        symlink(outside.join("secret"), root.join("link")).unwrap();
        symlink(&outside, root.join("out")).unwrap();
        symlink(root.join(".env"), root.join("env.txt")).unwrap();
        symlink("index.html", root.join("home.html")).unwrap();
        let look = |path: &str| segments(path).map_or(Found::Nothing, |s| find(&root, &s, path.ends_with('/')));
        let file = |path: &str| Found::File(root.canonicalize().unwrap().join(path));
        for (path, expected) in [
            ("/", file("index.html")),
            ("", file("index.html")),
            ("/a%20b.txt", file("a b.txt")),
            ("/home.html", file("index.html")),
            ("/docs/", file("docs/index.html")),
            ("//docs//index.html", file("docs/index.html")),
            ("/docs", Found::Folder),
            ("/.well-known/x", file(".well-known/x")),
        ] {
            assert_eq!(look(path), expected, "{path}");
        }
        for path in [
            "/.env",
            "/%2eenv",
            "/.git/config",
            "/docs/.hidden/x",
            "/env.txt",
            "/link",
            "/out/secret",
            "/../outside/secret",
            "/%2e%2e/outside/secret",
            "/..%2foutside%2fsecret",
            "/docs/%2e%2e/%2e%2e/outside/secret",
            "/a%00",
            "/%",
            "/%zz",
            "/..%5coutside",
            "/index.html/",
            "/docs/.well-known/x",
            "/missing",
            "/%ff",
        ] {
            assert_eq!(look(path), Found::Nothing, "{path}");
        }
    }
}
