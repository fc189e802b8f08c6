//! Tests of the command as its users see it: one binary, so that it links once.

#[cfg(test)]
mod command;
#[cfg(test)]
#[cfg(unix)]
mod ends;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod host;
#[cfg(test)]
#[cfg(unix)]
mod keep;
#[cfg(test)]
mod several;
#[cfg(test)]
#[cfg(unix)]
mod signals;
#[cfg(test)]
#[cfg(unix)]
mod support;
#[cfg(test)]
#[cfg(unix)]
mod waiting;
