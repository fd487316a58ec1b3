//! What comes back later finds its notice, moves the ladder, and is kept.

mod hooks;
mod live;
mod settling;
