//! The fields of log lines for people, where nothing is coloured: the text of tracing-subscriber's own formatter, without asking for each
//! part of each field how it is to be painted (docs/adr/0021).

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput as _},
    fmt::{
        FormatFields,
        format::{DefaultVisitor, Writer},
    },
};

/// See the module.
pub(super) struct Plain;

impl<'w> FormatFields<'w> for Plain {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_first: true, outcome: Ok(()) };
        fields.record(&mut visitor);
        visitor.outcome
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    outcome: fmt::Result,
}

impl Visitor<'_> {
    /// Writes a field whose text needs no care.
    fn plainly(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if field.name().starts_with("log.") {
            return; // a record of the `log` crate says where it is from; its line has that already
        }
        let space = if self.is_first { "" } else { " " };
        self.is_first = false;
        let writer = &mut self.writer;
        self.outcome = self.outcome.and_then(|()| {
            writer.write_str(space)?;
            writer.write_str(field.name())?;
            writer.write_char('=')?;
            write(writer)
        });
    }

    /// Leaves a field to tracing-subscriber.
    fn carefully(&mut self, visit: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let mut careful = DefaultVisitor::new(self.writer.by_ref(), self.is_first);
        visit(&mut careful);
        self.outcome = self.outcome.and(careful.finish());
        self.is_first = false;
    }
}

/// What stands for itself between double quotes.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" || !is_plain(value) {
            return self.carefully(|careful| careful.record_str(field, value));
        }
        self.plainly(field, |writer| {
            writer.write_char('"')?;
            writer.write_str(value)?;
            writer.write_char('"')
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plainly(field, |writer| write!(writer, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plainly(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plainly(field, |writer| write!(writer, "{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plainly(field, |writer| write!(writer, "{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.carefully(|careful| careful.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.carefully(|careful| careful.record_debug(field, value));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt::format::DefaultFields, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged<F: for<'w> FormatFields<'w> + Send + Sync + 'static>(fields: F) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).without_time().fmt_fields(fields);
        let layer = layer.with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let error = io::Error::other(io::Error::other("deep\u{1b}[31m"));
            let span = tracing::info_span!("request", id = "a b", trace = %"0f", none = tracing::field::Empty, n = -1);
            let _in = span.enter();
            span.record("none", "late");
            tracing::info!(method = "GET", status = 200, duration_ms = 0.25, tls = false, "a request");
            tracing::warn!(quoted = "\"a\\b\"\n\u{1b}[31m", error = &error as &dyn std::error::Error);
            tracing::info!(debug = ?Some("x"), display = %"line\nline", r#type = "raw", "{} \u{1b}[31m", "words");
            tracing::info!("log.target" = "x", "log.line" = 3_u32, count = 200_u16, "from the log crate");
            tracing::info!("nothing else");
        });
        let bytes = kept.0.lock().expect("nobody panics").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn the_text_is_that_of_tracing_subscriber() {
        let plain = logged(Plain);
        assert!(plain.contains(r#"method="GET" status=200 duration_ms=0.25 tls=false"#), "{plain}");
        assert_eq!(plain, logged(DefaultFields::new()));
    }
}
