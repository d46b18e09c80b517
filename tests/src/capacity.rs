//! What a fleet needs that no test can start, worked out from what units of its work were measured to cost.
//!
//! [`costs`] are measured, by `make scale`; [`load`] is what a fleet is to do; [`fleet`] is arithmetic on both, with what
//! it takes for granted named at its top; [`tables`] print it. `docs/capacity.md` has those tables, and a test in here
//! holds them to what is printed.

pub mod costs;
pub mod fleet;
pub mod load;
pub mod tables;
