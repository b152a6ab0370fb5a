//! A text as a QR code, as the path of an SVG picture.

use qrcodegen::{QrCode, QrCodeEcc};

/// A square of `size` x `size` units, a quiet zone of four units included. `path` fills the dark ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub size: u32,
    pub path: String,
}

/// The text is too long for a QR code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for a QR code")]
pub struct TooLong;

const QUIET: i32 = 4;

/// # Errors
/// [`TooLong`] above some 2,300 bytes.
pub fn picture(text: &str) -> Result<Picture, TooLong> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(|_| TooLong)?;
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let length = (x..size).take_while(|x| code.get_module(*x, y)).count() as i32;
            if length > 0 {
                path += &format!("M{} {}h{length}v1h-{length}z", x + QUIET, y + QUIET);
            }
            x += length + 1;
        }
    }
    Ok(Picture { size: (size + 2 * QUIET).unsigned_abs(), path })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_path_draws_the_code() {
        let text = "otpauth://totp/Plimsoll:jo%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Plimsoll";
        let picture = picture(text).unwrap();
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
        assert_eq!(picture.size as i32, code.size() + 8);
        // Draw it, and hold it against the code.
        let size = picture.size as usize;
        let mut drawn = vec![vec![false; size]; size];
        for run in picture.path.split('z').filter(|run| !run.is_empty()) {
            let (start, rest) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
            let (x, y) = start.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let length: usize = rest.split_once('v').unwrap().0.parse().unwrap();
            drawn[y][x..x + length].fill(true);
        }
        for y in 0..size as i32 {
            for x in 0..size as i32 {
                assert_eq!(drawn[y as usize][x as usize], code.get_module(x - QUIET, y - QUIET), "{x} {y}");
            }
        }
        assert!(super::picture(&"x".repeat(5_000)).is_err());
    }
}
