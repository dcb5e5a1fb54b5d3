//! What `ls`, `cat`, `echo VALUE >`, `mkdir` and `rmdir` do in the tree of targets.

use super::error::TreeError;
use super::host::Host;
use super::path::{Node, Path};
use crate::targets::attribute::{Attribute, SystemSwitch};
use crate::targets::table::TargetTable;
use crate::targets::user_data::UserDataError;
use core::fmt;

/// Whether something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Yes,
    /// A record of the target is under way: try again.
    NotYet,
}

/// Writes the name of a directory's entry `number`, with a slash where it is a directory; false behind
/// the last.
pub(super) fn list(
    node: &Node<'_>,
    number: usize,
    table: &TargetTable,
    out: &mut dyn fmt::Write,
) -> Result<bool, fmt::Error> {
    let mut directory = |name: Option<&str>| match name {
        Some(name) => writeln!(out, "{name}/").map(|()| true),
        None => Ok(false),
    };
    match *node {
        Node::Around(entries) => match entries.get(number) {
            Some(entry) => writeln!(out, "{entry}").map(|()| true),
            None => Ok(false),
        },
        Node::Top => directory(table.numbered().nth(number).map(|(_, target)| target.name())),
        Node::Item(..) if number == 0 => writeln!(out, "value").map(|()| true),
        Node::Target(_) => match Attribute::ALL.get(number) {
            Some(file) => writeln!(out, "{}", file.name()).map(|()| true),
            None => directory((number == Attribute::ALL.len()).then_some("userdata")),
        },
        Node::UserData(target) => match SystemSwitch::ALL.get(number) {
            Some(switch) => writeln!(out, "{}", switch.name()).map(|()| true),
            None => {
                let item = number.saturating_sub(SystemSwitch::ALL.len());
                directory(table.user_data().items(target).nth(item).map(|(key, _)| key))
            }
        },
        Node::Item(..)
        | Node::ModuleParameter(_)
        | Node::Kernel(_)
        | Node::Attribute(..)
        | Node::Switch(..)
        | Node::Value(..) => Ok(false),
    }
}

/// Writes what a file holds.
pub(super) fn show(
    node: &Node<'_>,
    host: &mut dyn Host,
    out: &mut dyn fmt::Write,
) -> Result<(), TreeError<'static>> {
    if let Node::Kernel(file) = *node {
        return file.show(host, out);
    }
    let common = *host.common();
    let table = host.targets();
    // What is cut because `out` is full, is.
    let _ = match *node {
        Node::ModuleParameter(parameter) => Some(writeln!(out, "{}", parameter.as_str(common))),
        Node::Attribute(target, file) => table.get(target).map(|target| file.show(target, out)),
        Node::Switch(target, switch) => table.get(target).map(|target| switch.show(target, out)),
        Node::Value(target, key) => {
            table.user_data().value(target, key).map(|value| writeln!(out, "{value}"))
        }
        _ => return Err(TreeError::IsDirectory),
    };
    Ok(())
}

/// Writes to a file.
pub(super) fn store<'a>(
    node: &Node<'_>,
    host: &'a mut dyn Host,
    value: &'a str,
) -> Result<Done, TreeError<'a>> {
    if let Node::ModuleParameter(parameter) = *node {
        parameter.store(host.common(), value).map_err(TreeError::Attribute)?;
        return Ok(Done::Yes);
    }
    if let Node::Kernel(file) = *node {
        return file.store(host, value).map(|()| Done::Yes);
    }
    let now = host.now();
    let table = host.targets();
    let (number, needs_settled) = match *node {
        Node::Attribute(number, file) => (number, file.needs_settled()),
        Node::Switch(number, _) | Node::Value(number, _) => (number, true),
        _ => return Err(TreeError::IsDirectory),
    };
    if let Node::Value(_, key) = *node {
        if !settle(table, number) {
            return Ok(Done::NotYet);
        }
        let line = value.trim_end_matches(['\n', '\r']);
        table.user_data_mut().set(number, key, line).map_err(TreeError::Item)?;
        return Ok(Done::Yes);
    }
    if needs_settled && !settle(table, number) {
        return Ok(Done::NotYet);
    }
    let target = table.get_mut(number).ok_or(TreeError::Missing)?;
    let stored = match *node {
        Node::Attribute(_, file) => file.store(target, value, now),
        Node::Switch(_, switch) => switch.store(target, value),
        _ => Ok(()),
    };
    stored.map(|()| Done::Yes).map_err(TreeError::Attribute)
}

/// Makes a target or an item.
pub(super) fn make(path: &Path, table: &mut TargetTable) -> Result<(), TreeError<'static>> {
    let (parent, name) = path.split().ok_or(TreeError::NotPermitted)?;
    match parent.find(table) {
        None => Err(TreeError::Missing),
        Some(Node::Top) => table.create(name).map(|_| ()).map_err(TreeError::Target),
        Some(Node::UserData(_)) if SystemSwitch::find(name).is_some() => {
            Err(TreeError::Item(UserDataError::Exists))
        }
        Some(Node::UserData(target)) => table.user_data_mut().create(target, name).map_err(TreeError::Item),
        Some(node) if node.is_directory() => Err(TreeError::NotPermitted),
        Some(_) => Err(TreeError::NotDirectory),
    }
}

/// Removes a target, which stops, or an item.
pub(super) fn remove(path: &Path, table: &mut TargetTable) -> Result<Done, TreeError<'static>> {
    match path.find(table) {
        None => Err(TreeError::Missing),
        Some(Node::Target(number)) => {
            if table.user_data().items(number).next().is_some() {
                return Err(TreeError::NotEmpty);
            }
            if !settle(table, number) {
                return Ok(Done::NotYet);
            }
            table.remove(number);
            Ok(Done::Yes)
        }
        Some(Node::Item(number, key)) => {
            if !settle(table, number) {
                return Ok(Done::NotYet);
            }
            table.user_data_mut().remove(number, key).map_err(TreeError::Item)?;
            Ok(Done::Yes)
        }
        Some(node) if node.is_directory() => Err(TreeError::NotPermitted),
        Some(_) => Err(TreeError::NotDirectory),
    }
}

/// Removes the first target, which stops, and its items; `None` where there is none.
pub(super) fn remove_first(table: &mut TargetTable) -> Option<Done> {
    let (number, _) = table.numbered().next()?;
    if !settle(table, number) {
        return Some(Done::NotYet);
    }
    table.remove(number);
    Some(Done::Yes)
}

/// Whether the target is between two records.
fn settle(table: &mut TargetTable, number: usize) -> bool {
    table.get_mut(number).is_none_or(|target| target.settle())
}
