"""HTTP to others: connections and time-outs, the one retry policy, the one circuit breaker."""
