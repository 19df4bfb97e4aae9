"""The order-book service: venue depth streams to `ob_features_latest`."""
