//! Reads variables one after the other and gathers what is wrong with them, so that a person mends all of it in one go.

use std::{
    collections::HashMap,
    env,
    fmt::{self, Display},
};

use super::{Secret, variables::VARIABLES};

/// The variables that a program was started with; those of the process win over those of `.env`.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The process's variables and those of `.env` in the working folder, if there is one.
    ///
    /// # Errors
    /// When `.env` is there and can't be read or parsed.
    pub fn load() -> Result<Self, Problems> {
        let mut values = HashMap::new();
        match dotenvy::dotenv_iter() {
            Ok(lines) => {
                for line in lines {
                    // The error of a line quotes it, secrets and all: it stays here.
                    let (name, value) =
                        line.map_err(|_| Problems(vec!["`.env` has a line that is not NAME=value".into()]))?;
                    values.insert(name, value);
                }
            }
            Err(e) if e.not_found() => {}
            Err(_) => return Err(Problems(vec!["`.env` can't be read".into()])),
        }
        values.extend(env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))));
        Ok(Self(values))
    }

    /// A variable's value; an empty one counts as unset.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        debug_assert!(VARIABLES.iter().any(|v| v.name == name), "{name} is missing in the table of variables");
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
}

/// All that is wrong with a configuration, one sentence each.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not usable:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

/// Takes values out of an environment and remembers what was wrong.
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a Environment) -> Self {
        Self { environment, problems: vec![] }
    }

    /// The values read, if none of them was wrong. Those that were wrong stand as `None` in `values`.
    pub(super) fn finish<T>(self, values: Option<T>) -> Result<T, Problems> {
        match values {
            Some(values) if self.problems.is_empty() => Ok(values),
            _ => Err(Problems(self.problems)),
        }
    }

    pub(super) fn problem(&mut self, name: &str, what: impl Display) {
        self.problems.push(format!("{name} {what}"));
    }

    /// All variables whose names begin so, which no table names: whoever uses them knows them.
    pub(super) fn with_prefix(&self, prefix: &str) -> Vec<(String, Secret)> {
        let all =
            self.environment.0.iter().filter(|(name, value)| name.starts_with(prefix) && !value.trim().is_empty());
        all.map(|(name, value)| (name.clone(), Secret::new(value.trim()))).collect()
    }

    /// What `parse` makes of the variable, or of its default; a variable with neither is a problem.
    pub(super) fn required<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let default = VARIABLES.iter().find(|v| v.name == name).and_then(|v| v.default);
        let Some(value) = self.environment.get(name).or(default) else {
            self.problem(name, "is not set");
            return None;
        };
        parse(value).map_err(|what| self.problem(name, what)).ok()
    }

    /// Like `required`, but may be left out.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        if self.environment.get(name).is_none() { Some(None) } else { self.required(name, parse).map(Some) }
    }
}
