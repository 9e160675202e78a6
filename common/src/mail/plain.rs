//! What came from outside, as one line of a mail: it can't add lines of its own, steer the direction of what stands around it, or go on
//! for ever.

/// Longest text, in characters: as long as a product's name may be.
pub(super) const LONGEST: usize = 200;

/// The text in one line of at most `longest` characters. Control characters and ends of lines become blanks; those that turn the direction
/// of writing (Unicode's annex 9) are left out: letters have their own.
pub(super) fn line(text: &str, longest: usize) -> String {
    let mut kept = text.chars().filter(|c| !turns_direction(*c)).map(|c| if ends_or_controls(c) { ' ' } else { c });
    let mut line: String = kept.by_ref().take(longest).collect();
    if kept.next().is_some() {
        line.pop();
        line.push('…');
    }
    line
}

fn ends_or_controls(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_one_line_and_ends() {
        assert_eq!(line("Ada\r\nBcc: eve@example.com", LONGEST), "Ada  Bcc: eve@example.com");
        assert_eq!(line("a\u{2028}b\u{202e}c\u{2066}d\0", LONGEST), "a bcd ");
        assert_eq!(line("🫖 שלום", LONGEST), "🫖 שלום");
        assert_eq!(line("ä", 1), "ä");
        assert_eq!(line("äb", 1), "…");
        assert_eq!(line(&"é".repeat(10_000), LONGEST).chars().count(), LONGEST);
    }
}
