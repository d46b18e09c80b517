//! The whole service in one process with embedded parts, and the demo page.
