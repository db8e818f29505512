//! `augment weights` as people use it, against servers that tests run on this machine.

#![cfg(all(feature = "download", feature = "import-keras"))]

use crate::place::{Place, RUN, expect, skipped};
use augment::nst::layers::Tap;
use augment::weights::check;
use augment::weights::digests::sha256;
use augment::weights::file::Weights;
use augment::weights::tensors::NamedTensor;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const REPO: &str = "someone/narrow";
const INSTALLED: &str = "cache/augment/vgg19.safetensors";

/// One request as a server saw it.
#[derive(Clone, Debug)]
struct Request {
    line: String,
    headers: HashMap<String, String>,
}

impl Request {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            text.push(byte[0]);
        }
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines();
        let line = lines.next()?.to_string();
        let headers =
            lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_ascii_lowercase(), v.to_string()));
        Some(Self { line, headers: headers.collect() })
    }

    /// The first byte that is asked for, and the one after the last.
    fn range(&self) -> (usize, usize) {
        let (from, last) = self.headers["range"].strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        (from.parse().unwrap(), last.parse::<usize>().unwrap() + 1)
    }
}

/// A server that answers every request by a function of how many came before; each connection is closed after it.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn new(answer: impl Fn(usize, &Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::of(move |n, request, mut stream| {
            let _ = stream.write_all(&answer(n, request));
            let _ = stream.shutdown(Shutdown::Write);
            // Until the other side has read it all: closing sooner may take it away.
            let _ = stream.read(&mut [0; 1024]);
        })
    }

    fn of(serve: impl Fn(usize, &Request, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, serve) = (seen.clone(), Arc::new(serve));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (noted, serve) = (noted.clone(), serve.clone());
                thread::spawn(move || {
                    let Some(request) = Request::read(&mut stream) else { return };
                    let n = {
                        let mut noted = noted.lock().unwrap();
                        noted.push(request.clone());
                        noted.len() - 1
                    };
                    serve(n, &request, stream);
                });
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
    [text.as_bytes(), b"\r\n", body].concat()
}

/// What a server with ranges answers.
fn part(file: &[u8], request: &Request) -> Vec<u8> {
    let (from, to) = request.range();
    let to = to.min(file.len());
    let headers = [
        ("Content-Range", format!("bytes {from}-{}/{}", to - 1, file.len())),
        ("Content-Length", (to - from).to_string()),
        ("ETag", "\"one\"".into()),
        ("X-Repo-Commit", "c0ffee".into()),
    ];
    answer("206 Partial Content", &headers, &file[from..to])
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|n| (n * 37 % 101) as f32 / 64.0 - 0.75).collect()
}

/// VGG19, sixteen channels wide, as the fixtures have it.
fn narrow() -> Weights {
    let mut tensors = Vec::new();
    for tap in Tap::all() {
        let [weight, bias] = tap.parameters();
        let inputs = if tap.index() == 0 { 3 } else { 16 };
        tensors.push(NamedTensor::of_f32(weight, vec![16, inputs, 3, 3], &numbers(16 * inputs * 9)));
        tensors.push(NamedTensor::of_f32(bias, vec![16], &numbers(16)));
    }
    Weights::new(tensors, BTreeMap::new())
}

/// The file of a repository: `weights`, and classifiers that nobody needs.
fn published(mut weights: Weights) -> Vec<u8> {
    let dense = NamedTensor::of_f32("head.fc.weight".into(), vec![1000, 1000], &numbers(1_000_000));
    weights.tensors.push(dense);
    weights.encode().unwrap()
}

/// Where the tensors begin in a file.
fn data_of(file: &[u8]) -> usize {
    8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize
}

fn command(place: &Place, endpoint: &str, args: &str) -> Command {
    let mut command = place.command(&format!("weights {args}"));
    for name in [
        "HF_TOKEN",
        "HF_HUB_OFFLINE",
        "HF_HUB_CACHE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
    ] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", place.path("hf"));
    command
}

fn run(place: &Place, endpoint: &str, args: &str) -> Output {
    command(place, endpoint, args).output().unwrap()
}

fn pull(place: &Place, server: &Server, more: &str) -> Output {
    run(place, &server.url(), &format!("pull --repo {REPO} {more}"))
}

#[track_caller]
fn installed(place: &Place, tensors: &[NamedTensor]) {
    let found = Weights::read(&place.path(INSTALLED), Tap::LAST).unwrap();
    assert!(found.tensors == tensors, "{} tensors", found.tensors.len());
    let left: Vec<_> =
        fs::read_dir(place.path("cache/augment")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["vgg19.safetensors"]);
}

#[track_caller]
fn nothing_installed(place: &Place) {
    assert!(!place.path(INSTALLED).exists());
}

#[test]
fn a_pull_takes_the_convolutions_alone_and_a_run_uses_them() {
    let place = Place::new();
    let file = published(narrow());
    let copy = file.clone();
    let server = Server::new(move |_, request| part(&copy, request));
    let output = pull(&place, &server, "");
    expect(
        &output,
        0,
        &["32 tensors", "relu5_4", "someone/narrow@c0ffee", "has no digests of these weights", INSTALLED],
    );
    installed(&place, &narrow().tensors);
    let sums = String::from_utf8(output.stdout).unwrap();
    let first = narrow().get("features.0.weight").map(|tensor| sha256(&tensor.bytes)).unwrap();
    assert!(sums.lines().count() == 32 && sums.contains(&format!("{first}  features.0.weight\n")), "{sums}");
    let seen = server.seen();
    assert!(seen.len() <= 3 && seen.iter().all(|request| request.range().1 < file.len() / 4), "{seen:?}");
    assert_eq!(seen[0].line, "GET /someone/narrow/resolve/main/model.safetensors HTTP/1.1");
    expect(&run(&place, "", "verify"), 0, &["all 32 tensors are as they were installed"]);
    let path = run(&place, "", "path");
    expect(&path, 0, &["it is in the cache"]);
    assert_eq!(String::from_utf8_lossy(&path.stdout).trim(), place.path(INSTALLED).display().to_string());
    expect(&place.command(RUN).output().unwrap(), 0, &["backbone vgg19"]);
    expect(&pull(&place, &server, ""), 0, &["there already"]);
    assert_eq!(server.seen().len(), seen.len(), "nothing is asked for again");
}

#[test]
fn fewer_layers_cost_fewer_bytes_and_more_can_follow() {
    let place = Place::new();
    let file = published(narrow());
    let copy = file.clone();
    let server = Server::new(move |_, request| part(&copy, request));
    let output = pull(&place, &server, "--through relu2_1 --quiet");
    expect(&output, 0, &["6 tensors", "relu2_1"]);
    assert!(output.stdout.is_empty());
    installed(&place, &narrow().tensors[..6]);
    let asked: usize = server.seen()[1..].iter().map(|request| request.range().1 - request.range().0).sum();
    assert!(asked < 30_000, "{asked}");
    expect(&run(&place, "", "verify"), 0, &["as far as relu2_1"]);
    expect(&pull(&place, &server, "--json"), 0, &["32 tensors"]);
    installed(&place, &narrow().tensors);
    expect(&pull(&place, &server, "--through relu9_9"), 2, &["relu9_9"]);
}

#[test]
fn a_server_without_ranges_is_read_from_its_start_and_left_early() {
    let place = Place::new();
    let file = published(narrow());
    let server = Server::new(move |_, _| {
        let headers = [("Content-Length", file.len().to_string()), ("ETag", "\"one\"".into())];
        answer("200 OK", &headers, &file)
    });
    expect(&pull(&place, &server, "--through relu5_1"), 0, &["26 tensors"]);
    installed(&place, &narrow().tensors[..26]);
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let place = Place::new();
    let file = published(narrow());
    let copy = file.clone();
    let server = Server::new(move |n, request| {
        let whole = part(&copy, request);
        // The header comes whole, and then a part of what was asked for.
        if n == 1 { whole[..whole.len() - 50_000].to_vec() } else { whole }
    });
    expect(&pull(&place, &server, ""), 0, &["broke off", "trying again", "32 tensors"]);
    installed(&place, &narrow().tensors);
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[2].range(), (seen[1].range().1 - 50_000, seen[1].range().1), "no byte twice");
}

#[test]
fn what_came_before_a_failure_is_kept_and_checked_when_it_goes_on() {
    let place = Place::new();
    let file = published(narrow());
    let (copy, works) = (file.clone(), Arc::new(AtomicBool::new(false)));
    let switch = works.clone();
    let server = Server::new(move |_, request| {
        let whole = part(&copy, request);
        let begins_data = request.range().0 > 0;
        if switch.load(Ordering::SeqCst) || !begins_data { whole } else { whole[..whole.len().min(30_000)].to_vec() }
    });
    let (data, through) = (data_of(&file), "--through relu5_4");
    expect(&pull(&place, &server, through), 1, &["given up after 4 tries", "curl", "augment weights import"]);
    nothing_installed(&place);
    let last = server.seen().last().unwrap().range().0;
    works.store(true, Ordering::SeqCst);
    // One of the tensors that came is no longer what it was.
    let partial = place.path("cache/augment/.vgg19.safetensors.part");
    let mut bytes = fs::read(&partial).unwrap();
    assert!(bytes.len() > 60_000, "{}", bytes.len());
    bytes[40_000] ^= 1;
    fs::write(&partial, &bytes).unwrap();
    let before = server.seen().len();
    expect(&pull(&place, &server, through), 0, &["going on after", "1 tensors that were damaged", "32 tensors"]);
    installed(&place, &narrow().tensors);
    let asked: Vec<(usize, usize)> = server.seen()[before..].iter().map(Request::range).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    // The damaged tensor is the kernel of the fifth layer in the file; the rest begins where the first run stopped.
    assert_eq!(asked[1].0, data + (64 + 1728) + 4 * (64 + 9216) + 64);
    assert!(asked[2].0 > last && asked[2].0 - data >= bytes.len() - 1, "{asked:?} {last}");
}

#[test]
fn a_server_that_always_breaks_off_is_given_up() {
    let place = Place::new();
    let server = Server::new(|_, _| Vec::new());
    expect(&pull(&place, &server, ""), 1, &["given up after 4 tries"]);
    assert_eq!(server.seen().len(), 4);
    let file = published(narrow());
    let server = Server::new(move |_, request| part(&file, request)[..200].to_vec());
    expect(&pull(&place, &server, ""), 1, &["given up after 4 tries"]);
    nothing_installed(&place);
}

#[test]
fn wrong_bytes_are_fetched_again_once_and_never_installed() {
    let place = Place::new();
    let sums: Vec<String> =
        narrow().tensors.iter().map(|tensor| format!("{}  {}", sha256(&tensor.bytes), tensor.name)).collect();
    place.text("sums", sums.join("\n"));
    let file = published(narrow());
    let at = data_of(&file) + 64 + 5;
    let serving = |wrong: fn(usize) -> bool| {
        let file = file.clone();
        Server::new(move |n, request| {
            let mut file = file.clone();
            if wrong(n) {
                file[at] ^= 0x40;
            }
            part(&file, request)
        })
    };
    expect(
        &pull(&place, &serving(|_| true), "--digests sums"),
        1,
        &["`features.0.weight`", "twice", "nothing was installed"],
    );
    nothing_installed(&place);
    expect(&pull(&place, &serving(|n| n == 0), "--digests sums"), 0, &["fetching it again", "all 32 digests"]);
    installed(&place, &narrow().tensors);
    expect(&run(&place, "", "verify --digests sums"), 0, &["all 32 digests are those that were given"]);
    place.text("sums", sums.join("\n").replacen('a', "b", 1));
    expect(&run(&place, "", "verify --digests sums"), 1, &["DAMAGED", "that was given"]);
    place.text("sums", "hello");
    expect(&run(&place, "", "verify --digests sums"), 1, &["sums: line 1"]);
}

#[test]
fn numbers_that_are_none_are_refused_without_known_digests() {
    let place = Place::new();
    let mut weights = narrow();
    weights.tensors[4].bytes[8..12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let file = published(weights);
    let server = Server::new(move |_, request| part(&file, request));
    expect(&pull(&place, &server, ""), 1, &["`features.5.weight` has values that are infinite", "twice"]);
    nothing_installed(&place);
}

#[test]
fn a_redirect_is_followed_and_the_token_stays_at_home() {
    let place = Place::new();
    let file = published(narrow());
    let cdn = Server::new(move |_, request| part(&file, request));
    let to = format!("{}/blob?signed=1", cdn.url());
    let hub = Server::new(move |_, request| match request.line.contains("/moved/") {
        false => answer("307 Temporary Redirect", &[("Location", "/moved/model.safetensors".into())], b""),
        true => {
            let commit = ("X-Repo-Commit", "feed".to_string());
            answer("302 Found", &[("Location", to.clone()), commit, ("X-Linked-Etag", "\"two\"".into())], b"")
        }
    });
    let output =
        command(&place, &hub.url(), &format!("pull --repo {REPO}")).env("HF_TOKEN", "secret").output().unwrap();
    expect(&output, 0, &["someone/narrow@feed"]);
    installed(&place, &narrow().tensors);
    let tokens = |server: &Server| -> Vec<Option<String>> {
        server.seen().iter().map(|request| request.headers.get("authorization").cloned()).collect()
    };
    assert_eq!(hub.seen()[0].line, "GET /someone/narrow/resolve/main/model.safetensors HTTP/1.1");
    assert!(tokens(&hub).iter().all(|token| token.as_deref() == Some("Bearer secret")), "{:?}", tokens(&hub));
    assert!(!tokens(&cdn).is_empty() && tokens(&cdn).iter().all(Option::is_none), "{:?}", tokens(&cdn));
    assert_eq!(cdn.seen()[0].line, "GET /blob?signed=1 HTTP/1.1");
}

#[test]
fn redirects_have_an_end() {
    let place = Place::new();
    let server = Server::new(|_, _| answer("302 Found", &[("Location", "/again".into())], b""));
    expect(&pull(&place, &server, ""), 1, &["redirects more than 10 times"]);
}

#[test]
fn refusals_say_what_to_do() {
    let place = Place::new();
    let refusing = |status: &'static str| Server::new(move |_, _| answer(status, &[], b"no"));
    let missing = refusing("404 Not Found");
    expect(&pull(&place, &missing, ""), 1, &["no such repository", "/someone/narrow/"]);
    assert_eq!(missing.seen().len(), 1, "not tried again");
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server = refusing(status);
        expect(&pull(&place, &server, ""), 1, &["private or gated", "set HF_TOKEN"]);
        let output =
            command(&place, &server.url(), &format!("pull --repo {REPO}")).env("HF_TOKEN", "old").output().unwrap();
        expect(&output, 1, &["HF_TOKEN may not read it"]);
    }
    expect(&run(&place, "", "pull --repo vgg19"), 2, &["OWNER/NAME"]);
    nothing_installed(&place);
}

#[test]
fn a_busy_server_is_asked_again() {
    let place = Place::new();
    let file = published(narrow());
    let server = Server::new(move |n, request| match n {
        0 => answer("503 Service Unavailable", &[], b""),
        1 => answer("429 Too Many Requests", &[("Retry-After", "1".into())], b""),
        _ => part(&file, request),
    });
    expect(&pull(&place, &server, ""), 0, &["answers 503", "answers 429; trying again in 1.0 s"]);
    installed(&place, &narrow().tensors);
}

#[test]
fn a_proxy_is_used_where_it_is_named_and_not_where_it_is_spared() {
    let place = Place::new();
    let file = published(narrow());
    let server = Server::new(move |_, request| part(&file, request));
    let to = server.address;
    let proxy = Server::of(move |_, _, mut from| {
        let mut onward = TcpStream::connect(to).unwrap();
        from.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut back, mut answer) = (from.try_clone().unwrap(), onward.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut answer, &mut back));
        let _ = std::io::copy(&mut from, &mut onward);
    });
    let through = |variable: &str, endpoint: &str, spared: &str| {
        let mut command = command(&place, endpoint, &format!("pull --force --repo {REPO}"));
        command.env(variable, proxy.url()).env("NO_PROXY", spared).output().unwrap()
    };
    // No server knows this name: the proxy alone can reach it.
    expect(&through("HTTP_PROXY", "http://hub.invalid", ""), 0, &["32 tensors"]);
    installed(&place, &narrow().tensors);
    assert_eq!(proxy.seen()[0].line, "CONNECT hub.invalid:80 HTTP/1.1");
    let before = proxy.seen().len();
    expect(&through("all_proxy", "http://hub.invalid", "other.invalid"), 0, &["32 tensors"]);
    assert!(proxy.seen().len() > before);
    let before = proxy.seen().len();
    expect(&through("HTTP_PROXY", &server.url(), "localhost,127.0.0.1"), 0, &["32 tensors"]);
    expect(&through("HTTPS_PROXY", &server.url(), ""), 0, &["32 tensors"]);
    assert_eq!(proxy.seen().len(), before);
}

#[test]
fn without_a_network_it_says_what_to_do() {
    let place = Place::new();
    let help = [
        "curl -L -o model.safetensors",
        "/someone/narrow/resolve/main/model.safetensors",
        "augment weights import",
        INSTALLED,
    ];
    // No server of another test can come to listen there.
    expect(&run(&place, "http://127.0.0.1:1", &format!("pull --repo {REPO}")), 1, &help);
    let server = Server::new(|_, _| Vec::new());
    let output =
        command(&place, &server.url(), &format!("pull --repo {REPO}")).env("HF_HUB_OFFLINE", "1").output().unwrap();
    expect(&output, 1, &["HF_HUB_OFFLINE"]);
    expect(&output, 1, &help);
    assert!(server.seen().is_empty());
}

#[cfg(unix)]
#[test]
fn the_cache_of_the_hub_is_taken_before_the_network() {
    let place = Place::new();
    let (file, folder) = (published(narrow()), "hf/hub/models--someone--narrow");
    place.text(&format!("{folder}/blobs/{}", sha256(&file)), &file);
    place.text(&format!("{folder}/refs/main"), "abc123");
    place.text(&format!("{folder}/snapshots/abc123/config.json"), "{}");
    let link = place.path(&format!("{folder}/snapshots/abc123/model.safetensors"));
    std::os::unix::fs::symlink(format!("../../blobs/{}", sha256(&file)), &link).unwrap();
    let offline =
        || command(&place, "http://hub.invalid", &format!("pull --repo {REPO}")).env("HF_HUB_OFFLINE", "1").output();
    expect(&offline().unwrap(), 0, &["taken from", "someone/narrow@abc123"]);
    installed(&place, &narrow().tensors);
    fs::remove_file(place.path(INSTALLED)).unwrap();
    let mut damaged = file.clone();
    damaged[file.len() - 1] ^= 1;
    place.text(&format!("{folder}/blobs/{}", sha256(&file)), &damaged);
    expect(&offline().unwrap(), 1, &["is damaged: its name says", "HF_HUB_OFFLINE"]);
    let other = format!("pull --repo {REPO}@v2");
    expect(&command(&place, "", &other).env("HF_HUB_OFFLINE", "1").output().unwrap(), 1, &["HF_HUB_OFFLINE"]);
    nothing_installed(&place);
}

#[test]
fn what_is_no_vgg19_is_told_before_it_is_downloaded() {
    let place = Place::new();
    let serving = |file: Vec<u8>| Server::new(move |_, request| part(&file, request));
    let page = format!("<!DOCTYPE html><title>Sign in</title>{}", " ".repeat(30_000));
    expect(&pull(&place, &serving(page.into_bytes()), ""), 1, &["no .safetensors file"]);
    let mut garbled = published(narrow());
    garbled[9] = b'?';
    expect(&pull(&place, &serving(garbled), ""), 1, &["no .safetensors file", "unreadable"]);
    expect(
        &pull(&place, &serving(published(Weights::new(vec![], BTreeMap::new()))), ""),
        1,
        &["`features.0.weight`", "is missing"],
    );
    let mut short = narrow();
    short.tensors.truncate(26);
    let server = serving(published(short));
    expect(&pull(&place, &server, ""), 1, &["`features.30.weight`", "--through"]);
    assert_eq!(server.seen().len(), 1);
    expect(&pull(&place, &server, "--through relu5_1"), 0, &["26 tensors"]);
}

#[test]
fn other_weights_in_the_cache_are_not_overwritten() {
    let place = Place::new();
    let file = published(narrow());
    let server = Server::new(move |_, request| part(&file, request));
    let mut other = narrow();
    other.tensors[0].bytes[0] ^= 1;
    for (bytes, why) in [(other.encode().unwrap(), "holds other weights"), (b"mine".to_vec(), "cannot be used")] {
        place.text(INSTALLED, &bytes);
        expect(&pull(&place, &server, ""), 1, &[INSTALLED, why, "--force"]);
        expect(&import(&place, "legacy.pth", ""), 1, &[INSTALLED, "holds something else", "--force"]);
        assert!(fs::read(place.path(INSTALLED)).unwrap() == bytes);
    }
    assert!(server.seen().is_empty());
    expect(&pull(&place, &server, "--force"), 0, &["32 tensors"]);
    installed(&place, &narrow().tensors);
    // These are the same numbers.
    expect(&import(&place, "legacy.pth", ""), 0, &["legacy.pth"]);
    installed(&place, &narrow().tensors);
    let mut bytes = fs::read(place.path(INSTALLED)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    place.text(INSTALLED, &bytes);
    expect(&pull(&place, &server, ""), 1, &["damaged", "--force"]);
}

#[test]
fn verify_says_what_a_file_is() {
    let place = Place::new();
    let verify = |name: &str| run(&place, "", &format!("verify {name}"));
    place.text("other.safetensors", narrow().encode().unwrap());
    let output = verify("other.safetensors");
    expect(&output, 0, &["usable", "has no digests", "relu5_4"]);
    place.text("sums", &output.stdout);
    expect(&verify("other.safetensors --digests sums"), 0, &["all 32 digests"]);
    let mut short = narrow();
    short.tensors.remove(9);
    place.text("short.safetensors", short.encode().unwrap());
    expect(&verify("short.safetensors"), 1, &["`features.10.bias`", "is missing", "DAMAGED"]);
    let bytes = narrow().encode().unwrap();
    place.text("cut.safetensors", &bytes[..bytes.len() - 100]);
    expect(&verify("cut.safetensors"), 1, &["cut.safetensors", "is damaged"]);
    let mut kept = narrow();
    check::annotate(&mut kept, "a shop", Tap::LAST);
    kept.tensors[31].bytes[0] ^= 1;
    place.text("kept.safetensors", kept.encode().unwrap());
    expect(&verify("kept.safetensors"), 1, &["`features.34.bias`", "when it was installed", "DAMAGED: 1 faults"]);
    let output = verify("kept.safetensors --json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["tensors"][31]["state"]), (&"damaged".into(), &"differs".into()));
    expect(&verify("nowhere.safetensors"), 1, &["nowhere.safetensors"]);
    expect(&verify("fog.yaml"), 1, &["no .safetensors file"]);
    expect(&verify(""), 1, &["built-in", "augment weights pull"]);
}

#[test]
fn path_follows_the_environment_the_cache_and_the_built_in_bank() {
    let place = Place::new();
    let path = |variable: &str| {
        let output = command(&place, "", "path --json").env("AUGMENT_WEIGHTS", variable).output().unwrap();
        expect(&output, 0, &[]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (found["path"].as_str().unwrap().to_string(), found["why"].as_str().unwrap().to_string())
    };
    assert_eq!(path("").0, "builtin");
    place.text(INSTALLED, narrow().encode().unwrap());
    assert!(path("").0.ends_with(INSTALLED) && path("").1.contains("cache"));
    assert!(path("builtin").0 == "builtin" && path("builtin").1.contains("AUGMENT_WEIGHTS"));
    assert_eq!(path("mine.safetensors").0, "mine.safetensors");
    let import = format!("import {}", fixture("legacy.pth").display());
    let output = command(&place, "", &format!("{import} --force")).env("AUGMENT_WEIGHTS", "builtin").output().unwrap();
    expect(&output, 0, &["a run still uses builtin: AUGMENT_WEIGHTS says so"]);
}

#[test]
fn a_run_without_its_weights_says_where_to_get_some() {
    let place = Place::new();
    let output = place.command(&format!("{RUN} --weights nowhere.safetensors")).output().unwrap();
    expect(&output, 1, &["nowhere.safetensors", "augment weights pull"]);
    expect(
        &place.augment(&format!("{RUN} --set stylize.content.layers={{\"relu5_4\":1.0}}")),
        1,
        &["augment weights pull"],
    );
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights").join(name)
}

fn import(place: &Place, name: &str, more: &str) -> Output {
    let path = if fixture(name).exists() { fixture(name) } else { place.path(name) };
    run(place, "", &format!("import {} {more}", path.display()))
}

#[test]
fn files_of_pytorch_old_and_new_are_imported() {
    for name in ["legacy.pth", "zip.pt"] {
        let place = Place::new();
        expect(&import(&place, name, ""), 0, &["32 tensors", "PyTorch", name]);
        installed(&place, &narrow().tensors);
        expect(&run(&place, "", "verify"), 0, &["as they were installed"]);
        let bytes = fs::read(fixture(name)).unwrap();
        place.text("cut.pth", &bytes[..bytes.len() * 3 / 4]);
        expect(&import(&place, "cut.pth", ""), 1, &["cut.pth"]);
    }
}

#[test]
fn a_name_with_a_digest_is_held_to_it() {
    let place = Place::new();
    let bytes = fs::read(fixture("legacy.pth")).unwrap();
    place.text("vgg19-dcbb9e9d.pth", &bytes);
    expect(&import(&place, "vgg19-dcbb9e9d.pth", ""), 1, &["is damaged", "dcbb9e9d"]);
    let name = format!("narrow-{}.pth", &sha256(&bytes)[..8]);
    place.text(&name, &bytes);
    expect(&import(&place, &name, ""), 0, &["32 tensors"]);
}

/// `narrow` in Keras' layout, under its names.
fn keras(weights: &Weights) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut found = Vec::new();
    for (n, tap) in Tap::all().enumerate() {
        let layer = format!("block{}_conv{}", tap.block() + 1, tap.to_string().rsplit('_').next().unwrap());
        let values = |at: usize| weights.tensors[2 * n + at].values().unwrap();
        let (kernel, inputs) = (values(0), weights.tensors[2 * n].shape[1]);
        let turned = (0..kernel.len()).map(|at| {
            let (pixel, input, output) = (at / 16 / inputs, at / 16 % inputs, at % 16);
            kernel[(output * inputs + input) * 9 + pixel]
        });
        found.push((format!("{layer}/kernel"), vec![3, 3, inputs, 16], turned.collect()));
        found.push((format!("{layer}/bias"), vec![16], values(1)));
    }
    found
}

/// Checks what was made of `narrow` with Keras' input: all layers but the first stay, and that one gives the same for
/// the same colours.
#[track_caller]
fn installed_of_keras(place: &Place) {
    let found = Weights::read(&place.path(INSTALLED), Tap::LAST).unwrap().tensors;
    assert!(found[2..] == narrow().tensors[2..]);
    let (kernel, bias) = (found[0].values().unwrap(), found[1].values().unwrap());
    let (raw, constant) = (narrow().tensors[0].values().unwrap(), narrow().tensors[1].values().unwrap());
    let rgb = [0.9, 0.5, 0.2];
    for output in 0..16 {
        let sum = |kernel: &[f32], colours: [f64; 3]| -> f64 {
            (0..27).map(|at| f64::from(kernel[output * 27 + at]) * colours[at / 9]).sum()
        };
        let keras = [255.0 * rgb[2] - 103.939, 255.0 * rgb[1] - 116.779, 255.0 * rgb[0] - 123.68];
        let own = [(rgb[0] - 0.485) / 0.229, (rgb[1] - 0.456) / 0.224, (rgb[2] - 0.406) / 0.225];
        let wanted = sum(&raw, keras) + f64::from(constant[output]);
        let is = sum(&kernel, own) + f64::from(bias[output]);
        assert!((is - wanted).abs() < 1e-2, "{output}: {is} {wanted}");
    }
}

#[test]
fn files_of_keras_are_imported_with_their_input_folded_in() {
    let place = Place::new();
    let tensors = keras(&narrow());
    let h5 = |name: &str, path_of: &dyn Fn(&str) -> String| {
        let mut file = hdf5_pure::FileBuilder::new();
        for pair in tensors.chunks(2) {
            let folder = |name: &str| path_of(name).rsplit_once('/').unwrap().0.to_string();
            let mut group = file.create_group(&folder(&pair[0].0));
            for (name, shape, values) in pair {
                let shape: Vec<u64> = shape.iter().map(|&side| side as u64).collect();
                let path = path_of(name);
                group.create_dataset(path.rsplit_once('/').unwrap().1).with_f32_data(values).with_shape(&shape);
            }
            file.add_group(group.finish());
        }
        file.write(place.path(name)).unwrap();
    };
    let named = |weights: &[(String, Vec<usize>, Vec<f32>)]| {
        let own = weights
            .iter()
            .map(|(name, shape, values)| NamedTensor::of_f32(name.replace('/', "."), shape.clone(), values));
        Weights { tensors: own.collect(), metadata: BTreeMap::new() }.encode().unwrap()
    };
    h5("flat.h5", &|name| format!("{}/{}:0", name.split('/').next().unwrap(), name.replace('/', "_")));
    place.text("keras.safetensors", named(&tensors));
    for name in ["flat.h5", "keras.safetensors"] {
        expect(&import(&place, name, "--force"), 0, &["32 tensors", "Keras", name]);
        installed_of_keras(&place);
    }
    expect(&import(&place, "keras.h5", "--force"), 1, &["keras.h5", "`features.5.weight`", "is missing"]);
    let whole = fs::read(fixture("keras.h5")).unwrap();
    place.text("cut.h5", &whole[..whole.len() / 2]);
    expect(&import(&place, "cut.h5", "--force"), 1, &["cut.h5", "not a readable HDF5 file"]);
}

#[test]
fn files_of_safetensors_are_imported_whatever_their_prefix() {
    let place = Place::new();
    let mut prefixed = narrow();
    prefixed.tensors.iter_mut().for_each(|tensor| tensor.name = format!("module.backbone.{}", tensor.name));
    place.text("prefixed.safetensors", prefixed.encode().unwrap());
    expect(&import(&place, "prefixed.safetensors", ""), 0, &["32 tensors"]);
    installed(&place, &narrow().tensors);
    // What was installed elsewhere keeps its source, and is checked against its own digests.
    fs::rename(place.path(INSTALLED), place.path("moved.safetensors")).unwrap();
    expect(&import(&place, "moved.safetensors", ""), 0, &["import: prefixed.safetensors"]);
    installed(&place, &narrow().tensors);
    let mut bytes = fs::read(place.path("moved.safetensors")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    place.text("moved.safetensors", &bytes);
    expect(&import(&place, "moved.safetensors", "--force"), 1, &["`features.7.weight`", "nothing was installed"]);
    installed(&place, &narrow().tensors);
}

#[test]
fn what_cannot_be_imported_is_named_with_the_reason() {
    let place = Place::new();
    place.text("empty.pth", "");
    place.text("page.h5", "<html>");
    let mut normalised = narrow();
    normalised.tensors.push(NamedTensor::of_f32("features.1.running_mean".into(), vec![16], &numbers(16)));
    place.text("bn.safetensors", normalised.encode().unwrap());
    let mut wide = narrow();
    wide.tensors[2].shape = vec![16, 48, 3, 1];
    place.text("wide.safetensors", wide.encode().unwrap());
    let mut short = narrow();
    short.tensors.truncate(20);
    place.text("short.safetensors", short.encode().unwrap());
    for (name, why) in [
        ("nowhere.pth", "could not read"),
        ("empty.pth", "no format that is read here"),
        ("page.h5", "no format that is read here"),
        ("bn.safetensors", "batch normalisation"),
        ("wide.safetensors", "`features.2.weight` (the layer of relu1_2) has shape [16, 48, 3, 1]"),
        ("short.safetensors", "is missing"),
        ("fog.yaml", "no format"),
    ] {
        expect(&import(&place, name, ""), 1, &[name, why]);
        nothing_installed(&place);
    }
}

#[test]
fn the_real_weights_are_known_and_the_default_repository_works() {
    let Some(data) = std::env::var_os("AUGMENT_TEST_DATA").map(PathBuf::from) else {
        skipped("augment weights with the real weights of VGG19", "AUGMENT_TEST_DATA names no folder that has them");
        return;
    };
    let path = data.join("weights/vgg19_features.safetensors");
    let real = Weights::read(&path, Tap::LAST).unwrap();
    let place = Place::new();
    let output = run(&place, "", &format!("verify {}", path.display()));
    expect(&output, 0, &["Oxford's VGG19", "19 of 26 digests"]);
    place.text("sums", &output.stdout);
    let mut damaged = Weights::new(real.tensors.clone(), BTreeMap::new());
    damaged.tensors[2].bytes[7] ^= 1;
    place.text("damaged.safetensors", damaged.encode().unwrap());
    expect(&run(&place, "", "verify damaged.safetensors"), 1, &["`features.2.weight`", "Oxford's VGG19", "DAMAGED: 1"]);
    // As the default repository has it, with ten times the bytes behind.
    let mut tail = real.tensors.clone();
    tail.push(NamedTensor::of_f32("head.fc.weight".into(), vec![25_000_000], &vec![0.0; 25_000_000]));
    let file = Weights { tensors: tail, metadata: BTreeMap::new() }.encode().unwrap();
    let copy = file.clone();
    let server = Server::new(move |n, request| {
        let whole = part(&copy, request);
        if n == 1 { whole[..whole.len() / 3].to_vec() } else { whole }
    });
    let output = run(&place, &server.url(), "pull --through relu5_1 --digests sums");
    expect(&output, 0, &["trying again", "timm/vgg19.tv_in1k@c0ffee"]);
    installed(&place, &real.tensors);
    assert!(server.seen()[0].line.contains("/timm/vgg19.tv_in1k/resolve/main/"));
    let asked: usize = server.seen().iter().map(|request| request.range().1 - request.range().0).sum();
    assert!(asked < 100_000_000 && file.len() > 150_000_000, "{asked}");
}
