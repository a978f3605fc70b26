//! publication.
