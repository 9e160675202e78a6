//! The mail catcher as its senders and readers meet it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use dev::mail::{Catcher, CatcherOptions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

struct Sender(BufReader<TcpStream>);

impl Sender {
    async fn connect(catcher: &Catcher) -> Self {
        let addr = catcher.smtp_url().replace("smtp://", "");
        Self(BufReader::new(TcpStream::connect(addr).await.unwrap()))
    }

    /// Sends lines in one piece.
    async fn send(&mut self, lines: &[&str]) {
        let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The code of the next answer; of a connection that ended, 0.
    async fn code(&mut self) -> u16 {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap_or(0) == 0 {
                return 0;
            }
            if line.as_bytes()[3] == b' ' {
                return line[..3].parse().unwrap();
            }
        }
    }

    async fn codes(&mut self, count: usize) -> Vec<u16> {
        let mut codes = Vec::new();
        for _ in 0..count {
            codes.push(self.code().await);
        }
        codes
    }

    /// Sends a mail and gives the code of its acknowledgement.
    async fn mail(&mut self, to: &str, subject: &str) -> u16 {
        self.send(&["EHLO here", "MAIL FROM:<shop@kassa.example>", &format!("RCPT TO:<{to}>"), "DATA"]).await;
        let codes = self.codes(4).await;
        if codes[3] != 354 {
            return *codes.iter().find(|code| **code >= 400).unwrap_or(&0);
        }
        self.send(&[&format!("Subject: {subject}"), "", "hello", "."]).await;
        self.code().await
    }
}

async fn get(catcher: &Catcher, path: &str) -> Value {
    http().get(format!("{}{path}", catcher.inbox_url())).send().await.unwrap().json().await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test that hangs is seen to hang")]
fn http() -> reqwest::Client {
    let _installed_by_another_test = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn fault(catcher: &Catcher, fault: Value) -> u64 {
    let url = format!("{}/_control/faults", catcher.inbox_url());
    let answer: Value = http().post(url).json(&fault).send().await.unwrap().json().await.unwrap();
    answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn a_pipelined_mail_arrives_and_is_shown_in_every_form() {
    let catcher = Catcher::start(CatcherOptions::default()).await.unwrap();
    let mut sender = Sender::connect(&catcher).await;
    assert_eq!(sender.code().await, 220);
    sender
        .send(&[
            "EHLO here",
            "MAIL FROM:<shop@kassa.example> BODY=8BITMIME",
            "RCPT TO:<ada@kassa.example>",
            "RCPT TO:<b@c>",
            "DATA",
        ])
        .await;
    assert_eq!(sender.codes(5).await, [250, 250, 250, 250, 354]);
    sender.send(&["Subject: <b>hi</b>", "Message-ID: <1@k>", "", "..dotted", ".", "RSET", "NOOP", "QUIT"]).await;
    assert_eq!(sender.codes(5).await, [250, 250, 250, 221, 0]);

    let mails = get(&catcher, "/messages?to=ADA@kassa.example").await;
    let mail = &mails[0];
    assert_eq!(mail["to"], json!(["ada@kassa.example", "b@c"]));
    assert_eq!((&mail["subject"], &mail["message_id"]), (&json!("<b>hi</b>"), &json!("1@k")));
    assert_eq!((&mail["text"], &mail["html"]), (&json!(".dotted\r\n"), &Value::Null));
    let raw = format!("{}/messages/{}", catcher.inbox_url(), mail["id"].as_str().unwrap());
    let raw = http().get(raw).send().await.unwrap().text().await.unwrap();
    assert_eq!(raw.len() as u64, mail["size"].as_u64().unwrap());
    assert!(raw.ends_with("\r\n.dotted\r\n"));
    let page = http().get(catcher.inbox_url()).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(page.text().await.unwrap().contains("&lt;b&gt;hi"));

    http().delete(format!("{}/messages", catcher.inbox_url())).send().await.unwrap().error_for_status().unwrap();
    assert_eq!(get(&catcher, "/messages").await, json!([]));
    catcher.shutdown().await;
}

#[tokio::test]
async fn what_is_out_of_order_is_refused_and_loses_nothing() {
    let catcher = Catcher::start(CatcherOptions::default()).await.unwrap();
    let mut sender = Sender::connect(&catcher).await;
    sender
        .send(&["MAIL FROM:<a@b>", "EHLO x", "DATA", "RCPT TO:<a@b>", "MAIL FROM:a@b", "MAIL FROM:<a@b> SIZE=99999999"])
        .await;
    assert_eq!(sender.codes(7).await, [220, 503, 250, 503, 503, 501, 552]);
    sender
        .send(&[
            "MAIL FROM:<a@b> X=1",
            "MAIL FROM:<a@b>",
            "MAIL FROM:<a@b>",
            "DATA",
            "AUTH PLAIN",
            "WHAT",
            &"A".repeat(9000),
        ])
        .await;
    assert_eq!(sender.codes(7).await, [555, 250, 503, 503, 502, 500, 500]);
    sender.send(&["RCPT TO:<c@d>", "DATA", "Subject: still", "", ".", "QUIT"]).await;
    assert_eq!(sender.codes(4).await, [250, 354, 250, 221]);
    assert_eq!(catcher.messages()[0].subject, "still");
}

#[tokio::test]
async fn a_reader_can_wait_for_a_mail() {
    let catcher = Catcher::start(CatcherOptions::default()).await.unwrap();
    let waits = get(&catcher, "/messages?to=ada@kassa.example&wait=30");
    let sends = async {
        let mut sender = Sender::connect(&catcher).await;
        sender.code().await;
        assert_eq!(sender.mail("eve@kassa.example", "not hers").await, 250);
        assert_eq!(sender.mail("ada@kassa.example", "hers").await, 250);
    };
    let (mails, ()) = tokio::join!(waits, sends);
    assert_eq!(mails.as_array().unwrap().len(), 1);
    assert_eq!(get(&catcher, "/messages?count=3&wait=0.05").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_restart_finds_the_mail_again() {
    let folder = std::env::temp_dir().join(format!("kassa-catcher-{}", uuid::Uuid::new_v4()));
    let options = CatcherOptions { folder: Some(folder.clone()), ..CatcherOptions::default() };
    let catcher = Catcher::start(options.clone()).await.unwrap();
    let mut sender = Sender::connect(&catcher).await;
    sender.code().await;
    assert_eq!(sender.mail("ada@kassa.example", "kept").await, 250);
    let before = get(&catcher, "/messages").await;
    catcher.shutdown().await;
    let catcher = Catcher::start(options).await.unwrap();
    assert_eq!(get(&catcher, "/messages").await, before);
    catcher.shutdown().await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn faults_strike_where_and_as_often_as_they_should() {
    let catcher = Catcher::start(CatcherOptions::default()).await.unwrap();
    let mut sender = Sender::connect(&catcher).await;
    sender.code().await;
    fault(&catcher, json!({ "at": "recipient", "to": "ada@kassa.example", "code": 550, "times": 1 })).await;
    assert_eq!(sender.mail("eve@kassa.example", "1").await, 250);
    assert_eq!(sender.mail("ada@kassa.example", "2").await, 550);
    sender.send(&["RSET"]).await;
    sender.code().await;
    assert_eq!(sender.mail("ada@kassa.example", "3").await, 250);
    fault(&catcher, json!({ "at": "message", "code": 451, "skip": 1, "times": 1, "delay_ms": 5 })).await;
    assert_eq!(sender.mail("ada@kassa.example", "4").await, 250);
    assert_eq!(sender.mail("ada@kassa.example", "5").await, 451);
    fault(&catcher, json!({ "at": "message", "cut": true, "keep": true, "times": 1 })).await;
    assert_eq!(sender.mail("ada@kassa.example", "6").await, 0);
    let subjects: Vec<_> = catcher.messages().iter().rev().map(|mail| mail.subject.clone()).collect();
    assert_eq!(subjects, ["1", "3", "4", "6"]);

    let hangs = fault(&catcher, json!({ "at": "message", "hang": true })).await;
    let mut sender = Sender::connect(&catcher).await;
    sender.code().await;
    let removes = async {
        let hung = async { while get(&catcher, "/_control/faults").await[hangs.to_string()]["hits"] != 1 {} };
        tokio::time::timeout(Duration::from_secs(10), hung).await.expect("the mail comes");
        http().delete(format!("{}/_control/faults", catcher.inbox_url())).send().await.unwrap();
    };
    let (code, ()) = tokio::join!(sender.mail("ada@kassa.example", "7"), removes);
    assert_eq!((code, catcher.messages().len()), (0, 4));
}

#[tokio::test]
async fn a_fault_that_makes_no_sense_is_refused() {
    let catcher = Catcher::start(CatcherOptions::default()).await.unwrap();
    let url = format!("{}/_control/faults", catcher.inbox_url());
    for wrong in [
        json!({ "at": "message", "hang": true, "cut": true }),
        json!({ "at": "mail", "code": 250 }),
        json!({ "at": "mail", "to": "a@b" }),
        json!({ "at": "data", "keep": true }),
        json!({ "at": "data", "unknown": true }),
        json!({ "at": "data", "text": "two\r\nlines", "code": 550 }),
    ] {
        let status = http().post(&url).json(&wrong).send().await.unwrap().status();
        assert_eq!(status, 422, "{wrong}");
    }
}
