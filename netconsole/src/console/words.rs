//! A line taken apart: words, quotes, `|` and `>`.

use crate::text::Text;
use core::fmt;

/// The longest line in bytes.
pub(super) const MAX_LINE: usize = 512;
/// The most words and signs of a line.
const MAX_TOKENS: usize = 64;

/// A word, or a sign between words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Word,
    Pipe,
    Into,
}

#[derive(Clone, Copy)]
struct Token {
    kind: Kind,
    /// Where its text ends; it begins where that of the token before ends.
    end: usize,
    /// It has a `*` outside of quotes.
    has_star: bool,
}

impl Token {
    const NONE: Self = Self { kind: Kind::Word, end: 0, has_star: false };
}

/// A line's words, their quotes taken away.
pub(super) struct Words {
    text: Text<MAX_LINE>,
    tokens: [Token; MAX_TOKENS],
    count: usize,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// This quote is not closed.
    Quote(char),
    /// There are too many words.
    TooLong,
    /// A command is missing next to `|`.
    Command,
    /// `>` needs one file, at the line's end.
    File,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quote(quote) => write!(f, "expected a closing {quote}"),
            Self::TooLong => {
                write!(f, "expected a line of at most {MAX_LINE} characters and {MAX_TOKENS} words")
            }
            Self::Command => f.write_str("expected a command before and behind each '|'"),
            Self::File => f.write_str("expected one file behind '>', at the end of the line"),
        }
    }
}

impl Words {
    pub(super) const fn new() -> Self {
        Self { text: Text::new(), tokens: [Token::NONE; MAX_TOKENS], count: 0 }
    }

    /// Takes a line apart.
    pub(super) fn read(&mut self, line: &str) -> Result<(), LineError> {
        self.text.clear();
        self.count = 0;
        let mut chars = line.char_indices().peekable();
        while let Some(&(_, char)) = chars.peek() {
            match char {
                '|' | '>' => {
                    chars.next();
                    self.end_token(if char == '|' { Kind::Pipe } else { Kind::Into }, false)?;
                }
                _ if char.is_whitespace() => {
                    chars.next();
                }
                _ => {
                    let (mut quote, mut has_star) = (None, false);
                    while let Some(&(at, char)) = chars.peek() {
                        if quote.is_none() && (char.is_whitespace() || matches!(char, '|' | '>')) {
                            break;
                        }
                        chars.next();
                        let end = at.saturating_add(char.len_utf8());
                        has_star |= char == '*' && quote.is_none();
                        match quote {
                            Some(open) if open == char => quote = None,
                            None if matches!(char, '"' | '\'') => quote = Some(char),
                            _ => self.text.extend(line.get(at..end).unwrap_or("").as_bytes()),
                        }
                    }
                    if let Some(quote) = quote {
                        return Err(LineError::Quote(quote));
                    }
                    self.end_token(Kind::Word, has_star)?;
                }
            }
        }
        self.check()
    }

    fn end_token(&mut self, kind: Kind, has_star: bool) -> Result<(), LineError> {
        let slot =
            self.tokens.get_mut(self.count).filter(|_| !self.text.is_cut()).ok_or(LineError::TooLong)?;
        *slot = Token { kind, end: self.text.len(), has_star };
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Puts what `names` gives for a word of the first command with a `*` in its place; where that is nothing, the
    /// word stays.
    pub(super) fn expand(&mut self, names: impl Fn(&str, &mut dyn FnMut(&str))) -> Result<(), LineError> {
        let stars = self.tokens.map(|token| token.has_star);
        if !stars.iter().take(self.count).any(|&has_star| has_star) {
            return Ok(());
        }
        let mut expanded = Self::new();
        let mut is_first = true;
        for ((kind, text), has_star) in self.tokens().zip(stars) {
            is_first &= kind == Kind::Word;
            let count = expanded.count;
            let mut result = Ok(());
            if has_star && is_first {
                names(text, &mut |name| {
                    if result.is_ok() {
                        expanded.text.extend(name.as_bytes());
                        result = expanded.end_token(Kind::Word, false);
                    }
                });
            }
            result?;
            if expanded.count == count {
                expanded.text.extend(text.as_bytes());
                expanded.end_token(kind, false)?;
            }
        }
        *self = expanded;
        Ok(())
    }

    /// Whether commands and files stand where they must.
    fn check(&self) -> Result<(), LineError> {
        let mut kinds = self.tokens.iter().take(self.count).map(|token| token.kind);
        let mut before = Kind::Pipe;
        while let Some(kind) = kinds.next() {
            match kind {
                Kind::Word => {}
                _ if before == Kind::Pipe => return Err(LineError::Command),
                Kind::Pipe => {}
                Kind::Into if kinds.next() == Some(Kind::Word) && kinds.next().is_none() => return Ok(()),
                Kind::Into => return Err(LineError::File),
            }
            before = kind;
        }
        if before == Kind::Pipe && self.count > 0 { Err(LineError::Command) } else { Ok(()) }
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The words of a command, 0 the first of the line.
    pub(super) fn command(&self, number: usize) -> impl Iterator<Item = &str> + Clone {
        let mut command = 0usize;
        self.tokens()
            .filter(move |(kind, _)| {
                command = command.saturating_add(usize::from(*kind != Kind::Word));
                *kind == Kind::Word && command == number
            })
            .map(|(_, text)| text)
            .take(if number < self.commands() { usize::MAX } else { 0 })
    }

    /// How many commands there are.
    pub(super) fn commands(&self) -> usize {
        self.tokens().filter(|(kind, _)| *kind == Kind::Pipe).count().saturating_add(1)
    }

    /// The file after `>`.
    pub(super) fn file(&self) -> Option<&str> {
        let mut tokens = self.tokens().skip_while(|(kind, _)| *kind != Kind::Into);
        tokens.nth(1).map(|(_, text)| text)
    }

    fn tokens(&self) -> impl Iterator<Item = (Kind, &str)> + Clone {
        let text = self.text.as_str();
        let mut start = 0;
        self.tokens.iter().take(self.count).map(move |token| {
            let word = text.get(start..token.end).unwrap_or("");
            start = token.end;
            (token.kind, word)
        })
    }
}

/// The line without its comment: a `#` that begins a word outside of quotes, and what follows it.
pub(super) fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut begins_word = true;
    for (at, char) in line.char_indices() {
        match quote {
            None if char == '#' && begins_word => return line.get(..at).unwrap_or(line),
            None if matches!(char, '"' | '\'' | '`') => quote = Some(char),
            Some(open) if open == char => quote = None,
            _ => {}
        }
        begins_word = char.is_whitespace() || matches!(char, '|' | '>');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_comment_begins_where_a_word_does() {
        for (line, rest) in [
            ("# all of it", ""),
            ("  # all of it", "  "),
            ("ls # the `targets`", "ls "),
            ("echo a#b", "echo a#b"),
            ("echo '# no' \"# comment\" `echo # none`", "echo '# no' \"# comment\" `echo # none`"),
            ("dmesg |# x", "dmesg |"),
        ] {
            assert_eq!(without_comment(line), rest, "{line}");
        }
    }

    #[test]
    fn a_star_gives_way_to_names() {
        let expanded = |line: &str| {
            let mut words = Box::new(Words::new());
            words.read(line).expect("a line");
            words.expand(|word, found| {
                if word == "*" {
                    ["a", "b"].into_iter().for_each(found);
                }
            })?;
            Ok(words.command(0).map(String::from).collect::<Vec<_>>())
        };
        assert_eq!(expanded("cat * c"), Ok(vec!["cat".into(), "a".into(), "b".into(), "c".into()]));
        assert_eq!(expanded("cat x* '*'"), Ok(vec!["cat".into(), "x*".into(), "*".into()]));
        assert_eq!(expanded(&"* ".repeat(33)), Err(LineError::TooLong));
    }

    fn read(line: &str) -> Result<(Vec<Vec<String>>, Option<String>), LineError> {
        let mut words = Box::new(Words::new());
        words.read(line)?;
        let commands =
            (0..words.commands()).map(|number| words.command(number).map(String::from).collect()).collect();
        Ok((commands, words.file().map(String::from)))
    }

    fn line(
        commands: &[&[&str]],
        file: Option<&str>,
    ) -> Result<(Vec<Vec<String>>, Option<String>), LineError> {
        let strings = |words: &&[&str]| words.iter().map(|word| String::from(*word)).collect();
        Ok((commands.iter().map(strings).collect(), file.map(String::from)))
    }

    #[test]
    fn lines_are_taken_apart_as_in_a_shell() {
        assert_eq!(read("  cd  target1 "), line(&[&["cd", "target1"]], None));
        assert_eq!(read("echo 1 > enabled"), line(&[&["echo", "1"]], Some("enabled")));
        assert_eq!(read("echo 1>enabled"), line(&[&["echo", "1"]], Some("enabled")));
        assert_eq!(
            read("arping 10.0.0.2 -f |grep -o ..:.. > remote_mac"),
            line(&[&["arping", "10.0.0.2", "-f"], &["grep", "-o", "..:.."]], Some("remote_mac"))
        );
        assert_eq!(read("echo \"a  b\" 'c|d'e"), line(&[&["echo", "a  b", "c|de"]], None));
        assert_eq!(read("echo '' x"), line(&[&["echo", "", "x"]], None));
        assert_eq!(read(""), line(&[&[]], None));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(read("echo \"a"), Err(LineError::Quote('"')));
        for text in ["| tail", "dmesg |", "dmesg || tail", "> enabled", "dmesg | > enabled"] {
            assert_eq!(read(text), Err(LineError::Command), "{text}");
        }
        for text in ["echo 1 >", "echo 1 > a b", "echo 1 > a | tail", "echo > > a"] {
            assert_eq!(read(text), Err(LineError::File), "{text}");
        }
        assert_eq!(read(&"w ".repeat(65)), Err(LineError::TooLong));
        assert_eq!(read(&"w".repeat(513)), Err(LineError::TooLong));
    }

    proptest! {
        #[test]
        fn any_line_can_be_read(line in "[a |>\"']{0,40}", other: String) {
            let _ = read(&line);
            let _ = read(&other);
        }
    }
}
