//! Stripe's form encoding: `metadata[order_id]=…`, `expand[]=…`, `created[gte]=…`, in a body or a query string. Reads it into
//! a tree and takes typed values out of it, with Stripe's errors; never guesses.

use std::collections::BTreeMap;

use url::form_urlencoded;

use super::errors::ApiError;

/// A value of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// The parameters of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    /// As they were sent, sorted: what an idempotency key is compared by.
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) values: BTreeMap<String, Value>,
}

impl Form {
    /// Reads a form-encoded body or query string.
    ///
    /// # Errors
    /// 400, when a name is both a value and an object, or is not well formed.
    pub(crate) fn read(encoded: &[u8]) -> Result<Self, ApiError> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(encoded) {
            let path = split_name(&name).ok_or_else(|| ApiError::invalid(format!("Invalid parameter name: {name}")))?;
            let (first, rest) = path.split_first().expect("a name has at least one part");
            if !insert(form.values.entry((*first).to_owned()), rest, &value) {
                return Err(ApiError::parameter(None, name.clone(), format!("Invalid object: {name}")));
            }
            form.pairs.push((name.into_owned(), value.into_owned()));
        }
        form.pairs.sort();
        Ok(form)
    }

    /// A text; empty counts as absent, as Stripe unsets by it.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) if text.is_empty() => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(ApiError::parameter(None, name, format!("Invalid string: {name}"))),
        }
    }

    /// A text that has to be there and not empty.
    pub(crate) fn required(&self, name: &str) -> Result<String, ApiError> {
        if self.values.get(name).is_some_and(|value| *value == Value::Text(String::new())) {
            return Err(cannot_unset(name));
        }
        self.text(name)?
            .ok_or_else(|| ApiError::parameter("parameter_missing", name, format!("Missing required param: {name}.")))
    }

    /// A whole number.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.values.get(name) {
            Some(Value::Text(text)) if text.is_empty() => Err(cannot_unset(name)),
            _ => self.text(name)?.map(|text| whole_number(name, &text)).transpose(),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::parameter(None, name, format!("Invalid boolean: {other}"))),
        }
    }

    /// One of the given words.
    pub(crate) fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<String>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if words.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        let (last, others) = words.split_last().expect("at least one word is allowed");
        let choice = if others.is_empty() { (*last).to_owned() } else { format!("{}, or {last}", others.join(", ")) };
        Err(ApiError::parameter(None, name, format!("Invalid {name}: must be one of {choice}")))
    }

    /// A list of texts.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let invalid = || ApiError::parameter(None, name, format!("Invalid array: {name}"));
        match self.values.get(name) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items
                .iter()
                .map(|item| if let Value::Text(text) = item { Ok(text.clone()) } else { Err(invalid()) })
                .collect(),
            Some(_) => Err(invalid()),
        }
    }

    /// The parameters inside an object, such as `automatic_payment_methods[…]`.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Self>, ApiError> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) if text.is_empty() => Ok(None),
            Some(Value::Map(values)) => Ok(Some(Self { pairs: Vec::new(), values: values.clone() })),
            Some(_) => Err(ApiError::parameter(None, name, format!("Invalid object: {name}"))),
        }
    }

    /// Metadata within Stripe's limits: 50 keys of 40 characters, values of 500.
    pub(crate) fn metadata(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let Some(object) = self.object("metadata")? else { return Ok(BTreeMap::new()) };
        let mut metadata = BTreeMap::new();
        for (key, value) in object.values {
            let param = format!("metadata[{key}]");
            let Value::Text(value) = value else {
                return Err(ApiError::parameter(
                    None,
                    param,
                    "Metadata values can't be objects: they have to be strings.",
                ));
            };
            check_metadata(&param, &key, &value)?;
            if !value.is_empty() {
                metadata.insert(key, value);
            }
        }
        if metadata.len() > 50 {
            let message = format!("You can specify up to 50 metadata keys, but you passed in {}.", metadata.len());
            return Err(ApiError::parameter(None, "metadata", message));
        }
        Ok(metadata)
    }
}

fn check_metadata(param: &str, key: &str, value: &str) -> Result<(), ApiError> {
    let (key_length, value_length) = (key.chars().count(), value.chars().count());
    if key_length > 40 {
        let message = format!(
            "Metadata keys can have up to 40 characters, but you passed in a key that is {key_length} characters. Invalid \
             key: {key}"
        );
        return Err(ApiError::parameter(None, param, message));
    }
    if value_length > 500 {
        let message = format!(
            "Metadata values can have up to 500 characters, but you passed in a value that is {value_length} characters. \
             Invalid value: {value}"
        );
        return Err(ApiError::parameter(None, param, message));
    }
    Ok(())
}

fn cannot_unset(name: &str) -> ApiError {
    let message = format!(
        "You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; however \
         '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty value."
    );
    ApiError::parameter("parameter_invalid_empty", name, message)
}

/// Reads a whole number as Stripe does.
pub(crate) fn whole_number(name: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::parameter("parameter_invalid_integer", name, format!("Invalid integer: {text}")))
}

/// `a[b][]` → `["a", "b", ""]`.
fn split_name(name: &str) -> Option<Vec<&str>> {
    let Some((first, rest)) = name.split_once('[') else { return (!name.is_empty()).then(|| vec![name]) };
    let inner = rest.strip_suffix(']')?;
    let mut path = vec![first];
    path.extend(inner.split("]["));
    (!first.is_empty() && path.iter().all(|part| !part.contains(['[', ']']))).then_some(path)
}

/// Puts a value at its path; false where another kind of value stands in the way.
fn insert(entry: std::collections::btree_map::Entry<'_, String, Value>, path: &[&str], text: &str) -> bool {
    let Some((part, rest)) = path.split_first() else {
        *entry.or_insert_with(|| Value::Text(String::new())) = Value::Text(text.to_owned());
        return true;
    };
    if part.is_empty() || part.bytes().all(|byte| byte.is_ascii_digit()) {
        let Value::List(items) = entry.or_insert_with(|| Value::List(Vec::new())) else { return false };
        let mut item = BTreeMap::new();
        if !insert(item.entry(String::new()), rest, text) {
            return false;
        }
        items.extend(item.into_values());
        return true;
    }
    let Value::Map(map) = entry.or_insert_with(|| Value::Map(BTreeMap::new())) else { return false };
    insert(map.entry((*part).to_owned()), rest, text)
}

#[cfg(test)]
mod tests {
    use super::{Form, Value};

    #[test]
    fn brackets_become_objects_and_lists() {
        let form = Form::read(b"amount=500&metadata[order_id]=o%201&expand[]=a&expand[]=b&types[0]=x&types[1]=y")
            .expect("it is a form");
        assert_eq!(form.integer("amount").ok(), Some(Some(500)));
        assert_eq!(form.metadata().expect("it is sound")["order_id"], "o 1");
        assert_eq!(form.list("expand").expect("it is a list"), ["a", "b"]);
        assert_eq!(form.list("types").expect("it is a list"), ["x", "y"]);
    }

    #[test]
    fn a_name_that_is_both_a_value_and_an_object_is_refused() {
        assert!(Form::read(b"metadata=1&metadata[a]=2").is_err());
        assert!(Form::read(b"a[b=2").is_err());
        assert!(Form::read(b"[b]=2").is_err());
    }

    #[test]
    fn fractions_and_words_are_no_amounts() {
        for text in ["12.5", "ten", "9223372036854775808", "1e3", ""] {
            let form = Form { values: [("amount".to_owned(), Value::Text(text.to_owned()))].into(), ..Form::default() };
            assert!(form.integer("amount").is_err(), "{text}");
        }
    }
}
