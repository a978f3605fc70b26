//! What the connector needs, checked.
