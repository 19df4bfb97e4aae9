"""The Hazelcast member: fetch its jar, find a Java, configure, start, wait for readiness."""
