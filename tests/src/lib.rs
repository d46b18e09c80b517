//! End to end: scenarios on real servers, the demo page in a browser, the bench.
