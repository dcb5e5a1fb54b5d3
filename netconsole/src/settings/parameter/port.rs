//! Port numbers.

/// The port of decimal digits, 1 to 65535.
pub(crate) fn port_number(text: &str) -> Option<u16> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&port| port != 0)
}
