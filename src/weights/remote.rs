//! Reads ranges of bytes from a file on an HTTP server.

use crate::error::{Error, Result};
use crate::weights::hub::variable;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;
use ureq::http::header::{self, HeaderMap, HeaderName};
use ureq::http::{Response, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader, Proxy};

/// The longest wait for a connection to a server.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest wait for the next bytes.
const STALL: Duration = Duration::from_secs(30);

const MOST_REDIRECTS: usize = 10;

/// Gaps up to this size, in bytes, are read through: a new request takes longer.
const MAX_GAP: u64 = 256 << 10;

/// Why bytes could not be read.
#[derive(Debug)]
pub enum RemoteError {
    /// Another try would fail in the same way.
    Permanent(Error),
    /// Another try may succeed, after `wait` if the server names a time.
    Temporary { why: String, wait: Option<Duration> },
}

impl From<Error> for RemoteError {
    fn from(error: Error) -> Self {
        Self::Permanent(error)
    }
}

/// One file on a server.
pub struct Remote {
    url: String,
    token: Option<String>,
    roots: RootCerts,
    /// The answer that the last call read from, if more can come from it.
    open: Option<Answer>,
    /// The server's name for this version of the file, from the first answer.
    identity: Option<String>,
    revision: Option<String>,
}

/// Bytes that a server is sending.
struct Answer {
    reader: BodyReader<'static>,
    /// Which byte of the file comes next.
    at: u64,
    /// The first byte of the file that does not come any more.
    end: u64,
    /// The server knows no ranges: it sends the file from its start.
    whole: bool,
}

impl Remote {
    /// The file at `url`. Uses the environment variables `HF_TOKEN` and `SSL_CERT_FILE`. Sends no request yet.
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

    /// The server's name for this version of the file (an ETag or a date). `None` before the first read.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The commit that the file belongs to, if the server names it.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// Reads bytes of the file into `buffer`, beginning at byte `from`, and returns how many came: at least one,
    /// perhaps fewer than fit.
    ///
    /// A new request asks for everything up to byte `to`. A call that goes on where the last one ended needs none.
    ///
    /// # Errors
    /// [`RemoteError`]. The next call then sends a new request.
    pub fn read(&mut self, from: u64, to: u64, buffer: &mut [u8]) -> Result<usize, RemoteError> {
        let mut answer = match self.open.take() {
            Some(answer) if answer.leads_to(from) => answer,
            _ => self.request(from, to)?,
        };
        answer.skip_to(from)?;
        let most = buffer.len().min((answer.end.min(to) - from) as usize);
        let read = answer.reader.read(&mut buffer[..most]).map_err(broken)?;
        if read == 0 {
            return Err(temporary("the server closed the connection before the end"));
        }
        answer.at += read as u64;
        self.open = Some(answer);
        Ok(read)
    }

    /// Asks for the bytes `from` to `to` and follows redirects. Only the first server gets the token.
    fn request(&mut self, from: u64, to: u64) -> Result<Answer, RemoteError> {
        let first = self.url.parse::<Uri>().map_err(|e| self.fail(format!("is not an address: {e}")))?;
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
                    let own = || ["etag", "last-modified"].iter().find_map(|&name| text(headers, name));
                    let identity = identity.or_else(own).unwrap_or_default();
                    let answer = self.accept(response, from)?;
                    if *self.identity.get_or_insert(identity.clone()) != identity {
                        let why = "the file changed while it was downloaded; run the command again";
                        return Err(self.fail(why.into()).into());
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
            ureq::Error::HostNotFound => {
                temporary(format!("no address is known for {}", uri.host().unwrap_or_default()))
            }
            error => broken(error.into_io()),
        })
    }

    /// The answer in `response`, which must hold byte `from`.
    fn accept(&self, response: Response<Body>, from: u64) -> Result<Answer, RemoteError> {
        let headers = response.headers();
        let (at, end, whole) = if response.status().as_u16() == 206 {
            let range = text(headers, "content-range").unwrap_or_default();
            let unreadable = || self.fail(format!("the server sent an unreadable range `{range}`"));
            let (at, end) = content_range(&range).ok_or_else(unreadable)?;
            (at, end, false)
        } else {
            let length = text(headers, "content-length").and_then(|length| length.parse().ok());
            (0, length.unwrap_or(u64::MAX), true)
        };
        if at > from || end <= from {
            let why = format!("byte {from} was asked for, and the server sent bytes {at} to {end}");
            return Err(self.fail(why).into());
        }
        Ok(Answer { reader: response.into_body().into_reader(), at, end, whole })
    }

    fn redirect(&self, from: &Uri, to: Option<String>) -> Result<Uri, RemoteError> {
        let to = to.ok_or_else(|| self.fail("the server redirects without an address".into()))?;
        let bad = || self.fail(format!("the server redirects to `{to}`, which is not an address"));
        let uri = resolve(from, &to).ok_or_else(bad)?;
        if from.scheme_str() == Some("https") && uri.scheme_str() != Some("https") {
            return Err(self.fail(format!("the server redirects from https to `{to}`, which is not encrypted")).into());
        }
        Ok(uri)
    }

    /// The error for an answer with an HTTP status `code` that brings no bytes.
    fn refusal(&self, code: u16, headers: &HeaderMap) -> RemoteError {
        let with_token = self.token.is_some();
        let why = match code {
            401 | 403 if with_token => "HF_TOKEN may not read it, or it does not exist",
            401 | 403 => "it is private or gated, or does not exist; set HF_TOKEN to a token that may read it",
            404 => "there is no such repository, revision or file",
            408 | 429 | 500..=599 => {
                let seconds = text(headers, "retry-after").and_then(|seconds| seconds.parse().ok());
                let wait = seconds.map(Duration::from_secs);
                return RemoteError::Temporary { why: format!("the server answers {code}"), wait };
            }
            416 => "the file is shorter than its header says",
            _ => "the server refuses it",
        };
        self.fail(format!("{why} (answer {code})")).into()
    }

    fn untrusted(&self, why: &dyn std::fmt::Display) -> Error {
        self.fail(format!(
            "no trusted connection: {why}; if a proxy decrypts connections, name its certificates in SSL_CERT_FILE"
        ))
    }

    /// An error about this file.
    pub fn fail(&self, why: String) -> Error {
        Error::Run(format!("{}: {why}", self.url))
    }
}

impl Answer {
    /// Whether reading on reaches byte `from`, and sooner than a new request would.
    fn leads_to(&self, from: u64) -> bool {
        (self.at..self.end).contains(&from) && (self.whole || from - self.at <= MAX_GAP)
    }

    fn skip_to(&mut self, from: u64) -> Result<(), RemoteError> {
        let gap = from - self.at;
        let skipped = io::copy(&mut self.reader.by_ref().take(gap), &mut io::sink()).map_err(broken)?;
        self.at = from;
        if skipped == gap { Ok(()) } else { Err(temporary("the server closed the connection before the end")) }
    }
}

fn temporary(why: impl Into<String>) -> RemoteError {
    RemoteError::Temporary { why: why.into(), wait: None }
}

fn broken(error: io::Error) -> RemoteError {
    temporary(format!("the connection broke off: {error}"))
}

/// The value of a header, if it is set and not empty.
fn text(headers: &HeaderMap, name: &'static str) -> Option<String> {
    let value = headers.get(HeaderName::from_static(name))?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| value.to_string())
}

/// The first byte of `bytes FIRST-LAST/SIZE`, and the one after the last.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes ")?.split('/').next()?.split_once('-')?;
    Some((first.parse().ok()?, last.parse::<u64>().ok()? + 1))
}

/// Scheme, host and port. A token is only sent to the origin that it is for.
fn origin(uri: &Uri) -> (Option<String>, Option<String>, u16) {
    let lower = |text: &str| text.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    (uri.scheme_str().map(lower), uri.host().map(lower), port)
}

/// Resolves the reference `to` against the address `from` (RFC 3986, section 5, without dot segments).
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

/// The proxy for `uri`: `HTTPS_PROXY` or `HTTP_PROXY` by its scheme, else `ALL_PROXY`; none if `NO_PROXY` names its
/// host.
fn proxy_for(uri: &Uri) -> Result<Option<Proxy>> {
    let either =
        |name: &str| Some((name.to_string(), variable(name).or_else(|| variable(&name.to_ascii_lowercase()))?));
    let own = if uri.scheme_str() == Some("https") { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let excluded = either("NO_PROXY").is_some_and(|(_, list)| lists_host(&list, uri.host().unwrap_or_default()));
    match either(own).or_else(|| either("ALL_PROXY")) {
        Some((name, address)) if !excluded => {
            let bad = |_| Error::Run(format!("{name} is not an address of a proxy, such as http://proxy.example:3128"));
            Proxy::new(&address).map(Some).map_err(bad)
        }
        _ => Ok(None),
    }
}

/// Whether a list such as `localhost,.example.com` has `host` or a domain above it. `*` is every host.
fn lists_host(list: &str, host: &str) -> bool {
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
    fn ranges_of_answers_are_parsed() {
        assert_eq!(content_range("bytes 100-199/5000"), Some((100, 200)));
        assert_eq!(content_range("bytes 100-199/*"), Some((100, 200)));
        for bad in ["", "bytes */5000", "bytes 100/5000", "lines 1-2/3"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_list_of_hosts_without_proxy_covers_hosts_and_their_domains() {
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
            assert!(lists_host(list, host), "{host}");
        }
        for host in ["hub.example", "notlocalhost", "127.0.0.11", "example"] {
            assert!(!lists_host(list, host), "{host}");
        }
        assert!(lists_host("*", "hub.example") && !lists_host("", "hub.example"));
    }
}
