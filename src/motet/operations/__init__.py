"""What an operator watches: observers of every request."""
