//! What a mail server says, made fit to be kept and shown: it may quote whom a mail is for, or the login.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::server::Login;

/// Longest text that is kept of it, in characters.
const LONGEST: usize = 200;

/// What is not repeated.
pub(super) struct Hidden {
    /// The parts of recipients' addresses before the `@`, in small letters.
    names: Vec<String>,
    secrets: Vec<String>,
}

impl Hidden {
    pub(super) fn of(recipients: &[&str], login: Option<&Login>) -> Self {
        let name = |address: &&str| address.rsplit_once('@').map(|(name, _)| name.to_lowercase());
        // Shorter ones are words as any.
        let names = recipients.iter().filter_map(name).filter(|name| name.chars().count() > 2).collect();
        let secrets = login.map_or_else(Vec::new, |Login { user, password }| {
            // In the forms in which they are sent: RFC 4616, and the older LOGIN.
            let sent = [password.clone(), STANDARD.encode(password), STANDARD.encode(format!("\0{user}\0{password}"))];
            sent.into_iter().filter(|secret| !secret.is_empty()).collect()
        });
        Self { names, secrets }
    }

    /// The text in one line, without words that hold an address or a secret, and cut to its length.
    pub(super) fn leave_out(&self, text: &str) -> String {
        let shown = |word: &str| {
            let small = word.to_lowercase();
            if self.secrets.iter().any(|secret| word.contains(secret)) {
                "[secret]".to_owned()
            } else if small.contains('@') || small.contains("%40") || self.names.iter().any(|name| has(&small, name)) {
                "[address]".to_owned()
            } else {
                word.to_owned()
            }
        };
        let words: Vec<String> = text.split(|c: char| c.is_whitespace() || c.is_control()).map(shown).collect();
        let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        match words.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &words[..end]),
            None => words,
        }
    }
}

/// Whether a name is there by itself, and not within a longer one.
fn has(word: &str, name: &str) -> bool {
    word.match_indices(name).any(|(at, _)| {
        let (before, after) = (word[..at].chars().next_back(), word[at + name.len()..].chars().next());
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_recipient_and_no_secret_is_repeated() {
        let login = Login { user: "shop".into(), password: "hunter2".into() };
        let hidden = Hidden::of(&["Ada.Byron@mail.example"], Some(&login));
        for (said, kept) in [
            ("5.1.1 <ada.byron@mail.example>: no such user", "5.1.1 [address] no such user"),
            ("5.1.1 see https://help.example/?to=ADA.BYRON%40mail.example", "5.1.1 see [address]"),
            ("User unknown: (ada.byron)", "User unknown: [address]"),
            ("ada.byrons is somebody else", "ada.byrons is somebody else"),
            ("5.7.8 what is AHNob3AAaHVudGVyMg==?", "5.7.8 what is [secret]"),
            ("aHVudGVyMg== is hunter2", "[secret] is [secret]"),
            ("\u{1b}[31mred\r\nand\tmore\0", "[31mred and more"),
            ("", ""),
        ] {
            assert_eq!(hidden.leave_out(said), kept);
        }
        let long = hidden.leave_out(&"é".repeat(10_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (LONGEST + 1, true));
        assert_eq!(Hidden::of(&["me@mail.example"], None).leave_out("tell me"), "tell me");
    }
}
