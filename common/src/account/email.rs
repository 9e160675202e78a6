//! What people call themselves: e-mail addresses and names, parsed once at the edge.

use std::fmt;

use utoipa::ToSchema;

/// An address that mail can be sent to: the form that browsers accept (WHATWG HTML, "valid e-mail address"), with the dots
/// of the local part where RFC 5321 wants them. A domain without a dot is fine: shops run on intranets, too.
#[derive(Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, max_length = 254, pattern = r"^(?=.{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$")]
pub struct Email(String);

/// Not an address of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address such as ada@example.com, of at most 254 characters")]
pub struct NotAnEmail;

/// RFC 5321, section 4.5.3.1, and its erratum 1690.
const MAX_ADDRESS: usize = 254;
const MAX_LOCAL_PART: usize = 64;
const MAX_LABEL: usize = 63;

impl Email {
    /// Parses an address; blanks around it are taken off, its case is kept.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn parse(raw: &str) -> Result<Self, NotAnEmail> {
        let address = raw.trim();
        let (local, domain) = address.split_once('@').ok_or(NotAnEmail)?;
        let local_is_fit = local.len() <= MAX_LOCAL_PART && local.split('.').all(is_atom);
        if address.len() <= MAX_ADDRESS && local_is_fit && domain.split('.').all(is_label) {
            Ok(Self(address.to_owned()))
        } else {
            Err(NotAnEmail)
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Addresses stay out of logs.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

fn is_atom(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
}

fn is_label(part: &str) -> bool {
    (1..=MAX_LABEL).contains(&part.len())
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !part.starts_with('-')
        && !part.ends_with('-')
}

/// How a user wants to be called: 1 to 100 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonName(String);

/// Not a name of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 100 characters, no control characters among them")]
pub struct NotAName;

impl PersonName {
    /// Parses a name; blanks around it are taken off.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn parse(raw: &str) -> Result<Self, NotAName> {
        let name = raw.trim();
        let fits = (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if fits { Ok(Self(name.to_owned())) } else { Err(NotAName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_people_have_are_taken() {
        for address in ["ada@example.com", "a.b+tag@sub.example.co.uk", "o'hara@example.com", "root@localhost", "A@B"] {
            assert!(Email::parse(address).is_ok(), "{address}");
        }
        assert_eq!(Email::parse("  Ada@Example.com\n").expect("blanks are taken off").as_str(), "Ada@Example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}com", "example.".repeat(40));
        for address in [
            "",
            "@",
            "a@",
            "@b",
            "ada",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a..b@c",
            ".a@c",
            "a.@c",
            "a@-b",
            "a@b..c",
            "a@b.",
            "a\r\nbcc:x@c",
            "a\0@c",
            "\"a b\"@c",
            "ä@c",
            "a@ä.de",
            &long,
            &longer,
        ] {
            assert_eq!(Email::parse(address), Err(NotAnEmail), "{address:?}");
        }
    }

    #[test]
    fn names_are_short_and_printable() {
        assert_eq!(PersonName::parse(" Ada Lovelace ").expect("a name").as_str(), "Ada Lovelace");
        for name in ["", "  ", "a\0b", "a\nb", &"x".repeat(101)] {
            assert_eq!(PersonName::parse(name), Err(NotAName), "{name:?}");
        }
    }
}
