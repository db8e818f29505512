//! The ways to read the `file_name` of an image: as it is, with the other system's slashes, as an address, and without
//! what Label Studio adds.

/// A way to read a file name.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    /// With `/`, without `..`, `.` and empty parts.
    pub path: String,
    /// The folders as the name has them; `None` if they mean nothing here.
    pub folder: Option<String>,
    /// Whether folders in front may be those of another machine or server.
    pub is_of_other_place: bool,
}

/// The ways to read a file name, the likeliest first.
pub fn readings(text: &str) -> Vec<Name> {
    let mut names = Vec::new();
    let mut add = |path: &str, folder: Option<String>, is_of_other_place: bool| {
        if !path.is_empty() && !names.iter().any(|name: &Name| name.path == path) {
            names.push(Name { path: path.to_string(), folder, is_of_other_place });
        }
    };
    let folder = |text: &str| text[..text.rfind('/').map_or(0, |slash| slash + 1)].to_string();
    let slashes = text.replace('\\', "/");
    let is_of_other_place = is_of_other_place(&slashes);
    add(&plain(text), Some(folder(text)), is_of_other_place);
    add(&plain(&slashes), Some(folder(&slashes)), is_of_other_place);
    let located = located(&slashes);
    if located != slashes {
        add(&plain(&located), None, true);
    }
    // Label Studio puts such a prefix in front of the names of uploaded files.
    for (path, folder) in [(plain(&slashes), Some(folder(&slashes))), (plain(&located), None)] {
        let (folders, name) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
        if let Some(name) = without_prefix(name) {
            add(&format!("{folders}{name}"), folder, true);
        }
    }
    names
}

/// The path without `..`, `.` and empty parts.
fn plain(name: &str) -> String {
    name.split('/').filter(|part| !["", ".", ".."].contains(part)).collect::<Vec<_>>().join("/")
}

/// Whether a path with `/` starts at a server, at the root of a file system or above its folder.
fn is_of_other_place(path: &str) -> bool {
    let has_drive = path.as_bytes().get(1) == Some(&b':');
    path.contains("://") || path.starts_with('/') || path.starts_with("../") || has_drive
}

/// The path in an address: the parameter `d` of Label Studio's local files, or what stands in front of parameters;
/// without escapes.
fn located(address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let file = query.split('&').find_map(|parameter| parameter.strip_prefix("d="));
    unescaped(file.unwrap_or(path))
}

/// The text with `%20` and the like replaced; as it is where that is no UTF-8.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => (bytes.push(byte), rest = &behind[2..]).1,
            None => (bytes.push(first), rest = behind).1,
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_string())
}

/// The name behind 8 hexadecimal digits and a dash.
fn without_prefix(name: &str) -> Option<&str> {
    let (prefix, name) = name.split_once('-')?;
    let is_prefix = prefix.len() == 8 && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(name).filter(|name| is_prefix && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        readings(text).into_iter().map(|name| name.path).collect()
    }

    #[test]
    fn the_likeliest_reading_comes_first_and_none_comes_twice() {
        assert_eq!(paths("./train//a.jpg"), ["train/a.jpg"]);
        assert_eq!(paths("train\\a.jpg"), ["train\\a.jpg", "train/a.jpg"]);
        assert_eq!(paths("x/1a2b3c4d-a.jpg"), ["x/1a2b3c4d-a.jpg", "x/a.jpg"]);
        assert_eq!(paths("/data/local-files/?d=x/b%20c.jpg"), ["data/local-files/?d=x/b%20c.jpg", "x/b c.jpg"]);
        assert_eq!(paths("100%.jpg"), ["100%.jpg"]);
        assert_eq!(paths("a%zz%e9.jpg"), ["a%zz%e9.jpg"], "%e9 alone is no UTF-8");
        assert!(paths("").is_empty() && paths("..").is_empty());
    }

    #[test]
    fn names_of_servers_of_other_machines_and_from_above_are_of_another_place() {
        for name in ["s3://b/a.jpg", "/x/a.jpg", "C:\\x\\a.jpg", "../x/a.jpg", "..\\x\\a.jpg"] {
            assert!(readings(name)[0].is_of_other_place, "{name}");
        }
        assert!(!["a.jpg", "x/a.jpg", "x\\a.jpg", "./a.jpg"].iter().any(|name| readings(name)[0].is_of_other_place));
    }
}
