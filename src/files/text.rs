//! Text files that people and other programs wrote.

use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// The text of a file, and where it is not UTF-8.
pub struct Text {
    /// Without a byte order mark. U+FFFD stands for bytes that are not UTF-8.
    pub text: String,
    /// The line of the first byte that is not UTF-8, counted from 1, and the byte.
    pub fault: Option<(usize, u8)>,
}

/// What helps against [`Text::fault`].
pub const SAVE_AS_UTF8: &str =
    "the file seems to be in another encoding, such as GBK or Windows-1252; save it as UTF-8";

/// Reads a text file as far as it is UTF-8.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::BadFile`] if it is UTF-16.
pub fn read_lossy(path: &Path) -> Result<Text> {
    let bytes = fs::read(path).map_err(Error::io(path, "read it"))?;
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(Error::bad_file(path, "line 1: it is UTF-16; save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&bytes);
    let fault = std::str::from_utf8(bytes).err().map(|error| {
        let at = error.valid_up_to();
        (1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count(), bytes[at])
    });
    Ok(Text { text: String::from_utf8_lossy(bytes).into_owned(), fault })
}

/// The text of a file that must be UTF-8, without a byte order mark.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::BadFile`] with the line if it has another encoding.
pub fn read(path: &Path) -> Result<String> {
    let Text { text, fault } = read_lossy(path)?;
    match fault {
        None => Ok(text),
        Some(fault) => Err(not_utf8(path, fault)),
    }
}

/// The error for a [`Text::fault`].
pub fn not_utf8(path: &Path, (line, byte): (usize, u8)) -> Error {
    Error::bad_file(path, format!("line {line}: the byte 0x{byte:02X} is not UTF-8; {SAVE_AS_UTF8}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_another_encoding_is_named_with_its_line_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let read = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            super::read(&path).map_err(|error| error.to_string())
        };
        assert_eq!(read("\u{FEFF}caf\u{e9}\n".as_bytes()).unwrap(), "caf\u{e9}\n");
        let gbk = read(b"a\nb\n\xC6\xFB\xB3\xB5\n").unwrap_err();
        assert!(gbk.contains("line 3: ") && gbk.contains("0xC6") && gbk.contains("UTF-8"), "{gbk}");
        assert!(read(b"caf\xE9").unwrap_err().contains("line 1: "));
        assert!(read(b"\xFF\xFEa\0").unwrap_err().contains("UTF-16"));
    }
}
