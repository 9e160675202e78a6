//! What a server's log tells of the statements that were sent to it, once `log_statement = 'all'` has it do so: each is one round trip.
//! The log has the form that `initdb` gives it: the time, `[process id]`, a level; lines that go on begin with a tab.

/// A statement as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The process that served the session.
    pub session: u32,
    /// Its text, with `$1` and so on.
    pub text: String,
    /// What these stood for, in the text form of their types; `None` is null.
    pub parameters: Vec<Option<String>>,
}

/// The statements in a log, in the order in which they came. Other lines are left out.
#[must_use]
pub fn logged(log: &str) -> Vec<Logged> {
    let mut statements: Vec<Logged> = Vec::new();
    for (session, level, message) in entries(log) {
        if level == "LOG" {
            let text = statement(&message).map(str::to_owned);
            statements.extend(text.map(|text| Logged { session, text, parameters: vec![] }));
        } else if let Some(list) = message.strip_prefix("parameters: ")
            && let Some(last) = statements.iter_mut().rfind(|statement| statement.session == session)
        {
            last.parameters = parameters(list);
        }
    }
    statements
}

fn statement(message: &str) -> Option<&str> {
    if let Some(text) = message.strip_prefix("statement: ") {
        return Some(text);
    }
    message.strip_prefix("execute ")?.split_once(": ").map(|(_name, text)| text)
}

/// Session, level and message of each entry; lines that go on are put together again.
fn entries(log: &str) -> Vec<(u32, String, String)> {
    let mut entries: Vec<(u32, String, String)> = Vec::new();
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some((.., message)) = entries.last_mut() {
                message.push('\n');
                message.push_str(more);
            }
        } else {
            entries.extend(entry(line));
        }
    }
    entries
}

/// `2026-11-27 14:00:00.000 UTC [123] LOG:  message`
fn entry(line: &str) -> Option<(u32, String, String)> {
    let (session, rest) = line.split_once(" [")?.1.split_once("] ")?;
    let (level, message) = rest.split_once(":  ")?;
    Some((session.parse().ok()?, level.to_owned(), message.to_owned()))
}

/// `$1 = 'it''s', $2 = NULL`
fn parameters(list: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = list;
    while let Some((_number, value)) = rest.split_once(" = ") {
        let Some(quoted) = value.strip_prefix('\'') else {
            values.push(None);
            rest = value;
            continue;
        };
        let (text, after) = unquote(quoted);
        values.push(Some(text));
        rest = after;
    }
    values
}

/// A text up to its closing quote, where two quotes stand for one, and what comes after.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = quoted;
    while let Some((part, after)) = rest.split_once('\'') {
        text.push_str(part);
        rest = after;
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => break,
        }
    }
    (text, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_with_their_parameters() {
        let log = "2026-11-27 14:00:00.000 UTC [7] LOG:  database system is ready to accept connections
2026-11-27 14:00:00.001 UTC [8] LOG:  statement: BEGIN
2026-11-27 14:00:00.002 UTC [8] LOG:  execute sqlx_s_1: SELECT a
\tFROM b WHERE c = $1
2026-11-27 14:00:00.002 UTC [8] DETAIL:  parameters: $1 = 'it''s '' = ''', $2 = NULL, $3 = '', $4 = 'x
\ty'
2026-11-27 14:00:00.003 UTC [9] LOG:  execute <unnamed>: SELECT 1
2026-11-27 14:00:00.004 UTC [9] ERROR:  canceling statement due to user request
";
        let statements = logged(log);
        let texts: Vec<_> = statements.iter().map(|statement| (statement.session, &*statement.text)).collect();
        assert_eq!(texts, [(8, "BEGIN"), (8, "SELECT a\nFROM b WHERE c = $1"), (9, "SELECT 1")]);
        let values: Vec<_> = statements[1].parameters.iter().map(Option::as_deref).collect();
        assert_eq!(values, [Some("it's ' = '"), None, Some(""), Some("x\ny")]);
        assert!(statements[2].parameters.is_empty());
    }

    #[test]
    fn quotes_at_the_ends_of_a_parameter_are_read() {
        let values = parameters("$1 = '''', $2 = '''a''''', $3 = NULL");
        assert_eq!(values, [Some("'".to_owned()), Some("'a''".to_owned()), None]);
    }
}
