//! Oracle, workloads and golden cases. Development only.
