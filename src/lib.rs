pub mod nst;
