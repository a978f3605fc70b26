//! Free ports on the loopback interface, below those that the kernel gives to whoever asks for any.
//!
//! A server that is stopped and started again needs its port once more, and meanwhile an outgoing connection, or a listener that
//! asked for any port, could have taken one of the kernel's choice. A port is free when it is handed out and may be taken a moment
//! later by somebody who searches as we do: who uses one starts again with another on collision.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::EmbeddedError;

/// Linux gives ports from 32768 on where nobody says otherwise (`net.ipv4.ip_local_port_range`).
const FIRST: u32 = 15_000;
const COUNT: u32 = 17_000;

/// Where the search goes on; processes that run side by side begin at different places.
static NEXT: LazyLock<AtomicU32> =
    LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(97)));

/// `count` different ports of 127.0.0.1 that nobody listens on, and that this function has not given for a long time.
pub(crate) fn free(count: usize) -> Result<Vec<u16>, EmbeddedError> {
    search(&NEXT, count)
}

fn search(next: &AtomicU32, count: usize) -> Result<Vec<u16>, EmbeddedError> {
    let candidates = (0..COUNT).filter_map(|_| {
        let place = next.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = u16::try_from(FIRST + place).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(port)
    });
    let ports: Vec<u16> = candidates.take(count).collect();
    if ports.len() < count {
        let source = io::Error::from(io::ErrorKind::AddrInUse);
        return Err(EmbeddedError::NoPort { source });
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_handed_out_are_different_and_none_of_the_kernels_choice() {
        let mut ports = free(20).unwrap();
        ports.extend(free(20).unwrap());
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 40);
        assert!(ports.iter().all(|port| (15_000..32_000).contains(port)), "{ports:?}");
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_passed_over() {
        let taken = free(1).unwrap()[0];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
        let first_is_taken = || AtomicU32::new(u32::from(taken) - FIRST);
        assert!(!search(&first_is_taken(), 3).unwrap().contains(&taken));
        drop(listener);
        assert!(search(&first_is_taken(), 3).unwrap().contains(&taken));
    }
}
