//! What came, in memory and as files. A file is whole when it has its name, and is there before the sender hears "250".

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use uuid::{ContextV7, Timestamp, Uuid};

use super::message::{Envelope, Message};

/// The headers that keep the envelope in a file, as mail servers do at delivery.
const SENDER: &str = "Return-Path: ";
const RECIPIENT: &str = "X-Original-To: ";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    folder: Option<PathBuf>,
    kept: Mutex<Kept>,
    /// How often something came.
    arrivals: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Oldest first.
    messages: Vec<Arc<Message>>,
    /// Counts within a millisecond, so that ids sort as the mails came.
    order: ContextV7,
}

impl Mailbox {
    /// Finds what an earlier run kept in the folder.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut messages = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|name| Uuid::parse_str(name.to_str()?).ok());
            if let Some(id) = id.filter(|_| path.extension().is_some_and(|ending| ending == "eml")) {
                let (envelope, raw) = unwrap_file(&fs::read(&path)?);
                messages.push(Arc::new(Message::read(id, envelope, raw)));
            }
        }
        messages.sort_by_key(|message| message.id);
        let kept = Kept { messages, order: ContextV7::new() };
        Ok(Self { folder: Some(folder.to_owned()), kept: Mutex::new(kept), arrivals: watch::Sender::default() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a mail, for good once this returns.
    pub(super) fn keep(&self, envelope: Envelope, raw: Vec<u8>) -> io::Result<Uuid> {
        let mut kept = self.kept();
        let id = Uuid::new_v7(Timestamp::now(&kept.order));
        if let Some(folder) = &self.folder {
            let half = folder.join(format!("{id}.half"));
            fs::File::create(&half)?.write_all(&wrap_file(&envelope, &raw))?;
            fs::rename(&half, file(folder, id))?;
        }
        kept.messages.push(Arc::new(Message::read(id, envelope, raw)));
        drop(kept);
        self.arrivals.send_modify(|count| *count += 1);
        Ok(id)
    }

    /// Newest first, only those to an address if one is given.
    pub(super) fn list(&self, to: Option<&str>) -> Vec<Arc<Message>> {
        let kept = self.kept();
        let chosen = kept.messages.iter().rev().filter(|message| to.is_none_or(|to| message.went_to(to)));
        chosen.cloned().collect()
    }

    pub(super) fn get(&self, id: Uuid) -> Option<Arc<Message>> {
        self.kept().messages.iter().find(|message| message.id == id).cloned()
    }

    /// Forgets everything, the files too.
    pub(super) fn clear(&self) -> io::Result<()> {
        let mut kept = self.kept();
        for message in kept.messages.drain(..) {
            if let Some(folder) = &self.folder {
                match fs::remove_file(file(folder, message.id)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Tells of arrivals from now on.
    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }
}

fn file(folder: &Path, id: Uuid) -> PathBuf {
    folder.join(format!("{id}.eml"))
}

fn wrap_file(envelope: &Envelope, raw: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{SENDER}<{}>\r\n", envelope.from).into_bytes();
    for to in &envelope.to {
        bytes.extend_from_slice(format!("{RECIPIENT}{to}\r\n").as_bytes());
    }
    bytes.extend_from_slice(raw);
    bytes
}

fn unwrap_file(mut bytes: &[u8]) -> (Envelope, Vec<u8>) {
    let mut envelope = Envelope::default();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let line = String::from_utf8_lossy(&bytes[..end]);
        if let Some(sender) = line.strip_prefix(SENDER).filter(|_| envelope.to.is_empty()) {
            envelope.from = sender.trim_matches(['<', '>']).to_owned();
        } else if let Some(recipient) = line.strip_prefix(RECIPIENT) {
            envelope.to.push(recipient.to_owned());
        } else {
            break;
        }
        bytes = &bytes[end + 2..];
    }
    (envelope, bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(to: &[&str]) -> Envelope {
        Envelope { from: "shop@kassa.example".into(), to: to.iter().map(|to| (*to).to_owned()).collect() }
    }

    #[test]
    fn mails_are_found_again_in_their_order() {
        let folder = std::env::temp_dir().join(format!("kassa-mailbox-{}", Uuid::new_v4()));
        let mailbox = Mailbox::open(&folder).expect("the folder can be made");
        for number in 0..50 {
            let raw = format!("Subject: {number}\r\n\r\nbody\r\n").into_bytes();
            mailbox.keep(envelope(&["ada@kassa.example", "eve@kassa.example"]), raw).expect("kept");
        }
        let before = mailbox.list(None);
        let again = Mailbox::open(&folder).expect("it is there");
        let after = again.list(Some("eve@kassa.example"));
        assert_eq!(after.len(), 50);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(
                (before.id, &before.subject, &before.raw, &before.to),
                (after.id, &after.subject, &after.raw, &after.to)
            );
        }
        assert_eq!(after[0].subject, "49");
        again.clear().expect("its files can be removed");
        assert_eq!(Mailbox::open(&folder).expect("it is there").list(None).len(), 0);
        fs::remove_dir_all(folder).expect("ours");
    }
}
