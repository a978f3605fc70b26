//! Against a server that says what it is told to.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

type Requests = Arc<Mutex<Vec<String>>>;

/// Answers each request with the next of these, and keeps what it was asked.
async fn server(answers: Vec<(u16, &'static str)>) -> (String, Requests, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_complete(&request) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            kept.lock().unwrap().push(String::from_utf8(request).unwrap());
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, requests, tasks)
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn settings(urls: Vec<String>, ask: Ask) -> RegistrySettings {
    RegistrySettings { urls, credentials: Credentials::None, trusted: None, ask, normalize: false }
}

async fn outcome(ask: Ask, status: u16, body: &'static str) -> Result<u32, RegistryError> {
    let (url, _, _tasks) = server(vec![(status, body)]).await;
    Registry::new(&settings(vec![url], ask)).unwrap().id_of("t-value", "\"int\"").await
}

#[tokio::test]
async fn a_schema_is_registered_once_and_remembered() {
    let (url, requests, _tasks) = server(vec![(200, "{\"id\":7}"), (200, "{\"id\":8}")]).await;
    let credentials = Credentials::Basic("user:pass".to_owned());
    let settings =
        RegistrySettings { credentials, normalize: true, ..settings(vec![url], Ask::Register) };
    let mut registry = Registry::new(&settings).unwrap();
    for _ in 0..3 {
        assert_eq!(registry.id_of("a b.c-value", "\"int\"").await.unwrap(), 7);
    }
    assert_eq!(registry.id_of("a b.c-value", "\"long\"").await.unwrap(), 8);
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2, "{requests:?}");
    let first = &requests[0];
    assert!(
        first.starts_with("POST /subjects/a%20b.c-value/versions?normalize=true HTTP/1.1"),
        "{first}"
    );
    assert!(first.to_lowercase().contains("authorization: basic dxnlcjpwyxnz"), "{first}");
    assert!(first.ends_with(r#"{"schema":"\"int\""}"#), "{first}");
}

#[tokio::test]
async fn each_refusal_has_its_code_and_only_absence_may_pass() {
    for (ask, status, body, code, class) in [
        (Ask::Register, 503, "{}", "RG001", Class::Transient),
        (Ask::Register, 429, "{}", "RG001", Class::Transient),
        (Ask::Register, 401, "{}", "RG002", Class::Definite),
        (Ask::Register, 409, r#"{"error_code":409,"message":"m"}"#, "RG003", Class::Definite),
        (Ask::Register, 422, r#"{"error_code":42201,"message":"m"}"#, "RG004", Class::Definite),
        (Ask::Find, 404, r#"{"error_code":40403,"message":"m"}"#, "RG005", Class::Definite),
        (Ask::Latest, 404, r#"{"error_code":40401,"message":"m"}"#, "RG005", Class::Definite),
        (Ask::Find, 404, "<html>", "RG006", Class::Definite),
        (Ask::Register, 404, r#"{"error_code":404}"#, "RG006", Class::Definite),
        (Ask::Register, 200, "{}", "RG006", Class::Definite),
        (Ask::Latest, 200, r#"{"id":3,"schema":"\"long\""}"#, "RG008", Class::Definite),
    ] {
        let error = outcome(ask, status, body).await.unwrap_err();
        assert_eq!((error.code(), error.class()), (code, class), "{status} {body}: {error}");
        assert!(error.to_string().starts_with(&format!("[{code}] ")), "{error}");
    }
    let latest = outcome(Ask::Latest, 200, r#"{"id":3,"schema":"{\"type\":\"int\"}"}"#).await;
    assert_eq!(latest.unwrap(), 3);
}

#[tokio::test]
async fn another_address_is_asked_where_one_does_not_answer() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let (url, _, _tasks) = server(vec![(200, "{\"id\":5}")]).await;
    let urls = vec![nobody.clone(), url];
    let mut registry = Registry::new(&settings(urls, Ask::Register)).unwrap();
    assert_eq!(registry.id_of("s", "\"int\"").await.unwrap(), 5);
    let mut registry = Registry::new(&settings(vec![nobody], Ask::Register)).unwrap();
    let away = registry.id_of("s", "\"int\"").await.unwrap_err();
    assert_eq!((away.code(), away.class()), ("RG001", Class::Transient));
}

#[test]
fn a_secret_is_not_shown() {
    let settings = RegistrySettings {
        credentials: Credentials::Bearer("hush".to_owned()),
        ..settings(Vec::new(), Ask::Find)
    };
    assert!(!format!("{settings:?}").contains("hush"));
}
