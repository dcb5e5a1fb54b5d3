//! Words with a `*`, which stand for the names that fit, as in a shell.

use super::path::Path;
use super::tree;
use crate::targets::table::TargetTable;
use crate::text::Text;
use core::fmt::Write;

/// Room for a name with what ends it in a list.
const NAME: usize = 128;
/// Room for a path.
const PATH: usize = 256;

/// Hands each path that `word` stands for to `found`. Of the word's parts one may have a `*`.
pub(super) fn expand(word: &str, directory: &Path, table: &TargetTable, found: &mut dyn FnMut(&str)) {
    let Some(star) = word.find('*') else { return };
    let (head, tail) = word.split_at_checked(star).unwrap_or((word, ""));
    let start = head.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    let (before, begin) = head.split_at_checked(start).unwrap_or((head, ""));
    let end = tail.find('/').unwrap_or(tail.len());
    let (rest, behind) = tail.split_at_checked(end).unwrap_or((tail, ""));
    let Some(path) = directory.join(before) else { return };
    let Some(node) = path.find(table).filter(|node| node.is_directory()) else { return };
    for number in 0.. {
        let mut name = Text::<NAME>::new();
        if !tree::list(&node, number, table, &mut name).unwrap_or(false) {
            return;
        }
        let name = name.as_str().trim_end_matches(['\n', '/']);
        let mut path = Text::<PATH>::new();
        let exists = |path: &str| directory.join(path).is_some_and(|path| path.find(table).is_some());
        if fits(begin, rest, name)
            && write!(path, "{before}{name}{behind}").is_ok()
            && (behind.is_empty() || exists(path.as_str()))
        {
            found(path.as_str());
        }
    }
}

/// Whether a name begins with `begin` and goes on as `pattern` says, which begins with a `*`.
fn fits(begin: &str, pattern: &str, name: &str) -> bool {
    let pattern = pattern.strip_prefix('*').unwrap_or(pattern);
    let (middle, end) = pattern.rsplit_once('*').unwrap_or(("", pattern));
    let Some(mut rest) = name.strip_prefix(begin).and_then(|rest| rest.strip_suffix(end)) else {
        return false;
    };
    middle.split('*').all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (begin, pattern, name, expected) in [
            ("", "*", "enabled", true),
            ("", "*_ip", "local_ip", true),
            ("", "*_ip", "local_mac", false),
            ("local", "*", "local_ip", true),
            ("local", "*", "remote_ip", false),
            ("", "*l_*", "local_ip", true),
            ("", "*_*_*", "local_ip", false),
            ("local_i", "*ip", "local_ip", false),
            ("", "**", "a", true),
        ] {
            assert_eq!(fits(begin, pattern, name), expected, "{begin}{pattern}: {name}");
        }
    }
}
