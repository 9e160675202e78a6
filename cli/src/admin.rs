//! `kassa admin`: makes administrators, which the API has no way to. No password is ever an argument, where other users of the
//! machine could read it.

use std::io::{self, BufRead, IsTerminal as _};

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;
use common::account::{self, AdminCreated, Email, NewPassword, Passwords};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{operator::operator, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes an administrator, or makes one of the account that has this e-mail
    ///
    /// An account that exists gets the password, and all its sessions end: nobody knows who registered it.
    ///
    /// The password is the line on standard input, or is asked for at a terminal. Where standard input is empty one is made and
    /// printed, this once.
    Create {
        /// Whose e-mail
        #[arg(long, value_parser = Email::parse)]
        email: Email,
        /// Makes a password and prints it; standard input is not read
        #[arg(long)]
        generate: bool,
    },
}

/// Runs the command.
pub(crate) async fn run(command: Command, pool: &PgPool) -> anyhow::Result<()> {
    let Command::Create { email, generate } = command;
    let given = if generate { None } else { ask()? };
    let generated = given.is_none().then(generated);
    let password = given.or_else(|| generated.clone()).expect("one of them is there");
    let password = NewPassword::parse(password).map_err(|e| anyhow!("the password {e}"))?;
    match account::create_admin(pool, operator(), &Passwords::new(), &email, password).await? {
        AdminCreated::New(_) => eprintln!("{} is an administrator now.", email.as_str()),
        AdminCreated::TakenOver(_) => {
            eprintln!("{} was registered: now an administrator, all sessions ended.", email.as_str());
        }
    }
    if let Some(password) = generated {
        eprintln!("The password, shown only this once:");
        output::line(&password)?;
    }
    Ok(())
}

/// The password that somebody gives; `None` if nobody does.
fn ask() -> anyhow::Result<Option<String>> {
    if io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ").context("the password can't be read")?;
        let again = rpassword::prompt_password("Again: ").context("the password can't be read")?;
        if password != again {
            bail!("the two passwords differ; nothing was done");
        }
        return Ok(Some(password));
    }
    line(io::stdin().lock()).context("the password can't be read from standard input")
}

/// The only line of the input, without its end.
fn line(input: impl BufRead) -> anyhow::Result<Option<String>> {
    let mut lines = input.lines();
    let first = lines.next().transpose()?;
    if lines.next().is_some() {
        bail!("there is more than one line");
    }
    Ok(first)
}

/// 122 random bits of a generator for secrets, which the system seeds.
fn generated() -> String {
    Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_line_as_it_is() {
        for input in [" blanks count ", " blanks count \n", " blanks count \r\n"] {
            assert_eq!(line(input.as_bytes()).unwrap().as_deref(), Some(" blanks count "), "{input:?}");
        }
        assert_eq!(line("".as_bytes()).unwrap(), None);
        assert_eq!(line("\n".as_bytes()).unwrap().as_deref(), Some(""), "an empty line is a password, too short");
        assert!(line("one\ntwo".as_bytes()).is_err());
    }

    #[test]
    fn generated_passwords_are_fit_and_differ() {
        assert!(NewPassword::parse(generated()).is_ok());
        assert_ne!(generated(), generated());
    }
}
