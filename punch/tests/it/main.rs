//! Tests of the crate as its users see it: one binary, so that it links once.

#[cfg(test)]
mod api;
#[cfg(test)]
mod attempt;
#[cfg(test)]
mod election;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod oddities;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod public_surface;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod several;
