//! Kafka Connect starts beside a broker, answers over HTTP, and leaves nothing behind.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use embedded::{Connect, ConnectOptions, Kafka, KafkaOptions, Silent};

use crate::wait;

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn a_worker_takes_requests_and_is_gone_with_its_folder_after_stop() {
    let kafka = Kafka::start(KafkaOptions::default(), &Silent).await.unwrap();
    let options = ConnectOptions::new(kafka.bootstrap(), &[]);
    let connect = Connect::start(options, &Silent).await.unwrap();
    let port = connect.url().rsplit(':').next().unwrap().parse().unwrap();
    let folder = connect.log_file().parent().unwrap().to_owned();
    let pid = connect.pid().unwrap();
    assert!(get(port, "/connectors").ends_with("[]"), "{}", get(port, "/connectors"));
    connect.stop().await;
    assert!(!folder.exists());
    assert!(!wait::is_open(port));
    assert!(!wait::is_alive(pid));
    kafka.stop().await.unwrap();
}

#[tokio::test]
async fn a_worker_without_kafka_ends_with_the_reason_in_the_error() {
    let options = ConnectOptions::new("127.0.0.1:1", &[])
        .set("admin.request.timeout.ms", "1000")
        .set("default.api.timeout.ms", "1000")
        .set("request.timeout.ms", "1000");
    let error = Connect::start(options, &Silent).await.unwrap_err();
    assert_eq!(error.code(), "EM013");
    assert!(error.to_string().contains("Timed out"), "{error}");
}
