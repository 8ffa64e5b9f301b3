//! The crate against the real kernel, each test in a network namespace of its own. They need root.

#[cfg(test)]
mod check;
#[cfg(test)]
mod failover;
#[cfg(test)]
mod gateways;
#[cfg(test)]
mod history;
#[cfg(test)]
mod load;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod world;
