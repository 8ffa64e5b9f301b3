//! RTR caches (RFC 8210, RFC 6810, draft-ietf-sidrops-8210bis) become VRP and ASPA deltas: sessions with any number of
//! caches, the union of what they say, local exceptions (SLURM, RFC 8416), and the last good data on disk.
