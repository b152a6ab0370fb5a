//! Where symbolic links lead, without following them.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Whether the link at `link` (relative to a root, with the given target) stays inside of the root.
///
/// Every link on the way is resolved like the kernel would, as `a/../..` through a link `a`
/// leads elsewhere than its letters say. `read_link` gives the target of a path relative to
/// the root, `None` for what is no link.
pub(crate) fn stays_inside(link: &Path, target: &Path, read_link: impl Fn(&Path) -> Option<PathBuf>) -> bool {
    let mut at: Vec<OsString> = Vec::new();
    // What is still to be walked, the next part last.
    let mut ahead: Vec<Part> = Vec::new();
    if !push(&mut ahead, target) || !push(&mut ahead, link.parent().unwrap_or(Path::new(""))) {
        return false;
    }
    let mut followed = 0;
    while let Some(part) = ahead.pop() {
        match part {
            Part::Up => {
                if at.pop().is_none() {
                    return false;
                }
            }
            Part::Into(name) => {
                at.push(name);
                let here: PathBuf = at.iter().collect();
                if let Some(next) = read_link(&here) {
                    followed += 1;
                    at.pop();
                    // The kernel gives up at 40 too.
                    if followed > 40 || !push(&mut ahead, &next) {
                        return followed > 40;
                    }
                }
            }
        }
    }
    true
}

enum Part {
    Up,
    Into(OsString),
}

/// `false` for an absolute path.
fn push(ahead: &mut Vec<Part>, path: &Path) -> bool {
    for component in path.components().rev() {
        match component {
            Component::ParentDir => ahead.push(Part::Up),
            Component::Normal(name) => ahead.push(Part::Into(name.to_owned())),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_like_the_kernel_does() {
        let links = [("x/y/up", "../.."), ("deep", "x/y/z"), ("loop", "loop"), ("abs", "/etc")];
        let read = |path: &Path| links.iter().find(|(l, _)| Path::new(l) == path).map(|(_, t)| PathBuf::from(t));
        let check = |link: &str, target: &str, inside: bool| {
            assert_eq!(stays_inside(Path::new(link), Path::new(target), read), inside, "{link} -> {target}");
        };
        check("a", "b", true);
        check("a", "./x/../b", true);
        check("a", "..", false);
        check("a/b", "..", true);
        check("a/b", "../..", false);
        check("a", "/etc/passwd", false);
        check("a", "x/y/up/b", true);
        check("a", "x/y/up/../b", false);
        check("a", "deep/../../..", true);
        check("a", "deep/../../../..", false);
        check("a", "abs/passwd", false);
        check("a", "loop", true);
    }
}
