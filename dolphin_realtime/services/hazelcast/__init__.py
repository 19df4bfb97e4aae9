"""The Hazelcast member as a service: readiness, heartbeat, watchdog."""
