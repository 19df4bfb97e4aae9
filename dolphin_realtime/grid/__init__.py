"""The Hazelcast grid: names of its maps, documents as text, clients, following a key."""
