//! Bytes of the pgoutput protocol to row changes.
