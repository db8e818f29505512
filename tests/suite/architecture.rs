//! The structure of the source: no files import each other in a circle, every folder imports only from lower layers,
//! and the engine (`nst`) depends on nothing but pixels.
//!
//! Imports are read from the text: `use` declarations and paths in the code, without comments, strings and tests. A
//! path belongs to the file of its longest prefix that is a module: `crate::a::b::Item` to `a/b.rs`. `mod x;` alone is
//! not an import; `pub use x::Item` and `x::work()` in a module file are. Macros are not expanded, and a trait is not
//! seen where only its methods are called.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// The layers of `src` (folders and single files) from the top. A folder may import from itself and from lower layers,
/// but not from other folders of its own layer.
const LAYERS: [&[&str]; 8] = [
    &["cli"],
    &["batch", "view"],
    &["output"],
    &["plan", "weights"],
    &["config"],
    &["dataset"],
    &["imageio", "files"],
    &["nst", "error", "yaml", "units", "memory"],
];
/// The roots of the two crates may import everything, and no file may import them.
const CRATE_ROOTS: [&str; 2] = ["main", "lib"];
/// May be imported from its own layer too.
const FOR_ALL: &str = "error";

/// The engine: a folder and its module file.
const ENGINE: &str = "nst";
/// Paths that the engine must not name.
const OUTSIDE: [&str; 7] =
    ["std::fs", "std::env", "std::path", "std::io::stdout", "std::io::stderr", "clap", "indicatif"];
const OUTSIDE_TYPES: [&str; 1] = ["PathBuf"];
const OUTSIDE_MACROS: [&str; 4] = ["println", "eprintln", "print", "eprint"];

// ---- The checks of the source itself

/// The folder of another crate: the module for Python, above all layers.
const OTHER_CRATE: &str = "python/";

/// All of `src` but the crate for Python. Fails if too few files are found, so that no check can pass on nothing.
fn source() -> Project {
    let mut sources = Vec::new();
    read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    sources.sort();
    let project = Project::of(sources);
    let (files, imports) = (project.files.len(), project.imports.len());
    assert!(files > 60 && imports > 100, "only {files} files and {imports} imports were found");
    let engine = project.files.iter().filter(|file| file.top() == ENGINE).count();
    assert!(engine > 20, "only {engine} files are the engine's");
    project
}

/// Adds the names and texts of all Rust files below `folder`; names begin with `prefix`.
fn read_folder(folder: &Path, prefix: &str, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            let name = format!("{name}/");
            if name != OTHER_CRATE {
                read_folder(&entry.path(), &name, sources);
            }
        } else if name.ends_with(".rs") {
            sources.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_none("circles", &circles(&source()));
}

#[test]
fn every_folder_imports_only_from_lower_layers() {
    assert_none("imports that do not lead to a lower layer", &upward(&source()));
}

#[test]
fn the_engine_knows_pixels_only() {
    assert_none("places where the engine names what is outside of it", &outside(&source()));
}

#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{} {what}:\n{}\n", found.len(), found.join("\n"));
}

/// Each circle with the places of its imports; of those through one file the shortest.
fn circles(project: &Project) -> Vec<String> {
    let mut next: HashMap<usize, Vec<&Import>> = HashMap::new();
    project.imports.iter().for_each(|import| next.entry(import.from).or_default().push(import));
    let mut found: BTreeMap<BTreeSet<usize>, String> = BTreeMap::new();
    for start in 0..project.files.len() {
        // Breadth first: the import that a file was first reached by.
        let mut reached: HashMap<usize, &Import> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(from) = queue.pop_front()
            && !reached.contains_key(&start)
        {
            for import in next.get(&from).into_iter().flatten() {
                reached.entry(import.to).or_insert_with(|| {
                    queue.push_back(import.to);
                    import
                });
            }
        }
        let Some(last) = reached.get(&start) else { continue };
        let mut circle = vec![*last];
        while circle[circle.len() - 1].from != start {
            circle.push(reached[&circle[circle.len() - 1].from]);
        }
        let files: BTreeSet<usize> = circle.iter().map(|import| import.from).collect();
        let steps: Vec<String> = circle.iter().rev().map(|import| project.place(import.from, import.line)).collect();
        found.entry(files).or_insert_with(|| format!("{} -> {}", steps.join(" -> "), project.files[start].name));
    }
    found.into_values().collect()
}

/// Imports that do not lead to a lower layer, and files that are in no layer.
fn upward(project: &Project) -> Vec<String> {
    let layer = |top: &str| LAYERS.iter().position(|layer| layer.contains(&top));
    let is_root = |top: &str| CRATE_ROOTS.contains(&top);
    let tops: BTreeSet<&str> = project.files.iter().map(File::top).collect();
    let unlisted = tops.into_iter().filter(|top| layer(top).is_none() && !is_root(top));
    let mut found: Vec<String> = unlisted.map(|top| format!("{top} is in no layer")).collect();
    for import in &project.imports {
        let [from, to] = [import.from, import.to].map(|file| project.files[file].top());
        let leads_down = match (layer(from), layer(to)) {
            _ if from == to || is_root(from) => true,
            (Some(from), Some(below)) => from < below || (from == below && to == FOR_ALL),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if !leads_down {
            let place = project.place(import.from, import.line);
            found.push(format!("{place}: {from} imports {to} ({})", import.path));
        }
    }
    found
}

/// What the engine names that it must not know.
fn outside(project: &Project) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (n, file) in project.files.iter().enumerate().filter(|(_, file)| file.top() == ENGINE) {
        let mut note = |line: usize, what: String| found.insert((n, line, what));
        for name in &file.names {
            let path = project.absolute(file, name);
            let own = path[0] != "crate" || path.get(1).is_some_and(|top| top == ENGINE);
            let path = path.join("::");
            if !own || OUTSIDE.iter().any(|outside| path == *outside || path.starts_with(&format!("{outside}::"))) {
                note(name.line, path);
            }
        }
        let tokens = tokens(&file.text.code);
        for (at, token) in tokens.iter().enumerate() {
            let is_called = tokens.get(at + 1).is_some_and(|next| next.text == "!");
            if OUTSIDE_TYPES.contains(&token.text) {
                note(token.line, token.text.into());
            } else if OUTSIDE_MACROS.contains(&token.text) && is_called {
                note(token.line, format!("{}!", token.text));
            }
        }
        for (line, flag) in file.text.flags() {
            note(line, format!("the flag {flag} of the command line"));
        }
    }
    found.into_iter().map(|(file, line, what)| format!("{}: {what}", project.place(file, line))).collect()
}

// ---- The files and their imports

struct Project {
    /// Those that are not for tests alone.
    files: Vec<File>,
    /// The first import of each file by each other.
    imports: Vec<Import>,
}

struct File {
    /// From `src` on, with `/`.
    name: String,
    /// The modules that lead to it from the crate's root; none for the root itself.
    module: Vec<String>,
    text: Text,
    names: Vec<Name>,
    /// The modules that are declared in it, by their paths from the crate's root.
    children: HashSet<Vec<String>>,
}

/// One file that names something of another.
struct Import {
    from: usize,
    to: usize,
    line: usize,
    path: String,
}

/// A path of two or more names, or any path of a `use`.
struct Name {
    /// The module around it, which may be one inside of the file.
    module: Vec<String>,
    path: Vec<String>,
    /// The name that a `use` gives to it.
    used_as: Option<String>,
    line: usize,
}

impl Project {
    /// Of names of files and their texts.
    fn of(sources: Vec<(String, String)>) -> Self {
        let mut for_tests = HashSet::new();
        let mut files: Vec<File> = Vec::new();
        for (name, text) in sources {
            let module = module_of(&name);
            let (text, test_files) = Text::of(&text);
            for_tests.extend(test_files.into_iter().map(|file| [&module[..], &[file]].concat()));
            let (names, children) = names(&tokens(&text.code), &module);
            files.push(File { name, module, text, names, children });
        }
        let is_for_tests = |module: &[String]| (1..=module.len()).any(|end| for_tests.contains(&module[..end]));
        files.retain(|file| !is_for_tests(&file.module));
        let mut project = Self { files, imports: Vec::new() };
        project.imports = project.find_imports();
        project
    }

    fn find_imports(&self) -> Vec<Import> {
        let with_module = self.files.iter().enumerate().filter(|(_, file)| file.name != "main.rs");
        let by_module: HashMap<&[String], usize> = with_module.map(|(n, file)| (&file.module[..], n)).collect();
        let mut imports: BTreeMap<(usize, usize), Import> = BTreeMap::new();
        for (from, file) in self.files.iter().enumerate() {
            for name in &file.names {
                let path = self.absolute(file, name);
                if path[0] != "crate" {
                    continue;
                }
                let ends = (1..=path.len()).rev();
                let to = ends.filter_map(|end| by_module.get(&path[1..end]).copied()).next();
                let Some(to) = to.filter(|&to| to != from) else { continue };
                let import = Import { from, to, line: name.line, path: path.join("::") };
                imports.entry((from, to)).or_insert(import);
            }
        }
        imports.into_values().collect()
    }

    /// The path from the crate's root, which is then its first name, `crate`, or from another crate.
    fn absolute(&self, file: &File, name: &Name) -> Vec<String> {
        let mut path = name.path.clone();
        // A name that another `use` gave, which may begin with a third one's.
        for _ in 0..5 {
            if let Some(path) = from_root(file, &name.module, &path) {
                return path;
            }
            let is_its = |other: &&Name| other.module == name.module && other.used_as.as_ref() == path.first();
            // `use image;` leads nowhere.
            let Some(used) = file.names.iter().find(|other| is_its(other) && other.path[0] != path[0]) else { break };
            path.splice(..1, used.path.iter().cloned());
        }
        if file.name == "main.rs" && path[0] == "augment" {
            path[0] = "crate".into();
        }
        path
    }

    fn place(&self, file: usize, line: usize) -> String {
        format!("{}:{line}", self.files[file].name)
    }
}

impl File {
    /// The folder or the single file of `src` that it belongs to.
    fn top(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

/// `a/b.rs` and `a/b/mod.rs` are the module `a::b`.
fn module_of(name: &str) -> Vec<String> {
    let mut module: Vec<String> = name.trim_end_matches(".rs").split('/').map(Into::into).collect();
    if ["lib", "main", "mod"].contains(&&*module[module.len() - 1]) {
        module.pop();
    }
    module
}

/// A path that begins in this crate, from its root: with `crate`, `self` or `super`, or with a module that is declared
/// there.
fn from_root(file: &File, module: &[String], path: &[String]) -> Option<Vec<String>> {
    if path[0] == "crate" {
        return Some(path.to_vec());
    }
    let mut module = module.to_vec();
    let steps = path.iter().take_while(|name| ["self", "super"].contains(&&***name)).count();
    path[..steps].iter().filter(|name| *name == "super").for_each(|_| drop(module.pop()));
    let is_child = || file.children.contains(&[&module[..], &path[..1]].concat());
    (steps > 0 || is_child()).then(|| [&["crate".to_string()], &module[..], &path[steps..]].concat())
}

// ---- Reading the text

/// A source file in which spaces stand for what does not count, so that all the rest is where it was.
struct Text {
    /// Without comments, tests and what stands in quotes.
    code: String,
    /// Without comments and tests.
    words: String,
}

enum Piece {
    Code,
    Comment,
    /// A string or a character.
    Quoted,
}

impl Text {
    /// The text, and the names of the modules that are files of their own for tests alone.
    fn of(text: &str) -> (Self, Vec<String>) {
        let (mut code, mut words) = (text.as_bytes().to_vec(), text.as_bytes().to_vec());
        let mut at = 0;
        while at < text.len() {
            let (piece, length) = first_piece(&text[at..]);
            let range = at..at + length;
            if matches!(piece, Piece::Comment) {
                blank(&mut words, range.clone());
            }
            if !matches!(piece, Piece::Code) {
                blank(&mut code, range);
            }
            at += length;
        }
        let whole = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (without_quotes, mut test_files) = (whole(code.clone()), Vec::new());
        for range in test_items(&without_quotes) {
            let item = tokens(&without_quotes[range.clone()]);
            let names = item.windows(3).filter(|three| three[0].text == "mod" && three[2].text == ";");
            test_files.extend(names.map(|three| three[1].text.to_string()));
            blank(&mut words, range.clone());
            blank(&mut code, range);
        }
        (Self { code: whole(code), words: whole(words) }, test_files)
    }

    /// Options of the command line that stand in quotes, with their lines.
    fn flags(&self) -> Vec<(usize, &str)> {
        let starts = self.words.match_indices("--").map(|(at, _)| at);
        let flag = |at: usize| {
            let rest = &self.words[at..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
            let is_flag = rest[2..].starts_with(|c: char| c.is_ascii_lowercase());
            let is_quoted = self.code.as_bytes()[at] == b' ';
            (is_flag && is_quoted).then(|| (1 + self.words[..at].matches('\n').count(), &rest[..end]))
        };
        starts.filter_map(flag).collect()
    }
}

fn blank(text: &mut [u8], range: Range<usize>) {
    text[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// What `text` begins with, and how many bytes that has.
fn first_piece(text: &str) -> (Piece, usize) {
    let up_to = |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    if text.starts_with("//") {
        return (Piece::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Piece::Comment, block_comment(text));
    }
    if text.starts_with('"') {
        return (Piece::Quoted, quoted(text));
    }
    // r"", r#""#, br##""## and the like; r#name is a name.
    if let Some(rest) = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix)) {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if rest[hashes..].starts_with('"') {
            let start = text.len() - rest.len() + hashes + 1;
            return (Piece::Quoted, up_to(&format!("\"{}", "#".repeat(hashes)), start));
        }
    }
    // A character, or the name of a lifetime.
    if let Some(rest) = text.strip_prefix('\'') {
        if rest.starts_with('\\') {
            return (Piece::Quoted, up_to("'", 3));
        }
        let length = rest.chars().next().map_or(0, char::len_utf8);
        return if rest[length..].starts_with('\'') { (Piece::Quoted, length + 2) } else { (Piece::Code, 1) };
    }
    let word = text.find(|c| !is_letter(c)).unwrap_or(text.len());
    (Piece::Code, if word > 0 { word } else { text.chars().next().map_or(0, char::len_utf8) })
}

/// The length of the comment, which may have others inside.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string in plain quotes.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where items stand that are compiled for tests alone, with the attribute that says so.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[") {
        let end = start + 1 + bracketed(&code[start + 1..]);
        let attribute: String = code[start..end].split_whitespace().collect();
        let is_for_tests = attribute == "#[cfg(test)]" || attribute.starts_with("#[cfg(all(test,");
        if is_for_tests && items.last().is_none_or(|last| last.end <= start) {
            items.push(start..end + item(&code[end..]));
        }
    }
    items
}

/// The length of the first item: up to its body's end, or to its semicolon if it has none.
fn item(code: &str) -> usize {
    let mut at = 0;
    while let Some(found) = code[at..].find(['{', '(', '[', ';']) {
        at += found;
        match code.as_bytes()[at] {
            b'{' => return at + bracketed(&code[at..]),
            b';' => return at + 1,
            _ => at += bracketed(&code[at..]),
        }
    }
    code.len()
}

/// The length of what stands in the brackets that `code` begins with, with them.
fn bracketed(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + c.len_utf8();
        }
    }
    code.len()
}

/// A word, `::`, or any other character.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

impl Token<'_> {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| is_letter(c) && !c.is_numeric())
    }
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let (mut found, mut line, mut rest) = (Vec::new(), 1, code);
    while let Some(first) = rest.chars().next() {
        let length = match rest.find(|c| !is_letter(c)).unwrap_or(rest.len()) {
            // r#type is the name `type`.
            1 if rest.starts_with("r#") => 2,
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        let text = &rest[..length];
        rest = &rest[length..];
        line += usize::from(first == '\n');
        if !first.is_whitespace() && text != "r#" {
            found.push(Token { text, line });
        }
    }
    found
}

/// The paths in a file of this module, and the modules that are declared in it.
fn names(tokens: &[Token], module: &[String]) -> (Vec<Name>, HashSet<Vec<String>>) {
    let (mut found, mut children) = (Vec::new(), HashSet::new());
    let mut module = module.to_vec();
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    // How many braces are open, and at which of them a module inside of the file began.
    let (mut open, mut inside, mut at) = (0, Vec::new(), 0);
    while let Some(&token) = tokens.get(at) {
        at += 1;
        match token.text {
            "{" => open += 1,
            "}" => {
                open -= 1;
                if inside.last() == Some(&open) {
                    inside.pop();
                    module.pop();
                }
            }
            "mod" if is(at + 1, ";") || is(at + 1, "{") => {
                let child = [&module[..], &[tokens[at].text.to_string()]].concat();
                children.insert(child.clone());
                if is(at + 1, "{") {
                    module = child;
                    inside.push(open);
                    open += 1;
                }
                at += 2;
            }
            // `impl Trait + use<'a>` imports nothing.
            "use" if !is(at, "<") => {
                let mut add = |path: Vec<String>, used_as: Option<String>, line: usize| {
                    found.push(Name { module: module.clone(), path, used_as, line });
                };
                at = tree(tokens, at, &[], &mut add);
            }
            _ if token.is_name() => {
                let mut path = vec![token.text.to_string()];
                // After `>::` or `name::` no path begins, and `pub(in crate::a)` imports nothing.
                let goes_on = at >= 3 && is(at - 2, "::") && (tokens[at - 3].is_name() || is(at - 3, ">"));
                let says_who_may_see = at >= 3 && is(at - 3, "(") && is(at - 2, "in");
                while is(at, "::") && tokens.get(at + 1).is_some_and(Token::is_name) {
                    path.push(tokens[at + 1].text.to_string());
                    at += 2;
                }
                if path.len() > 1 && !goes_on && !says_who_may_see {
                    found.push(Name { module: module.clone(), path, used_as: None, line: token.line });
                }
            }
            _ => {}
        }
    }
    (found, children)
}

/// Reads one tree of a `use` from token `at` on, whose names follow `path`: `a::b`, `a::b as c`, `a::*`, `a::{self,
/// b::C}`. `add` hears each path, the name that is given to it, and its line. Returns where the tree ends.
fn tree(
    tokens: &[Token],
    mut at: usize,
    path: &[String],
    add: &mut impl FnMut(Vec<String>, Option<String>, usize),
) -> usize {
    let mut path = path.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.text {
            "::" => at += 1,
            "*" => {
                add(path, None, token.line);
                return at + 1;
            }
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = tree(tokens, at, &path, add);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            _ if token.is_name() => {
                // `self` in braces is what stands before them.
                if token.text != "self" || path.is_empty() {
                    path.push(token.text.to_string());
                }
                at += 1;
                match tokens.get(at).map(|next| next.text) {
                    Some("::") => {}
                    Some("as") => {
                        let used_as = tokens.get(at + 1).map(|name| name.text.to_string());
                        add(path, used_as, token.line);
                        return at + 2;
                    }
                    _ => {
                        let used_as = path.last().cloned();
                        add(path, used_as, token.line);
                        return at;
                    }
                }
            }
            _ => return at,
        }
    }
    at
}

// ---- The checks of the checks

fn project(files: &[(&str, &str)]) -> Project {
    Project::of(files.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect())
}

/// All imports, as `from:line to`.
fn imports(files: &[(&str, &str)]) -> Vec<String> {
    let project = project(files);
    let shown =
        |import: &Import| format!("{} {}", project.place(import.from, import.line), project.files[import.to].name);
    project.imports.iter().map(shown).collect()
}

/// The files that `text`, the file `here.rs`, imports of `a.rs`, `a/b.rs`, `a/b/c.rs` and `d/mod.rs`.
fn imported_by(text: &str) -> Vec<String> {
    imported_by_file("here.rs", text)
}

fn imported_by_file(name: &str, text: &str) -> Vec<String> {
    let others = [("lib.rs", ""), ("a.rs", ""), ("a/b.rs", ""), ("a/b/c.rs", ""), ("d/mod.rs", "")];
    let mut files: Vec<(&str, &str)> = others.into_iter().filter(|(other, _)| *other != name).collect();
    files.push((name, text));
    let project = project(&files);
    project.imports.iter().map(|import| project.files[import.to].name.clone()).collect()
}

#[test]
fn a_path_leads_to_the_file_of_its_longest_part_that_is_a_module() {
    assert_eq!(imported_by("use crate::a::Item;"), ["a.rs"]);
    assert_eq!(imported_by("use crate::a::b::Item;"), ["a/b.rs"]);
    assert_eq!(imported_by("use crate::a::b::c;"), ["a/b/c.rs"]);
    assert_eq!(imported_by("use crate::a::b::c::Item::Kind;"), ["a/b/c.rs"]);
    assert_eq!(imported_by("use crate::d::Item;"), ["d/mod.rs"]);
    assert_eq!(imported_by("use crate::ITEM;"), ["lib.rs"]);
    assert!(imported_by("use std::a::b; use crate::here::Own; use here::Own;").is_empty());
    assert_eq!(imports(&[("x.rs", ""), ("y.rs", "\nuse crate::x::A;\nuse crate::x::B;")]), ["y.rs:2 x.rs"]);
}

#[test]
fn trees_of_imports_are_read_to_their_leaves() {
    assert_eq!(
        imported_by("pub(crate) use crate::{a::{self, b::{c::Item as Other, X}}, d::*,};"),
        ["a.rs", "a/b.rs", "a/b/c.rs", "d/mod.rs"]
    );
    assert_eq!(imported_by("use crate::a::{\n    b::{self},\n};"), ["a/b.rs"]);
    assert_eq!(imported_by("use {crate::a, ::std::fs, crate::d as e};"), ["a.rs", "d/mod.rs"]);
}

#[test]
fn paths_in_the_code_are_imports_too() {
    assert_eq!(
        imported_by("fn f() -> crate::a::b::Item { crate::d::new::<u8>::x(); $crate::a::y!() }"),
        ["a.rs", "a/b.rs", "d/mod.rs"]
    );
    assert_eq!(imported_by("impl Trait for <A as crate::a::b::Trait>::Item {}"), ["a/b.rs"]);
    assert_eq!(imported_by("fn f() { let x = Vec::<crate::d::Item>::new(); }"), ["d/mod.rs"]);
    assert!(
        imported_by("pub(crate) fn f(self) { self.a.b(); } pub(in crate::a) struct S; impl A + use<'a> {}").is_empty()
    );
}

#[test]
fn super_and_self_are_followed_from_where_they_stand() {
    assert_eq!(imported_by_file("a/b.rs", "use super::Item;"), ["a.rs"]);
    assert_eq!(imported_by_file("a/b.rs", "use super::super::d::Item;"), ["d/mod.rs"]);
    assert_eq!(imported_by_file("a/b.rs", "use self::c::Item; use self::Own;"), ["a/b/c.rs"]);
    assert_eq!(imported_by_file("a/b/c.rs", "fn f() { super::super::x() }"), ["a.rs"]);
    assert_eq!(imported_by_file("a/b.rs", "mod inner { use super::c::X; use super::super::Y; }"), ["a.rs", "a/b/c.rs"]);
    assert_eq!(imported_by_file("a/b.rs", "mod inner { fn f() { if true {} } } use super::Y;"), ["a.rs"]);
}

#[test]
fn a_face_imports_what_it_takes_from_its_folder_and_not_what_it_only_has() {
    assert!(imported_by_file("a.rs", "pub mod b;\nmod c { fn f() {} }").is_empty());
    assert_eq!(imported_by_file("a.rs", "mod b; pub use b::Item;"), ["a/b.rs"]);
    assert_eq!(imported_by_file("a.rs", "use b::{c::X}; mod b;"), ["a/b/c.rs"]);
    assert_eq!(imported_by_file("a.rs", "mod b; fn f() { b::work() }"), ["a/b.rs"]);
    // What no module of the file is called so is another crate's.
    assert!(imported_by_file("a.rs", "use b::Item;").is_empty());
    assert!(imported_by_file("a/b.rs", "use b::Item; fn f() { d::x() }").is_empty());
}

#[test]
fn what_was_imported_under_a_name_leads_on() {
    assert_eq!(imported_by("use crate::a; fn f() { a::b::c::work() }"), ["a.rs", "a/b/c.rs"]);
    assert_eq!(
        imported_by("use crate::a as other; use other::b as third; type T = third::c::Item;"),
        ["a.rs", "a/b.rs", "a/b/c.rs"]
    );
    assert_eq!(imported_by("mod inner { use crate::a; } fn f() { a::b::work() }"), ["a.rs"]);
    assert!(imported_by("use image; use image::{self as image}; fn f() { image::open() }").is_empty());
}

#[test]
fn the_program_names_its_crate() {
    assert_eq!(
        imported_by_file("main.rs", "use augment::a::b; fn main() { augment::d::run() }"),
        ["a/b.rs", "d/mod.rs"]
    );
    assert!(imported_by("use augment::a::b;").is_empty());
}

#[test]
fn comments_texts_and_characters_are_no_code() {
    let text = r####"
// use crate::a::X;
/// [`crate::a::X`]
/* use crate::a::X; /* crate::a::Y */ crate::a::Z */
const A: &str = "crate::a::X \" crate::a::Y"; const B: char = '"'; const C: u8 = b'\''; const D: char = '\u{22}';
const E: &[u8] = br##"crate::a::X "# crate::a::Y"##; fn f<'a>(x: &'a str, y: 'static) {} const G: &str = "\\";
const H: char = 'é'; const I: &str = "日本\
    crate::a::X"; fn r#use() { r#type::x() }
use crate::d::X;"####;
    let files = [("here.rs", text), ("a.rs", ""), ("d.rs", "")];
    assert_eq!(imports(&files), ["here.rs:9 d.rs"]);
    let (stripped, _) = Text::of(text);
    assert_eq!([stripped.code.len(), stripped.words.len()], [text.len(); 2]);
    assert!(stripped.words.contains("crate::a::X \\\" crate::a::Y\"; const B") && !stripped.words.contains("Z */"));
}

#[test]
fn tests_do_not_count() {
    let text = "
#[cfg(test)]
mod testing;
#[cfg(test)]
use crate::a::{X, Y};
#[cfg(test)]
#[allow(unused)]
fn f(x: [u8; 3]) -> [u8; 2] { crate::a::x() }
#[cfg(all(test, unix))]
pub(crate) mod tests {
    #[cfg(test)]
    use crate::a::X;
    fn g() { println!(\"}\") }
}
#[cfg(not(test))]
use crate::b::X;
#[cfg(unix)]
use crate::c::X;
";
    let testing = "use crate::d::X;";
    let files = [("h.rs", text), ("h/testing.rs", testing), ("h/testing/deep.rs", testing), ("a.rs", "")];
    let others = [("b.rs", ""), ("c.rs", ""), ("d.rs", "")];
    assert_eq!(imports(&[&files[..], &others].concat()), ["h.rs:16 b.rs", "h.rs:18 c.rs"]);
}

#[test]
fn a_circle_is_reported_whole_and_once() {
    let found = circles(&project(&[
        ("a.rs", "use crate::b::X;"),
        ("b.rs", "\nuse crate::c::d::X; use crate::e::X;"),
        ("c/d.rs", "\n\nfn f() { crate::a::x() }"),
        ("e.rs", "use crate::f::X;"),
        ("f.rs", ""),
    ]));
    assert_eq!(found, ["a.rs:1 -> b.rs:2 -> c/d.rs:3 -> a.rs"]);
    let face = circles(&project(&[("a.rs", "mod b; pub use b::X;"), ("a/b.rs", "use super::Y;")]));
    assert_eq!(face, ["a.rs:1 -> a/b.rs:1 -> a.rs"]);
    // Two through one file: each is reported.
    let two = [("a.rs", "use crate::b; use crate::c;"), ("b.rs", "use crate::a;"), ("c.rs", "use crate::a;")];
    assert_eq!(circles(&project(&two)).len(), 2);
    assert!(circles(&project(&[("a.rs", "use crate::b; use self::X; use crate::a::Y;"), ("b.rs", "")])).is_empty());
}

#[test]
fn imports_lead_to_lower_layers_only() {
    let good = [
        ("main.rs", "use augment::cli;"),
        ("lib.rs", "pub use nst::X; pub mod nst;"),
        ("cli/run.rs", "use crate::batch::X; use crate::units::Y; use crate::cli::args::Z;"),
        ("cli/args.rs", ""),
        ("cli.rs", ""),
        ("batch.rs", "use crate::output::X; use crate::plan::Y;"),
        ("output.rs", "use crate::plan::Y;"),
        ("plan.rs", ""),
        ("nst.rs", ""),
        ("error.rs", ""),
        ("units.rs", "use crate::error::X;"),
    ];
    assert_none("", &upward(&project(&good)));
    let bad = [
        ("batch/worker.rs", "use crate::view::X;\nuse crate::cli::Y;"),
        ("plan.rs", "use crate::weights::X;"),
        ("files/paths.rs", "use crate::dataset::X;"),
        ("error.rs", "use crate::units::X;"),
        ("config.rs", "use crate::BUILD;"),
        ("tools/a.rs", ""),
    ];
    let there = ["view", "cli", "weights", "dataset", "units"].map(|name| (format!("{name}.rs"), String::new()));
    let mut sources: Vec<(String, String)> = bad.map(|(name, text)| (name.into(), text.into())).into();
    sources.extend(there.into_iter().chain([("lib.rs".to_string(), String::new())]));
    assert_eq!(
        upward(&Project::of(sources)),
        [
            "tools is in no layer",
            "batch/worker.rs:1: batch imports view (crate::view::X)",
            "batch/worker.rs:2: batch imports cli (crate::cli::Y)",
            "plan.rs:1: plan imports weights (crate::weights::X)",
            "files/paths.rs:1: files imports dataset (crate::dataset::X)",
            "error.rs:1: error imports units (crate::units::X)",
            "config.rs:1: config imports lib (crate::BUILD)",
        ]
    );
}

#[test]
fn every_name_of_the_outside_in_the_engine_is_reported() {
    let text = "use crate::nst::loss::Loss;
use crate::error::Error;
use super::super::memory::free;
use std::{fmt, fs, path::Path};
use std::io;
fn f(x: &std::path::Path, y: PathBuf) { io::stderr().flush(); io::sink(); }
// std::env::var, println!, --device
fn g() { std::env::var(\"X\"); println!(\"try --device cpu\"); a.print(); print::x(); let z = --y; }
const A: &str = \"as -- b and ---\"; const B: &str = \"a\\
    --max-failures=3\";
#[cfg(test)]
mod tests { use std::env; use crate::error::Error; fn f() { println!(\"--json\") } }
";
    let engine = [("nst.rs", "use clap::Parser; pub use loss::Loss; mod loss;"), ("nst/loss.rs", text)];
    let others = [("memory.rs", text), ("error.rs", ""), ("nst/testing.rs", "use indicatif::Bar;")];
    let found = outside(&project(&[&engine[..], &others].concat()));
    let expected = [
        "nst.rs:1: clap::Parser",
        "nst/loss.rs:2: crate::error::Error",
        "nst/loss.rs:3: crate::memory::free",
        "nst/loss.rs:4: std::fs",
        "nst/loss.rs:4: std::path::Path",
        "nst/loss.rs:6: PathBuf",
        "nst/loss.rs:6: std::io::stderr",
        "nst/loss.rs:6: std::path::Path",
        "nst/loss.rs:8: println!",
        "nst/loss.rs:8: std::env::var",
        "nst/loss.rs:8: the flag --device of the command line",
        "nst/loss.rs:10: the flag --max-failures of the command line",
        "nst/testing.rs:1: indicatif::Bar",
    ];
    assert_eq!(found, expected);
}
