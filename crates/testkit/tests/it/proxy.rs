//! The fault proxy does what it says, so that what the connector does can be blamed on the connector.

use std::io::ErrorKind;
use std::time::Duration;

use testkit::Result;
use testkit::proxy::{Fault, Proxy, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Long enough for loopback, short enough to wait for nothing.
const A_MOMENT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(20);

/// A server that answers each connection with what it is sent; it ends with the set.
async fn echo() -> Result<(String, JoinSet<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            connections.spawn(async move {
                let (mut from, mut to) = socket.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    Ok((address, server))
}

async fn echoed(socket: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    socket.write_all(text).await?;
    let mut back = vec![0; text.len()];
    socket.read_exact(&mut back).await?;
    Ok(back)
}

async fn behind(fault: Fault) -> Result<(Proxy, TcpStream, JoinSet<()>)> {
    let (address, server) = echo().await?;
    let proxy = Proxy::start(&address)?;
    let mut socket = TcpStream::connect(proxy.address()).await?;
    assert_eq!(echoed(&mut socket, b"before").await?, b"before");
    proxy.set(fault);
    Ok((proxy, socket, server))
}

#[tokio::test]
async fn silence_closes_nothing_and_loses_nothing() -> Result<()> {
    for silenced in [None, Some(Way::ToServer), Some(Way::ToClient)] {
        let (proxy, mut socket, _server) = behind(Fault::Silence(silenced)).await?;
        let back = timeout(A_MOMENT, echoed(&mut socket, b"hello")).await;
        assert!(back.is_err(), "{silenced:?}: {back:?}");
        let mut other = TcpStream::connect(proxy.address()).await?;
        proxy.set(Fault::Pass);
        let mut back = vec![0; 5];
        timeout(LONG, socket.read_exact(&mut back)).await??;
        assert_eq!(back, b"hello");
        assert_eq!(timeout(LONG, echoed(&mut other, b"new")).await??, b"new");
    }
    Ok(())
}

#[tokio::test]
async fn a_cut_ends_what_is_there_and_a_refusal_what_comes_too() -> Result<()> {
    let (proxy, mut socket, _server) = behind(Fault::Cut).await?;
    assert_eq!(timeout(LONG, socket.read_buf(&mut Vec::new())).await??, 0);
    let mut socket = TcpStream::connect(proxy.address()).await?;
    assert_eq!(echoed(&mut socket, b"again").await?, b"again");
    proxy.set(Fault::Refuse);
    let ended = timeout(LONG, socket.read_buf(&mut Vec::new())).await?;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let refused = match TcpStream::connect(proxy.address()).await {
        Ok(mut socket) => echoed(&mut socket, b"no").await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
    Ok(())
}

#[tokio::test]
async fn a_reset_comes_after_exactly_so_many_bytes_and_once() -> Result<()> {
    let fault = Fault::ResetAfter { bytes: 10, way: Way::ToClient };
    let (proxy, mut socket, _server) = behind(fault).await?;
    socket.write_all(b"0123456789abcdef").await?;
    let mut back = Vec::new();
    let ended = loop {
        match timeout(LONG, socket.read_buf(&mut back)).await? {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error.kind()),
        }
    };
    assert_eq!(ended, Some(ErrorKind::ConnectionReset));
    // A reset may overtake bytes that were not read yet, but none come after the tenth.
    assert!(b"0123456789".starts_with(&back), "{back:?}");
    let mut socket = TcpStream::connect(proxy.address()).await?;
    assert_eq!(echoed(&mut socket, b"0123456789abcdef").await?, b"0123456789abcdef");
    Ok(())
}

#[tokio::test]
async fn throttled_and_delayed_bytes_arrive_whole() -> Result<()> {
    let (proxy, mut socket, _server) =
        behind(Fault::Throttle { bytes_per_second: 100_000 }).await?;
    let text: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).take(20_000).collect();
    assert_eq!(timeout(LONG, echoed(&mut socket, &text)).await??, text);
    proxy.set(Fault::Delay(Duration::from_millis(5)));
    assert_eq!(timeout(LONG, echoed(&mut socket, &text)).await??, text);
    Ok(())
}
