//! The secrets of this checkout's shop: made once, kept in `.dev`, found again.

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};
use dev::{files::write_private, random::alphanumeric};
use serde::{Deserialize, Serialize};

use crate::home::Home;

pub(crate) const ADMIN_EMAIL: &str = "admin@kassa.example";
pub(crate) const SHOPPER_EMAIL: &str = "shopper@kassa.example";

/// See the module.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) jwt_secret: String,
    pub(crate) webhook_secret: String,
    pub(crate) admin_password: String,
    pub(crate) shopper_password: String,
}

impl Secrets {
    /// Those of this checkout, made now if there are none yet.
    pub(crate) fn of(home: &Home) -> Result<Self> {
        let path = home.secrets();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let secrets = Self {
                    jwt_secret: alphanumeric(48),
                    webhook_secret: format!("whsec_{}", alphanumeric(32)),
                    admin_password: alphanumeric(20),
                    shopper_password: alphanumeric(20),
                };
                let text = serde_json::to_string_pretty(&secrets).context("writing the secrets")?;
                write_private(&path, &text).with_context(|| format!("writing {}", path.display()))?;
                Ok(secrets)
            }
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }
}
