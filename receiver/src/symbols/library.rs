//! Where a kernel's and its modules' files are: one file, or a directory in which they are found by build id, in the
//! layouts of debuginfod and of `/usr/lib/debug`, or by the kernel's release.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::error::Error;
use super::image::Image;

/// Files of a directory that are looked at.
const FILES: usize = 500_000;
/// Files that are held at a time.
const IMAGES: usize = 64;

/// The files.
pub struct Library {
    /// It is this one.
    single: Option<Rc<Image>>,
    dir: PathBuf,
    by_build_id: HashMap<String, PathBuf>,
    kernels: Vec<PathBuf>,
    modules: HashMap<String, Vec<PathBuf>>,
    /// `None`: it can't be used.
    opened: HashMap<PathBuf, Option<Rc<Image>>>,
}

impl Library {
    /// A file, or a directory with all below it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut library = Library {
            single: None,
            dir: path.to_owned(),
            by_build_id: HashMap::new(),
            kernels: Vec::new(),
            modules: HashMap::new(),
            opened: HashMap::new(),
        };
        if path.is_dir() {
            library.walk(path).map_err(|error| Error::Image(super::image::Error::File(error.to_string())))?;
            if library.by_build_id.is_empty() && library.kernels.is_empty() {
                return Err(Error::Empty);
            }
        } else {
            library.single = Some(Rc::new(Image::open(path).map_err(Error::Image)?));
        }
        Ok(library)
    }

    fn walk(&mut self, top: &Path) -> std::io::Result<()> {
        let mut dirs = vec![top.to_owned()];
        let mut seen = 0usize;
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                seen = seen.saturating_add(1);
                if seen > FILES {
                    return Err(std::io::Error::other(format!("more than {FILES} files are below it")));
                }
                let path = entry.path();
                // Debian's build ids are links to the files.
                if entry.file_type()?.is_dir() { dirs.push(path) } else { self.note(path) }
            }
        }
        self.kernels.sort();
        self.modules.values_mut().for_each(|paths| paths.sort());
        Ok(())
    }

    fn note(&mut self, path: PathBuf) {
        let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name_of(&path);
        let parent = path.parent().map(name_of).unwrap_or_default();
        let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let stem = name.strip_suffix(".debug").unwrap_or(&name);
        // ab/cdef….debug, and debuginfod's abcdef…/debuginfo.
        if parent.len() == 2 && is_hex(&parent) && stem.len() == 38 && is_hex(stem) {
            self.by_build_id.insert(format!("{parent}{stem}"), path);
        } else if name == "debuginfo" && parent.len() == 40 && is_hex(&parent) {
            self.by_build_id.insert(parent, path);
        } else if let Some(module) = stem.strip_suffix(".ko") {
            self.modules.entry(module.replace('-', "_")).or_default().push(path);
        } else if stem == "vmlinux" || stem.starts_with("vmlinux-") {
            self.kernels.push(path);
        }
    }

    /// The file, where it is a single one.
    pub fn single(&self) -> Option<&Rc<Image>> {
        self.single.as_ref()
    }

    /// The kernel of a sender that said this of itself. The error is why there is none.
    pub fn kernel(&mut self, build_id: Option<&str>, release: Option<&str>) -> Result<Rc<Image>, String> {
        if let Some(single) = &self.single {
            return match (build_id, single.build_id()) {
                (Some(theirs), own) if own != Some(theirs) => Err(format!(
                    "addresses are not translated: the sender's build id is {theirs}, the ELF file's {}",
                    own.unwrap_or("missing")
                )),
                _ => Ok(Rc::clone(single)),
            };
        }
        let dir = self.dir.display().to_string();
        if let Some(path) = build_id.and_then(|id| self.by_build_id.get(id)).cloned()
            && let Some(image) = self.image(&path)
        {
            return Ok(image);
        }
        let candidates: Vec<PathBuf> = match release {
            Some(release) => self.kernels.iter().filter(|path| is_of(path, release)).cloned().collect(),
            None if build_id.is_some() || self.kernels.len() == 1 => self.kernels.clone(),
            None => Vec::new(),
        };
        for path in candidates {
            let image = self.image(&path);
            let fits = |image: &Rc<Image>| build_id.is_none() || image.build_id() == build_id;
            if let Some(image) = image.filter(fits) {
                return Ok(image);
            }
        }
        let what = match (build_id, release) {
            (Some(id), _) => format!("with the build id {id}"),
            (None, Some(release)) => format!("of release {release}"),
            (None, None) => {
                "that is the sender's for sure: neither its build id nor its release was heard".to_owned()
            }
        };
        Err(format!("addresses are not translated: {dir} has no vmlinux {what}"))
    }

    /// A module of a sender, if it is there.
    pub fn module(&mut self, name: &str, build_id: Option<&str>, release: Option<&str>) -> Option<Rc<Image>> {
        let by_id = build_id.and_then(|id| self.by_build_id.get(id)).cloned();
        let paths = self.modules.get(&name.replace('-', "_")).cloned().unwrap_or_default();
        let is_its = |path: &PathBuf| paths.len() == 1 || release.is_some_and(|release| is_of(path, release));
        let path = by_id.or_else(|| paths.iter().find(|path| is_its(path)).cloned())?;
        self.image(&path)
    }

    fn image(&mut self, path: &Path) -> Option<Rc<Image>> {
        if let Some(opened) = self.opened.get(path) {
            return opened.clone();
        }
        if self.opened.len() >= IMAGES {
            self.opened.clear();
        }
        let image = Image::open(path).map(Rc::new).ok();
        self.opened.insert(path.to_owned(), image.clone());
        image
    }
}

/// Whether a file is one release's: its name ends so, or a directory above it has that name.
fn is_of(path: &Path, release: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.trim_end_matches(".debug").strip_prefix("vmlinux-") == Some(release)
        || path.ancestors().skip(1).any(|dir| dir.file_name().is_some_and(|name| name == release))
}
