//! Tests of the command as its users see it: one binary, so that it links once.

#[cfg(test)]
mod command;
#[cfg(test)]
mod several;
