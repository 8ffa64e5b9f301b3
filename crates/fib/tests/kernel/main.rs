//! The crate against the real kernel, each test in a network namespace of its own. They need root.

#[cfg(test)]
mod failover;
mod gateways;
#[cfg(test)]
mod load;
#[cfg(test)]
mod repair;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod world;
