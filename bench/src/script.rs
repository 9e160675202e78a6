//! Makes of the statements that the shop sent a script for pgbench that sends the same, over and over: what was one shopper's or one
//! product's is the next one's each time, and what was a new id is a new one.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use dev::postgres::Logged;
use uuid::Uuid;

/// Counts what a client has done, and makes a time of it for the ids: `base` is when pgbench was started.
const BEGINNING: &str = "\\set i :i + 1\n\\set ms :base + :i\n";

/// A statement with the types of its parameters, as Postgres infers them.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) logged: Logged,
    pub(crate) types: Vec<String>,
}

/// What a value of the recorded request becomes.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    /// As it stands in a parameter, or within one.
    pub(crate) value: String,
    /// SQL, with variables of pgbench.
    pub(crate) expression: String,
}

impl Name {
    pub(crate) fn new(value: impl Into<String>, expression: impl Into<String>) -> Self {
        Self { value: value.into(), expression: expression.into() }
    }
}

/// The script. `head` sets the variables that `names` speak of, and may use `:i`, the number of the client's transaction, and
/// `:client_id`; an id that nobody has named is a new one.
///
/// # Errors
/// When pgbench would take something in a statement's text for one of its variables.
pub(crate) fn script(head: &str, statements: &[Statement], names: &[Name]) -> Result<String> {
    let mut names = names.to_vec();
    let (mut fresh, mut body) = (String::new(), String::new());
    for statement in statements {
        for value in statement.logged.parameters.iter().flatten() {
            for id in
                ids(value).filter(|id| !names.iter().any(|name| name.value.contains(id.as_str()))).collect::<Vec<_>>()
            {
                let variable = format!("fresh_{}", names.len());
                // As many bits as pgbench's numbers have without a sign, less some.
                writeln!(fresh, "\\set {variable} random(0, 9007199254740991)")?;
                names.push(Name::new(id, format!("bench.fresh(:ms, :{variable})")));
            }
        }
        writeln!(body, "{};", fill(statement, &names)?)?;
    }
    Ok(format!("{BEGINNING}{head}{fresh}{body}"))
}

/// The UUIDs in a text, but those that stand for no row.
fn ids(text: &str) -> impl Iterator<Item = String> {
    let starts = 0..(text.len() + 1).saturating_sub(36);
    let ids = starts.filter_map(|start| text.get(start..start + 36));
    let is_id = |id: &&str| id.parse::<Uuid>().is_ok_and(|id| !id.is_nil() && !id.is_max());
    ids.filter(is_id).map(str::to_owned)
}

/// The text with an expression for each parameter.
fn fill(statement: &Statement, names: &[Name]) -> Result<String> {
    let text = statement.logged.text.trim().trim_end_matches(';');
    let bare = text.replace("::", "");
    if bare.split(':').skip(1).any(|after| after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')) {
        bail!("pgbench would look for a variable in: {text}");
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: Option<usize> = after[..digits].parse().ok();
        let Some(place) = number.and_then(|number| number.checked_sub(1)) else {
            filled.push_str(before);
            filled.push('$');
            rest = after;
            continue;
        };
        let (value, kind) = (statement.logged.parameters.get(place), statement.types.get(place));
        let (Some(value), Some(kind)) = (value, kind) else { bail!("${number:?} has no value in: {text}") };
        filled.push_str(before);
        filled.push_str(&expression(value.as_deref(), kind, names));
        rest = &after[digits..];
    }
    filled.push_str(rest);
    Ok(filled)
}

fn expression(value: Option<&str>, kind: &str, names: &[Name]) -> String {
    let Some(value) = value else { return format!("NULL::{kind}") };
    if let Some(name) = names.iter().find(|name| name.value == value) {
        return format!("({})::{kind}", name.expression);
    }
    let mut sql = literal(value);
    for name in names.iter().filter(|name| value.contains(&name.value)) {
        sql = format!("replace({sql}, {}, ({})::text)", literal(&name.value), name.expression);
    }
    format!("({sql})::{kind}")
}

/// A text in which pgbench sees no variable: it looks into quotes, too.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n").replace(':', "\\x3a");
    format!("E'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "00000001-0000-7000-8000-000000000007";
    const ORDER: &str = "019a0000-0000-7000-8000-000000000001";

    fn statement(text: &str, parameters: &[(Option<&str>, &str)]) -> Statement {
        let values = parameters.iter().map(|(value, _)| value.map(str::to_owned)).collect();
        let types = parameters.iter().map(|(_, kind)| (*kind).to_owned()).collect();
        Statement { logged: Logged { session: 1, text: text.to_owned(), parameters: values }, types }
    }

    #[test]
    fn each_value_becomes_what_it_stands_for() {
        let job = format!("{{\"order_id\": \"{ORDER}\"}}");
        let statements = [
            statement("BEGIN", &[]),
            statement(
                "INSERT INTO orders VALUES ($2, $1, $3, $10)",
                &[
                    (Some(USER), "uuid"),
                    (Some(ORDER), "uuid"),
                    (None, "text"),
                    (Some("4"), "bigint"),
                    (Some("5"), "bigint"),
                    (Some("6"), "bigint"),
                    (Some("7"), "bigint"),
                    (Some("8"), "bigint"),
                    (Some("9"), "bigint"),
                    (Some("it's: 10"), "text"),
                ],
            ),
            statement("INSERT INTO jobs VALUES ($1::jsonb)", &[(Some(&job), "jsonb")]),
        ];
        let made = script("\\set user 7\n", &statements, &[Name::new(USER, "bench.user_id(:user)")]).unwrap();
        let expected = format!(
            "{BEGINNING}\\set user 7\n\\set fresh_1 random(0, 9007199254740991)\nBEGIN;\n\
             INSERT INTO orders VALUES ((bench.fresh(:ms, :fresh_1))::uuid, (bench.user_id(:user))::uuid, NULL::text, \
             (E'it''s\\x3a 10')::text);\n\
             INSERT INTO jobs VALUES ((replace(E'{{\"order_id\"\\x3a \"{ORDER}\"}}', E'{ORDER}', \
             (bench.fresh(:ms, :fresh_1))::text))::jsonb::jsonb);\n"
        );
        assert_eq!(made, expected);
    }

    #[test]
    fn what_pgbench_would_misread_is_refused() {
        assert!(script("", &[statement("SELECT ':a'", &[])], &[]).is_err());
        assert!(script("", &[statement("SELECT 1 AS \"id: Id\", 'a':: text, '''x'':*'", &[])], &[]).is_ok());
        assert!(script("", &[statement("SELECT $1", &[])], &[]).is_err(), "its value was not recorded");
    }
}
