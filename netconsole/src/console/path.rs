//! Places in the tree of targets.

use super::kernel_file::KernelFile;
use super::module_parameter::ModuleParameter;
use crate::targets::attribute::{Attribute, SystemSwitch};
use crate::targets::table::TargetTable;
use crate::text::Text;

/// The longest path in bytes; the longest that exists is an item's value, 130.
const MAX: usize = 192;

/// An absolute path without `.`, `..` and doubled slashes; the root is empty.
#[derive(Clone)]
pub(super) struct Path(Text<MAX>);

/// Where the targets are.
const TOP: &str = "/sys/kernel/config/netconsole";

/// The directories around it, and what is in each.
const AROUND: [(&str, &[&str]); 13] = [
    ("", &["dev/", "proc/", "sys/"]),
    ("/dev", &["kmsg"]),
    ("/proc", &["cmdline", "sys/"]),
    ("/proc/sys", &["kernel/"]),
    ("/proc/sys/kernel", &["printk"]),
    ("/sys", &["kernel/", "module/"]),
    ("/sys/kernel", &["config/"]),
    ("/sys/kernel/config", &["netconsole/"]),
    ("/sys/module", &["netconsole/", "printk/"]),
    ("/sys/module/netconsole", &["parameters/"]),
    ("/sys/module/netconsole/parameters", &["oops_only"]),
    ("/sys/module/printk", &["parameters/"]),
    ("/sys/module/printk/parameters", &["ignore_loglevel", "time"]),
];

/// The files in them.
const MODULE_PARAMETERS: [(&str, ModuleParameter); 3] = [
    ("/sys/module/netconsole/parameters/oops_only", ModuleParameter::OopsOnly),
    ("/sys/module/printk/parameters/ignore_loglevel", ModuleParameter::IgnoreLoglevel),
    ("/sys/module/printk/parameters/time", ModuleParameter::Time),
];

/// The kernel's own files.
const KERNEL_FILES: [(&str, KernelFile); 3] = [
    ("/proc/cmdline", KernelFile::CommandLine),
    ("/proc/sys/kernel/printk", KernelFile::Printk),
    ("/dev/kmsg", KernelFile::Kmsg),
];

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node<'p> {
    /// A directory around the targets, and what is in it.
    Around(&'static [&'static str]),
    /// A file there.
    ModuleParameter(ModuleParameter),
    /// Another.
    Kernel(KernelFile),
    /// Where the targets are.
    Top,
    /// A target, by its number in the table.
    Target(usize),
    /// One of its files.
    Attribute(usize, Attribute),
    /// Where its items are.
    UserData(usize),
    /// One of the switches there.
    Switch(usize, SystemSwitch),
    /// An item's directory.
    Item(usize, &'p str),
    /// An item's value.
    Value(usize, &'p str),
}

impl Node<'_> {
    pub(super) const fn is_directory(&self) -> bool {
        !matches!(
            self,
            Self::ModuleParameter(_)
                | Self::Kernel(_)
                | Self::Attribute(..)
                | Self::Switch(..)
                | Self::Value(..)
        )
    }
}

impl Path {
    /// Where the targets are.
    pub(super) fn top() -> Self {
        Self(Text::of(TOP))
    }

    /// The path that `path` means seen from here; `None` where it is too long.
    pub(super) fn join(&self, path: &str) -> Option<Self> {
        let mut joined = if path.starts_with('/') { Self(Text::new()) } else { self.clone() };
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    let parent = joined.0.as_str().rfind('/').unwrap_or(0);
                    joined.0.truncate(parent);
                }
                part => {
                    joined.0.extend(b"/");
                    joined.0.extend(part.as_bytes());
                }
            }
        }
        (!joined.0.is_cut()).then_some(joined)
    }

    /// The path as it is written.
    pub(super) fn as_str(&self) -> &str {
        if self.0.is_empty() { "/" } else { self.0.as_str() }
    }

    /// The last part; `/` for the root.
    pub(super) fn name(&self) -> &str {
        self.split().map_or("/", |(_, name)| name)
    }

    /// The directory that it is in, and its name there; `None` for the root.
    pub(super) fn split(&self) -> Option<(Self, &str)> {
        let (parent, name) = self.0.as_str().rsplit_once('/')?;
        Some((Self(Text::of(parent)), name))
    }

    /// What is there.
    pub(super) fn find(&self, table: &TargetTable) -> Option<Node<'_>> {
        let path = self.0.as_str();
        if let Some((_, entries)) = AROUND.iter().find(|(around, _)| *around == path) {
            return Some(Node::Around(entries));
        }
        if let Some((_, parameter)) = MODULE_PARAMETERS.iter().find(|(file, _)| *file == path) {
            return Some(Node::ModuleParameter(*parameter));
        }
        if let Some((_, kernel_file)) = KERNEL_FILES.iter().find(|(file, _)| *file == path) {
            return Some(Node::Kernel(*kernel_file));
        }
        let below = path.strip_prefix(TOP)?;
        if below.is_empty() {
            return Some(Node::Top);
        }
        let mut parts = below.strip_prefix('/')?.split('/');
        let target = table.find(parts.next()?)?;
        let node = match [parts.next(), parts.next(), parts.next()] {
            [None, ..] => Node::Target(target),
            [Some("userdata"), None, _] => Node::UserData(target),
            [Some("userdata"), Some(name), file] => match (SystemSwitch::find(name), file) {
                (Some(switch), None) => Node::Switch(target, switch),
                (Some(_), Some(_)) => return None,
                (None, file) => {
                    table.user_data().value(target, name)?;
                    match file {
                        None => Node::Item(target, name),
                        Some("value") => Node::Value(target, name),
                        Some(_) => return None,
                    }
                }
            },
            [Some(file), None, _] => Node::Attribute(target, Attribute::find(file)?),
            _ => return None,
        };
        parts.next().is_none().then_some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_joined_as_in_a_shell() {
        let top = Path::top();
        for (path, expected) in [
            ("", "/sys/kernel/config/netconsole"),
            ("target1", "/sys/kernel/config/netconsole/target1"),
            ("./target1/", "/sys/kernel/config/netconsole/target1"),
            ("..", "/sys/kernel/config"),
            ("../../../../../..", "/"),
            ("/", "/"),
            ("/sys//kernel", "/sys/kernel"),
            ("a/../b", "/sys/kernel/config/netconsole/b"),
        ] {
            assert_eq!(
                top.join(path).map(|path| path.as_str().to_owned()).as_deref(),
                Some(expected),
                "{path}"
            );
        }
        let room = 192 - "/sys/kernel/config/netconsole/".len();
        assert!(top.join(&"x".repeat(room)).is_some());
        assert!(top.join(&"x".repeat(room + 1)).is_none());
    }

    proptest! {
        #[test]
        fn any_path_can_be_joined(path in "[./a]{0,30}", other: String) {
            let _ = Path::top().join(&other);
            let joined = Path::top().join(&path).expect("short enough");
            prop_assert!(joined.as_str().starts_with('/'));
            prop_assert!(!joined.as_str().contains("//"));
        }
    }
}
