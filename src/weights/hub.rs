//! Repositories of the Hugging Face Hub: their names, the addresses of their weights, and the cache on this computer.

use crate::error::Result;
use crate::weights::locate;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{env, fs};

/// torchvision's weights (ImageNet) as a `.safetensors` file.
pub const DEFAULT_REPO: &str = "timm/vgg19.tv_in1k";

/// The name of the file with the weights, the same in every repository.
pub const FILE: &str = "model.safetensors";

/// The value of an environment variable, if it is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// `OWNER/NAME`, or `OWNER/NAME@REVISION`.
#[derive(Clone, Debug, PartialEq)]
pub struct Repo {
    name: String,
    revision: Option<String>,
}

impl FromStr for Repo {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, revision) = text.split_once('@').map_or((text, None), |(name, revision)| (name, Some(revision)));
        let parts: Vec<&str> =
            name.split('/').chain(revision.iter().flat_map(|revision| revision.split('/'))).collect();
        let plain = |part: &&str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !part.is_empty() && part.bytes().all(allowed) && !part.bytes().all(|byte| byte == b'.')
        };
        if name.split('/').count() != 2 || !parts.iter().all(plain) {
            return Err(format!("`{text}` is no OWNER/NAME or OWNER/NAME@REVISION, such as {DEFAULT_REPO}"));
        }
        Ok(Self { name: name.into(), revision: revision.map(Into::into) })
    }
}

impl std::fmt::Display for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.name)?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
    }
}

impl Repo {
    /// Whether `other` is this repository, and at this revision if this one names a revision.
    pub fn is(&self, other: &str) -> bool {
        let name = other.split('@').next();
        if self.revision.is_some() { other == self.to_string() } else { name == Some(&self.name) }
    }

    /// `OWNER/NAME@REVISION` with its own revision, else with `revision`, the one that was found.
    pub fn at(&self, revision: Option<&str>) -> String {
        match (&self.revision, revision) {
            (None, Some(revision)) => format!("{}@{revision}", self.name),
            _ => self.to_string(),
        }
    }

    /// The address of [`FILE`], on the server that `HF_ENDPOINT` names, by default huggingface.co.
    pub fn url(&self) -> String {
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let revision = self.revision.as_deref().unwrap_or("main").replace('/', "%2F");
        format!("{}/{}/resolve/{revision}/{FILE}", endpoint.trim_end_matches('/'), self.name)
    }

    /// [`FILE`] in the cache that the Hub's programs share, and its revision.
    ///
    /// The newest known commit of the revision is preferred. If no revision is asked for, any other one will do.
    pub fn in_hub_cache(&self) -> Option<(PathBuf, String)> {
        let folder = hub_cache()?.join(format!("models--{}", self.name.replace('/', "--")));
        let revision = self.revision.as_deref().unwrap_or("main");
        let commit = fs::read_to_string(folder.join("refs").join(revision)).map(|commit| commit.trim().to_string());
        let snapshot = |name: &str| folder.join("snapshots").join(name).join(FILE);
        let preferred = [commit.unwrap_or_default(), revision.to_string()];
        let mut names: Vec<String> = preferred.into_iter().filter(|name| !name.is_empty()).collect();
        if self.revision.is_none() {
            let others = fs::read_dir(folder.join("snapshots")).into_iter().flatten().flatten();
            names.extend(others.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        let found = names.into_iter().find(|name| snapshot(name).is_file())?;
        Some((snapshot(&found), found))
    }
}

/// `$HF_HUB_CACHE`, or `hub` in `$HF_HOME`, by default `~/.cache/huggingface`.
fn hub_cache() -> Option<PathBuf> {
    let set = |name: &str| variable(name).map(PathBuf::from);
    let home = || set("HF_HOME").or_else(|| Some(locate::cache_folder()?.join("huggingface")));
    set("HF_HUB_CACHE").or_else(|| Some(home()?.join("hub")))
}

/// The SHA-256 in the name of the file that `path` links to: the Hub's cache stores a large file under its digest.
pub fn digest_in_name(path: &Path) -> Option<String> {
    let name = fs::canonicalize(path).ok()?.file_name()?.to_string_lossy().into_owned();
    (name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| name.to_ascii_lowercase())
}

/// Whether `HF_HUB_OFFLINE` forbids the network.
pub fn offline() -> bool {
    variable("HF_HUB_OFFLINE").is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&&*value.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_parsed_and_errors_quote_them() {
        let repo = |text: &str| text.parse::<Repo>();
        assert_eq!(repo("a/b.c@refs/pr/1").unwrap().revision.as_deref(), Some("refs/pr/1"));
        for bad in ["a", "a/b/c", "/b", "a/", "a/b@", "../b", "a/..", "a/b@x//y", "a b/c", "a/b@é"] {
            assert!(repo(bad).unwrap_err().contains(bad), "{bad}");
        }
        assert!(repo("a/b@refs/pr/1").unwrap().url().ends_with("/a/b/resolve/refs%2Fpr%2F1/model.safetensors"));
        assert!(repo("a/b").unwrap().is("a/b@123") && !repo("a/b@12").unwrap().is("a/b@123"));
        assert_eq!(
            (repo("a/b").unwrap().at(Some("1")), repo("a/b@v").unwrap().at(Some("1"))),
            ("a/b@1".into(), "a/b@v".into())
        );
    }
}
