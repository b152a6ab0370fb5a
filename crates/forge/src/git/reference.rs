//! Names of branches, tags and commits: which are allowed, and which one a remote means by them.

use domain::config::nearest;

use crate::error::GitError;

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Default,
    /// A branch or tag, or a full name that begins with `refs/`.
    Named(String),
    /// Hexadecimal digits that may be a commit as well as a name.
    NameOrCommit(String),
}

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A full name that the remote has.
    Ref(String),
    /// A whole commit id: that commit and no other, whatever branches and tags are called or point at.
    Commit(String),
    /// The beginning of a commit id: only the whole history can tell.
    Abbreviated(String),
}

/// What a remote has, as `git ls-remote --symref` prints it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Full name of the branch that HEAD points at.
    head: Option<String>,
    has_head: bool,
    /// Full names and what they point at; for an annotated tag its commit.
    refs: Vec<(String, String)>,
}

impl Reference {
    /// A full name that is neither a branch nor a tag, such as `refs/pull/7/head`.
    pub(crate) fn elsewhere(&self) -> Option<&str> {
        match self {
            Self::Named(name)
                if name.starts_with("refs/") && !name.starts_with("refs/heads/") && !name.starts_with("refs/tags/") =>
            {
                Some(name)
            }
            _ => None,
        }
    }

    pub(crate) fn parse(text: Option<&str>) -> Result<Self, GitError> {
        let Some(text) = text else {
            return Ok(Self::Default);
        };
        let invalid = |reason: &str| {
            Err(GitError::InvalidReference {
                reference: text.chars().filter(|c| !c.is_control()).take(80).collect(),
                reason: reason.to_owned(),
            })
        };
        if text.is_empty() {
            return invalid("it is empty");
        }
        if text.len() > 250 {
            return invalid("it has more than 250 characters");
        }
        if text.starts_with('-') {
            return invalid(
                "it begins with `-`, like an option; write `refs/heads/…` in front if it is really called so",
            );
        }
        if text.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c)) {
            return invalid("it holds a space, a control character or one of ~^:?*[\\");
        }
        let part = |p: &str| !p.is_empty() && !p.starts_with('.') && !p.ends_with(".lock");
        if !text.split('/').all(part) || text.contains("..") || text.contains("@{") || text.ends_with('.') {
            return invalid("git allows no such name");
        }
        Ok(match text {
            "HEAD" | "@" => Self::Default,
            _ if (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Self::NameOrCommit(text.to_owned())
            }
            _ => Self::Named(text.to_owned()),
        })
    }
}

impl Remote {
    pub(crate) fn parse(listing: &str) -> Self {
        let mut remote = Self::default();
        for line in listing.lines() {
            let Some((value, name)) = line.split_once('\t') else {
                continue;
            };
            if let Some(target) = value.strip_prefix("ref: ") {
                if name == "HEAD" {
                    remote.head = Some(target.to_owned());
                }
            } else if name == "HEAD" {
                remote.has_head = true;
            } else if let Some(tag) = name.strip_suffix("^{}") {
                match remote.refs.iter_mut().find(|(known, _)| known == tag) {
                    Some((_, target)) => *target = value.to_owned(),
                    None => remote.refs.push((tag.to_owned(), value.to_owned())),
                }
            } else if !name.starts_with("refs/remotes/") {
                remote.refs.push((name.to_owned(), value.to_owned()));
            }
        }
        remote
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.refs.is_empty() && !self.has_head
    }

    /// Digits of a commit id: 40, or 64 for SHA-256.
    pub(crate) fn id_length(&self) -> usize {
        self.refs.first().map_or(40, |(_, id)| id.len())
    }

    /// What `reference` means here. A whole commit id is that commit: what was pinned stays so when a branch moves, or is given
    /// its name. Else a branch wins over a tag of the same name, and both over the beginning of a commit's id.
    pub(crate) fn resolve(&self, place: &str, reference: &Reference) -> Result<Wanted, GitError> {
        let not_found = |name: &str| GitError::ReferenceNotFound {
            place: place.to_owned(),
            reference: name.to_owned(),
            near: self.near(name),
        };
        match reference {
            Reference::Default => match &self.head {
                Some(head) if self.has(head) => Ok(Wanted::Ref(head.clone())),
                _ if self.has_head => Ok(Wanted::Ref("HEAD".to_owned())),
                // The branch that HEAD names was never pushed; a common one may be there instead.
                _ => ["refs/heads/main", "refs/heads/master"]
                    .into_iter()
                    .find(|name| self.has(name))
                    .map(|name| Wanted::Ref(name.to_owned()))
                    .ok_or_else(|| not_found(self.head.as_deref().map_or("HEAD", short))),
            },
            Reference::Named(name) => self.named(name).map(Wanted::Ref).ok_or_else(|| not_found(name)),
            Reference::NameOrCommit(name) => {
                let id = name.to_ascii_lowercase();
                if id.len() == self.id_length() {
                    return Ok(Wanted::Commit(id));
                }
                Ok(match self.named(name) {
                    Some(name) => Wanted::Ref(name),
                    None if id.len() > self.id_length() => return Err(not_found(name)),
                    None => Wanted::Abbreviated(id),
                })
            }
        }
    }

    /// The full id of the commit, if the remote has said it. That of an annotated tag is its commit's: see `parse`.
    pub(crate) fn id_of(&self, wanted: &Wanted) -> Option<String> {
        match wanted {
            Wanted::Ref(name) => self.refs.iter().find(|(known, _)| known == name).map(|(_, id)| id.clone()),
            Wanted::Commit(id) => self.refs.iter().any(|(_, known)| known == id).then(|| id.clone()),
            Wanted::Abbreviated(_) => None,
        }
    }

    /// Names that somebody may have meant: at most three.
    pub(crate) fn near(&self, name: &str) -> Vec<String> {
        let mut names: Vec<&str> = self.refs.iter().map(|(name, _)| short(name)).collect();
        names.dedup();
        let mut near: Vec<String> = Vec::new();
        while near.len() < 3 {
            let Some(next) = nearest(name, &names) else {
                break;
            };
            names.retain(|n| *n != next);
            near.push(next.to_owned());
        }
        // Without a similar one, the names there are help if they are few.
        if near.is_empty() && names.len() <= 3 {
            near.extend(names.iter().map(|n| (*n).to_owned()));
        }
        near
    }

    fn named(&self, name: &str) -> Option<String> {
        if name.starts_with("refs/") {
            return self.has(name).then(|| name.to_owned());
        }
        [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")]
            .into_iter()
            .find(|full| self.has(full))
    }

    fn has(&self, name: &str) -> bool {
        self.refs.iter().any(|(known, _)| known == name)
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn remote() -> Remote {
        let id = |c: &str| c.repeat(40);
        Remote::parse(&format!(
            "ref: refs/heads/main\tHEAD\n{a}\tHEAD\n{a}\trefs/heads/main\n{b}\trefs/heads/release\n{b}\trefs/heads/beef\n{b}\trefs/heads/{f}\n{c}\trefs/tags/v1.0\n{d}\trefs/tags/v1.0^{{}}\n",
            a = id("a"),
            b = id("b"),
            c = id("c"),
            d = id("d"),
            f = id("f"),
        ))
    }

    #[test]
    fn names_are_resolved() {
        let check = |text: Option<&str>, expected: Wanted| {
            assert_eq!(remote().resolve("x", &Reference::parse(text).unwrap()).unwrap(), expected, "{text:?}");
        };
        let named = |name: &str| Wanted::Ref(name.to_owned());
        check(None, named("refs/heads/main"));
        check(Some("HEAD"), named("refs/heads/main"));
        check(Some("release"), named("refs/heads/release"));
        check(Some("v1.0"), named("refs/tags/v1.0"));
        check(Some("tags/v1.0"), named("refs/tags/v1.0"));
        check(Some("refs/tags/v1.0"), named("refs/tags/v1.0"));
        check(Some("beef"), named("refs/heads/beef"));
        // Of a tag's commit, too, and of one that shares its id with the name of a branch.
        check(Some(&"d".repeat(40)), Wanted::Commit("d".repeat(40)));
        check(Some(&"f".repeat(40)), Wanted::Commit("f".repeat(40)));
        check(Some(&format!("refs/heads/{}", "f".repeat(40))), named(&format!("refs/heads/{}", "f".repeat(40))));
        check(Some(&"E".repeat(40)), Wanted::Commit("e".repeat(40)));
        check(Some("abcd"), Wanted::Abbreviated("abcd".to_owned()));
    }

    #[test]
    fn unknown_names_have_neighbours() {
        let error = remote().resolve("/srv/x", &Reference::parse(Some("mian")).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "/srv/x has no branch, tag or commit `mian`; did you mean `main`?");
        assert!(remote().near("v1.1").contains(&"v1.0".to_owned()));
    }

    #[test]
    fn a_head_that_was_never_pushed_falls_back() {
        let id = "a".repeat(40);
        let one = Remote::parse(&format!("{id}\trefs/heads/main\n"));
        assert_eq!(one.resolve("x", &Reference::Default).unwrap(), Wanted::Ref("refs/heads/main".into()));
        let other = Remote::parse(&format!("{id}\trefs/heads/work\n"));
        let error = other.resolve("x", &Reference::Default).unwrap_err();
        assert!(error.to_string().contains("did you mean `work`"), "{error}");
        assert!(Remote::parse("").is_empty());
    }

    #[test]
    fn tricks_are_refused() {
        for text in [
            "", "-x", "--all", "a b", "a..b", "a:b", "a^", "a~1", "a\nb", "/a", "a/", "a//b", ".a", "a.lock", "a@{1}",
            "a*", "a.",
        ] {
            assert!(matches!(Reference::parse(Some(text)), Err(GitError::InvalidReference { .. })), "{text}");
        }
        assert_eq!(Reference::parse(Some("refs/heads/-x")).unwrap(), Reference::Named("refs/heads/-x".into()));
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>(), listing in "[a-f0-9\\t\\n/^{}: refsHEAD]{0,80}") {
            if let Ok(reference) = Reference::parse(Some(&text)) {
                let _ = Remote::parse(&listing).resolve("x", &reference);
            }
        }
    }
}
