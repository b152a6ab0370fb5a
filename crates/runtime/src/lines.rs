//! From a stream of bytes to lines.

/// Longer lines are cut into pieces of this many bytes.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Keeps the unfinished line between two reads.
#[derive(Default)]
pub(crate) struct Splitter {
    partial: Vec<u8>,
}

impl Splitter {
    /// Calls `line` for each line that `bytes` completes, without its line end.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = LONGEST - self.partial.len();
            let end = bytes.iter().take(room + 1).position(|b| *b == b'\n');
            match end {
                Some(end) if self.partial.is_empty() => line(trim(&bytes[..end])),
                Some(end) => {
                    self.partial.extend_from_slice(&bytes[..end]);
                    line(trim(&self.partial));
                    self.partial.clear();
                }
                None if bytes.len() > room => {
                    self.partial.extend_from_slice(&bytes[..room]);
                    line(&self.partial);
                    self.partial.clear();
                    bytes = &bytes[room..];
                    continue;
                }
                None => {
                    self.partial.extend_from_slice(bytes);
                    return;
                }
            }
            let end = end.unwrap_or_default();
            bytes = &bytes[end + 1..];
        }
    }

    /// The stream has ended, or a pause was reached at which the rest counts as a line.
    pub(crate) fn finish(&mut self, line: impl FnOnce(&[u8])) {
        if !self.partial.is_empty() {
            line(trim(&self.partial));
            // Gives the memory back: an idle supervisor stays small.
            self.partial = Vec::new();
        }
    }
}

fn trim(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.push(chunk, |l| lines.push(l.to_vec()));
        }
        splitter.finish(|l| lines.push(l.to_vec()));
        lines
    }

    #[test]
    fn lines_come_whole_however_the_bytes_arrive() {
        let text = b"one\ntwo\r\n\nthree";
        let want: Vec<Vec<u8>> = vec![b"one".to_vec(), b"two".to_vec(), b"".to_vec(), b"three".to_vec()];
        assert_eq!(split(&[text]), want);
        for cut in 0..text.len() {
            assert_eq!(split(&[&text[..cut], &text[cut..]]), want, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&bytes), want);
    }

    #[test]
    fn long_lines_are_cut_and_nothing_is_lost() {
        for extra in [0, 1, 10, LONGEST, LONGEST + 1] {
            let long = vec![b'x'; LONGEST + extra];
            let with_end = [long.as_slice(), b"\nafter\n"].concat();
            for chunk in [1000, LONGEST, LONGEST + 1, with_end.len()] {
                let chunks: Vec<&[u8]> = with_end.chunks(chunk).collect();
                let lines = split(&chunks);
                assert!(lines.iter().all(|l| l.len() <= LONGEST), "{extra} {chunk}");
                assert_eq!(lines.last().map(Vec::as_slice), Some(b"after".as_slice()));
                assert_eq!(lines[..lines.len() - 1].concat(), long, "{extra} {chunk}");
            }
        }
    }
}
