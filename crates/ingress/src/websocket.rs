//! Where frames of a WebSocket begin and end, RFC 6455 section 5.2, so that a close can be said between two of them.

/// "Going away", from a server.
pub(crate) const CLOSE_TO_CLIENT: &[u8] = &[0x88, 2, 0x03, 0xe9];
/// The same from a client, whose frames are masked (here with zeros).
pub(crate) const CLOSE_TO_SERVER: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Of a frame's head, as far as it came.
    head: [u8; 14],
    have: usize,
    /// Of its payload, what is still to come.
    payload: u64,
}

impl Frames {
    /// What came so far are whole frames.
    pub(crate) fn is_between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// Takes `bytes` in. Gives the number of them that belong to the frame that was under way before, if it ended.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut first_end = if self.is_between() { Some(0) } else { None };
        let mut at = 0;
        while at < bytes.len() {
            if self.payload == 0 {
                self.head[self.have] = bytes[at];
                self.have += 1;
                at += 1;
                if self.have < self.needed() {
                    continue;
                }
                self.payload = self.length();
                self.have = 0;
            } else {
                let here = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len() - at);
                self.payload -= here as u64;
                at += here;
            }
            if self.payload == 0 {
                first_end = first_end.or(Some(at));
            }
        }
        first_end
    }

    /// Bytes of the head, as far as that can be told from those that came.
    fn needed(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        let extended = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + extended + mask
    }

    fn length(&self) -> u64 {
        match self.head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => self.head[2..10].iter().fold(0, |length, b| length << 8 | u64::from(*b)),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_followed_wherever_they_are_cut() {
        let mut text = vec![0x81, 3, b'a', b'b', b'c', 0x89, 0, 0x82, 126, 1, 0x2c];
        text.extend([7; 300]);
        text.extend([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 9, 9, 9, 9, 1, 2]);
        text.extend(CLOSE_TO_SERVER);
        let ends = [5, 7, 311, 327, text.len()];
        for cut in 0..=text.len() {
            let mut frames = Frames::default();
            frames.feed(&text[..cut]);
            assert_eq!(frames.is_between(), cut == 0 || ends.contains(&cut), "cut at {cut}");
            let next_end = ends.iter().find(|e| **e >= cut).map(|e| e - cut);
            let expected = if cut == 0 { Some(0) } else { next_end };
            assert_eq!(frames.feed(&text[cut..]), expected, "cut at {cut}");
            assert!(frames.is_between());
        }
        let mut bytewise = Frames::default();
        let between = text.iter().filter(|b| bytewise.feed(&[**b]).is_some_and(|_| bytewise.is_between())).count();
        assert_eq!(between, ends.len());
    }
}
