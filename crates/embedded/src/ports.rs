//! Free ports on the loopback interface, chosen by the kernel.
//!
//! A port is free when it is handed out and may be taken a moment later: who uses one starts again with another on collision.

use std::net::{Ipv4Addr, TcpListener};

use crate::EmbeddedError;

/// `count` different ports of 127.0.0.1 that nobody listens on.
pub(crate) fn free(count: usize) -> Result<Vec<u16>, EmbeddedError> {
    let no_port = |source| EmbeddedError::NoPort { source };
    // All listeners stay open until the end, so that the kernel gives each port once.
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()
        .map_err(no_port)?;
    listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()
        .map_err(no_port)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_handed_out_together_are_different() {
        let ports = free(20).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 20);
    }
}
