//! End to end: scenarios on real servers, the demo page in a browser, the bench. What scenarios and bench share is here.

pub mod balancer;
pub mod figures;
pub mod healing;
pub mod launch;
pub mod ledger;
pub mod open_files;
pub mod operator;
pub mod sister;
pub mod stalled;
pub mod stream;
pub mod tap;
