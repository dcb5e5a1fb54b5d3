//! What a terminal would show of a line: boot loaders move the cursor about to count down and to show progress.

/// One line, as a terminal shows it in the end. Carriage return and backspace move the cursor, what is written there
/// takes the place of what was; `ESC [ K` clears from there to the end, colours go. Everything else stays.
pub fn shown(line: &str) -> String {
    let mut cells: Vec<char> = Vec::with_capacity(line.len());
    let mut column = 0usize;
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '\r' => column = 0,
            '\u{8}' => column = column.saturating_sub(1),
            '\u{1b}' => match control(rest) {
                Some((Control::Clear, tail)) => {
                    cells.truncate(column);
                    rest = tail;
                }
                Some((Control::Colour, tail)) => rest = tail,
                None => put(&mut cells, &mut column, character),
            },
            _ => put(&mut cells, &mut column, character),
        }
    }
    cells.into_iter().collect()
}

/// Whether a terminal shows something else than what is there.
pub fn is_moving(line: &[u8]) -> bool {
    line.iter().any(|byte| matches!(byte, b'\r' | 0x08 | 0x1b))
}

/// Whether a line goes back into what is before it.
pub fn goes_back(line: &[u8]) -> bool {
    matches!(line, [b'\r' | 0x08, ..])
}

enum Control {
    /// `[K` or `[0K`.
    Clear,
    /// `[…m`.
    Colour,
}

/// The control sequence after ESC (ECMA-48 section 5.4), if it is one of ours, and what follows it.
fn control(rest: &str) -> Option<(Control, &str)> {
    let sequence = rest.strip_prefix('[')?;
    let end = sequence.find(|character: char| !matches!(character, '0'..='9' | ';'))?;
    let (numbers, tail) = sequence.split_at_checked(end)?;
    match (numbers, tail.strip_prefix('K'), tail.strip_prefix('m')) {
        ("" | "0", Some(tail), _) => Some((Control::Clear, tail)),
        (_, _, Some(tail)) => Some((Control::Colour, tail)),
        _ => None,
    }
}

fn put(cells: &mut Vec<char>, column: &mut usize, character: char) {
    match cells.get_mut(*column) {
        Some(cell) => *cell = character,
        None => cells.push(character),
    }
    *column = column.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_moves_and_overwrites() {
        assert_eq!(shown("autoboot:  3 \u{8}\u{8}\u{8} 2 \u{8}\u{8}\u{8} 0 "), "autoboot:  0 ");
        assert_eq!(shown("10 %\r20 %\r100 %"), "100 %");
        assert_eq!(shown("long line\rshort"), "shortline");
        assert_eq!(shown("long line\r\u{1b}[Kshort"), "short");
        assert_eq!(shown("\u{8}ü\u{8}x"), "x");
    }

    #[test]
    fn colours_go_and_other_controls_stay() {
        assert_eq!(shown("\u{1b}[1;31mred\u{1b}[0m"), "red");
        assert_eq!(shown("a\u{1b}[2Jb\u{1b}"), "a\u{1b}[2Jb\u{1b}");
    }
}
