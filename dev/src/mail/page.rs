//! The inbox for people: a list and a mail, in HTML that needs no script. All that comes from a mail is escaped; its own HTML is
//! shown in a frame that may do nothing.

use std::{fmt::Write, sync::Arc};

use super::message::Message;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
    table{width:100%;border-collapse:collapse}td,th{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ddd}\
    th{font-weight:600;color:#666}a{color:#0b57d0}pre{white-space:pre-wrap;background:#f6f6f6;padding:1rem}\
    iframe{width:100%;height:32rem;border:1px solid #ddd}time,small{color:#666;white-space:nowrap}";

/// The list, newest first; it looks for new mail by itself.
pub(super) fn index(messages: &[Arc<Message>]) -> String {
    let mut rows = String::new();
    for message in messages {
        let row = format_args!(
            "<tr><td><a href=\"/read/{}\">{}</a></td><td>{}</td><td><time>{}</time></td></tr>",
            message.id,
            escape(subject(message)),
            escape(&message.to.join(", ")),
            message.received_at.format("%Y-%m-%d %H:%M:%S UTC"),
        );
        rows.write_fmt(row).expect("a String takes everything");
    }
    let body = if messages.is_empty() {
        "<h1>Inbox</h1><p>No mail yet. What the shop sends lands here; nothing is delivered.</p>".to_owned()
    } else {
        format!("<h1>Inbox</h1><table><tr><th>Subject</th><th>To</th><th>Received</th></tr>{rows}</table>")
    };
    page("Inbox", "<meta http-equiv=\"refresh\" content=\"5\">", &body)
}

/// One mail, in both its forms.
pub(super) fn read(message: &Message) -> String {
    let mut body = format!(
        "<p><a href=\"/\">Inbox</a></p><h1>{}</h1><p>From {}<br>To {}<br><time>{}</time> · <a href=\"/messages/{}\">source</a> \
         <small>({} bytes)</small></p>",
        escape(subject(message)),
        escape(&message.from),
        escape(&message.to.join(", ")),
        message.received_at.format("%Y-%m-%d %H:%M:%S UTC"),
        message.id,
        message.size,
    );
    if let Some(html) = &message.html {
        let frame =
            format!("<h2>HTML</h2><iframe sandbox title=\"The mail's HTML\" srcdoc=\"{}\"></iframe>", escape(html));
        body.push_str(&frame);
    }
    if let Some(text) = &message.text {
        body.push_str(&format!("<h2>Text</h2><pre>{}</pre>", escape(text)));
    }
    page(subject(message), "", &body)
}

fn subject(message: &Message) -> &str {
    if message.subject.is_empty() { "(no subject)" } else { &message.subject }
}

fn page(title: &str, head: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{} – Kassa mail</title>{head}<style>{STYLE}</style></head>\
         <body>{body}</body></html>",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{super::message::Envelope, *};

    #[test]
    fn nothing_in_a_mail_becomes_markup() {
        let raw = b"From: \"<img>\" <a@b.example>\r\nSubject: <script>1</script>\r\nContent-Type: text/html\r\n\r\n\
                    <p title=\"x\">'</p><script>alert(1)</script>";
        let envelope = Envelope { from: String::new(), to: vec!["\"<b>\"@c.example".into()] };
        let message = Message::read(Uuid::now_v7(), envelope, raw.to_vec());
        let shown = read(&message) + &index(&[Arc::new(message)]);
        for markup in ["<script", "<img", "<b>", "<p title"] {
            assert!(!shown.contains(markup), "{markup} in {shown}");
        }
        assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
}
