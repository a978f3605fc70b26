//! Named places where a test can make the process die, stand still or fail, and checks that a test can take out.
//!
//! In: two environment variables, read once by `arm`. Out: at the place and hit they name, SIGKILL, a pause or a failure.
//! Without the feature `armed` there are no variables, [`pass`] is a constant and [`is_out`] is `false`: the binary that users get
//! has nothing of it.
//! Never: anything by chance. A place acts at the hit it was told, once.

mod named;

#[cfg(any(feature = "armed", test))]
mod action;
#[cfg(feature = "armed")]
mod armed;

pub use named::{Check, Point};

#[cfg(feature = "armed")]
pub use armed::{Injected, arm, is_out, pass};

/// Variable that says what happens where: `POINT=ACTION[@HIT]`, several separated by commas.
pub const FAILPOINT: &str = "TRIBUTARY_FAILPOINT";

/// Variable that names the check to take out.
pub const MUTATION: &str = "TRIBUTARY_MUTATION";

/// A failure made on purpose. Without the feature there is none.
#[cfg(not(feature = "armed"))]
#[derive(Clone, Copy, Debug)]
pub enum Injected {}

#[cfg(not(feature = "armed"))]
impl Injected {
    /// Where.
    pub fn point(self) -> Point {
        match self {}
    }
}

/// Passes a point: nothing happens.
#[cfg(not(feature = "armed"))]
#[inline(always)]
#[expect(clippy::inline_always, reason = "nothing of it may be left")]
pub fn pass(_point: Point) -> std::future::Ready<Result<(), Injected>> {
    std::future::ready(Ok(()))
}

/// Whether a check is taken out: never.
#[cfg(not(feature = "armed"))]
#[inline(always)]
#[expect(clippy::inline_always, reason = "nothing of it may be left")]
pub const fn is_out(_check: Check) -> bool {
    false
}
