//! Extended headers of the pax format (POSIX.1-2008, pax, "pax Extended Header").

use super::error::ArchiveError;

/// What of it matters here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// The content is not what the file has: GNU's sparse files.
    pub(super) sparse: bool,
}

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the records `LENGTH KEY=VALUE\n`; a length counts its own digits, and a value may hold anything.
pub(super) fn parse(mut records: &[u8]) -> Result<Extended, ArchiveError> {
    let mut found = Extended::default();
    while !records.is_empty() {
        let (record, rest) = split(records).ok_or_else(|| ArchiveError::damaged("an extended header is not one"))?;
        records = rest;
        let (key, value) = record;
        match key {
            b"path" => found.path = Some(value.to_vec()),
            b"linkpath" => found.link = Some(value.to_vec()),
            b"size" => {
                let size = number(value).ok_or_else(|| ArchiveError::damaged("an extended header has a wrong size"))?;
                found.size = Some(size);
            }
            _ => found.sparse |= key.starts_with(b"GNU.sparse."),
        }
    }
    Ok(found)
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split(records: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = records.iter().take(20).position(|b| *b == b' ')?;
    let length = usize::try_from(number(&records[..space])?).ok()?;
    let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), &records[length..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_length() {
        let found = parse(b"30 mtime=1350244992.023960108\n12 path=a\nb\n9 size=7\n15 linkpath=x=\n").unwrap();
        assert_eq!(found.path.unwrap(), b"a\nb");
        assert_eq!(found.link.unwrap(), b"x=");
        assert_eq!((found.size, found.sparse), (Some(7), false));
        assert!(parse(b"22 GNU.sparse.major=1\n").unwrap().sparse);
        assert!(parse(b"").unwrap().is_empty());
        for bad in [
            &b"9 size=-\n"[..],
            b"10 size=+1\n",
            b"99 path=a\n",
            b"0 path=a\n",
            b"3 \n",
            b"path=a\n",
            b"9 path=a ",
            b"18446744073709551615 path=a\n",
            b"8 patha\n",
            b"30 size=99999999999999999999\n",
        ] {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
