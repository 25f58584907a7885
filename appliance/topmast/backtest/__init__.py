"""What an alert would have told: its expression over the past, how often, when, how long, and at which threshold."""
