"""Several Hazelcast members on several machines."""
