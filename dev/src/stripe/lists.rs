//! Lists in Stripe's shape: newest first, `limit`, `starting_after`, `ending_before`, `created` as a value or a range.

use serde_json::{Value, json};

use super::{
    errors::ApiError,
    form::{self, Form},
    store::{Record, Shelf},
};

/// Which part of a list is asked for.
pub(crate) struct Page {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
}

impl Page {
    /// # Errors
    /// 400 for a limit outside 1–100, or for both cursors at once.
    pub(crate) fn read(form: &Form) -> Result<Self, ApiError> {
        let limit = form.integer("limit")?.unwrap_or(10);
        let too = if limit < 1 {
            Some("greater than or equal to 1")
        } else if limit > 100 {
            Some("less than or equal to 100")
        } else {
            None
        };
        if let Some(bound) = too {
            let message = format!("This value must be {bound}.");
            return Err(ApiError::parameter("parameter_invalid_integer", "limit", message));
        }
        let (starting_after, ending_before) = (form.text("starting_after")?, form.text("ending_before")?);
        if starting_after.is_some() && ending_before.is_some() {
            let message = "Received both starting_after and ending_before parameters. Please pass in only one.";
            return Err(ApiError::parameter(None, "starting_after", message));
        }
        Ok(Self { limit: usize::try_from(limit).unwrap_or(10), starting_after, ending_before })
    }

    /// The list object with the records that are wanted.
    ///
    /// # Errors
    /// 400 for a cursor that names nothing.
    pub(crate) fn cut<T: Record>(
        &self,
        shelf: &Shelf<T>,
        url: &str,
        what: &str,
        wanted: impl Fn(&T) -> bool,
        show: impl Fn(&T) -> Value,
    ) -> Result<Value, ApiError> {
        let place = |cursor: &Option<String>, param: &str| {
            let place = |id: &String| shelf.place(id).ok_or_else(|| ApiError::missing(what, id, param));
            cursor.as_ref().map(place).transpose()
        };
        let newest_end = place(&self.starting_after, "starting_after")?.unwrap_or(shelf.all().len());
        let before = place(&self.ending_before, "ending_before")?;
        let mut found: Vec<&T> = match before {
            // Those just newer than the cursor, still shown newest first.
            Some(place) => {
                shelf.all()[place + 1..].iter().filter(|record| wanted(record)).take(self.limit + 1).collect()
            }
            None => {
                shelf.all()[..newest_end].iter().rev().filter(|record| wanted(record)).take(self.limit + 1).collect()
            }
        };
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        if before.is_some() {
            found.reverse();
        }
        let data: Vec<Value> = found.into_iter().map(show).collect();
        Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
    }
}

/// A span of time, in seconds.
pub(crate) struct Range {
    from: i64,
    to: i64,
}

impl Range {
    /// Reads `created=…` and `created[gt|gte|lt|lte]=…`.
    pub(crate) fn read(form: &Form) -> Result<Self, ApiError> {
        let mut range = Self { from: i64::MIN, to: i64::MAX };
        if let Some(form::Value::Text(text)) = form.values.get("created") {
            let exactly = form::whole_number("created", text)?;
            return Ok(Self { from: exactly, to: exactly });
        }
        let Some(bounds) = form.object("created")? else { return Ok(range) };
        if let Some(bound) = bounds.integer("gte")? {
            range.from = range.from.max(bound);
        }
        if let Some(bound) = bounds.integer("gt")? {
            range.from = range.from.max(bound.saturating_add(1));
        }
        if let Some(bound) = bounds.integer("lte")? {
            range.to = range.to.min(bound);
        }
        if let Some(bound) = bounds.integer("lt")? {
            range.to = range.to.min(bound.saturating_sub(1));
        }
        Ok(range)
    }

    pub(crate) fn holds(&self, moment: i64) -> bool {
        (self.from..=self.to).contains(&moment)
    }
}
