//! Files of the Hugging Face Hub and of servers like it: what they are called, and their bytes by range.

use crate::error::{Error, Result};
use crate::weights::locate;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use std::{env, fs};
use ureq::http::header::{self, HeaderMap, HeaderName};
use ureq::http::{Response, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader, Proxy};

/// torchvision's weights (ImageNet) as a `.safetensors` file.
pub const DEFAULT_REPO: &str = "timm/vgg19.tv_in1k";

/// What the file is called in every repository.
pub const FILE: &str = "model.safetensors";

/// How long a server may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may say nothing.
const STALL: Duration = Duration::from_secs(30);

const MOST_REDIRECTS: usize = 10;

/// Bytes that are rather read and thrown away than jumped over with a new request.
const SKIP: u64 = 256 << 10;

/// A variable of the environment that is set to something.
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
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !part.is_empty() && part.bytes().all(known) && !part.bytes().all(|byte| byte == b'.')
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
    /// Whether `other` names it too, at this revision if one was asked for.
    pub fn is(&self, other: &str) -> bool {
        let name = other.split('@').next();
        if self.revision.is_some() { other == self.to_string() } else { name == Some(&self.name) }
    }

    /// With the revision that was found to be the newest.
    pub fn at(&self, revision: Option<&str>) -> String {
        match (&self.revision, revision) {
            (None, Some(revision)) => format!("{}@{revision}", self.name),
            _ => self.to_string(),
        }
    }

    /// Where the file is, at `HF_ENDPOINT` if that is set.
    pub fn url(&self) -> String {
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let revision = self.revision.as_deref().unwrap_or("main").replace('/', "%2F");
        format!("{}/{}/resolve/{revision}/{FILE}", endpoint.trim_end_matches('/'), self.name)
    }

    /// The file in the cache that other programs of the Hub share, and its revision.
    pub fn in_hub_cache(&self) -> Option<(PathBuf, String)> {
        let folder = hub_cache()?.join(format!("models--{}", self.name.replace('/', "--")));
        let wanted = self.revision.as_deref().unwrap_or("main");
        let commit = fs::read_to_string(folder.join("refs").join(wanted)).map(|commit| commit.trim().to_string());
        let snapshot = |name: &str| folder.join("snapshots").join(name).join(FILE);
        let known = [commit.unwrap_or_default(), wanted.to_string()];
        let mut names: Vec<String> = known.into_iter().filter(|name| !name.is_empty()).collect();
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

/// The SHA-256 by which the Hub's cache calls what `path` links to.
pub fn digest_in_name(path: &Path) -> Option<String> {
    let name = fs::canonicalize(path).ok()?.file_name()?.to_string_lossy().into_owned();
    (name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| name.to_ascii_lowercase())
}

/// Whether `HF_HUB_OFFLINE` forbids the network.
pub fn offline() -> bool {
    variable("HF_HUB_OFFLINE").is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&&*value.to_ascii_uppercase()))
}

/// Why bytes did not come.
#[derive(Debug)]
pub enum RemoteError {
    /// It would fail again.
    Final(Error),
    /// Another try may help, after some time if the server names one.
    Passing { why: String, wait: Option<Duration> },
}

impl From<Error> for RemoteError {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// One file on a server.
pub struct Remote {
    url: String,
    token: Option<String>,
    roots: RootCerts,
    open: Option<Answer>,
    /// What the server calls the content, by the first answer.
    identity: Option<String>,
    revision: Option<String>,
}

/// Bytes that a server is sending.
struct Answer {
    reader: BodyReader<'static>,
    at: u64,
    end: u64,
    /// It sends everything from the start, whatever range was asked for.
    whole: bool,
}

impl Remote {
    /// The file at `url`, with `HF_TOKEN` and trusting `SSL_CERT_FILE`, if these are set. Nothing is asked yet.
    ///
    /// # Errors
    /// When `SSL_CERT_FILE` holds no certificates.
    pub fn new(url: String) -> Result<Self> {
        let roots = variable("SSL_CERT_FILE").map_or(Ok(RootCerts::WebPki), |path| certificates(Path::new(&path)))?;
        Ok(Self { url, token: variable("HF_TOKEN"), roots, open: None, identity: None, revision: None })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the server calls the content; it changes with it. Known once something was read.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The commit that the content is of, where the server tells.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Fills as much of `buffer` as comes at once with what begins at byte `from`; all that will be read lies before
    /// byte `to`. Reading on where the last call stopped costs no new request.
    ///
    /// # Errors
    /// [`RemoteError`]; the next call begins with a new request.
    pub fn read(&mut self, from: u64, to: u64, buffer: &mut [u8]) -> Result<usize, RemoteError> {
        let mut answer = match self.open.take() {
            Some(answer) if answer.leads_to(from) => answer,
            _ => self.request(from, to)?,
        };
        answer.skip_to(from)?;
        let most = buffer.len().min((answer.end.min(to) - from) as usize);
        let read = answer.reader.read(&mut buffer[..most]).map_err(broken)?;
        if read == 0 {
            return Err(passing("the server closed the connection before the end"));
        }
        answer.at += read as u64;
        self.open = Some(answer);
        Ok(read)
    }

    /// Asks for bytes `from` up to `to`, through redirects. The token goes to the first server alone.
    fn request(&mut self, from: u64, to: u64) -> Result<Answer, RemoteError> {
        let first = self.url.parse::<Uri>().map_err(|e| self.fail(format!("is no address: {e}")))?;
        let mut uri = first.clone();
        let mut identity = None;
        for _ in 0..=MOST_REDIRECTS {
            let token = self.token.as_deref().filter(|_| origin(&uri) == origin(&first));
            let response = self.ask(&uri, token, from, to)?;
            let headers = response.headers();
            self.revision = self.revision.take().or_else(|| text(headers, "x-repo-commit"));
            identity = identity.or_else(|| text(headers, "x-linked-etag"));
            match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => uri = self.redirect(&uri, text(headers, "location"))?,
                200 | 206 => {
                    let identity =
                        identity.or_else(|| ["etag", "last-modified"].iter().find_map(|&n| text(headers, n)));
                    let answer = self.accept(response, from)?;
                    if self.identity.get_or_insert_with(|| identity.clone().unwrap_or_default())
                        != &identity.unwrap_or_default()
                    {
                        return Err(self
                            .fail("the file changed while it was downloaded; run the command again".into())
                            .into());
                    }
                    return Ok(answer);
                }
                code => return Err(self.refusal(code, headers)),
            }
        }
        Err(self.fail(format!("the server redirects more than {MOST_REDIRECTS} times")).into())
    }

    fn ask(&self, uri: &Uri, token: Option<&str>, from: u64, to: u64) -> Result<Response<Body>, RemoteError> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(STALL))
            .timeout_per_write(Some(STALL))
            .user_agent(concat!("augment/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .proxy(proxy_for(uri)?)
            .tls_config(TlsConfig::builder().root_certs(self.roots.clone()).build())
            .build()
            .into();
        let mut request = agent.get(uri).header(header::RANGE, format!("bytes={from}-{}", to - 1));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.call().map_err(|error| match error {
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::Pem(_) => self.untrusted(&error).into(),
            ureq::Error::Io(io) if io.kind() == io::ErrorKind::InvalidData => self.untrusted(&io).into(),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => self.fail(error.to_string()).into(),
            ureq::Error::HostNotFound => passing(format!("no address is known for {}", uri.host().unwrap_or_default())),
            error => broken(error.into_io()),
        })
    }

    /// Makes sure that the answer holds byte `from`.
    fn accept(&self, response: Response<Body>, from: u64) -> Result<Answer, RemoteError> {
        let headers = response.headers();
        let (at, end, whole) = if response.status().as_u16() == 206 {
            let range = text(headers, "content-range").unwrap_or_default();
            let bounds = range.strip_prefix("bytes ").and_then(|range| range.split('/').next()?.split_once('-'));
            let numbers = bounds.and_then(|(at, last)| Some((at.parse::<u64>().ok()?, last.parse::<u64>().ok()? + 1)));
            let (at, end) =
                numbers.ok_or_else(|| self.fail(format!("the server sent an unreadable range `{range}`")))?;
            (at, end, false)
        } else {
            let length = text(headers, "content-length").and_then(|length| length.parse().ok());
            (0, length.unwrap_or(u64::MAX), true)
        };
        if at > from || end <= from {
            return Err(self
                .fail(format!("the server sent bytes {at} to {end} where byte {from} was asked for"))
                .into());
        }
        Ok(Answer { reader: response.into_body().into_reader(), at, end, whole })
    }

    fn redirect(&self, from: &Uri, to: Option<String>) -> Result<Uri, RemoteError> {
        let to = to.ok_or_else(|| self.fail("the server redirects to nowhere".into()))?;
        let uri = resolve(from, &to).ok_or_else(|| self.fail(format!("the server redirects to `{to}`, no address")))?;
        if from.scheme_str() == Some("https") && uri.scheme_str() != Some("https") {
            return Err(self.fail(format!("the server redirects from https to `{to}`, which is not encrypted")).into());
        }
        Ok(uri)
    }

    /// What an answer without bytes means.
    fn refusal(&self, code: u16, headers: &HeaderMap) -> RemoteError {
        let with_token = self.token.is_some();
        let why = match code {
            401 | 403 if with_token => "HF_TOKEN may not read it, or it does not exist",
            401 | 403 => "it is private or gated, or does not exist; set HF_TOKEN to a token that may read it",
            404 => "there is no such repository, revision or file",
            408 | 429 | 500..=599 => {
                let seconds = text(headers, "retry-after").and_then(|seconds| seconds.parse().ok());
                let wait = seconds.map(Duration::from_secs);
                return RemoteError::Passing { why: format!("the server answers {code}"), wait };
            }
            416 => "the file is shorter than its header says",
            _ => "the server does not give it",
        };
        self.fail(format!("{why} (answer {code})")).into()
    }

    fn untrusted(&self, why: &dyn std::fmt::Display) -> Error {
        self.fail(format!(
            "no trusted connection: {why}; where a proxy opens connections, name its certificates in SSL_CERT_FILE"
        ))
    }

    /// An error about this file.
    pub fn fail(&self, why: String) -> Error {
        Error::Run(format!("{}: {why}", self.url))
    }
}

impl Answer {
    /// Whether reading on comes to byte `from` sooner than a new request.
    fn leads_to(&self, from: u64) -> bool {
        (self.at..self.end).contains(&from) && (self.whole || from - self.at <= SKIP)
    }

    fn skip_to(&mut self, from: u64) -> Result<(), RemoteError> {
        let gap = from - self.at;
        let skipped = io::copy(&mut self.reader.by_ref().take(gap), &mut io::sink()).map_err(broken)?;
        self.at = from;
        if skipped == gap { Ok(()) } else { Err(passing("the server closed the connection before the end")) }
    }
}

fn passing(why: impl Into<String>) -> RemoteError {
    RemoteError::Passing { why: why.into(), wait: None }
}

fn broken(error: io::Error) -> RemoteError {
    passing(format!("the connection broke off: {error}"))
}

fn text(headers: &HeaderMap, name: &'static str) -> Option<String> {
    let value = headers.get(HeaderName::from_static(name))?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_string())
}

/// Scheme, host and port: whom a token is for.
fn origin(uri: &Uri) -> (Option<String>, Option<String>, u16) {
    let lower = |text: &str| text.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    (uri.scheme_str().map(lower), uri.host().map(lower), port)
}

/// The address that `to` means when it is seen at `from` (RFC 3986, section 5, without dot segments).
fn resolve(from: &Uri, to: &str) -> Option<Uri> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?.as_str());
    let to = to.split('#').next()?;
    let address = match to {
        _ if to.starts_with("https://") || to.starts_with("http://") => to.to_string(),
        _ if to.starts_with("//") => format!("{scheme}:{to}"),
        _ if to.starts_with('/') => format!("{scheme}://{authority}{to}"),
        _ => format!("{scheme}://{authority}{}/{to}", from.path().rsplit_once('/')?.0),
    };
    address.parse().ok()
}

/// `HTTPS_PROXY` or `HTTP_PROXY` by the scheme, else `ALL_PROXY`, unless `NO_PROXY` names the host.
fn proxy_for(uri: &Uri) -> Result<Option<Proxy>> {
    let either =
        |name: &str| Some((name.to_string(), variable(name).or_else(|| variable(&name.to_ascii_lowercase()))?));
    let own = if uri.scheme_str() == Some("https") { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let spared = either("NO_PROXY").is_some_and(|(_, list)| is_spared(&list, uri.host().unwrap_or_default()));
    match either(own).or_else(|| either("ALL_PROXY")) {
        Some((name, address)) if !spared => {
            let bad = |_| Error::Run(format!("{name} is no address of a proxy, such as http://proxy.example:3128"));
            Proxy::new(&address).map(Some).map_err(bad)
        }
        _ => Ok(None),
    }
}

/// Whether a list such as `localhost,.example.com` holds `host` or a domain that it is in; `*` is every host.
fn is_spared(list: &str, host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    list.split([',', ' ']).map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).any(
        |entry| {
            let domain = entry.trim_start_matches('*').trim_start_matches('.');
            entry == "*" || host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        },
    )
}

fn certificates(path: &Path) -> Result<RootCerts> {
    let pem = fs::read(path).map_err(Error::io(path, "read the certificates of SSL_CERT_FILE"))?;
    let items = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let found: Vec<_> = items.collect();
    let none = || Error::bad_file(path, "holds no certificates; SSL_CERT_FILE names it");
    if found.is_empty() { Err(none()) } else { Ok(RootCerts::from(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read_and_mistakes_named() {
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

    #[test]
    fn redirects_are_resolved() {
        let from: Uri = "https://hub.example:8443/a/b?x=1".parse().unwrap();
        for (to, address) in [
            ("https://cdn.example/c?sig=%2F#part", "https://cdn.example/c?sig=%2F"),
            ("//cdn.example/c", "https://cdn.example/c"),
            ("/c/d", "https://hub.example:8443/c/d"),
            ("d", "https://hub.example:8443/a/d"),
        ] {
            assert_eq!(resolve(&from, to).unwrap().to_string(), address);
        }
        assert_eq!(origin(&from), origin(&"HTTPS://Hub.example:8443/".parse().unwrap()));
        assert_ne!(origin(&from), origin(&"https://hub.example/".parse().unwrap()));
        assert_ne!(origin(&from), origin(&"http://hub.example:8443/".parse().unwrap()));
    }

    #[test]
    fn hosts_without_a_proxy_are_known() {
        let list = "localhost, .internal.example,*.lab.example,127.0.0.1,::1";
        for host in [
            "localhost",
            "LOCALHOST",
            "a.internal.example",
            "internal.example",
            "x.y.lab.example",
            "127.0.0.1",
            "[::1]",
        ] {
            assert!(is_spared(list, host), "{host}");
        }
        for host in ["hub.example", "notlocalhost", "127.0.0.11", "example"] {
            assert!(!is_spared(list, host), "{host}");
        }
        assert!(is_spared("*", "hub.example") && !is_spared("", "hub.example"));
    }
}
