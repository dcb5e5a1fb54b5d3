//! No file imports another one that, in the end, imports it, and no folder what it says it knows nothing of: read from
//! the sources of every crate.
//!
//! An import counts for the file that defines what it names: where a module only passes a name on (`pub use`), that is
//! not the module's own file. Tests and models of devices may import what they test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The sources of each crate, from the workspace's folder.
const CRATES: [&str; 11] = [
    "arm/src",
    "src",
    "bench/src",
    "bootinfo/src",
    "bzimage/src",
    "linuxlog/src",
    "netconsole/examples/kernel/src",
    "netconsole/src",
    "receiver/src",
    "screen/src",
    "vhost-user/src",
];

/// A module by its path from the crate's root.
type Module = Vec<String>;

struct Crate {
    modules: BTreeMap<Module, PathBuf>,
    /// What each module passes on, and where from.
    passed_on: BTreeMap<Module, BTreeMap<String, Module>>,
    /// What each module imports, with the words of its `use`.
    imports: BTreeMap<Module, Vec<(Module, String)>>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        collect(root, &mut files);
        assert!(!files.is_empty(), "{} has no sources", root.display());
        let modules = files.into_iter().map(|path| (module_of(root, &path), path)).collect();
        let mut new = Self { modules, passed_on: BTreeMap::new(), imports: BTreeMap::new() };
        for (module, path) in new.modules.clone() {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            for (passes_on, tree) in uses(&text) {
                for name in expand(&tree) {
                    new.take(&module, passes_on, &name);
                }
            }
        }
        new
    }

    fn take(&mut self, module: &Module, passes_on: bool, name: &str) {
        let (name, alias) = name.split_once(" as ").unwrap_or((name, ""));
        let segments: Vec<&str> = name.split("::").collect();
        let Some(mut target) = self.absolute(module, &segments) else { return };
        if target.last().is_some_and(|last| last == "self") {
            target.pop();
        }
        if passes_on {
            let shown =
                if alias.is_empty() { target.last().cloned().unwrap_or_default() } else { alias.to_string() };
            self.passed_on.entry(module.clone()).or_default().insert(shown, target);
        } else {
            self.imports.entry(module.clone()).or_default().push((target, name.to_string()));
        }
    }

    /// The path from the crate's root; `None` of a name in another crate.
    fn absolute(&self, module: &Module, segments: &[&str]) -> Option<Module> {
        let mut base = match *segments.first()? {
            "crate" => return Some(segments[1..].iter().map(|part| part.to_string()).collect()),
            "super" | "self" => module.clone(),
            first => {
                let mut child = module.clone();
                child.push(first.to_string());
                self.modules.get(&child)?;
                module.clone()
            }
        };
        for part in segments {
            match *part {
                "super" => _ = base.pop(),
                "self" if base.len() == module.len() => {}
                part => base.push(part.to_string()),
            }
        }
        Some(base)
    }

    /// The module whose file defines what a path names.
    fn definer(&self, path: &Module, depth: usize) -> Option<Module> {
        let len = (0..=path.len()).rev().find(|&len| self.modules.contains_key(&path[..len]))?;
        let (module, rest) = (path[..len].to_vec(), &path[len..]);
        let passed = rest.first().and_then(|name| self.passed_on.get(&module)?.get(name));
        match passed {
            Some(target) if depth < 9 => {
                let further = target.iter().chain(&rest[1..]).cloned().collect();
                self.definer(&further, depth + 1)
            }
            _ => Some(module),
        }
    }

    /// Whom each module imports, and by which words.
    fn graph(&self) -> BTreeMap<&Module, BTreeMap<Module, &str>> {
        let mut graph: BTreeMap<&Module, BTreeMap<Module, &str>> = BTreeMap::new();
        for (module, imports) in self.imports.iter().filter(|(module, _)| !is_for_tests(module)) {
            for (target, words) in imports {
                if let Some(definer) = self.definer(target, 0)
                    && definer != *module
                {
                    graph.entry(module).or_default().insert(definer, words);
                }
            }
        }
        graph
    }

    /// A way from a module back to itself, if there is one: each step says who imports what.
    fn circle(&self) -> Option<Vec<String>> {
        let graph = self.graph();
        graph.keys().find_map(|start| {
            let mut came_from: BTreeMap<Module, (Module, &str)> = BTreeMap::new();
            let mut waiting = vec![(*start).clone()];
            while let Some(module) = waiting.pop() {
                for (next, words) in graph.get(&module).into_iter().flatten() {
                    if next == *start {
                        let mut way = vec![format!("{} imports {words}", self.file(&module))];
                        let mut at = &module;
                        while let Some((before, words)) = came_from.get(at) {
                            way.push(format!("{} imports {words}", self.file(before)));
                            at = before;
                        }
                        way.reverse();
                        return Some(way);
                    }
                    if !came_from.contains_key(next) {
                        came_from.insert(next.clone(), (module.clone(), words));
                        waiting.push(next.clone());
                    }
                }
            }
            None
        })
    }

    fn file(&self, module: &Module) -> String {
        self.modules.get(module).map_or_else(String::new, |path| path.display().to_string())
    }
}

fn is_for_tests(module: &Module) -> bool {
    module.iter().any(|part| ["tests", "loom_tests", "fake", "model"].contains(&part.as_str()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn module_of(root: &Path, path: &Path) -> Module {
    let relative = path.strip_prefix(root).expect("it lies below").with_extension("");
    let mut parts: Module = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if ["mod", "lib", "main"].contains(&parts.last().map_or("", String::as_str)) {
        parts.pop();
    }
    parts
}

/// The trees of all `use` lines at a file's outer level, and whether each passes its names on.
fn uses(text: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (passes_on, rest) = match line.strip_prefix("pub") {
            Some(rest) => (
                true,
                rest.strip_prefix("(").and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest),
            ),
            None => (false, line),
        };
        let Some(first) = rest.strip_prefix(if passes_on { " use " } else { "use " }) else { continue };
        let mut tree = first.to_string();
        while !tree.ends_with(';') {
            tree.push_str(lines.next().expect("a `use` ends").trim());
        }
        tree.pop();
        found.push((passes_on, tree));
    }
    found
}

/// The single names of a tree: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![tree.to_string()] };
    let inner = rest.strip_suffix('}').expect("what is opened is closed");
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(part).into_iter().map(|name| format!("{prefix}{name}"))).collect()
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let circles: Vec<_> = CRATES
        .into_iter()
        .filter_map(|name| {
            Some(format!("{name}:\n  {}", Crate::read(&root.join(name)).circle()?.join("\n  ")))
        })
        .collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

/// The names in the sentence `It knows nothing of …` at the beginning of a folder's mod.rs.
fn unknown(text: &str) -> Vec<String> {
    let docs = text.lines().map_while(|line| line.strip_prefix("//!")).collect::<String>();
    let sentence = docs.split_once("It knows nothing of ").map_or("", |(_, rest)| rest);
    let names = sentence.split(['.', ':']).next().unwrap_or_default();
    names.split('`').skip(1).step_by(2).map(str::to_string).collect()
}

/// The names of a crate's modules that a text mentions behind `crate::`, but for comments and tests.
fn mentioned(text: &str) -> BTreeSet<&str> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.split("crate::").skip(1))
        .flat_map(|rest| {
            let end =
                rest.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(rest.len());
            let (name, group) = rest.split_at(end);
            let group = group.strip_prefix('{').filter(|_| name.is_empty());
            let group = group.and_then(|group| group.split('}').next()).unwrap_or(name);
            group.split(',').map(|name| name.trim().split("::").next().unwrap_or_default())
        })
        .collect()
}

#[test]
fn each_folder_keeps_to_what_it_says_it_knows_nothing_of() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for name in CRATES {
        let read = Crate::read(&root.join(name));
        for (folder, path) in read.modules.iter().filter(|(_, path)| path.ends_with("mod.rs")) {
            let text = fs::read_to_string(path).expect("it was read before");
            let unknown = unknown(&text);
            if name == "netconsole/src" && folder.len() == 1 && unknown.is_empty() {
                wrong.push(format!("{} does not say what it knows nothing of", path.display()));
            }
            for other in &unknown {
                if !read.modules.contains_key(std::slice::from_ref(other)) {
                    wrong.push(format!("{}: there is no {other}", path.display()));
                }
            }
            for (_, path) in
                read.modules.iter().filter(|(module, _)| module.starts_with(folder) && !is_for_tests(module))
            {
                let text = fs::read_to_string(path).expect("it was read before");
                for other in
                    mentioned(&text).into_iter().filter(|other| unknown.iter().any(|name| name == other))
                {
                    wrong.push(format!("{} names {other}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_circle_is_found_through_names_that_are_passed_on() {
    let folder = std::env::temp_dir().join(format!("imports-{}", std::process::id()));
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("it has room");
    fs::create_dir_all(folder.join("b")).expect("a folder");
    write("lib.rs", "mod a;\nmod b;\n");
    write("a.rs", "use crate::b::{\n    Inner,\n};\n");
    write("b/mod.rs", "mod inner;\npub use inner::Inner;\n");
    write("b/inner.rs", "use core::fmt;\nuse super::super::a::Thing;\n");
    let way = Crate::read(&folder).circle().expect("a and b/inner import each other");
    assert!(way[0].ends_with("a.rs imports crate::b::Inner"), "{way:?}");
    assert!(way[1].ends_with("b/inner.rs imports super::super::a::Thing"), "{way:?}");
    write("b/inner.rs", "use core::fmt;\n");
    assert_eq!(Crate::read(&folder).circle(), None);
    fs::remove_dir_all(folder).expect("it was ours");
}

#[test]
fn what_a_folder_knows_is_read_from_its_code() {
    let docs = "//! The log.\n//!\n//! It knows nothing of `wire` and\n//! `nic`: `ring` is its own.\n";
    assert_eq!(unknown(docs), ["wire", "nic"]);
    let code = "use crate::{wire, ring::Level};\n// crate::seal\nfn a() { crate::nic::b() }\n";
    assert_eq!(mentioned(code), BTreeSet::from(["wire", "ring", "nic"]));
}
