//! A Linux's System.map: its symbols as text, a line each: `ffffffff81000000 T _stext`.

use std::path::Path;

/// The functions of a System.map.
#[derive(Debug, PartialEq, Eq)]
pub struct SystemMap {
    /// By their addresses.
    functions: Vec<(u64, String)>,
    /// Where the text ends.
    end: u64,
}

impl SystemMap {
    /// Reads a file; the error says what was expected.
    pub fn open(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
            .ok_or_else(|| "no System.map: expected lines of address, type and name, and _etext".to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let symbol = |line: &str| {
            let mut fields = line.split_whitespace();
            let address = u64::from_str_radix(fields.next()?, 16).ok()?;
            let is_text = matches!(fields.next()?, "t" | "T" | "w" | "W");
            Some((address, fields.next()?.to_owned())).filter(|_| is_text)
        };
        let mut functions: Vec<(u64, String)> = text.lines().filter_map(symbol).collect();
        let place =
            |name: &str| functions.iter().find(|(_, found)| found == name).map(|(address, _)| *address);
        let end = place("_etext")?;
        let start = place("_stext").or_else(|| place("_text"))?;
        functions.retain(|(address, _)| (start..end).contains(address));
        // Of several names for an address the first is shown.
        functions.sort_by_key(|(address, _)| *address);
        functions.dedup_by_key(|(address, _)| *address);
        (!functions.is_empty()).then_some(Self { functions, end })
    }

    /// Whether the address lies in the text.
    pub fn has(&self, address: u64) -> bool {
        self.functions.first().is_some_and(|(first, _)| (*first..self.end).contains(&address))
    }

    /// The function that has this address, and how far in it the address lies.
    pub fn function(&self, address: u64) -> Option<(&str, u64)> {
        let behind = self.functions.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.functions.get(behind.checked_sub(1)?).filter(|_| address < self.end)?;
        Some((name, address.saturating_sub(*start)))
    }
}

#[cfg(test)]
mod tests {
    use super::SystemMap;

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let map = "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _stext\nffffffff81000000 T _text\n\
                   ffffffff81001000 t panic_here\nffffffff81000040 W weak\nffffffff81002000 T _etext\n\
                   ffffffff82000000 D data\nnonsense\n";
        let map = SystemMap::parse(map).expect("a map");
        for (address, expected) in [
            (0xffff_ffff_8100_0000, Some(("_stext", 0))),
            (0xffff_ffff_8100_0041, Some(("weak", 1))),
            (0xffff_ffff_8100_1fff, Some(("panic_here", 0xfff))),
            (0xffff_ffff_8100_2000, None),
            (0x1000, None),
        ] {
            assert_eq!(map.function(address), expected, "{address:#x}");
            assert_eq!(map.has(address), expected.is_some());
        }
        for text in ["", "ffffffff81000000 T _stext\n", "x"] {
            assert_eq!(SystemMap::parse(text), None, "{text}");
        }
    }
}
