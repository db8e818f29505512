//! The frozen VGG trunk: backbone weights, forward and backward.

pub mod backbone;
pub mod shapes;
pub mod tensors;
pub mod trunk;
