"""The alerter: what stands in the file of alerts, sent to people, once each way."""
