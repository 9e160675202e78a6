//! Why an operator did something that the books have to explain.

use utoipa::ToSchema;

/// An operator's reason: 1 to 500 characters.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(min_length = 1, max_length = 500, pattern = r"^[^\u0000]*[^\u0000\s][^\u0000]*$")]
pub struct Reason(String);

/// Not a reason.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 500 characters, not all of them blank and none of them NUL")]
pub struct NotAReason;

impl Reason {
    /// Parses a text; blanks around it are taken off.
    ///
    /// # Errors
    /// When it says nothing, or too much.
    pub fn parse(raw: &str) -> Result<Self, NotAReason> {
        let reason = raw.trim();
        let fits = (1..=500).contains(&reason.chars().count()) && !reason.contains('\0');
        if fits { Ok(Self(reason.to_owned())) } else { Err(NotAReason) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something() {
        for none in ["", " \t\n", "a\0b", &"x".repeat(501)] {
            assert_eq!(Reason::parse(none), Err(NotAReason), "{none:?}");
        }
        assert_eq!(Reason::parse(" counted \n").map(|reason| reason.as_str().to_owned()), Ok("counted".into()));
    }
}
