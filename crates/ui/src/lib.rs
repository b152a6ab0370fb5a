//! The web interface as files inside of the binary.
//!
//! `make web` builds `web/` into `web/dist`; the build script of this crate puts that in, each file as it is and
//! compressed with brotli. A leaf: only the binary sees it, so that a change of a page compiles nothing else. Nothing here
//! knows HTTP: which file answers which path is decided in the server. The guides are in here, too, as blocks of text.

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Below the root, without a slash at its beginning: `assets/index-B1x.js`.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Changes with its bytes; without quotes.
    pub etag: &'static str,
    pub bytes: &'static [u8],
    /// The same compressed, where that is worth it.
    pub brotli: Option<&'static [u8]>,
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The documents of `docs/`, as JSON: a list of what `domain::guide` calls a guide.
pub static GUIDES: &str = include_str!(concat!(env!("OUT_DIR"), "/guides.json"));

/// The file of this path, if there is one.
pub fn file(path: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().and_then(|at| FILES.get(at))
}

/// Whether the pages are in this binary, rather than one that says they are not.
pub fn is_whole() -> bool {
    file("index.html").is_some_and(|page| page.etag != "missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_and_each_file_is_found_by_its_path() {
        assert!(file("index.html").is_some_and(|page| page.kind.starts_with("text/html")));
        for each in FILES {
            assert_eq!(file(each.path).map(|found| found.etag), Some(each.etag), "{}", each.path);
            assert!(!each.bytes.is_empty() && !each.path.starts_with('/'), "{}", each.path);
            assert!(each.brotli.is_none_or(|small| small.len() < each.bytes.len()), "{}", each.path);
        }
        assert!(file("").is_none() && file("../Cargo.toml").is_none());
    }
}
