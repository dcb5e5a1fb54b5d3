//! The configuration file: TOML, whose keys are the long options' names. It becomes arguments that stand before those of
//! the command line, so that both say the same in the same words, and are checked by the same code.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::de::{DeTable, DeValue};

/// Options about the run itself, which have no place in the file.
const COMMAND_LINE_ONLY: [&str; 6] = ["config", "check", "man", "completions", "help", "version"];

/// Why a file can't be used.
#[derive(Debug)]
pub enum Error {
    /// It can't be read.
    Read(PathBuf, io::Error),
    /// What is wrong in this line of it.
    Line(PathBuf, usize, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Line(path, line, what) => write!(f, "{}:{line}: {what}", path.display()),
        }
    }
}

/// The file's settings as arguments of `command`, but for the options that the command line gives itself.
pub fn arguments(path: &Path, command: &Command, given: &ArgMatches) -> Result<Vec<OsString>, Error> {
    let text = fs::read_to_string(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    let wrong = |at: usize, what: String| {
        let before = text.get(..at).unwrap_or(&text);
        Error::Line(path.to_owned(), before.matches('\n').count() + 1, what)
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let Range { start, .. } = error.span().unwrap_or_default();
        wrong(start, error.message().to_owned())
    })?;
    let mut settings: Vec<_> = table.get_ref().iter().collect();
    settings.sort_by_key(|(key, _)| key.span().start);
    let mut arguments = Vec::new();
    for (key, value) in settings {
        let name = key.get_ref().as_ref();
        let failed = |what| wrong(key.span().start, format!("{name}: {what}"));
        let Some(option) = option(command, name) else { return Err(failed(unknown(command, name))) };
        let own = setting(option, name, value.get_ref()).map_err(failed)?;
        check(command, &own).map_err(failed)?;
        if given.value_source(option.get_id().as_str()) != Some(ValueSource::CommandLine) {
            arguments.extend(own.into_iter().map(OsString::from));
        }
    }
    Ok(arguments)
}

fn option<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let is_asked = |option: &&Arg| option.get_long() == Some(name) && !COMMAND_LINE_ONLY.contains(&name);
    command.get_arguments().find(is_asked)
}

fn unknown(command: &Command, name: &str) -> String {
    if COMMAND_LINE_ONLY.contains(&name) {
        return "only the command line takes it".to_owned();
    }
    let error = command.clone().try_get_matches_from(["", &format!("--{name}")]).err();
    let near = error.as_ref().and_then(|error| error.get(ContextKind::SuggestedArg));
    match near {
        Some(ContextValue::String(near)) => {
            format!("there is no such option; did you mean {}?", near.trim_start_matches('-'))
        }
        _ => "there is no such option; the long options' names are the keys, see --help".to_owned(),
    }
}

/// A setting as it would be given on the command line.
fn setting(option: &Arg, name: &str, value: &DeValue) -> Result<Vec<String>, String> {
    let is_list = matches!(option.get_action(), ArgAction::Append);
    let with = |text: &str| format!("--{name}={text}");
    match (option.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec![format!("--{name}")]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err("expected true or false".to_owned()),
        (_, DeValue::Array(values)) if is_list => {
            values.iter().map(|value| Ok(with(&single(value.get_ref())?))).collect()
        }
        // name = { "10.0.0.5" = "board7" }
        (_, DeValue::Table(entries)) if is_list => {
            let pair = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue>)| {
                let key: &std::borrow::Cow<'_, str> = key.get_ref();
                Ok(with(&format!("{key}={}", single(value.get_ref())?)))
            };
            entries.iter().map(pair).collect()
        }
        (_, value) => Ok(vec![with(&single(value)?)]),
    }
}

fn single(value: &DeValue) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Float(number) => Ok(number.to_string()),
        _ => Err("expected one value: a text or a number".to_owned()),
    }
}

/// Whether the option takes this value. What it needs beside it may be on the command line.
fn check(command: &Command, arguments: &[String]) -> Result<(), String> {
    let all = [""].into_iter().chain(arguments.iter().map(String::as_str));
    match command.clone().try_get_matches_from(all) {
        Err(error)
            if !matches!(error.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict) =>
        {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(first.trim_start_matches("error: ").to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::options::Options;

    /// What a file of this text says beside the command line's options.
    fn read(text: &str, command_line: &[&str]) -> Result<Vec<String>, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file.toml");
        fs::write(&path, text).expect("a file");
        let command = Options::command();
        let all = ["program"].iter().chain(command_line);
        let given =
            command.clone().ignore_errors(true).try_get_matches_from(all).expect("errors are ignored");
        let arguments = arguments(&path, &command, &given).map_err(|error| {
            let text = error.to_string();
            text.rsplit_once("file.toml").map_or(text.clone(), |(_, end)| end.to_owned())
        })?;
        Ok(arguments.into_iter().map(|text| text.into_string().expect("text")).collect())
    }

    #[test]
    fn settings_become_options() {
        let text = "port = [514, 6666]\nquiet = true\njson = false\nrotate = \"1G\"\ndir = '/var/log/netconsole'\nkeep = 3\n\
                    name = { \"10.0.0.5\" = \"board7\" }\nname-from = \"syslog\"\ntimeout = 0.5";
        let options = [
            "--port=514",
            "--port=6666",
            "--quiet",
            "--rotate=1G",
            "--dir=/var/log/netconsole",
            "--keep=3",
            "--name=10.0.0.5=board7",
            "--name-from=syslog",
            "--timeout=0.5",
        ];
        assert_eq!(read(text, &[]), Ok(options.map(str::to_owned).to_vec()));
        assert_eq!(read("", &[]), Ok(Vec::new()));
    }

    #[test]
    fn the_command_line_counts_more() {
        assert_eq!(read("port = [1, 2]\nkeep = 3", &["-p", "7"]), Ok(vec!["--keep=3".to_owned()]));
    }

    /// The line and the key are named, and what was expected.
    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("\nprot = 1", ":2: prot: there is no such option; did you mean port?"),
            (
                "xyzzy = 1",
                ":1: xyzzy: there is no such option; the long options' names are the keys, see --help",
            ),
            ("man = true", ":1: man: only the command line takes it"),
            ("quiet = 1", ":1: quiet: expected true or false"),
            ("keep = [1]", ":1: keep: expected one value: a text or a number"),
            ("port = [[1]]", ":1: port: expected one value: a text or a number"),
            ("keep = true", ":1: keep: expected one value: a text or a number"),
        ] {
            assert_eq!(read(text, &[]), Err(expected.to_owned()), "{text}");
        }
        let error = read("keep = 1\n\nport = 70000", &[]).expect_err("ports are 16 bits");
        assert!(error.starts_with(":3: port: invalid value '70000' for '--port <PORT>'"), "{error}");
        let error = read("keep = 1\nkeep =", &[]).expect_err("no value");
        assert!(error.starts_with(":2: "), "{error}");
    }
}
