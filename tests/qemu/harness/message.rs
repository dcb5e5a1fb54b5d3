//! The extended format, read back: what a receiver makes of a target's datagrams.

/// A record as an extended message told it, its fragments put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The kernel's release, where the target has `r`.
    pub release: Option<String>,
    pub level: u8,
    pub sequence: u64,
    pub micros: u64,
    /// How many records directly before it were held back by the target's level, as it says.
    pub held: u64,
    /// The text, still escaped.
    pub text: String,
    /// How many datagrams it took.
    pub fragments: usize,
}

/// The longest datagram (doc/specification.md, formats).
pub const MAX_DATAGRAM: usize = 1000;

struct Datagram<'a> {
    message: Message,
    /// Offset in the whole body, the whole body's length.
    fragment: Option<(usize, usize)>,
    body: &'a [u8],
}

/// Reads `datagrams`, in the order in which they came. The error names the first that breaks the format.
pub fn messages<'a>(datagrams: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    let mut datagrams = datagrams.into_iter();
    while let Some(bytes) = datagrams.next() {
        let first = datagram(bytes)?;
        let mut message = first.message;
        let first_message = message.clone();
        let mut body = first.body.to_vec();
        if let Some((offset, total)) = first.fragment {
            let misplaced = || format!("a fragment is misplaced at {}", String::from_utf8_lossy(bytes));
            if offset != 0 {
                return Err(misplaced());
            }
            while body.len() < total {
                let next = datagram(datagrams.next().ok_or_else(misplaced)?)?;
                if next.fragment != Some((body.len(), total)) || next.message != first_message {
                    return Err(misplaced());
                }
                body.extend_from_slice(next.body);
                message.fragments += 1;
            }
            if body.len() != total {
                return Err(misplaced());
            }
        }
        if body.last() == Some(&b'\n') {
            body.pop();
        }
        if let Some(bad) = body.iter().find(|&&byte| !matches!(byte, b' '..=b'~' | b'\n')) {
            return Err(format!("byte {bad:#04x} is not escaped in record {}", message.sequence));
        }
        message.text = String::from_utf8_lossy(&body).into_owned();
        messages.push(message);
    }
    Ok(messages)
}

/// Whether this is an extended message: a release perhaps, then level, sequence and time.
pub fn is_extended(bytes: &[u8]) -> bool {
    datagram(bytes).is_ok()
}

fn datagram(bytes: &[u8]) -> Result<Datagram<'_>, String> {
    let refuse = |why: &str| format!("{why} in {:?}", String::from_utf8_lossy(bytes));
    if bytes.len() > MAX_DATAGRAM {
        return Err(format!("a datagram of {} bytes", bytes.len()));
    }
    let end = bytes.iter().position(|&byte| byte == b';').ok_or_else(|| refuse("no ';'"))?;
    let (header, body) = (&bytes[..end], &bytes[end + 1..]);
    let header = std::str::from_utf8(header).map_err(|_| refuse("a header that is not text"))?;
    let mut fields: Vec<&str> = header.split(',').collect();
    let release = fields[0].contains('.').then(|| fields.remove(0).to_string());
    let [level, sequence, micros, flag, more @ ..] = fields.as_slice() else {
        return Err(refuse("too few fields"));
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| refuse("a field that is no number"));
    // Who logged it, where that is another kernel's record.
    let more = match more {
        [first, rest @ ..] if first.starts_with("caller=T") || first.starts_with("caller=C") => rest,
        more => more,
    };
    // The header's own fields: what was held back before and after, ncrx's emergency mark, then the fragment's place.
    let (held, more) = match more {
        [first, rest @ ..] if let Some(held) = first.strip_prefix("held=") => (number(held)?, rest),
        more => (0, more),
    };
    let more = match more {
        [first, rest @ ..] if let Some(behind) = first.strip_prefix("behind=") => {
            number(behind)?;
            rest
        }
        more => more,
    };
    let more = more.strip_prefix(&["ncemg=1"]).unwrap_or(more);
    let fragment = match more {
        [] => None,
        [field] => {
            let (offset, total) = field
                .strip_prefix("ncfrag=")
                .and_then(|places| places.split_once('/'))
                .ok_or_else(|| refuse("an unknown field"))?;
            Some((number(offset)? as usize, number(total)? as usize))
        }
        _ => return Err(refuse("too many fields")),
    };
    if !matches!(*flag, "-" | "c") {
        return Err(refuse("an unknown flag"));
    }
    if fragment.is_none() && body.last() != Some(&b'\n') {
        return Err(refuse("no newline at the end"));
    }
    // Above the level is the facility; user space, which is 1, speaks in the log of a Linux that crashed.
    let priority = u8::try_from(number(level)?).ok().filter(|&priority| priority < 192);
    let level = priority.ok_or_else(|| refuse("a bad level"))? & 7;
    let (sequence, micros) = (number(sequence)?, number(micros)?);
    let message = Message { release, level, sequence, micros, held, text: String::new(), fragments: 1 };
    Ok(Datagram { message, fragment, body })
}

#[test]
fn reads_plain_and_fragmented_messages() {
    let datagrams: [&[u8]; 3] = [
        b"0.1.0,6,0,12,-;one\n",
        b"6,416,1758426,-,held=12,behind=3,ncemg=1,ncfrag=0/31;the first chunk,",
        b"6,416,1758426,-,held=12,behind=3,ncemg=1,ncfrag=16/31; the 2nd chunk.",
    ];
    let messages = messages(datagrams).expect("well-formed");
    assert_eq!(messages[0].release.as_deref(), Some("0.1.0"));
    assert_eq!((messages[0].level, messages[0].sequence, messages[0].micros), (6, 0, 12));
    assert_eq!(messages[0].text, "one");
    assert_eq!(messages[1].text, "the first chunk, the 2nd chunk.");
    assert_eq!((messages[1].fragments, messages[0].held, messages[1].held), (2, 0, 12));
}

#[test]
fn refuses_what_breaks_the_format() {
    for datagram in [
        "",
        "6,1,2;x\n",
        "192,1,2,-;x\n",
        "6,1,2,-;x",
        "6,1,2,z;x\n",
        "6,1,2,-;\x07\n",
        "6,1,2,-,ncfrag=3/4;x",
    ] {
        assert!(messages([datagram.as_bytes()]).is_err(), "{datagram:?}");
    }
}
