"""The alerter: sends each line of the alerts file to people, once red and once recovered."""
