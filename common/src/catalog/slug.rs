//! Slugs: a product's readable address, given by its maker or made from its name.

use utoipa::ToSchema;
use uuid::Uuid;

/// Lower-case words of ASCII letters and digits, joined by single hyphens; never one that could be taken for an id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, ToSchema)]
#[schema(min_length = 1, max_length = 100, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$")]
pub struct Slug(String);

/// Not a slug.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 100 characters, in lower-case letters and digits joined by single hyphens, and not be a UUID")]
pub struct NotASlug;

const LONGEST: usize = 100;
/// Leaves room for a suffix.
const MAX_MADE: usize = 80;

impl Slug {
    /// Parses a slug.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn parse(raw: &str) -> Result<Self, NotASlug> {
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let fits = raw.len() <= LONGEST && raw.split('-').all(is_word) && Uuid::try_parse(raw).is_err();
        if fits { Ok(Self(raw.to_owned())) } else { Err(NotASlug) }
    }

    /// A slug for a product of this name: accents are dropped from Latin letters, all else that isn't a letter or a digit
    /// becomes a hyphen.
    pub fn from_name(name: &str) -> Self {
        let mut slug = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            match plain(c) {
                Some(letters) => slug.push_str(letters),
                None if c.is_ascii_alphanumeric() => slug.push(c),
                None if matches!(c, '\'' | '’' | '\u{300}'..='\u{36f}') => {} // Ada's → adas; marks that combine
                None if slug.is_empty() || slug.ends_with('-') => {}
                None => slug.push('-'),
            }
        }
        slug.truncate(MAX_MADE); // ASCII only: no character is cut
        Self::parse(slug.trim_end_matches('-')).unwrap_or_else(|_| Self("product".into()))
    }

    /// This slug with something behind it that sets it apart.
    pub fn with_suffix(&self, suffix: impl std::fmt::Display) -> Self {
        Self(format!("{}-{suffix}", self.0))
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The ASCII letters of a lower-case Latin one with an accent.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì'..='ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò'..='õ' | 'ō' | 'ő' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' => "s",
        'ß' => "ss",
        'ť' | 'ţ' => "t",
        'þ' => "th",
        'ù'..='û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_words_joined_by_hyphens() {
        for slug in ["a", "blue-mug", "7-up", &"x".repeat(100)] {
            assert!(Slug::parse(slug).is_ok(), "{slug}");
        }
        for slug in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "Blue",
            "a b",
            "ä",
            "a\0",
            "../x",
            "550e8400-e29b-41d4-a716-446655440000",
            "550e8400e29b41d4a716446655440000",
            &"x".repeat(101),
        ] {
            assert_eq!(Slug::parse(slug), Err(NotASlug), "{slug:?}");
        }
    }

    #[test]
    fn every_name_makes_a_slug() {
        for (name, slug) in [
            ("Blue Mug", "blue-mug"),
            ("  Crème brûlée, 2 × 100 g! ", "creme-brulee-2-100-g"),
            ("Großer Bär’s Käse", "grosser-baers-kaese"),
            ("Cafe\u{301}", "cafe"),
            ("<script>", "script"),
            ("茶碗", "product"),
            ("550e8400-e29b-41d4-a716-446655440000", "product"),
        ] {
            assert_eq!(Slug::from_name(name).as_str(), slug, "{name}");
        }
        let long = Slug::from_name(&"ß-".repeat(200)).with_suffix("0123abcd");
        assert!(Slug::parse(long.as_str()).is_ok(), "{long:?}");
    }
}
