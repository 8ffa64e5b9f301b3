//! Routing registries (IRRd whois) and PeeringDB become prefix sets and prefix limits, with the last good answer on disk.
