//! What people look at: the page, the sheet, thumbnails and boxes.

pub mod boxes;
pub mod page;
pub mod sheet;
pub mod thumbnail;
