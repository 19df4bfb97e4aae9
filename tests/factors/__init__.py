"""External factors from source to signal: real HTTP on loopback, a real member, real Dagster."""
